"""The pixels of a plane, when and as far as they are wanted."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.look import Look
from napari_sam3.core.picture import Picture, Pixels, Pyramid
from napari_sam3.core.tiles import Tiled
from napari_sam3.core.windows import Window

__all__ = ["Channel", "PlaneKey", "PlaneSource", "is_in_memory", "plane_source"]

#: Bytes of a plane in memory of which a checksum is taken whenever it was drawn anew.
#: Of larger ones it would take longer than to look at some windows again.
_SUMMED_BYTES = 2**26
#: Values that contrast limits are estimated from, and at how many places of a plane.
_SAMPLE_SIZE, _SAMPLE_PLACES = 512, 3


@dataclass(frozen=True, slots=True)
class PlaneKey:
    """Which plane of which layer.

    Parameters
    ----------
    layer_id : uuid.UUID
        The layer's ``unique_id``, the same through napari's proxies.
    plane : Plane
        Of its data.
    """

    layer_id: UUID
    plane: Plane


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel of a plane.

    Parameters
    ----------
    levels : tuple of array_like
        The data of its layer, from full resolution down: numpy, dask, zarr and such.
    plane : Plane
        Which plane of the data.
    rgb : bool
        Whether the last axis holds colours.
    layer_id : uuid.UUID, optional
        The layer's ``unique_id``.
    """

    levels: tuple[Any, ...]
    plane: Plane
    rgb: bool = False
    layer_id: UUID | None = None

    def shape(self, level: int = 0) -> tuple[int, int]:
        """Return (rows, columns) of the plane at a level."""
        sizes = self.levels[level].shape
        return int(sizes[self.plane.axes[0]]), int(sizes[self.plane.axes[1]])

    def read(self, level: int, box: tuple[int, int, int, int]) -> NDArray[Any]:
        """Return a part of the plane, shape (rows, columns) or with colours."""
        plane, array = self.plane, self.levels[level]
        row0, col0, row1, col1 = box
        index: list[Any] = [
            # Coarser levels may have fewer planes, too.
            None if at is None else min(at * n // max(full, 1), n - 1)
            for at, n, full in zip(
                plane.index, array.shape, self.levels[0].shape, strict=False
            )
        ]
        index[plane.axes[0]] = slice(row0, row1)
        index[plane.axes[1]] = slice(col0, col1)
        pixels = np.asarray(array[tuple(index)])
        return pixels if plane.axes[0] < plane.axes[1] else pixels.swapaxes(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """One level of all channels, as RGB."""

    channels: tuple[Channel, ...]
    level: int
    look: Look
    before_read: Callable[[], object] | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.channels[0].shape(self.level)

    def read(self, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        if self.before_read is not None:
            self.before_read()
        return self.look.render([one.read(self.level, box) for one in self.channels])


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSource:
    """A plane that can be read later, on another thread.

    Parameters
    ----------
    key : PlaneKey
        Which plane.
    channels : tuple of Channel
        What it consists of, the layer's own data first.
    look : Look
        How they become RGB.
    stamp : int
        A number that is new whenever the layer was drawn anew, or got other data.
    edition : int
        A number that is new whenever a layer got other data.
    names : tuple of str
        Of the channels, for people; empty if there is one.
    box : tuple of float, optional
        ``(row0, col0, row1, col1)`` of the plane that the user sees.
    whole : bool
        Whether the whole plane is to be looked at, instead of windows.
    before_read : callable, optional
        Called before each part is read; what it raises ends the reading.
    """

    key: PlaneKey
    channels: tuple[Channel, ...]
    look: Look = field(default_factory=Look)
    stamp: int = 0
    edition: int = 0
    names: tuple[str, ...] = ()
    box: tuple[float, float, float, float] | None = None
    whole: bool = False
    before_read: Callable[[], object] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the plane."""
        return self.channels[0].shape()

    @property
    def seen(self) -> tuple[tuple[UUID | None, Plane], ...]:
        """Which planes of which layers the channels are."""
        return tuple((one.layer_id, one.plane) for one in self.channels)

    def is_of(self, layer_id: UUID) -> bool:
        """Tell whether any of the channels is of a layer."""
        return layer_id in (self.key.layer_id, *(one.layer_id for one in self.channels))

    def picture(
        self, memo: MutableMapping[Any, Any] | None = None, key: Hashable = None
    ) -> Picture:
        """Return the plane as a model sees it. Runs on the worker thread.

        Parameters
        ----------
        memo : mutable mapping, optional
            Keeps the arrays that were read last; without it nothing is kept.
        key : hashable, optional
            What these are known by in there.

        Returns
        -------
        Picture
            Contrast limits that have to be found are found now, from samples.
        """
        look = self._known_look(memo, key)
        levels: list[Pixels] = []
        for number in self._levels():
            level = _Level(self.channels, number, look, self.before_read)
            levels.append(level if memo is None else Tiled(level, memo, (key, number)))
        return Pyramid(levels)

    def resolved_look(self) -> Look:
        """Return the look with all contrast limits. May read; on the worker thread."""
        if self.look.is_resolved:
            return self.look
        return self.look.resolved([_sample(channel) for channel in self.channels])

    def _known_look(self, memo: MutableMapping[Any, Any] | None, key: Hashable) -> Look:
        """Return the look with all limits, and remember those that were found."""
        if memo is None or self.look.is_resolved:
            return self.resolved_look()
        place = ((key, "limits"),)
        limits = memo.get(place)
        if limits is None:
            found = self.resolved_look()
            memo[place] = np.array([tint.limits for tint in found.tints])
            return found
        return replace(
            self.look,
            tints=tuple(
                replace(tint, limits=(float(low), float(high)))
                for tint, (low, high) in zip(self.look.tints, limits, strict=True)
            ),
        )

    def _levels(self) -> list[int]:
        """Return the levels that all channels have alike, each coarser than before."""
        chosen = [0]
        for level in range(1, min(len(channel.levels) for channel in self.channels)):
            shapes = {channel.shape(level) for channel in self.channels}
            (rows, cols), (least_rows, least_cols) = (
                self.channels[0].shape(level),
                self.channels[0].shape(chosen[-1]),
            )
            is_coarser = 0 < rows <= least_rows and 0 < cols <= least_cols
            if len(shapes) == 1 and is_coarser:
                chosen.append(level)
        return chosen

    def read(self) -> NDArray[np.uint8]:
        """Read the whole plane. Runs on the worker thread.

        Returns
        -------
        ndarray of shape (rows, columns, 3) and dtype uint8
            RGB; never a view of the layer's data.
        """
        return self.picture().read(Window(0, 0, *self.shape), *self.shape)

    def checksum(self) -> int | None:
        """Return a number that changes with the pixels. Runs on the worker thread.

        Returns
        -------
        int or None
            None if that would have to read lazy arrays, or large ones, and no other.
        """
        total = summed = 0
        for channel in self.channels:
            array = channel.levels[0]
            if not is_in_memory(array):
                continue
            rows, cols = channel.shape()
            colours = array.shape[-1] if channel.rgb else 1
            if rows * cols * colours * array.itemsize > _SUMMED_BYTES:
                continue
            pixels = channel.read(0, (0, 0, rows, cols))
            # As they lie in memory: turned or not, they are the same.
            total = zlib.crc32(pixels.ravel(order="K").data, total)
            summed += 1
        if summed < len(self.channels):
            # Of the others it is only known whether they got other data.
            total = zlib.crc32(str(self.edition).encode(), total)
        return total if summed else None


def plane_source(
    layer: Image,
    plane: Plane,
    stamp: int,
    *,
    channels: Sequence[tuple[Image, Plane]] = (),
    look: Look | None = None,
) -> PlaneSource:
    """Return what reads a plane later. No pixel is read now.

    Parameters
    ----------
    layer : napari.layers.Image
        With as many axes as the plane says.
    plane : Plane
        Of its data.
    stamp : int
        Number of the state that the data is in.
    channels : sequence of (napari.layers.Image, Plane), optional
        What the model sees; by default the layer alone.
    look : Look, optional
        How the model sees them; by default as they are shown.

    Returns
    -------
    PlaneSource
        For the worker thread. It holds the arrays that the layers have now.

    Raises
    ------
    LayerError
        If a layer has no such plane.
    """
    from napari_sam3.viewer.looks import Sight, look_of

    seen = tuple(channels) or ((layer, plane),)
    return PlaneSource(
        PlaneKey(layer.unique_id, plane),
        tuple(_channel(one, its_plane) for one, its_plane in seen),
        look if look is not None else look_of(seen, Sight()),
        stamp,
    )


def _channel(layer: Image, plane: Plane) -> Channel:
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    sizes = tuple(int(size) for size in levels[0].shape[: layer.ndim])
    fits = len(sizes) == len(plane.index) and all(
        at is None or 0 <= at < size
        for at, size in zip(plane.index, sizes, strict=True)
    )
    if not fits:
        raise LayerError(
            f"{layer.name!r} has the shape {sizes} and no plane {plane.index}; "
            "choose the layer that the plane is of."
        )
    return Channel(levels, plane, bool(layer.rgb), layer.unique_id)


def is_in_memory(array: Any) -> bool:
    """Tell whether an array is numpy's, and its memory no file."""
    base = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return False
        base = base.base
    return isinstance(array, np.ndarray)


def _sample(channel: Channel) -> NDArray[Any]:
    """Return pixels from all over a plane: of its coarsest level if that is small."""
    last = len(channel.levels) - 1
    rows, cols = channel.shape(last)
    if rows * cols <= (_SAMPLE_SIZE * _SAMPLE_PLACES) ** 2:
        return channel.read(last, (0, 0, rows, cols))
    parts = [
        channel.read(last, (row, col, row + height, col + width))
        for row, height in _places(rows)
        for col, width in _places(cols)
    ]
    if channel.rgb:
        return np.concatenate([part.reshape(-1, 1, part.shape[-1]) for part in parts])
    return np.concatenate([part.reshape(-1, 1) for part in parts])


def _places(length: int) -> list[tuple[int, int]]:
    """Return starts and lengths of samples that are spread over a length."""
    size = min(_SAMPLE_SIZE, length)
    starts = np.linspace(0, length - size, _SAMPLE_PLACES).round().astype(int)
    return [(int(start), size) for start in starts]
