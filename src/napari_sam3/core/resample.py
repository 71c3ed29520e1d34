"""Logits from one grid to another: window, low-resolution frame and image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.prediction import LOGIT_LIMIT

__all__ = ["Grid", "resample"]

#: Values that are computed at once, so that they stay in the processor's cache.
_STRIP_SIZE = 1 << 15


class Grid(NamedTuple):
    """A rectangle of the image, cut into equal cells.

    Attributes
    ----------
    row0, col0 : float
        Its upper left corner in image pixels, as an edge: the first pixel of the
        image reaches from 0 to 1.
    height, width : float
        Its extent in image pixels.
    rows, cols : int
        Its cells.
    """

    row0: float
    col0: float
    height: float
    width: float
    rows: int
    cols: int

    def cells_at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where pixels (N, 2) lie among the cells, (row, col) from their corner.

        A pixel (row, col) is its centre; the first cell reaches from 0 to 1.
        """
        scale = (self.rows / self.height, self.cols / self.width)
        cells = (points + 0.5 - (self.row0, self.col0)) * scale
        return np.asarray(cells, np.float64)


class _Taps(NamedTuple):
    """How one axis of a grid is taken to another.

    Attributes
    ----------
    cells : ndarray of shape (count, T)
        The source cells that each new cell is made of.
    weights : ndarray of shape (count, T) and dtype float32
        Their shares. A row sums to less than one where the source ends.
    """

    cells: NDArray[np.intp]
    weights: NDArray[np.float32]


def _taps(
    start: float, extent: float, count: int, source: tuple[float, float, int]
) -> _Taps:
    """Weigh source cells by a triangle as wide as the coarser cell.

    Bilinear where it enlarges, antialiased where it shrinks.
    """
    source_start, source_extent, n = source
    ratio = (extent / count) / (source_extent / n)  # source cells per new cell
    centres = (start + (np.arange(count) + 0.5) * extent / count - source_start) * (
        n / source_extent
    )
    reach = max(ratio, 1.0)
    first = np.ceil(centres - reach - 0.5)
    cells = first[:, None] + np.arange(int(2 * reach) + 1)
    weights = np.clip(1 - np.abs(cells + 0.5 - centres[:, None]) / reach, 0, None)
    # Virtual cells beyond both ends take their share, which is then left out.
    beyond = int(np.ceil(reach)) + 1
    weights[(cells < -beyond) | (cells >= n + beyond)] = 0
    total = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    weights[(cells < 0) | (cells >= n)] = 0
    return _Taps(np.clip(cells, 0, n - 1).astype(np.intp), weights.astype(np.float32))


def _carry(values: NDArray[np.float32], taps: _Taps) -> NDArray[np.float32]:
    """Take the rows of (n, m) values to (count, m).

    No matrix product: NumPy's would wake threads, which then wait for more to do for
    some 25 ms, and for so long the network has half of a small machine.
    """
    result = np.zeros((len(taps.cells), values.shape[1]), np.float32)
    reached = np.flatnonzero(taps.weights.any(axis=1))
    first, end = (int(reached[0]), int(reached[-1]) + 1) if reached.size else (0, 0)
    step = max(1, _STRIP_SIZE // max(1, values.shape[1]))
    for start in range(first, end, step):
        stop = min(start + step, end)
        cells = taps.cells[start:stop]
        weights = taps.weights[start:stop, :, np.newaxis]
        strip = result[start:stop]
        np.multiply(values[cells[:, 0]], weights[:, 0], out=strip)
        for tap in range(1, cells.shape[1]):
            strip += values[cells[:, tap]] * weights[:, tap]
    return result


def _turned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.T)


def resample(
    logits: NDArray[np.float32], source: Grid, target: Grid
) -> NDArray[np.float32]:
    """Carry logits from one grid to another.

    Parameters
    ----------
    logits : ndarray of shape (source.rows, source.cols) and dtype float32
        One value per cell of the source.
    source, target : Grid
        Where the cells lie in the image.

    Returns
    -------
    ndarray of shape (target.rows, target.cols) and dtype float32
        Background (-32) where the source does not reach.

    Examples
    --------
    >>> two = np.array([[0, 2]], np.float32)
    >>> resample(two, Grid(0, 0, 1, 2, 1, 2), Grid(0, 0, 1, 2, 1, 1))[0, 0] > -32
    np.True_
    >>> resample(two, Grid(0, 0, 1, 2, 1, 2), Grid(0, 5, 1, 2, 1, 2))
    array([[-32., -32.]], dtype=float32)
    """
    down = _taps(
        target.row0,
        target.height,
        target.rows,
        (source.row0, source.height, source.rows),
    )
    across = _taps(
        target.col0, target.width, target.cols, (source.col0, source.width, source.cols)
    )
    above = logits + np.float32(LOGIT_LIMIT)
    # What is between the two steps is the smaller of the two possible sizes.
    if target.rows < source.rows:
        above = _turned(_carry(_turned(_carry(above, down)), across))
    else:
        above = _carry(_turned(_carry(_turned(above), across)), down)
    # Weights that sum to one up to rounding must not lead beyond the limit.
    np.clip(above, 0, np.float32(2 * LOGIT_LIMIT), out=above)
    above -= np.float32(LOGIT_LIMIT)
    return above
