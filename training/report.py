"""The evaluation in words: Markdown tables for the docs, values for JSON."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.calibration import Calibration, calibrate
from training.figures import (
    ALL,
    MEAN,
    Group,
    by_dataset,
    curves,
    falls,
    group,
    shorten,
)
from training.sizes import by_size
from training.user import ObjectResult

__all__ = ["NANO", "Evaluation", "read_results", "tabulate"]

#: What tables of the baselines call the model itself.
NANO = "the model"
#: Falls of a mean that tables can show.
_FALLS_SHOWN = 0.0005
#: With fewer the intervals of a set are too narrow.
_FEW_IMAGES = 6


@dataclass(slots=True)
class Evaluation:
    """All that was measured.

    Parameters
    ----------
    model, fingerprint, version : str
        What was measured, and with which software.
    arguments : argparse.Namespace
        Of the command.
    results : list of ObjectResult
        Of the model.
    baselines : dict of str to list of ObjectResult
        Of the same objects, or of some of them.
    seconds : float
        That the model's own part took for an object, in one process.
    """

    model: str
    fingerprint: str
    version: str
    arguments: Namespace
    results: list[ObjectResult]
    baselines: dict[str, list[ObjectResult]] = field(default_factory=dict)
    seconds: float = 0.0

    def compared(self) -> dict[str, list[ObjectResult]]:
        """Return the baselines' results after the model's own on the same objects."""
        if not self.baselines:
            return {}
        (one, *_) = self.baselines.values()
        keys = {_key(result) for result in one}
        clicks = len(one[0].clicks)
        own = [shorten(r, clicks) for r in self.results if _key(r) in keys]
        return {NANO: own, **self.baselines}

    def to_markdown(self) -> str:
        """Return all tables, with what they show."""
        calibration = calibrate(self.results)
        parts = [
            self._heading(),
            *_sets_part(by_dataset(self.results)),
            *_curve_part(curves(self.results)),
            *_sizes_part(self.results),
            *_calibration_part(calibration),
            *self._baselines_part(),
        ]
        return "\n\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has; None stands for NaN."""
        groups = by_dataset(self.results)
        steps = curves(self.results)
        sizes = {name: group(part) for name, part in by_size(self.results).items()}
        values = {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "version": self.version,
            "arguments": {k: _plain(v) for k, v in vars(self.arguments).items()},
            "seconds_per_object": self.seconds,
            "mean": groups[MEAN].means,
            "sets": {name: asdict(one) for name, one in groups.items()},
            "sizes": {name: asdict(one) for name, one in sizes.items()},
            "curves": steps,
            "falls": {
                name: [fall._asdict() for fall in falls(curve)]
                for name, curve in steps.items()
            },
            "calibration": asdict(calibrate(self.results)),
            "baselines": {
                name: {
                    "sets": {k: asdict(v) for k, v in by_dataset(part).items()},
                    "objects": [one.to_json() for one in part],
                }
                for name, part in self.compared().items()
            },
            "objects": [result.to_json() for result in self.results],
        }
        return _plain(values)

    def _heading(self) -> str:
        whole = group(self.results, pooled=True)
        ways = (("whole", ", without windows"), ("hints", ", with hints"))
        way = "".join(text for name, text in ways if getattr(self.arguments, name))
        return (
            f"{self.fingerprint}{way}, napari-sam3 {self.version}, "
            f"{self.arguments.split} images: {whole.objects} objects in "
            f"{whole.images} images of {whole.sets} sets; "
            f"{self.seconds:.2f} s an object in one process"
        )

    def _baselines_part(self) -> list[str]:
        compared = self.compared()
        if not compared:
            return ["No baselines were measured."]
        groups = {name: group(part) for name, part in compared.items()}
        count = groups[NANO].objects
        clicks = len(compared[NANO][0].clicks)
        words = (
            f"The model and its baselines on the same {count} objects (at most "
            f"{self.arguments.baseline_objects} an image), at most {clicks} clicks; "
            "mean over objects, then over sets. Otsu + watershed has one answer, no "
            "three candidates."
        )
        return [
            "### Baselines",
            words,
            tabulate(groups, "what"),
            "95 % intervals",
            _tabulate_intervals(groups, "what"),
        ]


