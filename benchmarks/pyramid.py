"""A plane that is larger than anybody wants to read: cells on noise, in zarr."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, WrapperStore

__all__ = [
    "CHUNK",
    "REPEAT",
    "CountingStore",
    "Pyramid",
    "cells_near",
    "cut",
    "draw_plane",
    "make_pyramid",
]

#: Side of the chunks that planes are stored in.
CHUNK = 512
#: Distance of the cells' places and their radii, in pixels.
_PITCH = 96
_RADII = (20.0, 32.0)
#: The plane repeats the same places after so many pixels: whole chunks, whole cells.
REPEAT = 16 * _PITCH
_FORMAT = 1


class CountingStore(WrapperStore[Any]):
    """A zarr store that counts what is read of its chunks.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Where it reads.

    Attributes
    ----------
    chunks, nbytes : int
        How many, and how many bytes as they are stored: compressed.
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.chunks = self.nbytes = 0
        self._lock = threading.Lock()

    def restart(self) -> None:
        """Count from zero."""
        with self._lock:
            self.chunks = self.nbytes = 0

    async def get(self, key: str, *options: Any, **more: Any) -> Any:
        """Read a chunk or metadata; the latter is not counted."""
        found = await super().get(key, *options, **more)
        if found is not None and not key.endswith("zarr.json"):
            with self._lock:
                self.chunks += 1
                self.nbytes += len(found)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A plane at several resolutions, each half the one before.

    Parameters
    ----------
    levels : tuple of zarr.Array
        Each of shape (rows, columns), uint16, full resolution first.
    store : CountingStore
        That they are read from.
    """

    levels: tuple[Any, ...]
    store: CountingStore

    @property
    def side(self) -> int:
        """Rows, and columns."""
        return int(self.levels[0].shape[0])

    @classmethod
    def open(cls, folder: Path) -> Pyramid:
        """Open what `make_pyramid` or `cut` wrote."""
        store = CountingStore(LocalStore(folder, read_only=True))
        group = zarr.open_group(store, mode="r")
        count = len(list(group.array_keys()))
        return cls(tuple(group[str(level)] for level in range(count)), store)


def make_pyramid(folder: Path, side: int, seed: int = 0) -> Path:
    """Write a plane, unless it is there already.

    Parameters
    ----------
    folder : Path
        Where it gets a folder of its own.
    side : int
        Rows, and columns.
    seed : int
        Of the cells and the noise.

    Returns
    -------
    Path
        Of a zarr v3 group with the arrays "0", "1" and so on. No more than a band of
        the plane is held in memory at a time.
    """
    path = folder / f"cells-{side}-{seed}.zarr"
    made = {"side": side, "seed": seed, "chunk": CHUNK, "format": _FORMAT}
    is_there = (path / "zarr.json").is_file()
    if is_there and zarr.open_group(path, mode="r").attrs.get("made") == made:
        return path
    group = zarr.open_group(path, mode="w", zarr_format=3)
    level = _new_level(group, "0", side)
    rng = np.random.default_rng(seed)
    cells, noise = _draw_cells(seed), _draw_noise(rng)
    for row in range(0, side, REPEAT):
        height = min(REPEAT, side - row)
        level[row : row + height] = np.concatenate(
            [
                _vary(cells, noise, rng)[:height, : side - col]
                for col in range(0, side, REPEAT)
            ],
            axis=1,
        )
    _write_coarser(group, level)
    group.attrs["made"] = made  # the last thing: without it the plane is not whole
    return path


def cut(
    pyramid: Pyramid, row: int, col: int, side: int, folder: Path
) -> tuple[Pyramid, NDArray[np.uint16]]:
    """Cut a small plane out of a large one, and write it as a pyramid of its own.

    Parameters
    ----------
    pyramid : Pyramid
        The large one.
    row, col : int
        First pixel.
    side : int
        Rows, and columns.
    folder : Path
        To write into; it must not exist.

    Returns
    -------
    Pyramid
        With the same chunks, compressed in the same way.
    ndarray of shape (side, side) and dtype uint16
        The same pixels in memory.
    """
    pixels = np.asarray(pyramid.levels[0][row : row + side, col : col + side])
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    level = _new_level(group, "0", side)
    level[:] = pixels
    _write_coarser(group, level)
    return Pyramid.open(folder), pixels


def cells_near(row: float, col: float, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the middles of the cells that are nearest to a place of a large plane.

    Parameters
    ----------
    row, col : float
        The place, in pixels.
    count : int
        How many.
    seed : int
        Of the plane.

    Returns
    -------
    ndarray of shape (count, 2)
        (row, col), the nearest first.
    """
    places = _places(seed)[:, :2]
    tile = np.floor(np.array([row, col]) / REPEAT)
    around = [(tile + step) * REPEAT for step in np.ndindex(3, 3)]
    middles = np.concatenate([places + start - REPEAT for start in around])
    distance = np.hypot(*(middles - (row, col)).T)
    return np.rint(middles[np.argsort(distance)[:count]]).astype(np.int64)


