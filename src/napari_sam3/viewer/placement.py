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
    """

    ndim: int
    axes: tuple[int, int]
    to_pixels: Affine
    depth: NDArray[np.float64]

    def sees(self, data: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points the layer shows on the plane.

        napari's rule for points: at most half a step of the layer's own
        coordinates away from the plane.

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
        away = np.abs(np.asarray(data)[:, hidden] - self.depth)
        return np.all(away <= HALF_A_PLANE, axis=1)

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


def place(layer: Layer, image: Layer, plane: Plane) -> Placement:
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
    over = data_to_world(layer, image.units)
    under = data_to_world(image)
    to_pixels = over.on((row, col)).then(under.on(plane.axes).inverse())
    return Placement(
        layer.ndim, (row, col), to_pixels, _depth(over, under, plane, (row, col))
    )


def _depth(
    over: Affine, under: Affine, plane: Plane, axes: tuple[int, int]
) -> NDArray[np.float64]:
    """Bring the plane's index to the layer's axes that are not shown."""
    hidden = hidden_axes(plane.ndim, plane.axes)
    at = [plane.index[axis] for axis in hidden]
    mine = hidden_axes(len(over.offset), axes)
    world = under.on(hidden)(np.array(at, np.float64))
    depth = over.on(mine).inverse()(world[len(hidden) - len(mine) :])
    # What belongs between two planes must not hang on the last digit.
    whole = np.round(depth)
    return np.where(np.abs(depth - whole) < 1e-9, whole, depth)