def _key(result: ObjectResult) -> tuple[str, str, int]:
    return result.dataset, result.image, result.label


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _header(*cells: object) -> list[str]:
    return [_row(*cells), "|---" * len(cells) + "|"]


def tabulate(groups: Mapping[str, Group], head: str) -> str:
    """Return the means of groups as a Markdown table; ``head`` names the first column.

    The groups have the same figures. What counts clicks has one decimal, what is
    a share of 1 three.
    """
    columns = list(next(iter(groups.values())).figures)
    lines = _header(head, "images", "objects", *columns)
    for name, one in groups.items():
        cells = [_cell(column, one.figures[column].mean) for column in columns]
        lines.append(_row(_emphasised(name), one.images, one.objects, *cells))
    return "\n".join(lines)


def _tabulate_intervals(groups: Mapping[str, Group], head: str) -> str:
    columns = list(next(iter(groups.values())).figures)
    lines = _header(head, *columns)
    for name, one in groups.items():
        cells = []
        for column in columns:
            _, low, high = one.figures[column]
            ends = f"{_cell(column, low)}–{_cell(column, high)}"
            # One image says nothing about others.
            cells.append(ends if one.images > 1 else "-")
        lines.append(_row(_emphasised(name), *cells))
    return "\n".join(lines)


def _emphasised(name: str) -> str:
    return f"**{name}**" if name in (MEAN, ALL) else name


def _cell(column: str, value: float) -> str:
    return f"{value:.1f}" if column.startswith("NoC") else f"{value:.3f}"


def _sets_part(groups: Mapping[str, Group]) -> list[str]:
    few = [
        f"{name} ({one.images})"
        for name, one in groups.items()
        if one.images < _FEW_IMAGES
    ]
    note = "95 % intervals: images drawn with replacement within each set, 1,000 times."
    if few:
        note += f" Too narrow for sets of few images: {', '.join(few)}."
    return [
        "### Data sets",
        tabulate(groups, "data set"),
        note,
        _tabulate_intervals(groups, "data set"),
    ]


def _sizes_part(results: Sequence[ObjectResult]) -> list[str]:
    groups = {name: group(part) for name, part in by_size(results).items()}
    words = (
        "Square root of the object's area; mean over objects, then over the sets that "
        "have such objects."
    )
    return [
        "### Sizes",
        words,
        tabulate(groups, "size"),
        "95 % intervals",
        _tabulate_intervals(groups, "size"),
    ]


def _curve_part(steps: Mapping[str, list[float]]) -> list[str]:
    count = len(steps[MEAN])
    lines = _header("mean IoU after clicks", *range(1, count + 1))
    lines += [
        _row(_emphasised(name), *(f"{value:.3f}" for value in curve))
        for name, curve in steps.items()
    ]
    told = []
    for name, curve in steps.items():
        # Less than what the table shows is not worth a word; JSON has all.
        seen = [fall for fall in falls(curve) if fall.amount >= _FALLS_SHOWN]
        if seen:
            clicks = ", ".join(f"{one.click} (-{one.amount:.3f})" for one in seen)
            told.append(f"- {name}: with click {clicks}")
    words = "Falls:\n\n" + "\n".join(told) if told else "No click lowers a mean."
    return ["### Clicks", "\n".join(lines), words]


def _calibration_part(calibration: Calibration) -> list[str]:
    lines = _header("predicted", "objects", "mean predicted", "mean true")
    lines += [
        _row(
            f"{b.low:.1f}–{b.high:.1f}",
            b.objects,
            f"{b.predicted:.3f}",
            f"{b.true:.3f}",
        )
        for b in calibration.bins
    ]
    words = (
        "Predicted and true IoU at 1 click: correlation "
        f"{calibration.pearson:.2f} over all objects (ranks {calibration.spearman:.2f})"
        f", {calibration.pearson_of_sets:.2f} mean of the sets (ranks "
        f"{calibration.spearman_of_sets:.2f}); expected calibration error "
        f"{calibration.error:.3f}; predicted - true {calibration.optimism:+.3f}."
    )
    return ["### Calibration", words, "\n".join(lines)]


def _plain(value: Any) -> Any:
    """Return what JSON has: text for paths, None for NaN, lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_results(path: Path) -> list[ObjectResult]:
    """Read the objects of a report in JSON again."""
    written = json.loads(path.read_text())
    return [ObjectResult.from_json(one) for one in written["objects"]]
