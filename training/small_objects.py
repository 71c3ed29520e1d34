"""Measure what windows are worth for small objects in large planes.

Run ``python -m training.small_objects DATA``. Every object is prompted three times in
the same way: in the whole plane as one view; in one view again, but of a window that is
encoded on demand, as models with a dear encoder see large planes; and through nano's
own windows around each click.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3 import build_tracker
from napari_sam3.core.patches import Patch
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Report, Tracker, WindowTracker, no_report
from napari_sam3.core.zoom import Zoom
from training.command import errors_told
from training.data import LabelledImage, load_split
from training.protocol import measure_object
from training.responders import TrackerResponder
from training.user import ObjectResult

__all__ = ["WAYS", "OnDemand", "gain", "main", "measure", "small_objects", "tabulate"]

#: Planes whose longer side is at least this long are large.
LARGE_SIDE = 1000
#: Objects are small if the square root of their area lies between these.
SMALL_SIZES = (10, 30)
_CLICKS = 3
#: Encoded windows of one image that are remembered.
_WINDOWS_KEPT = 64
#: What the table shows of each object.
_COLUMNS: dict[str, Callable[[ObjectResult], float]] = {
    "1 click": lambda result: result.clicks[0],
    "3 clicks": lambda result: result.clicks[-1],
    "box": lambda result: result.box,
}


#: The ways to see an object.
WAYS = ("whole", "on demand", "windows")


class OnDemand:
    """A model that sees one view, with windows that are encoded when they are needed.

    Parameters
    ----------
    tracker : Tracker
        That sees one view.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def __getattr__(self, name: str) -> Any:
        """Have everything else of the tracker."""
        return getattr(self._tracker, name)

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Open images; nothing is encoded yet."""
        return [
            Embedding(self._zoom(image), image.shape[:2], self._tracker.fingerprint, 0)
            for image in images
        ]

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Answer from windows; see `Zoom`."""
        zoom: Zoom = embedding.features
        return zoom.predict(embedding, prompts, multimask=multimask)

    def _zoom(self, image: NDArray[np.uint8]) -> Zoom:
        picture = ArrayPicture(image)

        @lru_cache(_WINDOWS_KEPT)
        def embed(patch: Patch) -> Embedding:
            return self._tracker.embed([patch.read(picture)])[0]

        return Zoom(self._tracker, picture.shape, embed)


def small_objects(image: LabelledImage, count: int) -> list[int]:
    """Choose small objects of an image, the same ones every time.

    Parameters
    ----------
    image : LabelledImage
        Any; of one that is not large none are chosen.
    count : int
        At most.

    Returns
    -------
    list of int
        Their labels.
    """
    if max(image.labels.shape) < LARGE_SIDE:
        return []
    sizes = np.sqrt(image.areas)
    ids = image.ids[(sizes >= SMALL_SIZES[0]) & (sizes <= SMALL_SIZES[1])]
    rng = np.random.default_rng(len(image.name))
    return sorted(rng.permutation(ids)[:count].tolist())


def measure(
    tracker: WindowTracker, images: Sequence[LabelledImage], count: int
) -> list[dict[str, ObjectResult]]:
    """Prompt the small objects of large planes, in all `WAYS`.

    Parameters
    ----------
    tracker : WindowTracker
        The model.
    images : sequence of LabelledImage
        Those without large planes and small objects are left out.
    count : int
        Objects per image, at most.
    """
    one_view = tracker.without_windows()
    trackers = (one_view, OnDemand(one_view), tracker)
    responders = [TrackerResponder(one) for one in trackers]
    results = []
    for image in images:
        chosen = small_objects(image, count)
        if not chosen:
            continue
        pixels = np.ascontiguousarray(image.image)
        for responder in responders:
            responder.set_image(pixels)
        results += [
            {
                way: measure_object(responder, image, label, _CLICKS)
                for way, responder in zip(WAYS, responders, strict=True)
            }
            for label in chosen
        ]
    return results


def tabulate(results: Sequence[dict[str, ObjectResult]]) -> str:
    """Return mean IoUs as a Markdown table: data sets, their mean, all objects."""
    head = [f"{name}: {way}" for name in _COLUMNS for way in WAYS]
    lines = [f"| data set | objects | {' | '.join(head)} |"]
    lines.append("|---" * (len(head) + 2) + "|")
    sets = sorted({one["whole"].dataset for one in results})
    own = {name: [r for r in results if r["whole"].dataset == name] for name in sets}
    rows = {name: _means(part) for name, part in own.items()}
    mean = np.mean([*rows.values()], axis=0)
    for name, values, count in (
        *((name, rows[name], len(own[name])) for name in sets),
        ("**mean of the data sets**", mean, len(results)),
        ("**all objects**", _means(results), len(results)),
    ):
        cells = " | ".join(f"{value:.3f}" for value in values)
        lines.append(f"| {name} | {count} | {cells} |")
    return "\n".join(lines)


def _means(results: Sequence[dict[str, ObjectResult]]) -> NDArray[np.float64]:
    """Return the mean of each column of the table."""
    figures = [
        [read(one[way]) for read in _COLUMNS.values() for way in WAYS]
        for one in results
    ]
    return np.array(figures).mean(axis=0)


def gain(results: Sequence[dict[str, ObjectResult]]) -> float:
    """Return what windows gain at one click, mean of all objects."""
    return float(
        np.mean([r["windows"].clicks[0] - r["whole"].clicks[0] for r in results])
    )


@errors_told()
def main(argv: list[str] | None = None) -> int:
    """Measure from the command line.

    Returns
    -------
    int
        1 if there is no such object.
    """
    parser = argparse.ArgumentParser(prog="training.small_objects", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--objects", type=int, default=40, help="per image, at most")
    arguments = parser.parse_args(argv)
    tracker = build_tracker(model="nano")
    assert isinstance(tracker, WindowTracker)
    results = measure(
        tracker, load_split(arguments.data, arguments.split), arguments.objects
    )
    if not results:
        print("There are no small objects in large planes.", file=sys.stderr)
        return 1
    low, high = SMALL_SIZES
    print(f"Objects of {low} to {high} px in planes of {LARGE_SIDE} px and more: IoU\n")
    print(tabulate(results))
    print(f"\nwindows gain {gain(results):+.3f} at one click, mean of all objects")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
