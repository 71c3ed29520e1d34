"""Planes as a model sees them, of which only what is asked for is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.core.windows import PADDING_VALUE, Window

__all__ = [
    "ArrayPicture",
    "Picture",
    "Pixels",
    "Pyramid",
    "read_window",
]

#: Windows are reduced to no less than this many times the size that is wanted.
_REDUCING_GAP = 2
#: Pixels that are reduced at once.
_BAND_SIZE = 1 << 18
#: Pixels of a large window that are read at once.
_READING_SIZE = 1 << 23
#: Rows of the widest of such parts: the chunks of files are not read line by line.
_READING_ROWS = 512

#: ``(row0, col0, row1, col1)``, half-open, whole pixels.
_Box = tuple[int, int, int, int]


class Pixels(Protocol):
    """A plane, or a coarser level of it, that can be read part by part."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        ...

    def read(self, box: _Box) -> NDArray[np.uint8]:
        """Return a part.

        Parameters
        ----------
        box : tuple of int
            ``(row0, col0, row1, col1)``, half-open, within the plane.

        Returns
        -------
        ndarray of shape (row1 - row0, col1 - col0, 3) and dtype uint8
            RGB.
        """
        ...


class Picture(Protocol):
    """A plane from which windows are read at any resolution."""

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) at full resolution."""
        ...

    def read(self, window: Window, rows: int, cols: int) -> NDArray[np.uint8]:
        """Cut a window out and resample it.

        Parameters
        ----------
        window : Window
            In pixels at full resolution; it may reach beyond the plane.
        rows, cols : int
            Size of the result.

        Returns
        -------
        ndarray of shape (rows, cols, 3) and dtype uint8
            Bilinear, with antialiasing where it shrinks; grey beyond the plane.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Array:
    """An image in memory, as `Pixels`."""

    image: NDArray[np.uint8]

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def read(self, box: _Box) -> NDArray[np.uint8]:
        row0, col0, row1, col1 = box
        return self.image[row0:row1, col0:col1]


class ArrayPicture:
    """An image in memory.

    Parameters
    ----------
    image : ndarray of shape (rows, columns, 3) and dtype uint8
        RGB; not copied.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image
        self._pixels = _Array(image)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self._pixels.shape

    def read(self, window: Window, rows: int, cols: int) -> NDArray[np.uint8]:
        """Cut a window out and resample it; see `Picture.read`."""
        return read_window(self._pixels, window, rows, cols)


class Pyramid:
    """A plane at one or several resolutions; the coarsest that will do is read.

    Parameters
    ----------
    levels : sequence of Pixels
        The first one at full resolution, the others as if the same plane had been
        cut into fewer, larger pixels.
    """

    def __init__(self, levels: Sequence[Pixels]) -> None:
        self.levels = tuple(levels)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) at full resolution."""
        return self.levels[0].shape

    def read(self, window: Window, rows: int, cols: int) -> NDArray[np.uint8]:
        """Cut a window out and resample it; see `Picture.read`."""
        level = self.levels[0]
        for coarser in self.levels[1:]:
            down, across = np.divide(self.shape, coarser.shape)
            if (
                window.height / down < _REDUCING_GAP * rows
                or window.width / across < _REDUCING_GAP * cols
            ):
                break
            level = coarser
        return read_window(level, window, rows, cols, self.shape)


