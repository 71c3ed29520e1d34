"""From the predictor's (x, y) arguments to prompts in (row, col).

The one place, beside `predictor`, where x comes before y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.prompt import Box, Prompt, as_floats

__all__ = ["parse_prompts"]

_NOT_A_POINT = -1


def parse_prompts(
    point_coords: ArrayLike | None,
    point_labels: ArrayLike | None,
    box: ArrayLike | None,
    mask_input: ArrayLike | None,
    *,
    shape: tuple[int, int],
    low_res_size: int,
    normalize_coords: bool,
    size_hint: SizeHint | None = None,
) -> list[Prompt]:
    """Read the arguments of ``predict`` for one image.

    Parameters
    ----------
    point_coords : array_like of shape (N, 2) or (B, N, 2), optional
        (x, y) of the clicks of one or of B objects.
    point_labels : array_like of shape (N,) or (B, N), optional
        1 object, 0 background, -1 no click (padding).
    box : array_like of shape (4,) or (B, 4), optional
        ``[x0, y0, x1, y1]``.
    mask_input : array_like of shape (1, L, L), (L, L) or (B, 1, L, L), optional
        Low-resolution logits; one mask serves all objects.
    shape : tuple of int
        (rows, columns) of the image.
    low_res_size : int
        The model's L.
    normalize_coords : bool
        True: coordinates are pixels; False: shares of the image, 0 to 1.
    size_hint : SizeHint, optional
        Of all objects; in pixels in any case.

    Returns
    -------
    list of Prompt
        One per object.

    Raises
    ------
    PromptError
        If an argument has a wrong shape or value, or arguments do not fit.
    """
    points, labels = _read_points(point_coords, point_labels)
    boxes = _read_boxes(box)
    masks = _read_masks(mask_input, low_res_size)
    count = _count_objects(points, boxes, masks)
    if not normalize_coords:
        size = np.array([shape[1], shape[0]], np.float64)
        points = [_scale_points(part, size) for part in points]
        boxes = [part * np.tile(size, 2) for part in boxes]
    prompts = []
    for index in range(count):
        clicks, signs = np.empty((0, 2)), np.empty(0)
        if points:
            real = labels[index] != _NOT_A_POINT
            clicks, signs = points[index][real][:, ::-1], labels[index][real]
        prompt = Prompt(
            points=clicks,
            labels=signs.astype(np.bool_),
            box=_to_row_col(boxes[index]) if boxes else None,
            mask_logits=masks[index if len(masks) > 1 else 0] if masks else None,
            size_hint=size_hint,
        )
        prompt.check_inside(shape)
        prompts.append(prompt)
    return prompts


def _to_row_col(edges: NDArray[np.float64]) -> Box:
    x0, y0, x1, y1 = edges.tolist()
    if x1 <= x0 or y1 <= y0:
        raise PromptError(
            f"The box [{x0:g}, {y0:g}, {x1:g}, {y1:g}] is empty; give [x0, y0, x1, y1] "
            "with x0 < x1 and y0 < y1."
        )
    return y0, x0, y1, x1


def _scale_points(
    shares: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn shares into pixels; the far edge, 1, belongs to the last pixel."""
    pixels = shares * size
    return np.where(shares <= 1, np.minimum(pixels, size - 0.5), pixels)


def _read_points(
    coords: ArrayLike | None, labels: ArrayLike | None
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    if coords is None and labels is None:
        return [], []
    if coords is None or labels is None:
        raise PromptError(
            "point_coords and point_labels go together; "
            f"{'point_coords' if coords is None else 'point_labels'} is missing."
        )
    points, signs = as_floats(coords, "point_coords"), as_floats(labels, "point_labels")
    if points.ndim not in (2, 3) or points.shape[-1] != 2:
        raise PromptError(
            "point_coords must have the shape (N, 2) or (B, N, 2), not "
            f"{points.shape}; each point is (x, y)."
        )
    if signs.shape != points.shape[:-1]:
        raise PromptError(
            f"point_labels must have the shape {points.shape[:-1]} to fit "
            f"point_coords, not {signs.shape}; give one label per point."
        )
    if not np.isin(signs, (0, 1, _NOT_A_POINT)).all():
        raise PromptError(
            "point_labels must be 1 (object), 0 (background) or -1 (no click); "
            f"got {np.setdiff1d(signs, (0, 1, -1)).tolist()}."
        )
    if points.ndim == 2:
        points, signs = points[None], signs[None]
    return list(points), list(signs)


def _read_boxes(box: ArrayLike | None) -> list[NDArray[np.float64]]:
    if box is None:
        return []
    edges = as_floats(box, "box")
    if edges.ndim not in (1, 2) or edges.shape[-1] != 4:
        raise PromptError(
            f"box must have the shape (4,) or (B, 4), not {edges.shape}; "
            "give [x0, y0, x1, y1]."
        )
    return list(np.atleast_2d(edges))


def _read_masks(mask_input: ArrayLike | None, size: int) -> list[NDArray[np.float32]]:
    if mask_input is None:
        return []
    masks = as_floats(mask_input, "mask_input")
    if masks.ndim == 2:
        masks = masks[None]
    if masks.ndim == 3:
        masks = masks[None]
    if masks.ndim != 4 or masks.shape[1:] != (1, size, size):
        raise PromptError(
            f"mask_input must have the shape (1, {size}, {size}) or "
            f"(B, 1, {size}, {size}) for this model, not {np.shape(mask_input)}; "
            "give low_res_masks[i:i + 1] of an earlier prediction."
        )
    return list(masks[:, 0].astype(np.float32))


def _count_objects(*parts: Sequence[Any]) -> int:
    """Return how many objects the given arguments describe."""
    points, boxes, masks = (len(part) for part in parts)
    counts = {n for n in (points, boxes) if n}
    if masks > 1 or not counts:
        counts |= {masks} if masks else set()
    if not counts:
        raise PromptError(
            "The prompt is empty; give at least one of point_coords, box and "
            "mask_input."
        )
    if len(counts) > 1:
        raise PromptError(
            f"The prompts describe different numbers of objects: points {points}, "
            f"boxes {boxes}, masks {masks}. For B objects give point_coords "
            "(B, N, 2) with point_labels (B, N), box (B, 4)."
        )
    return counts.pop()
