"""Which numbers are free in a Labels layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from uuid import UUID

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam3.core.chunks import chunk_of
from napari_sam3.core.errors import StateError
from napari_sam3.core.tracker import no_report
from napari_sam3.viewer.label_data import check_id
from napari_sam3.viewer.label_overlay import OverlaidArray
from napari_sam3.viewer.label_pyramid import full_size

__all__ = ["KeptIds", "LabelIds", "scan"]

#: Bytes that are read at a time.
_BLOCK = 2**24


class LabelIds:
    """Gives numbers to new objects: one more than any that was ever seen.

    Numbers of erased objects are not given again, so that undo brings no two
    objects together. An array that somebody edits in place, behind napari's
    back, is only looked at when `forget` has been called.

    Parameters
    ----------
    layer : napari.layers.Labels
        Followed until `disconnect`, but not kept alive by that.

    Examples
    --------
    >>> ids = LabelIds(Labels(np.array([[0, 4], [2, 0]])))
    >>> ids.next_id()
    5
    """

    def __init__(self, layer: Labels) -> None:
        self._layer: Labels | None = layer
        self._array: Any = full_size(layer.data)
        self._largest = 0
        self._generation = 0
        self._needs_scan = True
        layer.events.paint.connect(self._on_paint)
        layer.events.data.connect(self._on_data)

    @property
    def needs_scan(self) -> bool:
        """Whether the layer's data has still to be looked through."""
        return self._needs_scan

    @property
    def known(self) -> int | None:
        """The largest number in the layer, or None if that is not known yet."""
        return None if self._needs_scan else self._largest

    @property
    def array(self) -> Any:
        """The layer's data in full size, to be given to `scan` on another thread."""
        return self._array

    @property
    def generation(self) -> int:
        """Number of the layer's data; it rises when the layer gets other data."""
        return self._generation

    def learn(self, largest: int, generation: int | None = None) -> bool:
        """Take the answer of `scan`; main thread.

        Parameters
        ----------
        largest : int
            The answer. What was painted while it was computed counts, too.
        generation : int, optional
            The `generation` of the data that was scanned; an answer about former
            data is left alone.

        Returns
        -------
        bool
            Whether it was taken.
        """
        if generation is not None and generation != self._generation:
            return False
        self._largest = max(self._largest, int(largest))
        self._needs_scan = False
        return True

    def next_id(self) -> int:
        """Return a number that no object has; it waits for a scan if need be.

        Raises
        ------
        LayerError
            If the layer's type has no number left.
        """
        return self.next_ids(1)[0]

    def next_ids(self, count: int) -> range:
        """Return numbers that no object has, as `next_id` does.

        They are the same ones until something is written.
        """
        if self._layer is None:
            raise StateError(
                "The layer is not followed any more; make another LabelIds for it."
            )
        if self._needs_scan:
            self.learn(scan(self._array))
        first = self._largest + 1
        check_id(self._layer, first + max(count, 1) - 1)
        return range(first, first + count)

    def forget(self) -> None:
        """Have the layer's data looked through again."""
        self._needs_scan = True
        self._generation += 1

    def disconnect(self) -> None:
        """Stop following the layer, and let go of it. Idempotent."""
        if self._layer is not None:
            self._layer.events.paint.disconnect(self._on_paint)
            self._layer.events.data.disconnect(self._on_data)
            self._layer = self._array = None

    def _on_paint(self, event: Any) -> None:
        # Each part of a step of the history ends with what was written: one
        # number, or one for each pixel.
        written = [int(np.max(part[-1], initial=0)) for part in event.value]
        self._largest = max(self._largest, *written)

    def _on_data(self, event: Any = None) -> None:
        assert self._layer is not None
        former, self._array = self._array, full_size(self._layer.data)
        if isinstance(self._array, OverlaidArray) and self._array.base is former:
            return  # the same numbers, made ready to be written to
        self._largest = 0
        self.forget()


class KeptIds:
    """Follows on layers that were made here while others are chosen.

    So they need not be looked through when they are chosen again.
    """

    def __init__(self) -> None:
        self._kept: dict[UUID, LabelIds] = {}

    def take(self, layer: Labels) -> LabelIds:
        """Return what follows a layer that is chosen now."""
        return self._kept.pop(layer.unique_id, None) or LabelIds(layer)

    def leave(self, layer: Labels, ids: LabelIds, viewer: ViewerModel | None) -> None:
        """Follow a layer on as long as the viewer has it; no more without a viewer."""
        if viewer is not None and layer in viewer.layers:
            self._kept[layer.unique_id] = ids
        else:
            ids.disconnect()

    def sort_out(self, viewer: ViewerModel) -> None:
        """Let go of layers that have left the viewer."""
        listed = {layer.unique_id for layer in viewer.layers}
        for gone in self._kept.keys() - listed:
            self._kept.pop(gone).disconnect()

    def close(self) -> None:
        """Let go of all layers. Idempotent."""
        for ids in self._kept.values():
            ids.disconnect()
        self._kept.clear()


def scan(array: Any, report: Callable[[int, int], object] = no_report) -> int:
    """Return the largest number in a label image. Can run on the worker thread.

    Parameters
    ----------
    array : array_like
        Of numpy, zarr, dask or the like, with any number of axes; read block by
        block. Of a multiscale image give the first level.
    report : callable, optional
        Called with how many blocks are done, and of how many, before the first
        and after each. What it raises comes out of here, which is how the scan
        is cancelled.

    Returns
    -------
    int
        0 if there is no object.

    Examples
    --------
    >>> scan(np.array([[0, 3], [2, -1]]))
    3
    """
    blocks = list(_blocks(array))
    report(0, len(blocks))
    largest = 0
    for done, block in enumerate(blocks, 1):
        largest = max(largest, int(np.max(np.asarray(array[block]), initial=0)))
        report(done, len(blocks))
    return largest


def _blocks(array: Any) -> Iterator[tuple[slice, ...]]:
    """Cut an array into blocks that are read quickly."""
    sizes = _block_sizes(array)
    starts = [
        range(0, size, step) for size, step in zip(array.shape, sizes, strict=True)
    ]
    for corner in product(*starts):
        yield tuple(
            slice(start, start + step)
            for start, step in zip(corner, sizes, strict=True)
        )


def _block_sizes(array: Any) -> list[int]:
    """Grow blocks from one pixel, or one chunk, along the axes near in memory."""
    shape = [int(size) for size in array.shape]
    sizes = [min(step, size) for step, size in zip(chunk_of(array), shape, strict=True)]
    sizes = [max(1, step) for step in sizes]
    room = _BLOCK // np.dtype(array.dtype).itemsize
    order = list(range(len(shape)))[::-1]
    strides = getattr(array, "strides", None)
    if strides is not None:
        order = sorted(order, key=lambda axis: abs(strides[axis]))
    for axis in order:
        times = max(1, room // math.prod(sizes))
        sizes[axis] = min(sizes[axis] * times, max(1, shape[axis]))
        if sizes[axis] < shape[axis]:
            break
    return sizes
