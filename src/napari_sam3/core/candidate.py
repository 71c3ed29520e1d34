"""One mask as a window shows it, and which of several masks are worth offering."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.extent import bounds_of, union
from napari_sam3.core.prediction import LOGIT_LIMIT, Prediction
from napari_sam3.core.prompt import Box
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.windows import Window

__all__ = ["Candidate", "LogitMap", "by_rating", "candidates", "distinct"]

#: Candidates that share more than this are the same answer to the user.
_SAME_MASK_IOU = 0.85
#: A mask is not widened any more for lower scores.
_LEAST_EXPECTED = 0.3
#: A mask whose rating is so much lower is e times less likely to be what was meant.
#: Chosen on the validation images.
_LESS_LIKELY = 0.1
#: Side of the grid on which two masks are compared.
_COMPARED_CELLS = 48


class LogitMap(NamedTuple):
    """Logits and where their cells lie in the image.

    Attributes
    ----------
    logits : ndarray of shape (grid.rows, grid.cols) and dtype float32
        Above 0 is object.
    grid : Grid
        The cells.
    """

    logits: NDArray[np.float32]
    grid: Grid

    def holds(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which pixels (N, 2) are object; beyond the cells there is none."""
        grid = self.grid
        rows, cols = np.floor(grid.cells_at(points)).astype(np.intp).T
        known = (rows >= 0) & (rows < grid.rows) & (cols >= 0) & (cols < grid.cols)
        is_object = np.zeros(len(points), np.bool_)
        is_object[known] = self.logits[rows[known], cols[known]] > 0
        return is_object

    def bounds(self) -> Box | None:
        """Return the object's edges in image pixels, or None if there is none."""
        row0, col0, height, width = self.grid[:4]
        return bounds_of(self.logits > 0, (row0, col0, row0 + height, col0 + width))


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One mask as a window shows it.

    Parameters
    ----------
    map : LogitMap
        At half of the window's resolution.
    score : float
        Predicted IoU with the whole object, also the part beyond the window.
    penalty : float
        What speaks against the mask beside what the network sees, such as a size
        unlike that of the other objects.
    """

    map: LogitMap
    score: float
    penalty: float = 0.0

    @property
    def rating(self) -> float:
        """What the mask is chosen by; below 0 if more speaks against it than for it."""
        return self.score - self.penalty

    def widened(self) -> Candidate:
        """Return the mask whose expected IoU is highest, not that of likely cells.

        A cell raises the expected IoU, J, of a mask already if it is object with a
        probability of more than J / (1 + J), which is less than one half: if its
        logit is above ln J. So the less sure a mask is, the wider it gets (for the
        Dice overlap: Lipton, Elkan and Naryanaswamy, ECML PKDD 2014).
        """
        expected = min(max(self.score, _LEAST_EXPECTED), 1.0)
        limit = np.float32(LOGIT_LIMIT)
        logits = np.minimum(self.map.logits - np.float32(np.log(expected)), limit)
        return replace(self, map=LogitMap(logits, self.map.grid))

    def to_prediction(self, shape: tuple[int, int], low_res: int) -> Prediction:
        """Return the mask in image pixels and in the low-resolution frame."""
        logits, grid = self.map
        row0, col0 = max(int(grid.row0), 0), max(int(grid.col0), 0)
        row1 = max(row0, min(int(grid.row0 + grid.height), shape[0]))
        col1 = max(col0, min(int(grid.col0 + grid.width), shape[1]))
        height, width = row1 - row0, col1 - col0
        return Prediction(
            logits=resample(
                logits, grid, Grid(row0, col0, height, width, height, width)
            ),
            bbox=(row0, col0, row1, col1),
            score=max(self.rating, 0.0),
            low_res=resample(logits, grid, Grid(0, 0, *shape, low_res, low_res)),
            seen=(row0, col0, row1, col1),
        )


def candidates(
    window: Window, logits: NDArray[np.float32], scores: NDArray[np.float32]
) -> list[Candidate]:
    """Name the place of a network's masks.

    Parameters
    ----------
    window : Window
        That the network saw.
    logits : ndarray of shape (M, h, w) and dtype float32
        Its masks.
    scores : ndarray of shape (M,)
        Predicted IoUs.

    Returns
    -------
    list of Candidate
        In the same order, logits clamped to ±32.
    """
    limit = np.float32(LOGIT_LIMIT)
    grid = window.grid(*logits.shape[1:])
    return [
        Candidate(LogitMap(np.clip(mask, -limit, limit), grid), float(score))
        for mask, score in zip(logits, scores, strict=True)
    ]


def by_rating(masks: list[Candidate]) -> list[Candidate]:
    """Sort, the best first."""
    return sorted(masks, key=lambda mask: -mask.rating)


def distinct(
    masks: list[Candidate],
    count: int,
    likeness: NDArray[np.float32] | None = None,
) -> list[Candidate]:
    """Choose the best mask, and others of which one is right where it is not.

    Every mask may be what was meant, the likelier, the better its rating. Each
    further choice adds most to the expected overlap of what was meant with the most
    similar mask chosen: of a cell and many drawings of its colony, cell and colony.

    Parameters
    ----------
    masks : list of Candidate
        At least one.
    count : int
        How many to choose, at most.
    likeness : ndarray of shape (N, N) and dtype float32, optional
        IoUs of the masks with each other, if they are known.

    Returns
    -------
    list of Candidate
        The best first. Copies only where there are too few different masks.
    """
    ratings = np.array([mask.rating for mask in masks])
    order = np.argsort(-ratings, kind="stable").tolist()
    taken = order[:1]
    if count > 1:
        known = _overlaps(masks) if likeness is None else likeness
        taken += _hedges(ratings, known, taken[0], count - 1)
    rest = [index for index in order if index not in taken]
    return by_rating([masks[index] for index in [*taken, *rest][:count]])


def _hedges(
    ratings: NDArray[np.float64], likeness: NDArray[np.float32], best: int, count: int
) -> list[int]:
    """Choose masks, no copies, that make up best for those chosen before."""
    chances = np.exp((ratings - ratings.max()) / _LESS_LIKELY)
    # An empty mask may be like none, not even itself.
    likeness = np.maximum(likeness, np.eye(len(ratings), dtype=np.float32))
    covered = likeness[best]
    taken: list[int] = []
    while len(taken) < count and (is_new := covered < _SAME_MASK_IOU).any():
        gain = chances @ np.maximum(covered[:, None], likeness)
        taken.append(int(np.where(is_new, gain, -1).argmax()))
        covered = np.maximum(covered, likeness[taken[-1]])
    return taken


def _overlaps(masks: list[Candidate]) -> NDArray[np.float32]:
    """Return the IoUs of masks with each other, (N, N)."""
    shared = np.eye(len(masks), dtype=np.float32)
    for one, two in combinations(range(len(masks)), 2):
        shared[one, two] = _overlap(masks[one].map, masks[two].map)
        shared[two, one] = shared[one, two]
    return shared


def _overlap(first: LogitMap, second: LogitMap) -> float:
    """Return the IoU of two masks, in cells of the box around both."""
    one, two = first.bounds(), second.bounds()
    if one is None or two is None:
        return float(one is two)
    row0, col0, row1, col1 = union(one, two)
    frame = Grid(row0, col0, row1 - row0, col1 - col0, *[_COMPARED_CELLS] * 2)
    a, b = (resample(*part, frame) > 0 for part in (first, second))
    return float((a & b).sum() / max((a | b).sum(), 1))
