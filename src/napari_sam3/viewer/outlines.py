"""napari's shapes as boxes and outlines in pixels, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.marks import BoxMark, OutlineMark

__all__ = ["SHAPE_DECIMALS", "box_corners", "mark_of", "settle"]

#: Decimals that boxes and outlines keep. napari stores shapes as float32, which
#: is exact to half a hundredth up to a hundred thousand pixels.
SHAPE_DECIMALS = 2

#: Pixels by which a rectangle's corners may miss their bounding box.
_ALIGNED = 0.02
_ELLIPSE_VERTICES = 64


def mark_of(
    kind: str, vertices_px: NDArray[np.float64]
) -> BoxMark | OutlineMark | None:
    """Return what a shape says.

    Parameters
    ----------
    kind : str
        napari's shape type.
    vertices_px : ndarray of shape (N, 2) and dtype float64
        (row, col) in the plane; pixel centres have whole numbers.

    Returns
    -------
    BoxMark, OutlineMark or None
        A rectangle along rows and columns is a box, other areas are outlines,
        paths are closed. None for lines and for what holds no area.
    """
    if kind == "line" or len(vertices_px) < 3:
        return None
    if kind == "ellipse":
        vertices_px = _around(vertices_px)
    vertices = settle(vertices_px)
    if _is_flat(vertices):
        return None
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    if kind == "rectangle" and _is_aligned(vertices):
        # From pixel centres to pixel edges.
        return BoxMark(*settle(low + 0.5), *settle(high + 0.5))
    return OutlineMark(tuple((float(row), float(col)) for row, col in vertices))


def box_corners(box: BoxMark) -> NDArray[np.float64]:
    """Return a box as napari's rectangle.

    Parameters
    ----------
    box : BoxMark
        Pixel edges.

    Returns
    -------
    ndarray of shape (4, 2) and dtype float64
        (row, col) of its corners, one after the other; pixel centres have whole
        numbers.
    """
    row0, col0, row1, col1 = box.row0, box.col0, box.row1, box.col1
    return np.array([(row0, col0), (row0, col1), (row1, col1), (row1, col0)]) - 0.5


def settle(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round as shapes are; zero has no sign."""
    return np.round(numbers, SHAPE_DECIMALS) + 0.0


def _around(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vertices of the ellipse that touches a parallelogram's sides."""
    middle = corners.mean(axis=0)
    across = (corners[1] - corners[0]) / 2
    along = (corners[2] - corners[1]) / 2
    angle = np.linspace(0, 2 * np.pi, _ELLIPSE_VERTICES, endpoint=False)
    turning = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return middle + turning @ np.stack([across, along])


def _is_flat(vertices: NDArray[np.float64]) -> bool:
    """Whether all vertices lie on one line."""
    arms = vertices - vertices[0]
    longest = arms[np.hypot(*arms.T).argmax()]
    areas = arms[:, 0] * longest[1] - arms[:, 1] * longest[0]
    return bool((np.abs(areas) <= _ALIGNED * np.hypot(*longest)).all())


def _is_aligned(corners: NDArray[np.float64]) -> bool:
    low, high = corners.min(axis=0), corners.max(axis=0)
    nearest = np.where(corners < (low + high) / 2, low, high)
    return bool((np.abs(corners - nearest) <= _ALIGNED).all())
