"""What the model sees, as a session is told it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import index
from typing import Any, TypeAlias

import numpy as np
from napari.layers import Image

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.viewer.bench import Bench
from napari_sam3.viewer.follower import check_listed, real
from napari_sam3.viewer.looks import Sight, channel_planes

__all__ = ["Channels", "Seeing"]

#: Layers, an axis, or an axis and which of its planes.
Channels: TypeAlias = Sequence[Image] | int | tuple[int, Sequence[int]]


class Seeing:
    """Contrast and channels: the part of a session that says what the model sees.

    Contrast limits, gamma and colormap of the layers are read whenever something is
    asked. Changing them asks nothing by itself; the next prompt does.

    Parameters
    ----------
    bench : Bench
        Which does the work.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    @property
    def sight(self) -> Sight:
        """`contrast`, `channels` and `inverted` as one value."""
        return self._bench.sight

    @property
    def whole_plane(self) -> bool:
        """Whether the model sees the whole plane at once, instead of windows of it.

        Objects that are small in a large plane are then seen coarsely. It is meant for
        those that are larger than any window.
        """
        return self._bench.whole

    @whole_plane.setter
    def whole_plane(self, whole: bool) -> None:
        if not isinstance(whole, bool | np.bool_):
            raise StateError(f"whole_plane is {whole!r}; give True or False.")
        self._check_open()
        if bool(whole) != self._bench.whole:
            self._bench.echo(f"s.whole_plane = {bool(whole)}")
            self._bench.whole = bool(whole)

    @property
    def window(self) -> tuple[int, int, int, int] | None:
        """Part of the plane that the model saw for the mask that is shown.

        ``(row0, col0, row1, col1)``, half-open, in pixels; None without a mask.
        """
        return self._bench.outlook.window

    @property
    def contrast(self) -> str:
        """Whether the model sees the image as it is "shown", or by "percentiles".

        "shown" is with the layer's contrast limits, gamma and colormap. "percentiles"
        leaves out the darkest and the brightest 0.1 %; 8-bit values stay as they are.
        """
        return self._bench.sight.contrast

    @contrast.setter
    def contrast(self, contrast: str) -> None:
        sight = replace(self._bench.sight, contrast=contrast)
        self._look(sight, f"s.contrast = {contrast!r}")

    @property
    def inverted(self) -> bool:
        """Whether the model sees dark and bright exchanged."""
        return self._bench.sight.inverted

    @inverted.setter
    def inverted(self, inverted: bool) -> None:
        if not isinstance(inverted, bool | np.bool_):
            raise StateError(f"inverted is {inverted!r}; give True or False.")
        sight = replace(self._bench.sight, inverted=bool(inverted))
        self._look(sight, f"s.inverted = {sight.inverted}")

    @property
    def channels(self) -> list[Image] | int | tuple[int, tuple[int, ...]] | None:
        """What is blended into one picture for the model, None for the image alone.

        A list of up to three image layers, the image among them or not, which are
        added up in the colours that they are shown in. Or an axis of the image, whose
        first three planes are red, green and blue then, or magenta and green if they
        are two; ``(axis, indices)`` names others.
        """
        sight, viewer = self._bench.sight, self._bench.viewer
        if sight.channel_axis is not None:
            axis, indices = sight.channel_axis, sight.channel_indices
            return (axis, indices) if indices else axis
        if not sight.channels or viewer is None:
            return None
        layers = {layer.unique_id: layer for layer in viewer.layers}
        return [layers[one] for one in sight.channels if one in layers]

    @channels.setter
    def channels(self, channels: Channels | None) -> None:
        plain = replace(
            self._bench.sight, channels=(), channel_axis=None, channel_indices=()
        )
        if channels is None:
            self._look(plain, "s.channels = None")
            return
        parts = _axis_and_indices(channels)
        if parts is not None:
            sight = replace(plain, channel_axis=parts[0], channel_indices=parts[1])
            axis, indices = sight.channel_axis, sight.channel_indices
            line = f"s.channels = {(axis, indices) if indices else axis}"
        else:
            layers = self._images(channels)
            ids = tuple(layer.unique_id for layer in layers)
            sight = replace(plain, channels=ids)
            names = ", ".join(f"viewer.layers[{layer.name!r}]" for layer in layers)
            line = f"s.channels = [{names}]"
        self._check_channels(sight)
        self._look(sight, line)

    def _images(self, channels: Any) -> list[Image]:
        layers = [real(one) for one in channels] if _is_series(channels) else [channels]
        for layer in layers:
            if not isinstance(layer, Image):
                raise LayerError(
                    f"The channels are {channels!r}; give image layers, an axis, "
                    "(axis, indices), or None."
                )
            check_listed(self._bench.viewer, layer)
        return layers

    def _check_channels(self, sight: Sight) -> None:
        """Refuse what cannot be blended with the plane that is shown."""
        viewer, image = self._bench.viewer, self._bench.follower.image
        key = self._bench.follower.key()
        if viewer is not None and image is not None and key is not None:
            channel_planes(viewer, image, key.plane, sight)

    def _look(self, sight: Sight, line: str) -> None:
        self._check_open()
        if sight != self._bench.sight:
            self._bench.sight = sight
            self._bench.echo(line)
            self._bench.refresh()

    def _check_open(self) -> None:
        if self._bench.is_closed:
            raise StateError("This session is closed; attach to the viewer again.")


def _axis_and_indices(channels: Any) -> tuple[int, tuple[int, ...]] | None:
    """Return an axis and its planes, None if it is something else."""
    given = channels if isinstance(channels, tuple) else (channels, ())
    if len(given) != 2 or not _is_series(given[1]):
        return None
    try:
        return index(given[0]), tuple(map(index, given[1]))
    except TypeError:
        return None


def _is_series(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | Image)
