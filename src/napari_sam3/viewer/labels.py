"""Objects in a Labels layer: written as one step that can be undone, never lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.label_data import (
    check_id,
    check_labels,
    open_labels,
    set_pixels,
)
from napari_sam3.viewer.label_grid import LabelGrid, Window, label_grid
from napari_sam3.viewer.label_making import create_labels
from napari_sam3.viewer.label_overlay import OverlaidArray
from napari_sam3.viewer.label_pyramid import full_size
from napari_sam3.viewer.label_search import find_label
from napari_sam3.viewer.lookup import Box

__all__ = [
    "Edit",
    "Overlap",
    "check_id",
    "check_labels",
    "create_labels",
    "find_label",
    "revert",
    "write_object",
    "write_objects",
]


class Overlap(StrEnum):
    """Who gets the pixels that belong to another object already."""

    #: The other object keeps them.
    KEEP = "keep"
    #: The new object takes them.
    REPLACE = "replace"
    #: Only background is written, so that no object ever changes; one that is
    #: refined can grow, but not shrink.
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """Pixels of a Labels layer that were changed in one step.

    Parameters
    ----------
    window : Window
        The part of the layer's data that holds them.
    changed : ndarray of the window's shape and dtype bool
        Which ones.
    before, after : ndarray of shape (N,)
        What they were and what they became, row by row.
    """

    window: Window
    changed: NDArray[np.bool_]
    before: NDArray[Any]
    after: NDArray[Any]

    @property
    def size(self) -> int:
        """How many pixels changed."""
        return len(self.after)

    @property
    def indices(self) -> tuple[NDArray[np.intp], ...]:
        """The pixels as indices of the layer's data."""
        return self.window.indices(*np.nonzero(self.changed))


def write_object(
    labels: Labels,
    image: Image,
    plane: Plane,
    mask: NDArray[np.bool_],
    bbox: Box,
    label: int,
    overlap: Overlap = Overlap.KEEP,
    *,
    former: tuple[NDArray[np.bool_], Box] | None = None,
) -> Edit:
    """Write an object as one step of the layer's own history.

    Parameters
    ----------
    labels : napari.layers.Labels
        May lie and be scaled otherwise than the image: each of its pixels asks
        the nearest pixel of the mask.
    image : napari.layers.Image
        In whose pixels the mask is.
    plane : Plane
        Of the image.
    mask : ndarray of shape (h, w) and dtype bool
        The object's crop.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the plane, half-open.
    label : int
        The object's number.
    overlap : Overlap, optional
        Who gets pixels of other objects.
    former : tuple, optional
        Mask and box that the object had, as `find_label` gives them. Pixels of
        that number in either box which are not in the mask become background.

    Returns
    -------
    Edit
        What changed: nothing, if others keep all the pixels.

    Raises
    ------
    LayerError
        If the layer cannot take the object; nothing has changed then.
    """
    check_id(labels, label)
    grid = _writable_grid(labels, image, plane)
    window = grid.window(bbox, *([] if former is None else [former[1]]))
    inside = grid.sample(mask, bbox, window)
    _check_any(inside, labels)
    pixels = _pixels(grid.array, window)
    if overlap is Overlap.BACKGROUND:
        return _write(labels, window, inside & (pixels == 0), label)
    own = pixels == label
    taken = inside & ~own
    if overlap is Overlap.KEEP:
        taken &= pixels == 0
    left = own & ~inside
    if not left.any():
        return _write(labels, window, taken, label)
    changed = taken | left
    values = np.where(inside[changed], label, 0)
    return _write(labels, window, changed, values)


def write_objects(
    labels: Labels,
    image: Image,
    plane: Plane,
    ids: NDArray[Any],
    bbox: Box,
    overlap: Overlap = Overlap.KEEP,
    numbers: Mapping[int, int] | None = None,
) -> Edit:
    """Write many new objects as one step of the layer's own history.

    Parameters
    ----------
    labels, image, plane, bbox, overlap
        As in `write_object`.
    ids : ndarray of shape (h, w) and dtype int
        A crop of the image: 0, or an object's number.
    numbers : mapping of int to int, optional
        What numbers of ``ids`` become in the layer; those that it lacks are not
        written.

    Returns
    -------
    Edit
        What changed.

    Raises
    ------
    LayerError
        If the layer cannot take the objects; nothing has changed then.
    """
    grid = _writable_grid(labels, image, plane)
    window = grid.window(bbox)
    wanted = grid.sample(ids, bbox, window)
    if numbers is not None:
        table = np.zeros(int(wanted.max(initial=0)) + 1, np.int64)
        known = [one for one in numbers if 0 < one < len(table)]
        table[known] = [numbers[one] for one in known]
        wanted = table[wanted]
    inside = wanted != 0
    _check_any(inside, labels)
    for number in (int(wanted[inside].min()), int(wanted.max())):
        check_id(labels, number)
    pixels = _pixels(grid.array, window)
    free = pixels != wanted if overlap is Overlap.REPLACE else pixels == 0
    changed = inside & free
    return _write(labels, window, changed, wanted[changed])


def revert(labels: Labels, edit: Edit) -> Edit:
    """Take an edit back, but not what was done to its pixels since.

    Parameters
    ----------
    labels : napari.layers.Labels
        The layer that was edited.
    edit : Edit
        What was done to it.

    Returns
    -------
    Edit
        What changed now; to revert it does the edit again.

    Raises
    ------
    LayerError
        If the layer has other data meanwhile, or cannot be written.
    """
    check_labels(labels)
    if not edit.window.fits(labels.data.shape):
        raise LayerError(
            f"The layer {labels.name!r} has the shape {labels.data.shape} by now, so "
            "what was written before cannot be taken back; erase it by hand."
        )
    open_labels(labels)
    pixels = _pixels(full_size(labels.data), edit.window)
    untouched = pixels[edit.changed] == edit.after
    changed = edit.changed.copy()
    changed[edit.changed] = untouched
    return _write(labels, edit.window, changed, edit.before[untouched])


def _writable_grid(labels: Labels, image: Image, plane: Plane) -> LabelGrid:
    check_labels(labels)
    open_labels(labels)
    return label_grid(labels, image, plane)


def _pixels(array: Any, window: Window) -> NDArray[Any]:
    """Read a window that is to be written to."""
    if isinstance(array, OverlaidArray):
        array.hold(window.key)  # so that it is computed once
    return window.read(array)


def _check_any(inside: NDArray[np.bool_], labels: Labels) -> None:
    if not inside.any():
        raise LayerError(
            f"The object covers no pixel of the layer {labels.name!r}: it lies outside "
            "of it, or is smaller than its pixels; choose another Labels layer, or a "
            "new one."
        )


def _write(
    labels: Labels, window: Window, changed: NDArray[np.bool_], values: Any
) -> Edit:
    """Set the changed pixels of a window; values are one number, or one for each."""
    data = full_size(labels.data)
    before = window.read(data)[changed]
    after = np.empty(len(before), data.dtype)
    after[:] = values
    edit = Edit(window, changed, before, after)
    if edit.size:
        set_pixels(labels, window, changed, after)
    return edit
