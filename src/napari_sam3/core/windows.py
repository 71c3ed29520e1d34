"""Square views into a plane, and how pixels map in and out of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.prompt import Box
from napari_sam3.core.resample import Grid

__all__ = ["LADDER", "PADDING_VALUE", "Window", "fit_window", "ladder_windows"]

#: Sides of the windows tried around a first click, in image pixels. They end at
#: 2560, so that a click costs the same in an image of any size: larger objects
#: want a box, or clicks that are far apart.
LADDER = (40, 80, 160, 320, 640, 1280, 2560)
_LADDER_RATIO = 2
#: Room around an object in the window that is fitted to it.
_FOCUS_RATIO = 1.7
_SMALLEST_FOCUS = 32

#: What a window shows beyond the image's border: the middle grey, which
#: nano's normalisation turns into zero.
PADDING_VALUE = 127


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels, which may reach beyond the image.

    Parameters
    ----------
    row0, col0 : int
        Its first pixel; negative beyond the image's border.
    height, width : int
        Its extent in image pixels.

    Examples
    --------
    >>> window = Window(10, 20, 40, 40)
    >>> window.to_window(np.array([[10.0, 20.0]]), 80)
    array([[1., 1.]])
    """

    row0: int
    col0: int
    height: int
    width: int

    def inside(self, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
        """Return the part within an image, ``(row0, col0, row1, col1)`` or None."""
        row0, col0 = max(self.row0, 0), max(self.col0, 0)
        row1 = min(self.row0 + self.height, shape[0])
        col1 = min(self.col0 + self.width, shape[1])
        return (row0, col0, row1, col1) if row1 > row0 and col1 > col0 else None

    def grid(self, rows: int, cols: int) -> Grid:
        """Cut the window into ``rows`` by ``cols`` cells."""
        return Grid(self.row0, self.col0, self.height, self.width, rows, cols)

    def to_window(
        self, points_px: NDArray[np.float64], size: int
    ) -> NDArray[np.float64]:
        """Map image pixels to window pixels.

        Parameters
        ----------
        points_px : ndarray of shape (N, 2)
            (row, col); pixel centres are whole numbers.
        size : int
            Side of the resampled window.

        Returns
        -------
        ndarray of shape (N, 2)
            (row, col) from the window's corner: the first pixel's centre is at
            (0.5, 0.5).
        """
        origin = np.array([self.row0, self.col0], np.float64)
        scale = np.array([size / self.height, size / self.width])
        return (points_px + 0.5 - origin) * scale


def _square(row: float, col: float, side: float) -> Window:
    """Centre a square of whole pixels on a place given in pixel edges."""
    whole = max(1, round(side))
    return Window(
        int(np.floor(row - whole / 2 + 0.5)),
        int(np.floor(col - whole / 2 + 0.5)),
        whole,
        whole,
    )


def fit_window(bounds: Box) -> Window:
    """Fit a window to an object's edges.

    Parameters
    ----------
    bounds : tuple of float
        ``(row0, col0, row1, col1)`` of the object in image pixels.

    Returns
    -------
    Window
        A square around the object's middle, 1.7 times its longer side.
    """
    row0, col0, row1, col1 = bounds
    side = max(_FOCUS_RATIO * max(row1 - row0, col1 - col0), _SMALLEST_FOCUS)
    return _square((row0 + row1) / 2, (col0 + col1) / 2, side)


def ladder_windows(
    clicks_px: NDArray[np.float64], shape: tuple[int, int]
) -> list[Window]:
    """Choose windows of rising size around clicks on one object.

    Parameters
    ----------
    clicks_px : ndarray of shape (N, 2)
        (row, col) in image pixels, at least one.
    shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    list of Window
        From the smallest that holds all clicks to the first that could show the
        whole image, or the ladder's last; at least two, since one window alone
        could not be compared.
    """
    low, high = clicks_px.min(axis=0), clicks_px.max(axis=0)
    row, col = (low + high) / 2 + 0.5
    needed = 1.3 * float((high - low).max())
    sides = [float(side) for side in LADDER]
    while sides[-2] < needed:
        sides.append(sides[-1] * _LADDER_RATIO)
    fitting = [side for side in sides if side >= needed]
    too_small = sum(side < max(shape) for side in fitting)
    return [_square(row, col, side) for side in fitting[: max(2, too_small + 1)]]
