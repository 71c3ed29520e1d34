"""Logits from one grid to another: window, low-resolution frame and image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.prediction import LOGIT_LIMIT

__all__ = ["Grid", "resample"]


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


def _weights(
    start: float, extent: float, count: int, source: tuple[float, float, int]
) -> NDArray[np.float32]:
    """Return the (count, n) matrix that takes one axis of a grid to another.

    A triangle as wide as the coarser cell: bilinear where it enlarges,
    antialiased where it shrinks. Rows sum to less than one where the source ends.
    """
    source_start, source_extent, n = source
    ratio = (extent / count) / (source_extent / n)  # source cells per new cell
    centres = (start + (np.arange(count) + 0.5) * extent / count - source_start) * (
        n / source_extent
    )
    reach = max(ratio, 1.0)
    # Virtual cells beyond both ends take their share, which is then left out.
    beyond = int(np.ceil(reach)) + 1
    cells = np.arange(-beyond, n + beyond) + 0.5
    weights = np.clip(1 - np.abs(cells[None] - centres[:, None]) / reach, 0, None)
    total = weights.sum(axis=1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    inside: NDArray[np.float32] = weights[:, beyond : beyond + n].astype(np.float32)
    return inside


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
    down = _weights(
        target.row0,
        target.height,
        target.rows,
        (source.row0, source.height, source.rows),
    )
    across = _weights(
        target.col0, target.width, target.cols, (source.col0, source.width, source.cols)
    )
    above = down @ (logits + np.float32(LOGIT_LIMIT)) @ across.T
    result: NDArray[np.float32] = above - np.float32(LOGIT_LIMIT)
    return result
