"""Measure a model on labelled images, as a user would use it.

Run ``python -m training.evaluate DATA [--model PATH] [--split test]``. Every
object is prompted as through the public predictor: with clicks at the centre of the
largest error, and with its box. Baselines are measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from napari_sam3 import build_tracker
from napari_sam3.core.tracker import Tracker
from training.command import errors_told
from training.data import LabelledImage, check_datasets, load_split
from training.figures import MOST_CLICKS
from training.protocol import SHOWN_CLICKS, choose_images, measure
from training.report import Evaluation
from training.responders import PredictorResponder, Responder, TrackerResponder
from training.user import ObjectResult

__all__ = ["evaluate", "main"]


class _Part(NamedTuple):
    """What one process measured."""

    model_id: str
    fingerprint: str
    results: list[ObjectResult]
    baselines: dict[str, list[ObjectResult]]
    seconds: float


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="training.evaluate", description=__doc__)
    add, whole_number = parser.add_argument, partial(parser.add_argument, type=_count)
    add("data", type=Path, help="folder with manifest.csv")
    add("--model", default="nano", help="catalog id or weights file")
    add("--split", default="test", choices=("test", "validation"))
    whole_number("--clicks", default=MOST_CLICKS, help="per object, at most")
    whole_number("--objects", default=8, help="per image, at most")
    whole_number("--images", help="per data set, at most")
    add("--dataset", action="append", help="only this one; may be repeated")
    add("--whole", action="store_true", help="no windows: one view")
    add("--hints", action="store_true", help="tell the sizes of earlier objects")
    add("--baselines", action=argparse.BooleanOptionalAction, default=True)
    whole_number("--baseline-objects", default=4, help="per image, at most")
    whole_number("--baseline-clicks", default=5, help="per object, at most")
    add("--device", default="auto")
    whole_number("--workers", default=1, help="processes")
    add("--output", type=Path, help="JSON with every object")
    add("--pictures", type=Path, help="folder for sheets of the worst objects")
    return parser.parse_args(argv)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too few; give 1 or more.")
    return number


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


def _measure_part(
    arguments: argparse.Namespace, images: list[LabelledImage], *, alone: bool = False
) -> _Part:
    """Measure some images, the model first and then its baselines.

    In a process among others with one thread: nothing waits for another.
    """
    if not alone:
        import torch

        torch.set_num_threads(1)
    tracker = build_model(arguments)
    model: Responder = (
        PredictorResponder(tracker, hints=True)
        if arguments.hints
        else TrackerResponder(tracker)
    )
    start = time.perf_counter()
    keep = arguments.pictures is not None
    results = measure(model, images, arguments.objects, arguments.clicks, keep=keep)
    seconds = time.perf_counter() - start
    baselines = {}
    if arguments.baselines:
        from training.baselines import build_baselines

        objects = min(arguments.objects, arguments.baseline_objects)
        clicks = min(arguments.clicks, arguments.baseline_clicks)
        baselines = {
            name: measure(one, images, objects, clicks)
            for name, one in build_baselines(tracker, whole=arguments.whole).items()
        }
    return _Part(tracker.model_id, tracker.fingerprint, results, baselines, seconds)


def evaluate(arguments: argparse.Namespace, images: list[LabelledImage]) -> Evaluation:
    """Measure all images, in several processes if asked to.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    images : list of LabelledImage
        At least one of them with an object to measure.

    Returns
    -------
    Evaluation
        Objects in the order of the images.
    """
    from napari_sam3 import __version__

    count = min(arguments.workers, len(images))
    if count == 1:
        parts = [_measure_part(arguments, images, alone=True)]
    else:
        shares = [images[index::count] for index in range(count)]
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            parts = list(pool.map(_measure_part, [arguments] * count, shares))
    order = {(image.dataset, image.name): n for n, image in enumerate(images)}

    def joined(lists: list[list[ObjectResult]]) -> list[ObjectResult]:
        flat = [result for one in lists for result in one]
        return sorted(flat, key=lambda r: (order[r.dataset, r.image], r.label))

    results = joined([part.results for part in parts])
    return Evaluation(
        parts[0].model_id,
        parts[0].fingerprint,
        __version__,
        arguments,
        results,
        {
            name: joined([part.baselines[name] for part in parts])
            for name in parts[0].baselines
        },
        sum(part.seconds for part in parts) / max(len(results), 1),
    )


def _draw(folder: Path, found: Evaluation, images: list[LabelledImage]) -> None:
    """Write the sheets of the worst objects."""
    from training.worst import draw_worst

    folder.mkdir(parents=True, exist_ok=True)
    for click in SHOWN_CLICKS:
        sheet = draw_worst(found.results, images, click)
        sheet.save(folder / f"worst-{click}-click{'s' if click > 1 else ''}.png")


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Evaluate from the command line."""
    arguments = parse_arguments(argv)
    images = load_split(arguments.data, arguments.split)
    if arguments.dataset:
        check_datasets(arguments.dataset, images)
        images = [image for image in images if image.dataset in arguments.dataset]
    if arguments.images:
        images = choose_images(images, arguments.images)
    found = evaluate(arguments, images) if images else None
    if found is None or not found.results:
        raise SystemExit(
            f"The {arguments.split} images of {arguments.data} hold no object to "
            "measure; see training/README.md for what manifest.csv names."
        )
    print(found.to_markdown())
    if arguments.output:
        arguments.output.write_text(
            json.dumps(found.to_json(), indent=1, allow_nan=False)
        )
    if arguments.pictures:
        _draw(arguments.pictures, found, images)


if __name__ == "__main__":
    main()
