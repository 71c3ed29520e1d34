"""Which objects are measured, and how: the same for every model and baseline."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from training.data import LabelledImage
from training.regions import Region
from training.responders import Responder
from training.user import ObjectResult, Turn, draw_box, play

__all__ = [
    "SHOWN_CLICKS",
    "choose_images",
    "choose_objects",
    "measure",
    "measure_object",
    "object_region",
]

#: Objects under this many pixels are not measured; electron micrographs have
#: more debris.
_MIN_AREA, _MIN_AREA_EM = 50, 100
_BOX_CLICKS = 2
#: After how many clicks the masks are kept for pictures.
SHOWN_CLICKS = (1, 5)


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
    """Choose labels to measure: large enough, the same ones every time.

    The choice of fewer objects is a part of the choice of more.
    """
    least = _MIN_AREA_EM if image.modality.startswith("em_") else _MIN_AREA
    ids = image.ids[image.areas >= least]
    rng = np.random.default_rng(len(image.name))
    return sorted(rng.permutation(ids)[:count].tolist())


def object_region(image: LabelledImage, label: int) -> Region:
    """Return an object's pixels."""
    (index,) = np.flatnonzero(image.ids == label)
    row0, col0, row1, col1 = image.boxes[index].tolist()
    return Region(image.labels[row0:row1, col0:col1] == label, row0, col0)


def measure_object(
    responder: Responder,
    image: LabelledImage,
    label: int,
    clicks: int,
    *,
    known_sizes: tuple[float, ...] = (),
    keep: bool = False,
) -> ObjectResult:
    """Prompt one object with clicks, then with its box.

    Parameters
    ----------
    responder : Responder
        Its image is set.
    image : LabelledImage
        The image.
    label : int
        The object.
    clicks : int
        At most; at least 1.
    known_sizes : tuple of float
        What the user knows of other objects of the image, for hints.
    keep : bool
        Whether to keep the masks that pictures show.
    """
    truth = object_region(image, label)
    turns = list(play(responder, truth, clicks, known_sizes=known_sizes))
    boxed = list(
        play(
            responder,
            truth,
            _BOX_CLICKS,
            box=draw_box(truth),
            known_sizes=known_sizes,
        )
    )
    # A perfect mask needs no further click: its figures stay.
    filled = [*turns, *turns[-1:] * (clicks - len(turns))]
    return ObjectResult(
        image.dataset,
        image.name,
        label,
        truth.area,
        clicks=[turn.iou for turn in filled],
        scores=[turn.chosen.score for turn in filled],
        best_of_three=max(truth.iou(one.region) for one in turns[0].answers),
        box=boxed[0].iou,
        box_clicks=boxed[-1].iou,
        shown={n: _light(filled[min(n, clicks) - 1]) for n in SHOWN_CLICKS}
        if keep
        else {},
    )


def _light(turn: Turn) -> Turn:
    """Leave what a picture needs: neither other candidates nor logits."""
    chosen = turn.chosen._replace(memory=None)
    return Turn(turn.clicks, [chosen], chosen, turn.iou)


def measure(
    responder: Responder,
    images: Iterable[LabelledImage],
    objects: int,
    clicks: int,
    *,
    keep: bool = False,
) -> list[ObjectResult]:
    """Measure the chosen objects of every image.

    Parameters
    ----------
    responder : Responder
        What is measured.
    images : iterable of LabelledImage
        Those without objects are passed over.
    objects : int
        Per image, at most.
    clicks : int
        Per object, at most.
    keep : bool
        Whether to keep the masks that pictures show.
    """
    results: list[ObjectResult] = []
    for image in images:
        chosen = choose_objects(image, objects)
        if not chosen:
            continue
        responder.set_image(np.ascontiguousarray(image.image))
        known: tuple[float, ...] = ()
        for label in chosen:
            one = measure_object(
                responder, image, label, clicks, known_sizes=known, keep=keep
            )
            known = (*known, float(np.sqrt(one.area)))
            results.append(one)
        if sys.stderr.isatty():
            print(f"\r{len(results)} objects ", end="", file=sys.stderr, flush=True)
    return results
