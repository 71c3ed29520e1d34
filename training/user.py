"""A simulated user of the predictor: clicks where the mask is most wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam3.predictor import SAM3InteractiveImagePredictor

__all__ = ["Click", "ObjectResult", "draw_box", "next_click", "play_clicks"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Click:
    """One click, in pixels of the image."""

    row: int
    col: int
    positive: bool


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


def iou(first: Mask, second: Mask) -> float:
    """Return intersection over union; 0 for two empty masks."""
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else 0.0


def next_click(truth: Mask, predicted: Mask) -> Click | None:
    """Click the centre of the largest error.

    Parameters
    ----------
    truth, predicted : ndarray of shape (rows, columns) and dtype bool
        The object and the mask so far.

    Returns
    -------
    Click or None
        The pixel deepest inside a missed or a wrongly taken region (Euclidean
        distance, the image's border counts as an edge); None if nothing is wrong.
    """
    wrong = truth ^ predicted
    if not wrong.any():
        return None
    rows, cols = (np.flatnonzero(wrong.any(axis=axis)) for axis in (1, 0))
    row0, col0 = int(rows[0]), int(cols[0])
    crop = np.s_[row0 : rows[-1] + 1, col0 : cols[-1] + 1]
    best: tuple[float, Click] | None = None
    for positive, region in (
        (True, truth[crop] & ~predicted[crop]),
        (False, predicted[crop] & ~truth[crop]),
    ):
        depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
        deepest = float(depth[row, col])
        if best is None or deepest > best[0]:
            best = deepest, Click(row0 + int(row), col0 + int(col), positive)
    return best[1] if best else None


def draw_box(truth: Mask) -> NDArray[np.float64]:
    """Return the object's tight box, ``[x0, y0, x1, y1]``."""
    rows, cols = (np.flatnonzero(truth.any(axis=axis)) for axis in (1, 0))
    return np.array([cols[0], rows[0], cols[-1] + 1, rows[-1] + 1], np.float64)


def play_clicks(
    predictor: SAM3InteractiveImagePredictor,
    truth: Mask,
    count: int,
    *,
    box: NDArray[np.float64] | None = None,
    report: Callable[[NDArray[np.bool_], NDArray[np.float32], float], None],
) -> None:
    """Prompt an object with clicks, each where the last mask was most wrong.

    Parameters
    ----------
    predictor : SAM3InteractiveImagePredictor
        Its image is set.
    truth : ndarray of shape (rows, columns) and dtype bool
        The object.
    count : int
        Clicks at most.
    box : ndarray of shape (4,), optional
        Given at the start; counts as no click.
    report : callable
        Called after the box and after each click with the candidate masks
        (C, rows, columns), their scores (C,), and the chosen one's IoU.
    """
    clicks: list[Click] = []
    mask, mask_input = np.zeros_like(truth), None
    for turn in range(count + 1):
        if turn or box is None:
            click = next_click(truth, mask)
            if click is None or len(clicks) == count:
                return
            clicks.append(click)
        first = not turn
        masks, scores, low_res = predictor.predict(
            point_coords=np.array([[c.col, c.row] for c in clicks]) if clicks else None,
            point_labels=np.array([c.positive for c in clicks]) if clicks else None,
            box=box,
            mask_input=mask_input,
            multimask_output=first,
        )
        best = int(scores.argmax())
        mask, mask_input = masks[best], low_res[best : best + 1]
        report(masks, scores, iou(truth, mask))