def draw_plane(number: int, side: int) -> NDArray[np.uint16]:
    """Draw a plane of a stack: the cells of `cells_near`, other noise.

    Parameters
    ----------
    number : int
        Which plane.
    side : int
        Rows, and columns, at most `REPEAT`.

    Returns
    -------
    ndarray of shape (side, side) and dtype uint16
    """
    row, col = number * 37 % (REPEAT - side + 1), number * 91 % (REPEAT - side + 1)
    noise = _shared_noise()[row : row + side, col : col + side]
    light = _shared_cells()[:side, :side] * np.float32(0.8 + number % 5 / 10)
    plane: NDArray[np.uint16] = (light + noise).clip(0, 65535).astype(np.uint16)
    return plane


@cache
def _shared_cells() -> NDArray[np.float32]:
    return _draw_cells(0)


@cache
def _shared_noise() -> NDArray[np.float32]:
    return _draw_noise(np.random.default_rng(0))


def _places(seed: int) -> NDArray[np.float64]:
    """Return (row, col, radius, light) of the cells of one repeat."""
    rng = np.random.default_rng((seed, 1))
    grid = np.stack(np.meshgrid(*[np.arange(0.5, 16)] * 2, indexing="ij"), axis=-1)
    middles = grid.reshape(-1, 2) * _PITCH + rng.uniform(-12, 12, (256, 2))
    return np.column_stack(
        [middles, rng.uniform(*_RADII, 256), rng.uniform(6000, 14000, 256)]
    )


def _draw_cells(seed: int) -> NDArray[np.float32]:
    """Draw round cells with soft edges; none reaches over the border."""
    light = np.full((REPEAT, REPEAT), 2000.0, np.float32)
    for row, col, radius, brightness in _places(seed):
        reach = int(radius) + 3
        top, left = int(row) - reach, int(col) - reach
        rows, cols = np.ogrid[top : top + 2 * reach, left : left + 2 * reach]
        distance = np.hypot(rows - row, cols - col)
        inside = np.clip((radius - distance) / 3 + 0.5, 0, 1)
        light[top : top + 2 * reach, left : left + 2 * reach] += inside * brightness
    return light


def _draw_noise(rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal((REPEAT, REPEAT), np.float32)
    noise *= 300
    return noise


def _vary(
    cells: NDArray[np.float32], noise: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Return the cells once more: as bright as never before, under other noise."""
    shift = (int(rng.integers(REPEAT)), int(rng.integers(REPEAT)))
    varied = cells * np.float32(rng.uniform(0.7, 1.3))
    varied += np.roll(noise, shift, (0, 1))
    return varied.clip(0, 65535).astype(np.uint16)


def _new_level(group: Any, name: str, side: int) -> Any:
    chunk = min(CHUNK, side)
    return group.create_array(
        name, shape=(side, side), chunks=(chunk, chunk), dtype="uint16"
    )


def _write_coarser(group: Any, level: Any) -> None:
    """Write the levels below one, band by band, until one chunk holds them."""
    number = 0
    while level.shape[0] > CHUNK:
        number += 1
        side = level.shape[0] // 2
        coarser = _new_level(group, str(number), side)
        for row in range(0, side, CHUNK):
            rows = min(CHUNK, side - row)
            band = np.asarray(level[2 * row : 2 * (row + rows), : 2 * side])
            blocks = band.reshape(rows, 2, side, 2)
            total = np.zeros((rows, side), np.uint32)
            for down, across in np.ndindex(2, 2):
                total += blocks[:, down, :, across]
            coarser[row : row + rows] = (total // 4).astype(np.uint16)
        level = coarser
