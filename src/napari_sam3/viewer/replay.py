"""Running the prompts of accepted objects again, perhaps with another model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam3.core.errors import LayerError, PromptError, StateError
from napari_sam3.core.journal import ObjectRecord, agreement
from napari_sam3.core.marks import bounds_of_marks
from napari_sam3.core.painting import FoundObject
from napari_sam3.viewer.bench import Bench
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.fetching import spec_on_hub
from napari_sam3.viewer.jobs import answer_record
from napari_sam3.viewer.label_grid import LabelGrid, label_grid
from napari_sam3.viewer.label_search import find_in
from napari_sam3.viewer.labels import Overlap, create_labels, write_object
from napari_sam3.viewer.sources import PlaneSource
from napari_sam3.viewer.status import Status

__all__ = ["Replay", "ReplayedObject", "Report"]


@dataclass(frozen=True, slots=True)
class ReplayedObject:
    """How one object fared.

    Parameters
    ----------
    record : ObjectRecord
        What was run again.
    score : float or None
        Predicted IoU of the new mask; None if there is none.
    iou : float or None
        Intersection over union of the new mask and the label's pixels as they
        are now; None if the label has none on this plane any more.
    problem : str
        Why there is no new mask; empty if there is one.
    """

    record: ObjectRecord
    score: float | None
    iou: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """How far a model agrees with the labels that are there.

    Parameters
    ----------
    model : str
        Who was asked.
    objects : tuple of ReplayedObject
        In the order of their numbers.
    labels : napari.layers.Labels, optional
        The layer that the new masks were written to.
    """

    model: str
    objects: tuple[ReplayedObject, ...]
    labels: Labels | None = None

    @property
    def mean_iou(self) -> float | None:
        """Mean over the objects that are still there, None if none is."""
        known = [one.iou for one in self.objects if one.iou is not None]
        return sum(known) / len(known) if known else None

    def __str__(self) -> str:
        """Return a table."""
        lines = ["label  model then      score then  score now    IoU"]
        for one in self.objects:
            iou = "gone" if one.iou is None else f"{one.iou:.3f}"
            record = one.record
            score = "" if one.score is None else f"{one.score:.2f}"
            lines.append(
                f"{record.label:5d}  {record.model[:14]:14s}  {record.score:10.2f}"
                f"  {score:>9s}  {one.problem or iou:>5s}"
            )
        mean = "none" if self.mean_iou is None else f"{self.mean_iou:.3f}"
        lines.append(f"{len(self.objects)} objects with {self.model}, mean IoU {mean}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """A new mask, and the label's pixels that it is compared with."""

    new: FoundObject
    old: FoundObject | None