def read_window(
    pixels: Pixels,
    window: Window,
    rows: int,
    cols: int,
    shape: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Cut a window out of a plane and resample it.

    Parameters
    ----------
    pixels : Pixels
        The plane, or a coarser level of it; only the window's pixels are read.
    window : Window
        In pixels at full resolution; it may reach beyond the plane.
    rows, cols : int
        Size of the result.
    shape : tuple of int, optional
        (rows, columns) at full resolution; by default those of ``pixels``.

    Returns
    -------
    ndarray of shape (rows, cols, 3) and dtype uint8
        Bilinear, with antialiasing where it shrinks.
    """
    tall, wide = np.divide(shape or pixels.shape, pixels.shape)
    top, left = window.row0 / tall, window.col0 / wide
    height, width = window.height / tall, window.width / wide
    row, col = int(np.floor(top)), int(np.floor(left))
    outer = Window(
        row,
        col,
        int(np.ceil(top + height)) - row,
        int(np.ceil(left + width)) - col,
    )
    # Large windows are first reduced by whole factors, as Pillow's own reducing_gap
    # does, but without filling what lies beyond the image.
    down = max(1, int(height // (_REDUCING_GAP * rows)))
    across = max(1, int(width // (_REDUCING_GAP * cols)))
    reduced = Image.fromarray(_reduce(pixels, outer, down, across))
    edges = (
        (left - col) / across,
        (top - row) / down,
        min((left - col + width) / across, reduced.width),
        min((top - row + height) / down, reduced.height),
    )
    resized = reduced.resize((cols, rows), Image.Resampling.BILINEAR, box=edges)
    return np.asarray(resized)


def _reduce(
    pixels: Pixels, window: Window, down: int, across: int
) -> NDArray[np.uint8]:
    """Return the means of blocks of ``down`` by ``across`` pixels of a window."""
    blocks = (-(-window.height // down), -(-window.width // across), 3)
    reduced: NDArray[np.uint8] | None = None
    inside = window.inside(pixels.shape)
    for row0, col0, row1, col1 in _parts(inside, window, down, across):
        height = min(row1, window.row0 + window.height) - row0
        width = min(col1, window.col0 + window.width) - col0
        part = Window(row0, col0, height, width).inside(pixels.shape)
        assert part is not None
        crop = _pad(
            pixels.read(part), part[0] - row0, part[1] - col0, (height, width, 3)
        )
        means = _means(crop, down, across) if down > 1 or across > 1 else crop
        if means.shape == blocks:
            return means
        if reduced is None:
            reduced = np.full(blocks, PADDING_VALUE, np.uint8)
        top, left = (row0 - window.row0) // down, (col0 - window.col0) // across
        reduced[top : top + len(means), left : left + means.shape[1]] = means
    return np.full(blocks, PADDING_VALUE, np.uint8) if reduced is None else reduced


def _parts(
    inside: _Box | None, window: Window, down: int, across: int
) -> Iterator[_Box]:
    """Cut what there is of a window into parts of whole blocks, none too large."""
    if inside is None:
        return
    row0, col0, row1, col1 = inside
    widest = max(across, _READING_SIZE // _READING_ROWS)
    for left, right in _spans(window.col0, col0, col1, across, widest):
        tallest = max(down, _READING_SIZE // max(1, right - left))
        for top, bottom in _spans(window.row0, row0, row1, down, tallest):
            yield top, left, bottom, right


def _spans(
    origin: int, first: int, last: int, factor: int, longest: int
) -> Iterator[tuple[int, int]]:
    """Cut a length into spans of whole blocks, counted from an origin."""
    step = factor * max(1, longest // factor)
    start = origin + (first - origin) // factor * factor
    end = origin - (origin - last) // factor * factor
    for at in range(start, end, step):
        yield at, min(at + step, end)


def _pad(
    part: NDArray[np.uint8], row: int, col: int, shape: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Lay a part at (row, col) of a grey canvas; alone if it fills the canvas."""
    if part.shape == shape:
        return part
    canvas = np.full(shape, PADDING_VALUE, np.uint8)
    canvas[row : row + part.shape[0], col : col + part.shape[1]] = part
    return canvas


def _means(crop: NDArray[np.uint8], down: int, across: int) -> NDArray[np.uint8]:
    """Return the means of blocks, the last ones of what there is of them.

    In bands, or Pillow's copy of a large plane would not fit into the processor's
    cache.
    """
    rows = down * max(1, _BAND_SIZE // (down * crop.shape[1]))
    bands = [
        Image.fromarray(crop[row : row + rows]).reduce((across, down))
        for row in range(0, len(crop), rows)
    ]
    return np.concatenate([np.asarray(band) for band in bands])
