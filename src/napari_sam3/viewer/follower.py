"""The image that is segmented, and which plane of it the viewer shows."""

from __future__ import annotations

import weakref
from dataclasses import replace
from itertools import count
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Layer
from psygnal import Signal

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.look import Look
from napari_sam3.viewer.label_pyramid import full_size
from napari_sam3.viewer.looks import Sight, channel_names, channel_planes, look_of
from napari_sam3.viewer.planes import shown_plane
from napari_sam3.viewer.sources import (
    PlaneKey,
    PlaneSource,
    is_in_memory,
    plane_source,
)

__all__ = ["PLACE_EVENTS", "ImageFollower", "check_listed", "real"]

PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
_DIMS_EVENTS = ("current_step", "ndisplay", "order", "units")

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
    sight : Sight
        How the model sees the image.
    whole : bool
        Whether it sees the whole plane at once, instead of windows of it.
    lost : Signal
        An image left the viewer, or got other data, or nobody follows it any more:
        its ``unique_id``.
    """

    moved = Signal()
    lost = Signal(object)

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.ref(viewer)
        self._image: Image | None = None
        self._stamp = self._edition = next(_STAMPS)
        self.sight = Sight()
        self.whole = False
        self._others: list[Image] = []
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
        self._stamp = self._edition = next(_STAMPS)
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
        return self.source_of(plane)

    def source_of(
        self, plane: Plane, look: Look | None = None, image: Image | None = None
    ) -> PlaneSource:
        """Return any plane of the image.

        Parameters
        ----------
        plane : Plane
            Of its data.
        image : napari.layers.Image, optional
            Another one of the viewer's images.
        look : Look, optional
            How it is seen; by default as `sight` says. One for another number of
            channels than there are is left aside.

        Raises
        ------
        LayerError
            If there is no image, no such plane, or a channel is gone.
        """
        viewer, image = self._viewer(), image or self._image
        if viewer is None or image is None:
            raise LayerError("There is no image; open one, or drop a file here.")
        channels = channel_planes(viewer, image, plane, self.sight)
        self._watch([layer for layer, _ in channels if layer is not image])
        now = look_of(channels, self.sight)
        if look is None or len(look.tints) != len(now.tints):
            look = now
        source = plane_source(image, plane, self._stamp, channels=channels, look=look)
        names = channel_names(channels)
        return replace(source, whole=self.whole, edition=self._edition, names=names)

    def key(self) -> PlaneKey | None:
        """Return the key of the shown plane, None if there is none."""
        viewer = self._viewer()
        if viewer is None or self._image is None:
            return None
        try:
            return PlaneKey(self._image.unique_id, shown_plane(viewer, self._image))
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

    def _watch(self, others: list[Image]) -> None:
        """Notice when the data of other channels changes."""
        if others == self._others:
            return
        for layer in self._others:
            layer.events.data.disconnect(self._on_other)
            layer.events.set_data.disconnect(self._on_drawn)
        self._others = others
        for layer in others:
            layer.events.data.connect(self._on_other)
            layer.events.set_data.connect(self._on_drawn)

    def _release(self) -> None:
        self._watch([])
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
        self._stamp = self._edition = next(_STAMPS)
        if self._image is not None:
            self.lost.emit(self._image.unique_id)
        self.moved.emit()

    def _on_other(self, event: Any = None) -> None:
        self._stamp = self._edition = next(_STAMPS)
        self.moved.emit()

    def _on_drawn(self, event: Any = None) -> None:
        # Editing an array in place is silent, but to be seen it must be drawn
        # anew. The engine then looks whether the pixels are still the same; lazy
        # arrays would have to be read for that, so they count as unchanged.
        layers = [self._image, *self._others] if self._image is not None else []
        if any(is_in_memory(full_size(layer.data)) for layer in layers):
            self._stamp = next(_STAMPS)

    def _on_moved(self, event: Any = None) -> None:
        self.moved.emit()
