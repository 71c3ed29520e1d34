"""The plane of an image that is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import Dims, ViewerModel
from napari.layers import Layer
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.geometry import check_unmixed, unit_factors

__all__ = [
    "HALF_A_PLANE",
    "hidden_axes",
    "shown_plane",
    "to_data",
    "to_plane_px",
]

#: How far from a plane what belongs to it may lie. napari shows points up to half
#: a step away, both ends included; the rest is for rounding.
HALF_A_PLANE = 0.5 + 1e-6


def shown_plane(viewer: ViewerModel, layer: Layer) -> Plane:
    """Return the plane of a layer that the viewer shows.

    Of a thick slice it is the plane in the middle. No pixel is read.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Or napari's proxy of it, as all layers here may be.
    layer : napari.layers.Layer
        With at least two axes, besides the one of the colours.

    Returns
    -------
    Plane
        Its axes in the order in which they are shown: down, then right.

    Raises
    ------
    LayerError
        If what is shown is not one plane of the layer's data.
    """
    dims = viewer.dims
    axes = _shown_axes(dims, layer)
    check_unmixed(layer, axes)
    point = _slider(dims, layer)
    index: list[int | None] = [None] * layer.ndim
    shape = _full_resolution(layer).shape
    for axis in hidden_axes(layer.ndim, axes):
        # Half-way values go to the even number, as in napari's own slicing.
        at = int(np.round(point[axis]))
        if not 0 <= at < shape[axis]:
            raise LayerError(
                f"The viewer shows no plane of {layer.name!r}: axis {axis} has the "
                f"planes 0 to {shape[axis] - 1}, and the slider is at {at}; move "
                "the slider until the image appears."
            )
        index[axis] = at
    return Plane(axes, tuple(index))


def to_plane_px(
    plane: Plane, points_data: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Bring an image's data coordinates to (row, col) of one of its planes.

    Parameters
    ----------
    plane : Plane
        Of an image with ndim axes.
    points_data : array_like of shape (N, ndim)
        Pixel centres have whole numbers.

    Returns
    -------
    points_px : ndarray of shape (N, 2) and dtype float64
        (row, col) of all of them.
    on_plane : ndarray of shape (N,) and dtype bool
        Which of them lie on the plane: at most half a step away, as napari shows
        points. What lies just between two planes is on both.
    """
    points = np.asarray(points_data, np.float64).reshape(-1, plane.ndim)
    hidden = list(hidden_axes(plane.ndim, plane.axes))
    at = np.array([plane.index[axis] for axis in hidden], np.float64)
    near = np.abs(points[:, hidden] - at) <= HALF_A_PLANE
    return points[:, list(plane.axes)], np.all(near, axis=1)


def to_data(plane: Plane, points_px: ArrayLike) -> NDArray[np.float64]:
    """Bring (row, col) of a plane to data coordinates of its image.

    Parameters
    ----------
    plane : Plane
        Of an image with ndim axes.
    points_px : array_like of shape (N, 2)
        (row, col).

    Returns
    -------
    ndarray of shape (N, ndim) and dtype float64
        In the middle of the plane.
    """
    points = np.asarray(points_px, np.float64).reshape(-1, 2)
    middle = [0.0 if at is None else float(at) for at in plane.index]
    data = np.tile(middle, (len(points), 1))
    data[:, list(plane.axes)] = points
    return data


def hidden_axes(ndim: int, axes: tuple[int, int]) -> tuple[int, ...]:
    """Return the axes that are not shown, in their order."""
    return tuple(axis for axis in range(ndim) if axis not in axes)


def _shown_axes(dims: Dims, layer: Layer) -> tuple[int, int]:
    if dims.ndisplay != 2:
        raise LayerError(
            "The viewer shows 3D, where a click is on no plane; switch to 2D with "
            "the button below the layer list (viewer.dims.ndisplay = 2)."
        )
    if layer.ndim < 2:
        raise LayerError(
            f"{layer.name!r} has {layer.ndim} axis; choose an image with rows and "
            "columns."
        )
    # A layer's axes are the last ones of the viewer.
    lacking = dims.ndim - layer.ndim
    if lacking < 0:
        raise LayerError(
            f"{layer.name!r} has more axes than the viewer shows; add it to the viewer."
        )
    row, col = (axis - lacking for axis in dims.displayed)
    if min(row, col) < 0:
        raise LayerError(
            f"The viewer shows an axis that {layer.name!r} lacks; roll or transpose "
            "the axes until its rows and columns are shown "
            f"(viewer.dims.order = {tuple(range(dims.ndim))})."
        )
    return row, col


def _slider(dims: Dims, layer: Layer) -> NDArray[np.float64]:
    """Return where the sliders stand, in the layer's data coordinates."""
    point = np.array(dims.point, np.float64)[-layer.ndim :]
    if dims.units is not None:
        point = point / unit_factors(layer.units, dims.units)
    return np.asarray(layer.world_to_data(point))


def _full_resolution(layer: Layer) -> Any:
    return layer.data[0] if layer.multiscale else layer.data
