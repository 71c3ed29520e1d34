"""Crops of one pixel grid, read on another one: the nearest pixel counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.viewer.geometry import Affine

__all__ = ["Box", "bounds_of", "clipped", "joined", "lookup", "moved", "trimmed"]

#: ``(row0, col0, row1, col1)``, half-open.
Box = tuple[int, int, int, int]

#: Ties between two pixels go to the first one, whatever the rounding error.
_TIE = 1e-6
#: Rows that are looked up at a time; temporary arrays stay small, thus quick.
_BAND = 32


def moved(box: Box, affine: Affine) -> Box:
    """Return the box of the pixels whose centres may come to lie in another box.

    Examples
    --------
    >>> moved((0, 0, 4, 2), Affine(np.eye(2) / 2, np.array([-0.25, -0.25])))
    (0, 0, 2, 1)
    """
    rows, cols = np.array(box).reshape(2, 2).T - 0.5
    corners = affine([(row, col) for row in rows for col in cols])
    low = np.ceil(corners.min(axis=0) - _TIE).astype(int)
    # With the pixels whose centres an edge goes through.
    high = np.floor(corners.max(axis=0) + _TIE).astype(int) + 1
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def joined(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that holds all boxes."""
    edges = np.array(list(boxes))
    low, high = edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def clipped(box: Box, shape: tuple[int, int]) -> Box:
    """Return the part of a box that is inside an image."""
    row0, row1 = (min(max(edge, 0), shape[0]) for edge in box[0::2])
    col0, col1 = (min(max(edge, 0), shape[1]) for edge in box[1::2])
    return row0, col0, row1, col1


def bounds_of(mask: NDArray[np.bool_]) -> Box | None:
    """Return the box of what is True in a mask; None if nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    cols = np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def trimmed(mask: NDArray[np.bool_], bbox: Box) -> tuple[NDArray[np.bool_], Box] | None:
    """Cut a mask to what is True in it; None if nothing is."""
    bounds = bounds_of(mask)
    if bounds is None:
        return None
    row0, col0, row1, col1 = bounds
    row, col = bbox[:2]
    # A copy: a view would keep all of it.
    crop = mask[row0:row1, col0:col1].copy()
    return crop, (row + row0, col + col0, row + row1, col + col1)


def lookup(
    crop: NDArray[Any], origin: tuple[int, int], box: Box, affine: Affine
) -> NDArray[Any]:
    """Read a crop for each pixel of a box in another grid.

    Parameters
    ----------
    crop : ndarray of shape (h, w)
        Any values.
    origin : tuple of int
        (row, col) of its first pixel.
    box : tuple of int
        In the other grid.
    affine : Affine
        From pixels of the other grid to those of the crop's.

    Returns
    -------
    ndarray of the box's shape and the crop's dtype
        0 outside the crop.

    Examples
    --------
    >>> half = Affine(np.eye(2) / 2, np.zeros(2))
    >>> lookup(np.array([[7, 8]]), (0, 0), (0, 0, 1, 6), half)
    array([[7, 7, 8, 8, 0, 0]])
    """
    rows, cols = np.arange(box[0], box[2]), np.arange(box[1], box[3])
    start = affine.offset - origin
    matrix = affine.matrix
    if not (matrix[0, 1] or matrix[1, 0]):
        at_rows, to_rows = _line(rows * matrix[0, 0] + start[0], crop.shape[0])
        at_cols, to_cols = _line(cols * matrix[1, 1] + start[1], crop.shape[1])
        result = np.zeros((len(rows), len(cols)), crop.dtype)
        result[to_rows, to_cols] = crop[at_rows][:, at_cols]
        return result
    result = np.zeros((len(rows), len(cols)), crop.dtype)
    for first in range(0, len(rows), _BAND):
        row = rows[first : first + _BAND, np.newaxis]
        at_row = _nearest(row * matrix[0, 0] + (cols * matrix[0, 1] + start[0]))
        at_col = _nearest(row * matrix[1, 0] + (cols * matrix[1, 1] + start[1]))
        inside = (at_row >= 0) & (at_row < crop.shape[0])
        inside &= (at_col >= 0) & (at_col < crop.shape[1])
        part = result[first : first + _BAND]
        part[inside] = crop[at_row[inside], at_col[inside]]
    return result


def _line(places: NDArray[np.float64], size: int) -> tuple[Any, slice]:
    """Return which pixels of a line of the crop are read, and where they go."""
    at = _nearest(places)
    inside = np.flatnonzero((at >= 0) & (at < size))
    if not len(inside):
        return slice(0, 0), slice(0, 0)
    # Places only rise or only fall, so those inside follow each other.
    to = slice(int(inside[0]), int(inside[-1]) + 1)
    at = at[to]
    if np.array_equal(at, np.arange(at[0], at[0] + len(at))):
        return slice(int(at[0]), int(at[-1]) + 1), to  # many times as quick
    return at, to


def _nearest(places: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.floor(places + (0.5 - _TIE)).astype(np.intp)
