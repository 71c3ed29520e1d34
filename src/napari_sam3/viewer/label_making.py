"""New Labels layers for images of any size."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import show_info
from numpy.typing import DTypeLike

from napari_sam3.viewer.label_store import empty_labels
from napari_sam3.viewer.stacking import above_pictures, insert_quietly, lying_on

__all__ = ["create_labels"]


def create_labels(
    viewer: ViewerModel, image: Image, dtype: DTypeLike = np.uint16
) -> Labels:
    """Add an empty Labels layer for the objects of an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        With the image. What the user has selected stays selected.
    image : napari.layers.Image
        The layer gets its shape (in full resolution, without colours), its place
        in the world, and its units.
    dtype : dtype, optional
        Of the labels.

    Returns
    -------
    napari.layers.Labels
        Above all images and labels, below the preview.

    Raises
    ------
    LayerError
        If there is no room for it.

    Notes
    -----
    Large ones are packed, and multiscale if the planes are large; see
    `empty_labels`. The user is told what that means.
    """
    data = image.data[0] if image.multiscale else image.data
    shape = tuple(int(size) for size in data.shape[: image.ndim])
    empty = empty_labels(shape, dtype, _shown_axes(viewer, image))
    is_multiscale = isinstance(empty, list)
    labels = Labels(
        empty,
        name=f"{image.name} objects",
        multiscale=is_multiscale,
        **lying_on(image),
    )
    insert_quietly(viewer, above_pictures(viewer), labels)
    if not isinstance(empty, np.ndarray) or isinstance(empty, np.memmap):
        _tell(labels)
    return labels


def _shown_axes(viewer: ViewerModel, image: Image) -> tuple[int, int] | None:
    """Return the image's axes that are shown as a plane, in the order of the data."""
    extra = viewer.dims.ndim - image.ndim
    first, second = sorted(axis - extra for axis in viewer.dims.order[-2:])
    return (first, second) if first >= 0 else None


def _tell(labels: Labels) -> None:
    """Say where large labels live, and what napari cannot do with them."""
    one = labels.data[0] if labels.multiscale else labels.data
    where = (
        "in a temporary file" if isinstance(one, np.memmap) else "packed, in memory,"
    )
    text = (
        f"{labels.name!r} is large, so it is kept {where} until napari is closed: "
        "save the labels to keep them."
    )
    if labels.multiscale:
        text += (
            " It has several sizes, so that it is drawn quickly. napari's own brush "
            "and undo cannot change such layers: correct objects with clicks."
        )
    show_info(text)
