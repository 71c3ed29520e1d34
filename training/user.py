"""A simulated user: clicks where the mask is most wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.regions import Bounds, Region, around
from training.responders import Answer, Click, Question, Responder

__all__ = ["ObjectResult", "Turn", "draw_box", "next_click", "play"]


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """One question and what came of it.

    Parameters
    ----------
    clicks : tuple of Click
        All clicks so far.
    answers : list of Answer
        The candidates.
    chosen : Answer
        The one with the best score.
    iou : float
        Of the chosen one.
    """

    clicks: tuple[Click, ...]
    answers: list[Answer]
    chosen: Answer
    iou: float


@dataclass(slots=True)
class ObjectResult:
    """How an object fared.

    Parameters
    ----------
    dataset, image, label : str, str, int
        Which object.
    area : int
        Its pixels.
    clicks : list of float
        IoU after each click.
    scores : list of float
        Predicted IoU after each click.
    best_of_three : float
        IoU of the best of the first click's three candidates.
    box, box_clicks : float
        IoU for the object's box, and with two corrective clicks more.
    shown : dict of int to Turn
        The turns that pictures show, by their number of clicks; not in JSON.
    """

    dataset: str
    image: str
    label: int
    area: int
    clicks: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_of_three: float = 0.0
    box: float = 0.0
    box_clicks: float = 0.0
    shown: dict[int, Turn] = field(default_factory=dict, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has."""
        return {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if one.name != "shown"
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ObjectResult:
        """Read what `to_json` made."""
        return cls(**data)


def next_click(truth: Region, predicted: Region) -> Click | None:
    """Click the centre of the largest error.

    Parameters
    ----------
    truth, predicted : Region
        The object and the mask so far.

    Returns
    -------
    Click or None
        The pixel deepest inside a missed or a wrongly taken region (Euclidean
        distance, the image's border counts as an edge); None if nothing is wrong.
    """
    frame = around(truth, predicted)
    wanted, found = truth.within(frame), predicted.within(frame)
    best: tuple[float, Click] | None = None
    for positive, mask in ((True, wanted & ~found), (False, found & ~wanted)):
        wrong = Region.trim(mask, *frame[:2])
        if not wrong.pixels.size:
            continue
        depth, row, col = _deepest(wrong.pixels)
        if best is None or depth > best[0]:
            best = depth, Click(wrong.row0 + row, wrong.col0 + col, positive)
    return best[1] if best else None


def _deepest(mask: NDArray[np.bool_]) -> tuple[float, int, int]:
    """Return the largest distance to an edge, and the first pixel that has it."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[row, col]), int(row), int(col)


def draw_box(truth: Region) -> Bounds:
    """Return the object's tight box, ``(row0, col0, row1, col1)``."""
    return truth.bounds


def play(
    responder: Responder,
    truth: Region,
    count: int,
    *,
    box: Bounds | None = None,
    known_sizes: tuple[float, ...] = (),
) -> Iterator[Turn]:
    """Prompt an object with clicks, each where the last mask was most wrong.

    Parameters
    ----------
    responder : Responder
        Its image is set.
    truth : Region
        The object.
    count : int
        Clicks at most.
    box : tuple of int, optional
        Given at the start; counts as no click.
    known_sizes : tuple of float
        Square roots of the areas of objects that were segmented before.

    Yields
    ------
    Turn
        After the box and after each click, until nothing is wrong.
    """
    clicks: tuple[Click, ...] = ()
    chosen: Answer | None = None
    for turn in range(count + 1):
        if turn or box is None:
            nothing = Region(np.zeros((0, 0), np.bool_))
            click = next_click(truth, chosen.region if chosen else nothing)
            if click is None or len(clicks) == count:
                return
            clicks = (*clicks, click)
        # Only what is asked first is ambiguous.
        question = Question(clicks, box, chosen, not turn, known_sizes)
        answers = responder.answer(question)
        chosen = answers[int(np.argmax([answer.score for answer in answers]))]
        yield Turn(clicks, answers, chosen, truth.iou(chosen.region))
