"""The frame around the part of a plane that the model saw."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Vectors

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.planes import to_data
from napari_sam3.viewer.stacking import (
    OWN_KEY,
    above_pictures,
    insert_quietly,
    lying_on,
)

__all__ = ["OUTLINE_NAME", "WindowOutline"]

OUTLINE_NAME = "SAM3 window"
_COLOR = "#ffb000"
#: Width of the lines, as a part of the window's longer side.
_LINE = 1 / 250


class WindowOutline:
    """Shows which window is in use, in a layer of its own.

    The layer comes when there is a window to show. Its eye is the user's: closed, it
    stays closed. If the user deletes it, it does not come again.
    """

    def __init__(self) -> None:
        self._viewer: weakref.ref[ViewerModel] | None = None
        self._layer: Vectors | None = None
        self._shown: tuple[Any, ...] | None = None
        self._placed: tuple[Any, ...] | None = None

    @property
    def layer(self) -> Vectors | None:
        """The layer, None if there is none in the viewer."""
        viewer = self._viewer() if self._viewer else None
        if viewer is None or self._layer is None or self._layer not in viewer.layers:
            return None
        return self._layer

    def show(
        self,
        viewer: ViewerModel,
        image: Image,
        plane: Plane,
        box: tuple[int, int, int, int],
    ) -> None:
        """Show a window in place of the one before; main thread.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            With the image.
        image : napari.layers.Image
            In whose pixels the window is.
        plane : Plane
            Of the image; the frame is seen on this plane only.
        box : tuple of int
            ``(row0, col0, row1, col1)``, half-open.
        """
        frame = (plane, box, _placing(image))
        if frame == self._shown or (self._layer is not None and self.layer is None):
            return
        layer = self._ready(real(viewer), image)
        row0, col0, row1, col1 = np.array(box) - 0.5
        corners = [(row0, col0), (row0, col1), (row1, col1), (row1, col0)]
        starts = to_data(plane, corners)
        ends = np.roll(starts, -1, axis=0)
        layer.data = np.stack([starts, ends - starts], axis=1)
        layer.edge_width = max(1.0, _LINE * max(row1 - row0, col1 - col0))
        self._shown = frame

    def hide(self) -> None:
        """Show none; the layer stays in the list."""
        layer, was_shown = self.layer, self._shown
        self._shown = None
        if layer is not None and was_shown is not None:
            layer.data = np.zeros((0, 2, layer.ndim))

    def remove(self) -> None:
        """Take the layer out of the viewer. Idempotent."""
        layer = self.layer
        viewer = self._viewer() if self._viewer else None
        self._layer = self._viewer = self._shown = None
        if layer is not None and viewer is not None:
            viewer.layers.remove(layer)

    def _ready(self, viewer: ViewerModel, image: Image) -> Vectors:
        """Return a layer under the image's transform."""
        layer = self.layer
        place = lying_on(image)
        if layer is not None and layer.ndim == image.ndim:
            # Each of these would be drawn.
            if self._placed == _placing(image):
                return layer
            self._placed = _placing(image)
            for name in ("scale", "translate", "rotate", "shear", "affine", "units"):
                setattr(layer, name, place[name])
            return layer
        self.remove()
        self._layer = Vectors(
            np.zeros((0, 2, image.ndim)),
            ndim=image.ndim,
            name=OUTLINE_NAME,
            edge_color=_COLOR,
            vector_style="line",
            opacity=0.8,
            metadata={OWN_KEY: {"role": "window"}},
            **place,
        )
        self._placed = _placing(image)
        self._viewer = weakref.ref(viewer)
        insert_quietly(viewer, above_pictures(viewer), self._layer)
        return self._layer


def _placing(image: Image) -> tuple[Any, ...]:
    """Return what says where an image lies."""
    arrays = ("scale", "translate", "rotate", "shear")
    numbers = [tuple(np.ravel(getattr(image, name)).tolist()) for name in arrays]
    affine = tuple(np.ravel(image.affine.affine_matrix).tolist())
    return image.unique_id, *numbers, affine, tuple(image.units)
