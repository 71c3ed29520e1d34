"""How a layer of prompts lies over one plane of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from napari.layers import Layer
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.geometry import Affine, check_unmixed, data_to_world
from napari_sam3.viewer.planes import HALF_A_PLANE, hidden_axes

__all__ = ["Placement", "place"]


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Ways between a layer's data coordinates and (row, col) of a plane.

    Parameters
    ----------
    ndim : int
        Axes of the layer.
    axes : tuple of int
        Which of them are shown as rows and columns.
    to_pixels : Affine
        From these two to (row, col) of the plane.
    depth : ndarray of shape (ndim - 2,) and dtype float64
        Where the plane is on the layer's other axes.
    steps : ndarray of shape (k, ndim - 2) and dtype float64
        How many planes of the image, on its k other axes, one step along each of
        these is.
    """

    ndim: int
    axes: tuple[int, int]
    to_pixels: Affine
    depth: NDArray[np.float64]
    steps: NDArray[np.float64]

    def sees(self, data: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points belong to the plane.

        Those that napari shows on it, which are at most half a step of the layer's
        own coordinates away; and those that are at most half a plane of the image
        away, which can be clicked while it is shown.

        Parameters
        ----------
        data : array_like of shape (N, ndim)
            The layer's data coordinates.

        Returns
        -------
        ndarray of shape (N,) and dtype bool
            All, if the layer has no other axes.
        """
        hidden = list(hidden_axes(self.ndim, self.axes))
        away = np.asarray(data)[:, hidden] - self.depth
        is_shown = np.all(np.abs(away) <= HALF_A_PLANE, axis=1)
        is_near = np.all(np.abs(away @ self.steps.T) <= HALF_A_PLANE, axis=1)
        return is_shown | is_near

    def px(self, data: ArrayLike) -> NDArray[np.float64]:
        """Bring data coordinates, shape (N, ndim), to (row, col), shape (N, 2)."""
        return self.to_pixels(np.asarray(data)[:, list(self.axes)])

    def data(self, points_px: ArrayLike) -> NDArray[np.float64]:
        """Bring (row, col), shape (N, 2), to data coordinates, shape (N, ndim)."""
        points = np.asarray(points_px, np.float64).reshape(-1, 2)
        data = np.empty((len(points), self.ndim))
        data[:, list(self.axes)] = self.to_pixels.inverse()(points)
        data[:, list(hidden_axes(self.ndim, self.axes))] = self.depth
        return data


def place(
    layer: Layer, image: Layer, plane: Plane, *, by_numbers: bool = False
) -> Placement:
    """Lay a layer of prompts over a plane.

    Parameters
    ----------
    layer : napari.layers.Points or napari.layers.Shapes
        With any transform and units. It may lack the image's first axes; then
        what it holds is on all planes.
    image : napari.layers.Layer
        Whose plane it is.
    plane : Plane
        Of the image's data.
    by_numbers : bool, optional
        Whether units do not count; see `goes_by_numbers`.

    Returns
    -------
    Placement
        Valid until a transform changes.

    Raises
    ------
    LayerError
        If the layer has other axes than the image, or one of them is turned or
        sheared out of the plane.
    """
    lacking = image.ndim - layer.ndim
    row, col = (axis - lacking for axis in plane.axes)
    if lacking < 0 or min(row, col) < 0:
        raise LayerError(
            f"{layer.name!r} has {layer.ndim} axes and cannot lie over this plane of "
            f"{image.name!r}, which has {image.ndim}; make a new layer, with the "
            "image selected."
        )
    for each, axes in ((image, plane.axes), (layer, (row, col))):
        check_unmixed(each, axes)
    over = data_to_world(layer, None if by_numbers else image.units)
    under = data_to_world(image)
    to_pixels = over.on((row, col)).then(under.on(plane.axes).inverse())
    depth, steps = _depth(over, under, plane, (row, col))
    return Placement(layer.ndim, (row, col), to_pixels, depth, steps)


def _depth(
    over: Affine, under: Affine, plane: Plane, axes: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `depth` and `steps` of a `Placement`."""
    hidden = hidden_axes(plane.ndim, plane.axes)
    at = [plane.index[axis] for axis in hidden]
    own = over.on(hidden_axes(len(over.offset), axes))
    down = under.on(hidden)
    lacking = len(hidden) - len(own.offset)
    depth = own.inverse()(down(np.array(at, np.float64))[lacking:])
    steps = down.inverse().matrix[:, lacking:] @ own.matrix
    # What belongs between two planes must not hang on the last digit.
    whole = np.round(depth)
    return np.where(np.abs(depth - whole) < 1e-9, whole, depth), steps
