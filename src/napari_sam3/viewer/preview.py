"""The mask that is not accepted yet: its value, and the layer that shows it."""

from __future__ import annotations

import weakref
from colorsys import hls_to_rgb
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.geometry import data_to_world
from napari_sam3.viewer.stacking import (
    OWN_KEY,
    above_pictures,
    insert_quietly,
    lying_on,
)

__all__ = ["PREVIEW_NAME", "Preview", "PreviewLayer"]

PREVIEW_NAME = "SAM3 preview"

#: Of a single object: seen on grey and on stained images.
_COLOR = (0.0, 0.85, 1.0, 1.0)
#: Hues of many objects, in turns: neighbours in the list are far apart. Without the
#: blues, which are dark, as images are where cells are stained.
_HUES = [0.8 * (0.5 + 0.618 * turn % 1) % 0.8 for turn in range(24)]
_MANY_COLORS = [
    (*hls_to_rgb(hue if hue < 0.58 else hue + 0.2, 0.62, 1.0), 1.0) for hue in _HUES
]
_OPACITY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """What the prompts of a plane give so far.

    Parameters
    ----------
    crop : ndarray of shape (h, w) and dtype bool or unsigned int
        The object's mask; or of many objects their numbers from 1, 0 for none.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the plane, half-open.
    shape : tuple of int
        (rows, columns) of the plane.
    score : float
        Predicted intersection over union with the true object, 0 to 1.
    candidate : int
        Which of the candidates it is, from 0.
    candidates : int
        How many there are.
    kept : bool
        Whether an earlier mask was kept because the new ones are worse.
    """

    crop: NDArray[Any]
    bbox: tuple[int, int, int, int]
    shape: tuple[int, int]
    score: float = 0.0
    candidate: int = 0
    candidates: int = 1
    kept: bool = False

    @property
    def is_many(self) -> bool:
        """Whether it shows numbered objects, and not one mask."""
        return self.crop.dtype != np.bool_

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask of the whole plane, of all objects together."""
        row0, col0, row1, col1 = self.bbox
        mask = np.zeros(self.shape, np.bool_)
        mask[row0:row1, col0:col1] = self.crop != 0
        return mask


class PreviewLayer:
    """Shows previews in a Labels layer of its own, as large as the crop.

    The layer comes with the first preview, above images and labels. If the user
    deletes it, it comes again with the next one.
    """

    def __init__(self) -> None:
        self._viewer: weakref.ref[ViewerModel] | None = None
        self._layer: Labels | None = None
        self._frame: tuple[Any, ...] = ()
        self._is_many = False

    @property
    def layer(self) -> Labels | None:
        """The layer, None if there is none in the viewer."""
        viewer = self._viewer() if self._viewer else None
        if viewer is None or self._layer is None or self._layer not in viewer.layers:
            return None
        return self._layer

    def show(
        self, viewer: ViewerModel, image: Image, plane: Plane, preview: Preview
    ) -> None:
        """Show a preview in place of the one before; main thread.

        Sliders, camera, selection and active layer stay as they are.

        Parameters
        ----------
        viewer : napari.components.ViewerModel
            With the image.
        image : napari.layers.Image
            In whose pixels the preview is.
        plane : Plane
            Of the image; the layer is seen on this plane only.
        preview : Preview
            What to show.
        """
        if not preview.crop.any():
            self.hide()
            return
        layer = self._ready(real(viewer), image)
        pixels = _in_all_axes(_small(preview.crop), plane)
        corner = _corner(plane, preview.bbox)
        with layer.events.blocker_all():
            recolored = preview.is_many != self._is_many
            if recolored:
                self._is_many = preview.is_many
                layer.colormap = _colormap(preview.is_many)
            layer.translate = _translate(image, corner)
            appeared = not layer.visible
            _put(layer, pixels, visible=True)
        _tell(layer, visible=appeared, colormap=recolored)

    def prepare(self, viewer: ViewerModel, image: Image) -> None:
        """Make the layer beforehand: adding one takes longer than a click should."""
        self._ready(real(viewer), image)

    def hide(self) -> None:
        """Show nothing; the layer stays in the list with its eye closed."""
        layer = self.layer
        if layer is None:
            return
        was_visible = layer.visible
        with layer.events.blocker_all():
            _put(layer, np.zeros((1,) * layer.ndim, np.uint8), visible=False)
        _tell(layer, visible=was_visible)

    def remove(self) -> None:
        """Take the layer out of the viewer. Idempotent."""
        layer = self.layer
        viewer = self._viewer() if self._viewer else None
        self._layer = self._viewer = None
        if layer is not None and viewer is not None:
            viewer.layers.remove(layer)

    def _ready(self, viewer: ViewerModel, image: Image) -> Labels:
        """Return a layer under the image's transform, above the image."""
        frame = _frame(image)
        layer = self.layer
        if (
            layer is not None
            and layer in viewer.layers
            and self._frame == frame
            # What is being loaded would show the mask before in the new place.
            and layer.loaded
            and viewer.layers.index(layer) > viewer.layers.index(image)
        ):
            return layer
        looks: dict[str, Any] = {}
        if layer is not None:
            looks = {"opacity": layer.opacity, "blending": layer.blending}
        self.remove()
        self._layer, self._frame = _make(image, looks), frame
        self._is_many = False
        self._viewer = weakref.ref(viewer)
        insert_quietly(viewer, above_pictures(viewer), self._layer)
        return self._layer


