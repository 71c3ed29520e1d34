"""The part of a plane that the viewer shows."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.geometry import data_to_world

__all__ = ["Field", "visible_field"]

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
    camera, dims = viewer.scene.camera, viewer.dims
    if not camera.zoom > 0:
        return None
    half = np.array(viewer.canvas.size, np.float64) / camera.zoom / 2
    middle = np.array(camera.center, np.float64)[-2:]
    corners = middle + half * np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)])
    to_world = data_to_world(image, dims.units).on(plane.axes)
    places = to_world.inverse()(corners)
    data = image.data[0] if image.multiscale else image.data
    limits = [data.shape[axis] for axis in plane.axes]
    # A pixel's centre has whole numbers, its edges lie half a pixel away.
    low = np.clip(np.floor(places.min(axis=0) + 0.5), 0, limits)
    high = np.clip(np.ceil(places.max(axis=0) + 0.5), 0, limits)
    if not np.isfinite([*low, *high]).all() or (high <= low).any():
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
