"""What the user wants the model to see of the layers: contrast and channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError, LayerError, StateError
from napari_sam3.core.look import MAX_CHANNELS, Look, Tint, ramp
from napari_sam3.core.record import Plane
from napari_sam3.viewer.placement import place

__all__ = ["CONTRASTS", "Sight", "channel_names", "channel_planes", "look_of"]

#: As the layer is shown, or robust percentiles.
CONTRASTS = ("shown", "percentiles")

#: Colours of the planes of a channel axis, by how many they are. The layer's own
#: colormap would give all of them the same.
_AXIS_COLOURS = {
    2: ((255, 0, 255), (0, 255, 0)),
    3: ((255, 0, 0), (0, 255, 0), (0, 0, 255)),
}

#: How far, in pixels, the corners of two channels may lie apart.
_APART = 0.01


@dataclass(frozen=True, slots=True)
class Sight:
    """What the model is to see of an image.

    Parameters
    ----------
    contrast : {"shown", "percentiles"}, optional
        Contrast limits and gamma as the layers are shown, or limits that leave out
        the darkest and the brightest 0.1 %. 8-bit values stay as they are then.
    channels : tuple of uuid.UUID, optional
        ``unique_id`` of further image layers that are blended with the image; its own
        may be among them, and makes no difference.
    channel_axis : int, optional
        Axis of the image whose planes are blended, instead of layers.
    channel_indices : tuple of int, optional
        Which of them; by default the first three.
    inverted : bool, optional
        Whether dark and bright are exchanged at last.

    Raises
    ------
    StateError
        If a value is none of these, or they contradict each other.
    """

    contrast: str = "shown"
    channels: tuple[UUID, ...] = ()
    channel_axis: int | None = None
    channel_indices: tuple[int, ...] = ()
    inverted: bool = False

    def __post_init__(self) -> None:
        """Bring numbers to Python's, and refuse what cannot be meant."""
        if self.contrast not in CONTRASTS:
            raise StateError(
                f"The contrast is {self.contrast!r}; give 'shown' or 'percentiles'."
            )
        axis = self.channel_axis
        object.__setattr__(self, "channel_axis", None if axis is None else int(axis))
        object.__setattr__(self, "channels", tuple(dict.fromkeys(self.channels)))
        indices = tuple(dict.fromkeys(int(i) for i in self.channel_indices))
        object.__setattr__(self, "channel_indices", indices)
        object.__setattr__(self, "inverted", bool(self.inverted))
        if axis is not None and self.channels:
            raise StateError(
                "Channels are either layers or planes of an axis; give one of them."
            )
        if axis is None and indices:
            raise StateError(
                f"The channels {indices} are of no axis; give the axis, too."
            )
        if max(len(indices), len(self.channels)) > MAX_CHANNELS:
            raise StateError(f"Too many channels; choose up to {MAX_CHANNELS}.")


def channel_planes(
    viewer: ViewerModel, image: Image, plane: Plane, sight: Sight
) -> tuple[tuple[Image, Plane], ...]:
    """Return which planes are blended. No pixel is read.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        That has the layers.
    image : napari.layers.Image
        That is segmented.
    plane : Plane
        Of the image's data.
    sight : Sight
        What is wanted.

    Returns
    -------
    tuple of (napari.layers.Image, Plane)
        One to three. Of layers the image's own is the first; the others' planes lie
        where the image's does, pixel upon pixel. Those of a channel axis are in the
        order of their indices, and the image's own index on that axis does not count.

    Raises
    ------
    LayerError
        If a layer is gone or is no channel for this plane, or the axis has no such
        planes.
    """
    if sight.channel_axis is not None:
        return _planes_of_axis(image, plane, sight)
    channels = [(image, plane)]
    for layer_id in sight.channels:
        if layer_id != image.unique_id:
            layer = _listed(viewer, layer_id)
            channels.append((layer, _plane_beside(layer, image, plane)))
    if len(channels) > MAX_CHANNELS:
        raise LayerError(
            f"{image.name!r} and {len(channels) - 1} other layers are more than "
            f"{MAX_CHANNELS} channels; choose fewer under What the model sees "
            "(session.channels)."
        )
    return tuple(channels)


def channel_names(channels: Sequence[tuple[Image, Plane]]) -> tuple[str, ...]:
    """Name channels, for people and for records.

    Parameters
    ----------
    channels : sequence of (napari.layers.Image, Plane)
        As `channel_planes` returns them.

    Returns
    -------
    tuple of str
        The layers' names; of planes of one layer with their indices. Empty if there is
        one channel only.
    """
    if len(channels) < 2:
        return ()
    names = [layer.name for layer, _ in channels]
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(
        f"{layer.name} {list(plane.index)}".replace("None", ":")
        for layer, plane in channels
    )


def look_of(channels: tuple[tuple[Image, Plane], ...], sight: Sight) -> Look:
    """Return how channels become RGB. No pixel is read.

    Parameters
    ----------
    channels : tuple of (napari.layers.Image, Plane)
        As `channel_planes` returns them.
    sight : Sight
        What is wanted.

    Returns
    -------
    Look
        Of 8-bit RGB that is shown as it is ``Look(())``; of other RGB one tint for all
        its colours. Limits are missing where percentiles are wanted, and where the
        layer's are no use.

    Raises
    ------
    LayerError
        If a layer's gamma or colormap is no use.
    """
    first = channels[0][0]
    if first.rgb:
        return _look_of_rgb(first, sight)
    is_axis = len({layer.unique_id for layer, _ in channels}) < len(channels)
    colours: list[bytes | None]
    if is_axis:
        colours = [ramp(colour) for colour in _AXIS_COLOURS[len(channels)]]
    else:
        colours = [_colormap(layer) for layer, _ in channels]
    tints = [
        _tint(layer, sight, colour)
        for (layer, _), colour in zip(channels, colours, strict=True)
    ]
    return Look(tuple(tints), sight.inverted)


