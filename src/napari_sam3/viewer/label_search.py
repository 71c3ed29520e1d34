"""Finding an object's pixels in a Labels layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.core.chunks import chunk_of
from napari_sam3.core.journal import Plane
from napari_sam3.core.tracker import no_report
from napari_sam3.viewer.geometry import unit_factors
from napari_sam3.viewer.label_grid import LabelGrid, Window, label_grid
from napari_sam3.viewer.label_pyramid import full_size
from napari_sam3.viewer.lookup import Box, bounds_of, clipped, joined, moved

__all__ = ["find_in", "find_label", "label_at"]

#: Bytes that are compared at a time: what a processor's cache holds.
_SLAB = 2**20
#: Pixels of a plane that are gone through in a moment.
_QUICK = 2**26
#: Pixels around the place where an object is thought to be, at first.
_MARGIN = 256
#: Where it is not found in a square of that side, in pixels, the plane is searched.
_FAR = 4096


def find_label(
    labels: Labels,
    image: Image,
    plane: Plane,
    label: int,
    near: Box | None = None,
) -> tuple[NDArray[np.bool_], Box] | None:
    """Find all pixels of an object in a plane.

    Parameters
    ----------
    labels : napari.layers.Labels
        Any array can be read; of a multiscale one the full size is.
    image : napari.layers.Image
        In whose pixels the answer is.
    plane : Plane
        Of the image.
    label : int
        The object's number.
    near : tuple of int, optional
        As in `find_in`.

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
    return find_in(label_grid(labels, image, plane), label, near)


def find_in(
    grid: LabelGrid,
    label: int,
    near: Box | None = None,
    report: Callable[[int, int], object] = no_report,
) -> tuple[NDArray[np.bool_], Box] | None:
    """Find an object as `find_label` does, where the layer's place is known already.

    The grid is made on the main thread, as it reads the layers; this needs them no
    more, and can run on the worker thread.

    Parameters
    ----------
    grid : LabelGrid
        The plane.
    label : int
        The object's number.
    near : tuple of int, optional
        ``(row0, col0, row1, col1)`` in the image, where the object is thought to be:
        a click, or the prompts that made it. In a plane of more than 64 million
        pixels it is looked for there first, and if it is found whole, parts of it
        that lie elsewhere are not. Without it, the plane is gone through.
    report : callable, optional
        Called with how many slabs are done, and of how many. What it raises comes
        out of here, which is how the search is cancelled.

    Returns
    -------
    mask, bbox
        As `find_label` returns them.
    """
    window = None
    if near is not None and grid.shape[0] * grid.shape[1] > _QUICK:
        window = _window_near(grid, label, near)
    if window is None:
        window = _window_of(grid, label, report)
    if window is None:
        return None
    return grid.to_image(window.read(grid.array) == label, window)


def label_at(
    labels: Labels, position: Sequence[float], units: Sequence[Any] | None = None
) -> int:
    """Return which object is at a place in the world; 0 is none.

    Parameters
    ----------
    labels : napari.layers.Labels
        Of a multiscale one the full size is read, whatever is shown; only there
        small objects have all their pixels.
    position : sequence of float
        In world coordinates, such as ``viewer.cursor.position``.
    units : sequence of pint.Unit, optional
        Of the world, ``viewer.dims.units``; by default the layer's own.

    Returns
    -------
    int
        0 also outside the layer.
    """
    array = full_size(labels.data)
    place_world = np.array(position, np.float64)[-labels.ndim :]
    if units is not None:
        place_world = place_world / unit_factors(labels.units, units)
    place = np.rint(labels.world_to_data(place_world)).astype(int)
    if np.any(place < 0) or np.any(place >= array.shape):
        return 0
    return int(np.asarray(array[tuple(int(at) for at in place)]))


def _window_near(grid: LabelGrid, label: int, near: Box) -> Window | None:
    """Return a window around a place with a whole piece of a label, if there is one."""
    rows, cols = grid.shape
    start = moved(near, grid.to_array)
    margin = _MARGIN
    while True:
        row0, col0, row1, col1 = start
        box = clipped(
            (row0 - margin, col0 - margin, row1 + margin, col1 + margin), grid.shape
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            return None
        window = Window(grid.axes, grid.index, box)
        bounds = bounds_of(window.read(grid.array) == label)
        if bounds is None and margin * 2 > _FAR:
            return None
        if bounds is not None:
            found = Window(grid.axes, grid.index, _shifted(bounds, box))
            at_end = (box[0] == 0, box[1] == 0, box[2] == rows, box[3] == cols)
            met = [one == edge for one, edge in zip(found.box, box, strict=True)]
            if not any(hit and not end for hit, end in zip(met, at_end, strict=True)):
                return found
        margin *= 2


def _shifted(bounds: Box, box: Box) -> Box:
    row, col = box[:2]
    return row + bounds[0], col + bounds[1], row + bounds[2], col + bounds[3]


def _window_of(
    grid: LabelGrid, label: int, report: Callable[[int, int], object]
) -> Window | None:
    """Return the smallest window with all pixels of a label in the plane.

    It goes through whole rows of the array in memory, many at a time.
    """
    is_turned = grid.axes[0] > grid.axes[1]
    size, across = grid.shape[::-1] if is_turned else grid.shape
    step = _step(grid, min(grid.axes), across)
    starts = range(0, size, step)
    report(0, len(starts))
    found: list[Box] = []
    for done, start in enumerate(starts, 1):
        stop = min(start + step, size)
        box = (0, start, across, stop) if is_turned else (start, 0, stop, across)
        hit = Window(grid.axes, grid.index, box).read(grid.array) == label
        bounds = bounds_of(hit)
        if bounds is not None:
            found.append(_shifted(bounds, box))
        report(done, len(starts))
    return Window(grid.axes, grid.index, joined(found)) if found else None


def _step(grid: LabelGrid, axis: int, across: int) -> int:
    itemsize = np.dtype(grid.array.dtype).itemsize
    step = max(1, _SLAB // max(1, across * itemsize))
    # Whole chunks: each is read, or computed, only once.
    chunk = max(1, chunk_of(grid.array)[axis])
    return -(-step // chunk) * chunk
