"""Measure a model on labelled images, as a user would use it.

Run ``python -m training.evaluate DATA [--model PATH] [--split test]``. Every
object is prompted through the public predictor: with clicks at the centre of the
largest error, and with its box.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker
from napari_sam3.core.tracker import Tracker
from training.data import LabelledImage, load_split
from training.user import ObjectResult, draw_box, iou, play_clicks

#: Objects under this many pixels are not measured; electron micrographs have
#: more debris.
_MIN_AREA, _MIN_AREA_EM = 50, 100
_BOX_CLICKS = 2


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="training.evaluate", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--model", default="nano", help="catalog id or weights file")
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--clicks", type=int, default=5, help="per object, at most")
    parser.add_argument("--objects", type=int, default=8, help="per image, at most")
    parser.add_argument("--images", type=int, help="per data set, at most")
    parser.add_argument("--whole", action="store_true", help="no windows: one view")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--output", type=Path, help="JSON with every object")
    return parser.parse_args(argv)


def build_model(arguments: argparse.Namespace) -> Tracker:
    """Build the model, without windows if asked to."""
    if not arguments.whole:
        return build_tracker(model=arguments.model, device=arguments.device)
    from napari_sam3.models.catalog import CATALOG
    from napari_sam3.models.device import resolve_device
    from napari_sam3.models.nano.tracker import NanoTracker

    spec = CATALOG.get(arguments.model)
    path = (spec and spec.path) or Path(arguments.model)
    return NanoTracker.load(
        path, device=resolve_device(arguments.device), windows=False
    )


def choose_images(images: Sequence[LabelledImage], count: int) -> list[LabelledImage]:
    """Choose images to measure, spread evenly over each data set.

    Parameters
    ----------
    images : sequence of LabelledImage
        Of one data set or several.
    count : int
        Per data set, at most.

    Returns
    -------
    list of LabelledImage
        In the same order.
    """
    indices: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        indices.setdefault(image.dataset, []).append(index)
    kept: list[int] = []
    for own in indices.values():
        evenly = np.linspace(0, len(own) - 1, min(len(own), count))
        kept += [own[position] for position in evenly.round().astype(int)]
    return [images[index] for index in sorted(kept)]


def choose_objects(image: LabelledImage, count: int) -> list[int]:
    """Choose labels to measure: large enough, the same ones every time."""
    least = _MIN_AREA_EM if image.modality.startswith("em_") else _MIN_AREA
    ids = image.ids[image.areas >= least]
    rng = np.random.default_rng(len(image.name))
    return sorted(rng.permutation(ids)[:count].tolist())


def measure_object(
    predictor: SAM3InteractiveImagePredictor,
    image: LabelledImage,
    label: int,
    clicks: int,
) -> ObjectResult:
    """Prompt one object with clicks, then with its box."""
    truth = image.labels == label
    result = ObjectResult(image.dataset, image.name, label, int(truth.sum()))

    def note_click(masks: Any, scores: Any, reached: float) -> None:
        if not result.clicks:
            result.best_of_three = max(iou(truth, mask) for mask in masks)
        result.clicks.append(reached)
        result.scores.append(float(scores.max()))

    boxed: list[float] = []
    play_clicks(predictor, truth, clicks, report=note_click)
    play_clicks(
        predictor,
        truth,
        _BOX_CLICKS,
        box=draw_box(truth),
        report=lambda masks, scores, reached: boxed.append(reached),
    )
    # A perfect mask needs no further click: its figure stays.
    result.clicks += result.clicks[-1:] * (clicks - len(result.clicks))
    result.scores += result.scores[-1:] * (clicks - len(result.scores))
    result.box, result.box_clicks = boxed[0], boxed[-1]
    return result


def measure(
    model: Tracker, images: Iterable[LabelledImage], objects: int, clicks: int
) -> list[ObjectResult]:
    """Measure the chosen objects of every image."""
    predictor = SAM3InteractiveImagePredictor(model)
    results = []
    for image in images:
        chosen = choose_objects(image, objects)
        if not chosen:
            continue
        predictor.set_image(np.ascontiguousarray(image.image))
        results += [measure_object(predictor, image, n, clicks) for n in chosen]
        if sys.stderr.isatty():
            print(f"\r{len(results)} objects ", end="", file=sys.stderr, flush=True)
    return results


def _measure_part(
    arguments: argparse.Namespace, images: list[LabelledImage]
) -> list[ObjectResult]:
    """Measure in a process of its own, with one thread: nothing waits for another."""
    import torch

    torch.set_num_threads(1)
    model = build_model(arguments)
    return measure(model, images, arguments.objects, arguments.clicks)


def measure_all(
    arguments: argparse.Namespace, images: list[LabelledImage]
) -> list[ObjectResult]:
    """Measure all images, in several processes if asked to."""
    count = arguments.workers
    if count == 1:
        model = build_model(arguments)
        return measure(model, images, arguments.objects, arguments.clicks)
    parts = [images[index::count] for index in range(count)]
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        done = pool.map(_measure_part, [arguments] * count, parts)
        return [result for part in done for result in part]


def clicks_needed(result: ObjectResult, target: float) -> int:
    """Return the first click that reaches an IoU, or all if none does."""
    reached = [n for n, value in enumerate(result.clicks, 1) if value >= target]
    return reached[0] if reached else len(result.clicks)


def summarise(results: Sequence[ObjectResult]) -> dict[str, float]:
    """Return the mean figures of some objects."""
    most = len(results[0].clicks)
    figures = {
        f"{n} click{'s' if n > 1 else ''}": [r.clicks[n - 1] for r in results]
        for n in (1, 3, 5, 10, 20)
        if n <= most
    }
    figures["best of 3"] = [r.best_of_three for r in results]
    figures["box"] = [r.box for r in results]
    figures["box + 2"] = [r.box_clicks for r in results]
    if most >= 20:
        for target in (0.85, 0.90):
            figures[f"NoC@{target * 100:.0f}"] = [
                float(clicks_needed(r, target)) for r in results
            ]
    return {name: float(np.mean(values)) for name, values in figures.items()}


def tabulate(results: Sequence[ObjectResult]) -> tuple[dict[str, float], str]:
    """Average over objects, then over data sets.

    Returns
    -------
    mean : dict of str to float
        The mean of the data sets' means.
    table : str
        All of it as a Markdown table.
    """
    sets = sorted({result.dataset for result in results})
    rows = {
        name: summarise([result for result in results if result.dataset == name])
        for name in sets
    }
    columns = list(rows[sets[0]])
    mean = {c: float(np.mean([row[c] for row in rows.values()])) for c in columns}
    lines = ["| data set | objects | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 2) + "|")
    for name, row in [*rows.items(), ("**mean**", mean)]:
        count = sum(name in (result.dataset, "**mean**") for result in results)
        cells = [f"{row[column]:.3f}" for column in columns]
        lines.append(f"| {name} | {count} | " + " | ".join(cells) + " |")
    return mean, "\n".join(lines)


def correlate(results: Sequence[ObjectResult]) -> float:
    """Return how predicted and true IoU go together after one click, -1 to 1.

    NaN where one of them is always the same.
    """
    pairs = np.array([(r.clicks[0], r.scores[0]) for r in results])
    if not np.ptp(pairs, axis=0).all():
        return float("nan")
    return float(np.corrcoef(pairs.T)[0, 1])


def main(argv: list[str] | None = None) -> None:
    """Evaluate from the command line."""
    arguments = parse_arguments(argv)
    images = load_split(arguments.data, arguments.split)
    if arguments.images:
        images = choose_images(images, arguments.images)
    results = measure_all(arguments, images)
    mean, table = tabulate(results)
    correlation = correlate(results)
    print(table)
    print(f"\npredicted and true IoU at 1 click: correlation {correlation:.2f}")
    if arguments.output:
        report = {
            "mean": mean,
            # JSON knows no NaN.
            "correlation": None if math.isnan(correlation) else correlation,
            "objects": [asdict(result) for result in results],
        }
        arguments.output.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