def _planes_of_axis(
    image: Image, plane: Plane, sight: Sight
) -> tuple[tuple[Image, Plane], ...]:
    axis = sight.channel_axis
    if image.rgb:
        raise _not_rgb(image)
    if axis is None or not -image.ndim <= axis < image.ndim:
        raise LayerError(
            f"{image.name!r} has {image.ndim} axes and no axis {axis}; choose another "
            "under What the model sees (session.channels)."
        )
    axis %= image.ndim
    if axis in plane.axes:
        raise LayerError(
            f"Axis {axis} of {image.name!r} is shown as rows or columns, so its planes "
            "are no channels; roll the axes, or set session.channels = None."
        )
    size = int(_full_shape(image)[axis])
    indices = sight.channel_indices or tuple(range(min(size, MAX_CHANNELS)))
    if not all(0 <= i < size for i in indices):
        raise LayerError(
            f"Axis {axis} of {image.name!r} has the planes 0 to {size - 1}, not all of "
            f"{indices}; choose others under What the model sees (session.channels)."
        )
    return tuple((image, _with_index(plane, axis, i)) for i in indices)


def _with_index(plane: Plane, axis: int, at: int) -> Plane:
    index = list(plane.index)
    index[axis] = at
    return Plane(plane.axes, tuple(index))


def _listed(viewer: ViewerModel, layer_id: UUID) -> Image:
    for layer in viewer.layers:
        if layer.unique_id == layer_id:
            return layer
    raise LayerError(
        "A layer that is blended with the image is gone; choose the channels again "
        "under What the model sees, or set session.channels = None."
    )


def _plane_beside(layer: Image, image: Image, plane: Plane) -> Plane:
    """Return the plane of another layer that lies where the image's does."""
    for each in (image, layer):
        if each.rgb:
            raise _not_rgb(each)
    remedy = "take it out of the channels (session.channels), or resample it."
    if layer.ndim > image.ndim:
        raise LayerError(
            f"{layer.name!r} has more axes than {image.name!r}; segment the one with "
            f"more axes, or {remedy}"
        )
    placement = place(layer, image, plane)
    sizes = _full_shape(layer)
    shape = tuple(int(sizes[axis]) for axis in placement.axes)
    own = tuple(int(_full_shape(image)[axis]) for axis in plane.axes)
    if shape != own:
        raise LayerError(
            f"{layer.name!r} has {shape[0]} x {shape[1]} pixels and {image.name!r} "
            f"{own[0]} x {own[1]}, so they cannot be blended; {remedy}"
        )
    corners = np.array([(0, 0), (0, own[1]), (own[0], 0), own], np.float64)
    if np.abs(placement.to_pixels(corners) - corners).max() > _APART:
        raise LayerError(
            f"{layer.name!r} does not lie pixel upon pixel over {image.name!r}: their "
            f"scale, place or units differ; give both the same, or {remedy}"
        )
    index: list[int | None] = [None] * layer.ndim
    hidden = [axis for axis in range(layer.ndim) if axis not in placement.axes]
    for axis, depth in zip(hidden, placement.depth, strict=True):
        at = int(np.round(depth))
        if not 0 <= at < sizes[axis]:
            raise LayerError(
                f"{layer.name!r} has no plane where {image.name!r} is shown; move the "
                f"slider, or {remedy}"
            )
        index[axis] = at
    return Plane(placement.axes, tuple(index))


def _not_rgb(layer: Image) -> LayerError:
    return LayerError(
        f"{layer.name!r} is RGB and has its own colours, so it cannot be blended; "
        "choose grey layers as channels, or set session.channels = None."
    )


def _full_shape(layer: Image) -> tuple[int, ...]:
    """Return the shape at full resolution."""
    return tuple((layer.data[0] if layer.multiscale else layer.data).shape)


def _look_of_rgb(image: Image, sight: Sight) -> Look:
    is_byte = np.dtype(image.dtype) == np.uint8
    tint = _tint(image, sight, None)
    if is_byte and tint in (Tint(), Tint((0, 255))):
        return Look((), sight.inverted)
    return Look((tint,), sight.inverted)


def _tint(layer: Image, sight: Sight, colours: bytes | None) -> Tint:
    try:
        if sight.contrast == "percentiles":
            return Tint(None, 1.0, colours)
        return Tint(_limits(layer), layer.gamma, colours)
    except ImageError as error:
        raise LayerError(f"{layer.name!r} cannot be shown: {error}") from error


def _limits(layer: Image) -> tuple[float, float] | None:
    """Return the contrast limits, None if they are not finite."""
    low, high = (float(limit) for limit in layer.contrast_limits)
    return (low, high) if np.isfinite((low, high)).all() else None


def _colormap(layer: Image) -> bytes:
    """Return the layer's colours from low to high; clear ones are over black."""
    rgba = np.asarray(layer.colormap.map(np.linspace(0, 1, 256)), np.float64)
    rgb: NDArray[np.float64] = np.clip(rgba[:, :3] * rgba[:, 3:], 0, 1) * 255
    return (rgb + 0.5).astype(np.uint8).tobytes()
