"""Values of any dtype between two limits: which limits, and where between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["between", "over_black", "stretch", "tiles"]

#: Part of the pixels that may saturate at either end of the grey scale.
_TAIL = 0.001

#: Values that contrast limits are estimated from: all of a 1024 x 1024 plane.
_SAMPLE_SIZE = 1 << 20

#: Pixels that are converted at once, so that temporary arrays stay small.
_TILE_SIZE = 1 << 15


def stretch(values: NDArray[Any]) -> tuple[float, float]:
    """Return contrast limits that fit the values.

    Parameters
    ----------
    values : ndarray of shape (rows, columns) or (rows, columns, channels)
        Of bool, integers or floats. More than a million are sampled on a grid.

    Returns
    -------
    tuple of float
        ``(low, high)``, finite, in the values' own units: 0 and 1 for bool, 0 and
        255 for uint8, else the values below and above which 0.1 % of the finite
        ones lie. They are equal if all values are, and 0 if none is finite.
    """
    if values.dtype == np.bool_:
        return 0.0, 1.0
    if values.dtype == np.uint8:
        return 0.0, 255.0
    finite = _finite(_sample(values))
    if finite.size:
        # Ranks, not interpolated percentiles: a small image keeps its extremes.
        rank = int(_TAIL * (finite.size - 1))
        ranks = (rank, finite.size - 1 - rank)
        low, high = map(float, np.partition(finite, ranks)[list(ranks)])
        if low < high:
            return low, high
    # Few pixels differ from the background: the sample may have missed them.
    extremes: list[float] = []
    for tile in tiles(values.shape[:2]):
        finite = _finite(values[tile])
        if finite.size:
            extremes += [float(finite.min()), float(finite.max())]
    return (min(extremes), max(extremes)) if extremes else (0.0, 0.0)


def between(
    values: NDArray[Any], low: ArrayLike, high: ArrayLike
) -> NDArray[np.float64]:
    """Return where values lie between limits.

    Parameters
    ----------
    values : ndarray of shape (..., channels) or any other
        Of bool, integers or floats.
    low, high : array_like
        Finite, ``low <= high``; scalars, or one per channel.

    Returns
    -------
    ndarray of the values' shape and dtype float64
        0 at ``low`` and below, 1 at ``high`` and above, in proportion between them.
        NaN is 0. Where both limits are equal, that value is 0, and any above it 1.
    """
    # Halves, as the distance of two float64 numbers may be too large for float64.
    low, high = np.asarray(low, np.float64) / 2, np.asarray(high, np.float64) / 2
    span = np.maximum(high - low, np.finfo(np.float64).tiny)
    scaled = _as_floats(values)
    with np.errstate(over="ignore"):
        scaled /= 2
        scaled -= low
        scaled /= span
    np.clip(scaled, 0, 1, out=scaled)
    if values.dtype.kind == "f":
        scaled[np.isnan(scaled)] = 0
    return scaled


def over_black(rgb: NDArray[np.uint8], alpha: NDArray[Any]) -> NDArray[np.uint8]:
    """Lay colours over black.

    Parameters
    ----------
    rgb : ndarray of shape (rows, columns, 3) and dtype uint8
        Colours.
    alpha : ndarray of shape (rows, columns)
        Full at the highest value of an integer dtype, and at 1.0 of a float dtype.

    Returns
    -------
    ndarray of shape (rows, columns, 3) and dtype uint8
        A new array.
    """
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1
    opacity = np.nan_to_num(np.clip(_as_floats(alpha) / full, 0, 1), copy=False)
    return (rgb * opacity[..., np.newaxis] + 0.5).astype(np.uint8)


def tiles(shape: Sequence[int]) -> Iterator[tuple[slice, slice]]:
    """Cut (rows, columns) into tiles of at most 32,768 pixels."""
    rows, cols = shape
    width = min(cols, _TILE_SIZE)
    height = _TILE_SIZE // max(width, 1)
    for row in range(0, rows, height):
        for col in range(0, cols, width):
            yield slice(row, row + height), slice(col, col + width)


def _sample(values: NDArray[Any]) -> NDArray[Any]:
    """Return every n-th row and column, about `_SAMPLE_SIZE` values at most."""
    rows, cols = values.shape[:2]
    pixels = max(1, _SAMPLE_SIZE * rows * cols // values.size)
    row_step = -(-rows // max(int(pixels**0.5), pixels // cols))
    col_step = -(-cols // max(1, pixels // -(-rows // row_step)))
    return values[::row_step, ::col_step]


def _finite(values: NDArray[Any]) -> NDArray[Any]:
    floats = _as_floats(values) if values.dtype.kind == "f" else values
    return floats[np.isfinite(floats)]


def _as_floats(values: NDArray[Any]) -> NDArray[np.float64]:
    # Extended precision may hold more than float64 can: that is infinite here.
    with np.errstate(over="ignore"):
        return values.astype(np.float64)
