"""Writing the data of a Labels layer, whatever kind of array it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.label_grid import Window
from napari_sam3.viewer.label_overlay import OverlaidArray, is_lazy
from napari_sam3.viewer.label_pyramid import levels_of, write_levels

__all__ = ["check_id", "check_labels", "open_labels", "set_pixels"]

#: Pixels written at a time. napari makes several temporary arrays of indices; to
#: ask the system for tens of megabytes, again and again, is what takes longest.
_BAND = 2**17
#: Pixels of a plane that may be read so that napari can undo what is written while
#: it shows nothing: what it cannot undo, its undo of earlier strokes might undo.
_PLANE = 2**24


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
    name = f"viewer.layers[{labels.name!r}]"
    levels = levels_of(labels)
    # What dask computes is never written to: `open_labels` lays an array over it.
    read_only = [at for at, one in enumerate(levels) if _is_read_only(one)]
    if read_only:
        data = f"{name}.data[0]" if labels.multiscale else f"{name}.data"
        reason = "is read-only"
        if labels.multiscale and len(read_only) < len(levels):
            reason = f"has a size that is read-only (number {read_only[0]})"
        remedy = (
            "open its file for writing (mode 'r+'), or make a copy in memory: "
            f"viewer.add_labels(numpy.array({data}), ...), or choose a new layer"
        )
    elif not (labels.editable or labels.multiscale):
        reason = "is set not to be edited"
        remedy = f"set {name}.editable = True"
    else:
        return
    of_image = "" if image is None else f" for the objects of {image.name!r}"
    raise LayerError(f"The layer {labels.name!r} {reason}; {remedy}{of_image}.")


def open_labels(labels: Labels) -> None:
    """Make labels that dask computes ready to be written to; others are left alone.

    The layer's data becomes an `OverlaidArray`, or several: what is written lies in
    memory over what is computed, and no file is changed. The user is told once.

    Parameters
    ----------
    labels : napari.layers.Labels
        That `check_labels` has nothing against.
    """
    levels = levels_of(labels)
    if not any(is_lazy(one) for one in levels):
        return
    over = [OverlaidArray(one) if is_lazy(one) else one for one in levels]
    labels.data = over if labels.multiscale else over[0]
    show_info(
        f"The labels of {labels.name!r} are computed by dask. What you write lies over "
        "them in memory, and no file is changed: save the labels to keep it."
    )


def check_id(labels: Labels, number: int) -> None:
    """Refuse a number that the layer cannot hold.

    Raises
    ------
    LayerError
        It says how to make room.
    """
    dtypes = [np.dtype(level.dtype) for level in levels_of(labels)]
    dtype = min(dtypes, key=lambda one: int(np.iinfo(one).max))
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
    """Write pixels as one step of the layer's history, if napari can undo it.

    It cannot in multiscale layers, in arrays that know slices alone (h5py's), and in
    hidden planes of more than 16 million pixels, which would have to be read for it.

    Parameters
    ----------
    labels : napari.layers.Labels
        That `check_labels` has nothing against, after `open_labels`.
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
    if labels.multiscale:
        _set_levels(labels, window, changed, values)
        return
    data = labels.data
    if not isinstance(data, np.ndarray | OverlaidArray):
        _try_writing(labels, window)
        if not _takes_index_arrays(data, window):
            _set_levels(labels, window, changed, values)
            return
    # napari writes to what it shows, too; it fails over layers that were hidden
    # or are still being loaded, as there is nothing yet, or of another type.
    was_loaded = labels.loaded
    if not (labels.visible and was_loaded):
        if _plane_size(data, window) > _PLANE:
            _set_levels(labels, window, changed, values)
            return
        labels.set_view_slice()
    with labels.block_history():
        _set_bands(labels, window, changed, values)
    if not was_loaded:
        labels.refresh()  # what is being loaded may have been read before


def _plane_size(data: Any, window: Window) -> int:
    rows, cols = (int(data.shape[axis]) for axis in window.axes)
    return rows * cols


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


def _set_levels(
    labels: Labels, window: Window, changed: NDArray[np.bool_], values: NDArray[Any]
) -> None:
    """Write to arrays of which napari knows no undo: it goes by slices alone."""
    try:
        former = write_levels(levels_of(labels), window, changed, values)
    except Exception as error:
        raise _not_writable(labels, error) from error
    # What else follows the layer, such as other panels, learns of it as of napari's
    # own strokes; but it is no step of napari's history.
    labels.events.paint(value=[_stroke(window, changed, former, values)])
    labels.refresh(extent=False, highlight=False)


def _stroke(
    window: Window,
    changed: NDArray[np.bool_],
    former: NDArray[Any],
    values: NDArray[Any],
) -> tuple[tuple[slice, ...], NDArray[np.bool_], NDArray[Any], NDArray[Any]]:
    """Return what napari tells of a stroke: box, mask, and pixels before and after."""
    box = tuple(
        one if isinstance(one, slice) else slice(one, one + 1) for one in window.key
    )
    flat = [axis for axis in range(len(box)) if axis not in window.axes]
    mask = window.turned(changed)
    before = window.turned(former)[mask]
    if mask is not changed:  # in the order of the data
        pixels = np.empty(changed.shape, values.dtype)
        pixels[changed] = values
        values = window.turned(pixels)[mask]
    return box, np.expand_dims(mask, flat), before, values


def _is_read_only(data: Any) -> bool:
    if is_lazy(data):
        return False
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
        raise _not_writable(labels, error) from error


def _not_writable(labels: Labels, error: Exception) -> LayerError:
    return LayerError(
        f"The layer {labels.name!r} cannot be written to ({error}); open its file "
        "for writing, or choose a new layer."
    )


def _takes_index_arrays(data: Any, window: Window) -> bool:
    """Tell whether an array can be indexed with one array per axis, as numpy's."""
    zero = np.zeros(1, np.intp)
    try:
        return np.shape(data[_pixel(window).indices(zero, zero)]) == (1,)
    except Exception:  # noqa: BLE001 - arrays of other libraries raise anything
        return False
