"""Remembering the parts of a plane that were read."""

from __future__ import annotations

from collections.abc import Hashable, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.picture import Pixels

__all__ = ["TILE_SIZE", "Tiled"]

#: Side of the tiles that are remembered.
TILE_SIZE = 512

#: ``(row0, col0, row1, col1)``, half-open, whole pixels.
_Box = tuple[int, int, int, int]


class Tiled:
    """Remembers the tiles that were read last, for one thread.

    Parameters
    ----------
    pixels : Pixels
        That are slow to read.
    memo : mutable mapping
        Keeps the tiles, and may forget them.
    key : hashable
        What tells these pixels from others in the same memo.
    """

    def __init__(
        self, pixels: Pixels, memo: MutableMapping[Any, Any], key: Hashable
    ) -> None:
        self._pixels, self._memo, self._key = pixels, memo, key

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._pixels.shape

    def read(self, box: _Box) -> NDArray[np.uint8]:
        """Return a part; see `Pixels.read`."""
        row0, col0, row1, col1 = box
        part = np.empty((row1 - row0, col1 - col0, 3), np.uint8)
        for (row, col), tile in self._tiles(box).items():
            top, left = max(row, row0), max(col, col0)
            bottom = min(row + tile.shape[0], row1)
            right = min(col + tile.shape[1], col1)
            part[top - row0 : bottom - row0, left - col0 : right - col0] = tile[
                top - row : bottom - row, left - col : right - col
            ]
        return part

    def _tiles(self, box: _Box) -> dict[tuple[int, int], NDArray[np.uint8]]:
        """Return the tiles that meet a box, by their corners."""
        row0, col0, row1, col1 = box
        found: dict[tuple[int, int], NDArray[np.uint8]] = {}
        missing: list[tuple[int, int]] = []
        for row in range(row0 // TILE_SIZE * TILE_SIZE, row1, TILE_SIZE):
            for col in range(col0 // TILE_SIZE * TILE_SIZE, col1, TILE_SIZE):
                tile = self._memo.get((self._key, row, col))
                if tile is None:
                    missing.append((row, col))
                else:
                    found[row, col] = tile
        # Together: the chunks of a file may be larger than a tile.
        rows, cols = self.shape
        for top, left, bottom, right in _rectangles(missing):
            pixels = self._pixels.read((top, left, min(bottom, rows), min(right, cols)))
            for row in range(top, bottom, TILE_SIZE):
                for col in range(left, right, TILE_SIZE):
                    own = pixels[row - top :, col - left :][:TILE_SIZE, :TILE_SIZE]
                    tile = found[row, col] = own.copy()
                    self._memo[self._key, row, col] = tile
        return found


def _rectangles(tiles: Sequence[tuple[int, int]]) -> list[_Box]:
    """Cover tiles, given row by row, by rectangles that share none."""
    runs: dict[int, list[tuple[int, int]]] = {}
    for row, col in tiles:
        in_row = runs.setdefault(row, [])
        if in_row and in_row[-1][1] == col:
            in_row[-1] = (in_row[-1][0], col + TILE_SIZE)
        else:
            in_row.append((col, col + TILE_SIZE))
    found: list[_Box] = []
    for row, in_row in runs.items():
        for left, right in in_row:
            # What a rectangle above goes on with is not one of its own.
            above = next((f for f in found if f[1:] == (left, row, right)), None)
            if above is not None:
                found.remove(above)
            top = row if above is None else above[0]
            found.append((top, left, row + TILE_SIZE, right))
    return found
