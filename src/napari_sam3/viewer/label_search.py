"""Finding an object's pixels in a Labels layer."""

from __future__ import annotations

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.label_grid import LabelGrid, Window, label_grid
from napari_sam3.viewer.lookup import Box, bounds_of, joined

__all__ = ["find_label"]

#: Bytes that are compared at a time: what a processor's cache holds.
_SLAB = 2**20


def find_label(
    labels: Labels, image: Image, plane: Plane, label: int
) -> tuple[NDArray[np.bool_], Box] | None:
    """Find all pixels of an object in a plane.

    Parameters
    ----------
    labels : napari.layers.Labels
        Not multiscale; any array can be read.
    image : napari.layers.Image
        In whose pixels the answer is.
    plane : Plane
        Of the image.
    label : int
        The object's number.

    Returns
    -------
    mask : ndarray of shape (h, w) and dtype bool
        The smallest crop that holds it.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the plane; None instead of
        both if there is no such pixel.

    Raises
    ------
    LayerError
        If the layer has no plane there.
    """
    return find_in(label_grid(labels, image, plane), label)


def find_in(grid: LabelGrid, label: int) -> tuple[NDArray[np.bool_], Box] | None:
    """Find an object as `find_label` does, where the layer's place is known already.

    The grid is made on the main thread, as it reads the layers; this needs them no
    more, and can run on the worker thread.
    """
    window = _window_of(grid, label)
    if window is None:
        return None
    return grid.to_image(window.read(grid.array) == label, window)


def _window_of(grid: LabelGrid, label: int) -> Window | None:
    """Return the smallest window with all pixels of a label in the plane.

    It goes through whole rows of the array in memory, many at a time.
    """
    is_turned = grid.axes[0] > grid.axes[1]
    size, across = grid.shape[::-1] if is_turned else grid.shape
    step = _step(grid, min(grid.axes), across)
    found: list[Box] = []
    for start in range(0, size, step):
        stop = min(start + step, size)
        box = (0, start, across, stop) if is_turned else (start, 0, stop, across)
        hit = Window(grid.axes, grid.index, box).read(grid.array) == label
        bounds = bounds_of(hit)
        if bounds is not None:
            row, col = box[:2]
            row0, col0, row1, col1 = bounds
            found.append((row + row0, col + col0, row + row1, col + col1))
    return Window(grid.axes, grid.index, joined(found)) if found else None


def _step(grid: LabelGrid, axis: int, across: int) -> int:
    itemsize = np.dtype(grid.array.dtype).itemsize
    step = max(1, _SLAB // max(1, across * itemsize))
    chunks = getattr(grid.array, "chunks", None)
    if chunks is not None and isinstance(chunks[axis], int):
        # Whole chunks of a zarr array: each is read only once.
        step = -(-step // chunks[axis]) * chunks[axis]
    return step
