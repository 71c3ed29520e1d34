"""Writing the data of a Labels layer, whatever kind of array it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.label_grid import Window

__all__ = ["check_id", "check_labels", "set_pixels"]

#: Pixels written at a time. napari makes several temporary arrays of indices; to
#: ask the system for tens of megabytes, again and again, is what takes longest.
_BAND = 2**17


def check_labels(labels: Labels, image: Image | None = None) -> None:
    """Refuse layers that objects cannot be written to.

    Parameters
    ----------
    labels : napari.layers.Labels
        The layer.
    image : napari.layers.Image, optional
        Whose objects they will be; only named in messages.

    Raises
    ------
    LayerError
        It says how to get a layer that can be written to.
    """
    if not isinstance(labels, Labels):
        raise LayerError(
            f"{labels!r} cannot take objects; choose a Labels layer, or a new one."
        )
    data = labels.data
    copy = (
        f"make a copy in memory: viewer.add_labels(numpy.array("
        f"viewer.layers[{labels.name!r}].data), ...), or choose a new layer"
    )
    if labels.multiscale:
        copy = copy.replace("].data)", "].data[0])")
        reason = "is multiscale, and napari cannot edit such layers"
    elif hasattr(data, "__dask_graph__"):
        reason = "is computed by dask, so that it cannot be written to"
    elif _is_read_only(data):
        reason = "is read-only"
        copy = f"open its file for writing (mode 'r+'), or {copy}"
    elif not labels.editable:
        reason = "is set not to be edited"
        copy = f"set viewer.layers[{labels.name!r}].editable = True"
    else:
        return
    of_image = "" if image is None else f" for the objects of {image.name!r}"
    raise LayerError(f"The layer {labels.name!r} {reason}; {copy}{of_image}.")


def check_id(labels: Labels, number: int) -> None:
    """Refuse a number that the layer cannot hold.

    Raises
    ------
    LayerError
        It says how to make room.
    """
    dtype = np.dtype(labels.data.dtype)
    largest = int(np.iinfo(dtype).max)
    if not 1 <= number <= largest:
        raise LayerError(
            f"The layer {labels.name!r} holds numbers of the type {dtype}, 1 to "
            f"{largest}, but the object would get {number}; convert the layer to a "
            "wider type (right-click on it: Convert data type), or choose another one."
        )


def set_pixels(
    labels: Labels, window: Window, changed: NDArray[np.bool_], values: NDArray[Any]
) -> None:
    """Write pixels as one step of the layer's history.

    Parameters
    ----------
    labels : napari.layers.Labels
        That `check_labels` has nothing against.
    window : Window
        Part of its data.
    changed : ndarray of the window's shape and dtype bool
        The pixels, one at least.
    values : ndarray of shape (N,) and the data's dtype
        What they become, row by row.

    Raises
    ------
    LayerError
        If the array turns out not to be writable; nothing has changed then.
    """
    is_numpy = isinstance(labels.data, np.ndarray)
    if not is_numpy:
        _try_writing(labels, window)
    if not is_numpy and not _takes_index_arrays(labels.data, window):
        _assign(labels, window, changed, values)
        return
    # napari writes to what it shows, too; it fails over layers that were hidden
    # or are still being loaded, as there is nothing yet, or of another type.
    was_loaded = labels.loaded
    if not (labels.visible and was_loaded):
        labels.set_view_slice()
    with labels.block_history():
        _set_bands(labels, window, changed, values)
    if not was_loaded:
        labels.refresh()  # what is being loaded may have been read before


def _set_bands(
    labels: Labels, window: Window, changed: NDArray[np.bool_], values: NDArray[Any]
) -> None:
    """Call napari once, or once for each band of a large object."""
    counts = np.count_nonzero(changed, axis=1)
    band_of_row = (np.cumsum(counts) - 1) // _BAND
    bands = np.unique(band_of_row[counts > 0])
    done = 0
    for band in bands:
        rows = np.flatnonzero((band_of_row == band) & (counts > 0))
        first, last = int(rows[0]), int(rows[-1]) + 1
        in_rows, in_cols = np.nonzero(changed[first:last])
        indices = window.indices(in_rows + first, in_cols)
        part = values[done : done + len(in_rows)]
        done += len(in_rows)
        labels.data_setitem(indices, part, refresh=bool(band == bands[-1]))


def _assign(
    labels: Labels, window: Window, changed: NDArray[np.bool_], values: NDArray[Any]
) -> None:
    """Write to an array that only knows slices; napari cannot undo that."""
    pixels = window.read(labels.data).copy()
    pixels[changed] = values
    labels.data[window.key] = window.turned(pixels)
    labels.refresh()


def _is_read_only(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return not data.flags.writeable
    # zarr says so itself, h5py's file does.
    mode = getattr(getattr(data, "file", None), "mode", None)
    return bool(getattr(data, "read_only", False)) or mode == "r"


def _pixel(window: Window) -> Window:
    row, col = window.box[:2]
    return Window(window.axes, window.index, (row, col, row + 1, col + 1))


def _try_writing(labels: Labels, window: Window) -> None:
    """Write a pixel as it is: only this shows whether an array can be written to."""
    key = _pixel(window).key
    try:
        labels.data[key] = np.asarray(labels.data[key])
    except Exception as error:
        raise LayerError(
            f"The layer {labels.name!r} cannot be written to ({error}); open its file "
            "for writing, or choose a new layer."
        ) from error


def _takes_index_arrays(data: Any, window: Window) -> bool:
    """Tell whether an array can be indexed with one array per axis, as numpy's."""
    zero = np.zeros(1, np.intp)
    try:
        return np.shape(data[_pixel(window).indices(zero, zero)]) == (1,)
    except Exception:  # noqa: BLE001 - arrays of other libraries raise anything
        return False