class Replay:
    """Runs records one after the other, so that clicks in between are answered.

    Parameters
    ----------
    bench : Bench
        Whose labels' records are run.

    Attributes
    ----------
    finished : Signal
        With the `Report`.
    """

    finished = Signal(object)

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._todo: list[ObjectRecord] = []
        self._done: list[ReplayedObject] = []
        self._choice = ModelChoice()
        self._image: Image | None = None
        self._labels: Labels | None = None
        self._run = 0
        self._target: Labels | None = None
        self.report: Report | None = None

    def start(self, model: str | None, write: bool, may_download: bool) -> None:
        """Begin; an earlier run ends.

        Raises
        ------
        StateError
            If no object remembers its prompts.
        """
        bench = self._bench
        records = sorted(bench.results.journal().values(), key=lambda r: r.label)
        viewer = bench.viewer
        if not records or viewer is None:
            raise StateError(
                "No object here remembers its prompts; accept one, or load prompts."
            )
        chosen = bench.switch.chosen
        choice = ModelChoice(model or chosen.model, chosen.device)
        self._todo, self._done, self._choice = records, [], choice
        self._image, self._labels = bench.image, bench.results.labels
        self._run += 1
        self.report, self._target = None, None
        if write:
            self._target = create_labels(viewer, bench.image)
            self._target.name = f"{bench.image.name} replayed with {choice.name}"
        if spec_on_hub(choice.model) is None:
            self._next()
            return
        is_asked_for = may_download and model is not None
        may_download = is_asked_for or bench.switch.may_download(choice.model)
        fetch = partial(bench.engine.fetch, choice, may_download)
        then = partial(self._on_here, self._run)
        bench.asking.ask(fetch, then, is_request=False, is_aside=True)

    def _on_here(self, run: int, _: object) -> None:
        if run == self._run:
            self._next()

    def _next(self) -> None:
        """Ask about the first object that can be asked about; at last, report."""
        while self._todo:
            record = self._todo[0]
            work = self._work(record)
            if isinstance(work, str):
                self._note(ReplayedObject(record, None, None, work))
                continue
            then = partial(self._on_answer, self._run, record)
            self._bench.asking.ask(work, then, is_request=False)
            if self._done:
                total = len(self._todo) + len(self._done)
                self._bench.asking.status = Status(
                    "replaying…", busy=True, done=len(self._done), total=total
                )
            return
        self._finish()

    def _work(self, record: ObjectRecord) -> Callable[[Tell], _Answer | str] | str:
        """Return what answers a record, or why there is nothing to ask."""
        bench, image, viewer = self._bench, self._image, self._bench.viewer
        if image is None or viewer is None or image not in viewer.layers:
            raise LayerError(
                "The image of these objects is gone, so they cannot be replayed; open "
                "it again."
            )
        try:
            source = bench.follower.source_of(record.plane, record.look, image)
            source = replace(source, box=record.field, whole=record.whole)
            if record.channels != source.names:
                return (
                    f"made from the channels {_listed(record.channels)}, not "
                    f"{_listed(source.names)}; choose these channels, and replay again"
                )
            if record.shape not in (None, source.shape):
                return f"made on an image of {record.shape}, not {source.shape}, pixels"
            labels = self._labels
            grid = None if labels is None else label_grid(labels, image, record.plane)
        except LayerError as error:
            return str(error)
        return partial(_answer, bench.engine, self._choice, record, source, grid)

    def _on_answer(self, run: int, record: ObjectRecord, got: _Answer | str) -> None:
        if run != self._run:
            return
        try:
            self._take(record, got)
            self._next()
        except LayerError as error:
            self._todo, self._image, self._labels = [], None, None
            self._bench.asking.refuse(error)

    def _take(self, record: ObjectRecord, got: _Answer | str) -> None:
        if isinstance(got, str):
            self._note(ReplayedObject(record, None, None, got))
            return
        new, old = got.new, got.old
        iou = None if old is None else agreement(new.mask, new.bbox, old.mask, old.bbox)
        self._note(ReplayedObject(record, new.score, iou))
        if self._target is not None and self._image is not None and new.mask.any():
            write_object(
                self._target,
                self._image,
                record.plane,
                new.mask,
                new.bbox,
                record.label,
                Overlap.KEEP,
            )

    def _note(self, one: ReplayedObject) -> None:
        del self._todo[0]
        self._done.append(one)

    def _finish(self) -> None:
        self._image = self._labels = None
        self.report = Report(self._choice.model, tuple(self._done), self._target)
        mean = self.report.mean_iou
        self._bench.asking.status = Status(
            f"replayed {len(self._done)} objects"
            + ("" if mean is None else f", mean IoU {mean:.2f}")
        )
        self.finished.emit(self.report)


def _listed(names: tuple[str, ...]) -> str:
    return " + ".join(names) if names else "of the image alone"


def _answer(
    engine: Engine,
    choice: ModelChoice,
    record: ObjectRecord,
    source: PlaneSource,
    grid: LabelGrid | None,
    tell: Tell,
) -> _Answer | str:
    """Answer a record, or say why its prompts cannot be answered."""
    try:
        new = answer_record(engine, choice, record, source, tell)
    except PromptError as error:
        return str(error)
    near = bounds_of_marks(record.dialogue.marks)
    old = None if grid is None else find_in(grid, record.label, near)
    return _Answer(new, None if old is None else FoundObject(*old, record.score))
