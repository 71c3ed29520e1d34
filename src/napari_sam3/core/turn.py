"""One step of a dialogue: what is asked of the model, and what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import PromptError
from napari_sam3.core.extent import union
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.marks import BoxMark, Mark, MaskMark, OutlineMark, PointMark
from napari_sam3.core.prediction import Embedding, Prediction, margin_around
from napari_sam3.core.prompt import Box, Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.tracker import Tracker

__all__ = ["Said", "Turn", "prompt_of", "take_turn"]

#: How much lower a new answer's score may be before the earlier mask is kept.
_KEEPING_MARGIN = 0.02
#: Logits of masks that are certain, as in SAM 2's code for masks of the user.
_CERTAIN = 10.0
#: Logits of a mask that clicks shall correct: a model is less sure of its own, and
#: with the above a background click only cuts a notch out of it.
_GIVEN = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """The answer to a step.

    Parameters
    ----------
    candidates : tuple of Prediction
        As the tracker sorts them; the earlier mask comes first if it is kept.
    shown : int
        Index of the one that the user sees.
    kept : bool
        Whether the earlier mask is the first candidate, because the new ones
        looked worse and it agrees with all clicks.
    prompt : Prompt or None
        What the model was asked; None if it was not: the mask was given.
    """

    candidates: tuple[Prediction, ...]
    shown: int
    kept: bool
    prompt: Prompt | None

    @property
    def prediction(self) -> Prediction:
        """The candidate that is shown."""
        return self.candidates[self.shown]

    @property
    def nbytes(self) -> int:
        """Memory that it holds, for caches with a budget."""
        asked = None if self.prompt is None else self.prompt.mask_logits
        arrays = [a for p in self.candidates for a in (p.logits, p.low_res)]
        return sum(a.nbytes for a in arrays) + (0 if asked is None else asked.nbytes)

    def showing(self, choice: int) -> Turn:
        """Return it with another candidate shown, the last one if there are fewer."""
        shown = max(0, min(choice, len(self.candidates) - 1))
        return self if shown == self.shown else replace(self, shown=shown)


class Said(NamedTuple):
    """All clicks and boxes so far, and what was known before them.

    Attributes
    ----------
    points : tuple of PointMark
        In the order in which they came.
    box : tuple of float, optional
        Around all boxes.
    size_hint : SizeHint, optional
        What is known of the object's size.
    """

    points: tuple[PointMark, ...] = ()
    box: Box | None = None
    size_hint: SizeHint | None = None

    def then(self, marks: Iterable[Mark]) -> Said:
        """Return it with a step's marks added; outlines and masks are for once."""
        box = self.box
        points = list(self.points)
        for mark in marks:
            if isinstance(mark, PointMark):
                points.append(mark)
            elif isinstance(mark, BoxMark):
                box = union(box, (mark.row0, mark.col0, mark.row1, mark.col1))
        return Said(tuple(points), box, self.size_hint)

    def clicks(self) -> list[PointMark]:
        """Return the clicks that count: of contradicting ones on a pixel the last."""
        last = {_pixel(point): point.positive for point in self.points}
        return [p for p in self.points if last[_pixel(p)] == p.positive]


class _Region(NamedTuple):
    """Logits of a part of the image."""

    logits: NDArray[np.float32]
    bbox: tuple[int, int, int, int]


def take_turn(
    tracker: Tracker,
    embedding: Embedding,
    said: Said,
    marks: Sequence[Mark],
    earlier: Turn | None,
) -> Turn | None:
    """Answer a step.

    Parameters
    ----------
    tracker : Tracker
        The model.
    embedding : Embedding
        The image.
    said : Said
        Clicks and boxes of all steps up to this one.
    marks : sequence of Mark
        Of this step.
    earlier : Turn, optional
        The answer to the step before.

    Returns
    -------
    Turn or None
        None if nothing says yet where the object is.
    """
    shape = embedding.image_shape
    if isinstance(marks[0], MaskMark):
        return Turn((_restored(marks[0], shape, tracker.low_res_size),), 0, False, None)
    prompt = prompt_of(said, marks, shape, _earlier_region(earlier))
    if prompt is None:
        # An answer without a mask stays what it is.
        return earlier and replace(
            earlier, candidates=(earlier.prediction,), shown=0, kept=False
        )
    clicks = said.clicks()
    prompt.check_inside(shape)
    (found,) = tracker.predict(embedding, [prompt], multimask=True)
    best_first = sorted(found, key=lambda candidate: -candidate.score)
    candidates = tuple(candidate.trimmed() for candidate in best_first)
    # Who draws a box or an outline asks for something else than what is there.
    is_correction = all(isinstance(mark, PointMark) for mark in marks)
    if earlier is not None and is_correction:
        best = max(candidate.score for candidate in candidates)
        worse = best < earlier.prediction.score - _KEEPING_MARGIN
        if worse and _agrees(earlier.prediction, clicks):
            return Turn((earlier.prediction, *candidates), 0, True, prompt)
    return Turn(candidates, 0, False, prompt)


