"""The image that is segmented, and which plane of it the viewer shows."""

from __future__ import annotations

import weakref
from itertools import count
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import Signal

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.planes import PlaneKey, PlaneSource, plane_source, shown_plane

__all__ = ["PLACE_EVENTS", "ImageFollower", "check_listed", "real"]

PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
_DIMS_EVENTS = ("current_step", "ndisplay", "order")

#: States of data, of all layers: no number is used twice.
_STAMPS = count()


def real(thing: Any) -> Any:
    """Return what napari's proxy for plugins stands for, or the thing itself.

    A proxy is a new object each time, so it can be neither remembered nor
    compared by identity.
    """
    return getattr(thing, "__wrapped__", thing)


def check_listed(viewer: ViewerModel | None, layer: Layer) -> None:
    """Raise a LayerError if a layer is not in the viewer that there is."""
    if viewer is not None and layer not in viewer.layers:
        raise LayerError(
            f"The layer {layer.name!r} is not in this viewer; add it first."
        )


class ImageFollower:
    """Follows one image layer of a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.

    Attributes
    ----------
    moved : Signal
        The image, its data, its place, or the plane that is shown changed.
    lost : Signal
        An image left the viewer, or got other data, or nobody follows it any more:
        its ``unique_id``.
    """

    moved = Signal()
    lost = Signal(object)

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.ref(viewer)
        self._image: Image | None = None
        self._stamp = next(_STAMPS)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        for name in _DIMS_EVENTS:
            getattr(viewer.dims.events, name).connect(self._on_moved)
        self.image = self._default()

    @property
    def image(self) -> Image | None:
        """The layer, or None if there is none."""
        return self._image

    @image.setter
    def image(self, layer: Image | None) -> None:
        layer = real(layer)
        viewer = self._viewer()
        if layer is not None:
            if not isinstance(layer, Image):
                raise LayerError(
                    f"{layer!r} is no image layer; choose one such as "
                    "viewer.layers['cells']."
                )
            check_listed(viewer, layer)
        if layer is self._image:
            return
        self._release()
        self._image = layer
        # What was done to it while nobody looked is not known.
        self._stamp = next(_STAMPS)
        if layer is not None:
            layer.events.data.connect(self._on_data)
            layer.events.set_data.connect(self._on_drawn)
            for name in PLACE_EVENTS:
                getattr(layer.events, name).connect(self._on_moved)
        self.moved.emit()

    @property
    def stamp(self) -> int:
        """Number of the state that the data is in; new data, new number."""
        return self._stamp

    def source(self) -> PlaneSource:
        """Return the plane that is shown.

        Returns
        -------
        PlaneSource
            No pixel is read yet.

        Raises
        ------
        LayerError
            If there is no image, or the viewer shows no plane of it.
        """
        viewer = self._viewer()
        if viewer is None or self._image is None:
            raise LayerError("There is no image; open one, or drop a file here.")
        plane = shown_plane(viewer, self._image)
        return plane_source(self._image, plane, self._stamp)

    def key(self) -> PlaneKey | None:
        """Return the key of the shown plane, None if there is none."""
        try:
            return self.source().key
        except LayerError:
            return None

    def close(self) -> None:
        """Let go of the viewer and the image. Idempotent."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.inserted.disconnect(self._on_inserted)
            viewer.layers.events.removed.disconnect(self._on_removed)
            for name in _DIMS_EVENTS:
                getattr(viewer.dims.events, name).disconnect(self._on_moved)
        layer = self._image
        self._release()
        if layer is not None:
            self.lost.emit(layer.unique_id)

    def _default(self) -> Image | None:
        """Return the selected image, else the topmost one that can be seen."""
        viewer = self._viewer()
        if viewer is None:
            return None
        active = viewer.layers.selection.active
        if isinstance(active, Image):
            return active
        images = [
            layer for layer in reversed(viewer.layers) if isinstance(layer, Image)
        ]
        seen = [layer for layer in images if layer.visible]
        return (seen or images or [None])[0]

    def _release(self) -> None:
        layer, self._image = self._image, None
        if layer is None:
            return
        layer.events.data.disconnect(self._on_data)
        layer.events.set_data.disconnect(self._on_drawn)
        for name in PLACE_EVENTS:
            getattr(layer.events, name).disconnect(self._on_moved)

    def _on_inserted(self, event: Any = None) -> None:
        if self._image is None:
            self.image = self._default()

    def _on_removed(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None and self._image not in (None, *viewer.layers):
            self.image = self._default()
        layer = real(getattr(event, "value", None))
        if isinstance(layer, Image):
            self.lost.emit(layer.unique_id)

    def _on_data(self, event: Any = None) -> None:
        self._stamp = next(_STAMPS)
        if self._image is not None:
            self.lost.emit(self._image.unique_id)
        self.moved.emit()

    def _on_drawn(self, event: Any = None) -> None:
        # Editing an array in place is silent, but to be seen it must be drawn
        # anew. The engine then looks whether the pixels are still the same; lazy
        # arrays would have to be read for that, so they count as unchanged.
        if self._image is not None and isinstance(self._image.data, np.ndarray):
            self._stamp = next(_STAMPS)

    def _on_moved(self, event: Any = None) -> None:
        self.moved.emit()
