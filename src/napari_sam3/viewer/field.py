"""The part of a plane that the viewer shows."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.geometry import data_to_world

__all__ = ["Field", "view_side", "visible_field"]

#: ``(row0, col0, row1, col1)`` in pixels of a plane.
Field = tuple[float, float, float, float]


def visible_field(viewer: ViewerModel, image: Image, plane: Plane) -> Field | None:
    """Return the part of a plane that lies in the canvas.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Which shows the plane.
    image : napari.layers.Image
        Of the plane.
    plane : Plane
        That is shown.

    Returns
    -------
    tuple of float or None
        ``(row0, col0, row1, col1)``, whole pixels, of the smallest upright box that
        holds it; None if the canvas shows nothing of the plane.
    """
    places = _canvas_corners(viewer, image, plane)
    if places is None:
        return None
    limits = _limits(image, plane)
    # A pixel's centre has whole numbers, its edges lie half a pixel away.
    low = np.clip(np.floor(places.min(axis=0) + 0.5), 0, limits)
    high = np.clip(np.ceil(places.max(axis=0) + 0.5), 0, limits)
    if (high <= low).any():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def view_side(viewer: ViewerModel, image: Image, plane: Plane) -> float | None:
    """Return how far the user has zoomed in, whatever part of the plane is shown.

    Parameters
    ----------
    viewer, image, plane
        As in `visible_field`.

    Returns
    -------
    float or None
        Shorter side of the canvas in pixels of the plane, whole ones; not more than
        the plane has. None if the canvas has no size.
    """
    places = _canvas_corners(viewer, image, plane)
    if places is None:
        return None
    sides = np.minimum(np.ptp(places, axis=0), _limits(image, plane))
    return max(1.0, float(np.round(sides.min())))


def _canvas_corners(
    viewer: ViewerModel, image: Image, plane: Plane
) -> NDArray[np.float64] | None:
    """Return (row, col) of the canvas's corners in a plane."""
    camera, dims = viewer.scene.camera, viewer.dims
    if not camera.zoom > 0:
        return None
    half = np.array(viewer.canvas.size, np.float64) / camera.zoom / 2
    middle = np.array(camera.center, np.float64)[-2:]
    corners = middle + half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    to_world = data_to_world(image, dims.units).on(plane.axes)
    places: NDArray[np.float64] = to_world.inverse()(corners)
    return places if np.isfinite(places).all() else None


def _limits(image: Image, plane: Plane) -> list[int]:
    """Return (rows, columns) of a plane."""
    data = image.data[0] if image.multiscale else image.data
    return [data.shape[axis] for axis in plane.axes]