def _make(image: Image, looks: dict[str, Any]) -> Labels:
    """Make a layer without pixels. It is born hidden, so that nothing is loaded."""
    return Labels(
        np.zeros((1,) * image.ndim, np.uint8),
        name=PREVIEW_NAME,
        visible=False,
        colormap=_colormap(is_many=False),
        metadata={OWN_KEY: {"role": "preview"}},
        **lying_on(image),
        **{"opacity": _OPACITY, **looks},
    )


def _put(layer: Labels, pixels: NDArray[Any], *, visible: bool) -> None:
    """Give a layer pixels. All events are blocked.

    One by one, each attribute would be drawn, and would have the viewer compute
    its sliders anew. With `NAPARI_ASYNC=1` pixels would be drawn later than their
    place.
    """
    layer.data = pixels
    layer.editable = False  # napari makes it editable with each new array
    if layer.visible != visible:
        layer.visible = visible


def _tell(layer: Labels, *, visible: bool, colormap: bool = False) -> None:
    """Have what changed drawn, all at once."""
    layer.set_view_slice()
    layer.events.set_data()
    if colormap:
        layer.events.colormap()
    if visible:
        layer.events.visible()


def _frame(image: Image) -> tuple[Any, ...]:
    """Return what two images must share for a layer to be used for both."""
    matrices = (image.scale, image.rotate, image.shear, image.affine.affine_matrix)
    numbers = tuple(tuple(np.ravel(one).tolist()) for one in matrices)
    return (image.ndim, numbers, tuple(image.units), tuple(image.axis_labels))


def _translate(image: Image, corner: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the translation that puts a pixel (0, ...) where the corner is."""
    # The image's own affine comes after translate: without it the rest remains.
    linear = np.linalg.solve(image.affine.linear_matrix, data_to_world(image).matrix)
    return np.asarray(image.translate) + linear @ corner


def _corner(plane: Plane, bbox: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Return the first pixel of a box in all axes of the image."""
    corner = [0.0 if at is None else float(at) for at in plane.index]
    corner[plane.axes[0]], corner[plane.axes[1]] = bbox[:2]
    return np.array(corner)


def _in_all_axes(crop: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """Give a crop the axes of its image, those that are not shown of size 1."""
    ordered = crop.T if plane.axes[0] > plane.axes[1] else crop
    hidden = tuple(axis for axis, at in enumerate(plane.index) if at is not None)
    return np.expand_dims(ordered, hidden)


def _small(crop: NDArray[Any]) -> NDArray[Any]:
    """Return labels of the smallest type that holds them, the quickest to draw."""
    if crop.dtype == np.bool_:
        return crop.view(np.uint8)
    return crop.astype(np.min_scalar_type(int(crop.max())), copy=False)


def _colormap(is_many: bool) -> CyclicLabelColormap:
    if is_many:
        return CyclicLabelColormap(colors=[(0.0, 0.0, 0.0, 0.0), *_MANY_COLORS])
    # Not a DirectLabelColormap: for the first one numba compiles for seconds.
    return CyclicLabelColormap(colors=[(0.0, 0.0, 0.0, 0.0), _COLOR])
