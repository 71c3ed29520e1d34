"""How alike masks are that windows of several sizes show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate
from napari_sam3.core.resample import Grid

__all__ = ["likeness"]

_Floats = NDArray[np.float32]

#: Places per side of each window in which masks are compared.
_PLACES = 32


class _Places(NamedTuple):
    """Places all over some windows, the closer to their middle, the denser.

    Attributes
    ----------
    rows, cols : ndarray of shape (P,)
        In image pixels, from its corner.
    areas : ndarray of shape (P,)
        What each place stands for, in square pixels.
    """

    rows: _Floats
    cols: _Floats
    areas: _Floats

    def held_by(self, logits: _Floats, grid: Grid) -> _Floats:
        """Tell which places masks (M, rows, cols) of a grid hold, (M, P).

        Between the centres of four cells, of which the nearest one alone would
        draw a copy in a window of another size otherwise.
        """
        row = (self.rows - grid.row0) * (grid.rows / grid.height)
        col = (self.cols - grid.col0) * (grid.cols / grid.width)
        seen = (row >= 0) & (row < grid.rows) & (col >= 0) & (col < grid.cols)
        (top, bottom, down), (left, right, across) = (
            _neighbours(place[seen], count)
            for place, count in ((row, grid.rows), (col, grid.cols))
        )
        upper = logits[:, top, left] * (1 - across) + logits[:, top, right] * across
        lower = (
            logits[:, bottom, left] * (1 - across) + logits[:, bottom, right] * across
        )
        held = np.zeros((len(logits), len(row)), np.float32)
        held[:, seen] = upper * (1 - down) + lower * down > 0
        return held


def likeness(masks: Sequence[Candidate]) -> _Floats:
    """Compare masks of whichever windows.

    Parameters
    ----------
    masks : sequence of Candidate
        N of them; neighbours of the same grid are drawn at once.

    Returns
    -------
    ndarray of shape (N, N) and dtype float32
        Their IoUs, at 32 x 32 places of each mask's window, but for what a smaller
        window shows. A mask that is empty, or lies between the places, is like none.
    """
    places = _spread({mask.map.grid for mask in masks})
    held = np.concatenate(
        [
            places.held_by(np.stack([mask.map.logits for mask in own]), grid)
            for grid, own in groupby(masks, lambda mask: mask.map.grid)
        ]
    )
    common = (held * places.areas) @ held.T
    own = np.diagonal(common)
    either = own[:, None] + own - common
    return np.asarray(common / np.maximum(either, 1e-6), np.float32)


def _spread(grids: Iterable[Grid]) -> _Places:
    """Spread places over windows, in each where no smaller one shows anything."""
    middles = (np.arange(_PLACES) + 0.5) / _PLACES
    parts: list[tuple[_Floats, _Floats, _Floats]] = []
    by_size = sorted(grids, key=lambda grid: grid.height)
    for order, grid in enumerate(by_size):
        row, col = np.meshgrid(
            (grid.row0 + middles * grid.height).astype(np.float32),
            (grid.col0 + middles * grid.width).astype(np.float32),
            indexing="ij",
        )
        new = np.ones(row.shape, np.bool_)
        for finer in by_size[:order]:
            down, right = row - finer.row0, col - finer.col0
            new &= (np.minimum(down, right) < 0) | (
                (down > finer.height) | (right > finer.width)
            )
        area = np.full(row.shape, grid.height * grid.width / _PLACES**2, np.float32)
        parts.append((row[new], col[new], area[new]))
    return _Places(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _neighbours(
    places: _Floats, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], _Floats]:
    """Return the cells before and behind places of an axis, and how near the latter."""
    first = np.floor(places - 0.5)
    share = np.asarray(places - 0.5 - first, np.float32)
    before = np.maximum(first, 0).astype(np.intp)
    behind = np.minimum(first + 1, count - 1).astype(np.intp)
    return before, behind, share