def prompt_of(
    said: Said,
    marks: Sequence[Mark],
    shape: tuple[int, int],
    region: _Region | None = None,
) -> Prompt | None:
    """Put into one prompt what a model is asked in a step.

    Parameters
    ----------
    said : Said
        Clicks and boxes of all steps up to this one.
    marks : sequence of Mark
        Of this step.
    shape : tuple of int
        (rows, columns) of the image.
    region : _Region, optional
        The mask that the step before showed.

    Returns
    -------
    Prompt or None
        None if nothing says yet where the object is.
    """
    outlines = [mark for mark in marks if isinstance(mark, OutlineMark)]
    if outlines:
        region = _draw(
            [outline.rasterize(shape) for outline in outlines], shape, region
        )
    clicks = said.clicks()
    if region is None and said.box is None and not any(p.positive for p in clicks):
        return None
    return Prompt(
        points=np.array([(p.row, p.col) for p in clicks], np.float64),
        labels=np.array([p.positive for p in clicks], np.bool_),
        box=said.box,
        mask_logits=None if region is None else region.logits,
        mask_box=None if region is None else region.bbox,
        size_hint=said.size_hint,
    )


def _earlier_region(earlier: Turn | None) -> _Region | None:
    """Return the shown mask's logits; a mask without a pixel says nothing."""
    if earlier is None or not earlier.prediction.mask().any():
        return None
    return _Region(earlier.prediction.logits, earlier.prediction.bbox)


def _draw(
    parts: Sequence[tuple[NDArray[np.bool_], tuple[int, int, int, int]]],
    shape: tuple[int, int],
    earlier: _Region | None = None,
    certainty: float = _CERTAIN,
) -> _Region:
    """Return logits of masks, joined with those of an earlier one.

    They are as large as ``certainty``, above 0 in the masks. Around these there is
    a margin of background, so that it is still there in a model's larger cells.
    """
    boxes = [bbox for _, bbox in parts]
    boxes += [earlier.bbox] if earlier is not None else []
    corners = np.array(boxes)
    (row0, col0), (row1, col1) = corners[:, :2].min(0), corners[:, 2:].max(0)
    margin = margin_around((row0, col0, row1, col1))
    top, left = max(int(row0) - margin, 0), max(int(col0) - margin, 0)
    bottom = min(int(row1) + margin, shape[0])
    right = min(int(col1) + margin, shape[1])
    logits = np.full((bottom - top, right - left), -certainty, np.float32)

    def part_of(bbox: tuple[int, int, int, int]) -> NDArray[np.float32]:
        return logits[bbox[0] - top : bbox[2] - top, bbox[1] - left : bbox[3] - left]

    if earlier is not None:
        part_of(earlier.bbox)[:] = earlier.logits
    for mask, bbox in parts:
        part = part_of(bbox)
        np.maximum(part, np.float32(certainty), out=part, where=mask)
    return _Region(logits, (top, left, bottom, right))


def _restored(mark: MaskMark, shape: tuple[int, int], low_res: int) -> Prediction:
    """Return a given mask as if a model had found it."""
    if mark.bbox[2] > shape[0] or mark.bbox[3] > shape[1]:
        raise PromptError(
            f"The mask in the box {mark.bbox} lies outside the image of {shape[0]} "
            f"rows and {shape[1]} columns; refine it on the image that it is of."
        )
    logits, bbox = _draw([(mark.mask(), mark.bbox)], shape, certainty=_GIVEN)
    row0, col0, row1, col1 = bbox
    cells = Grid(row0, col0, row1 - row0, col1 - col0, *logits.shape)
    frame = Grid(0, 0, *shape, low_res, low_res)
    return Prediction(logits, bbox, mark.score, resample(logits, cells, frame))


def _agrees(prediction: Prediction, clicks: Iterable[PointMark]) -> bool:
    """Tell whether a mask holds all clicks on the object, and no other ones."""
    mask = prediction.mask()
    row0, col0 = prediction.bbox[:2]
    for point in clicks:
        row, col = _pixel(point)
        row, col = row - row0, col - col0
        inside = 0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]
        if (inside and bool(mask[row, col])) != point.positive:
            return False
    return True


def _pixel(point: PointMark) -> tuple[int, int]:
    return math.floor(point.row + 0.5), math.floor(point.col + 0.5)
