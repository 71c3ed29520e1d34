"""Labels that are computed by dask, with what was written lying over them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.viewer.label_store import scratch_array

__all__ = ["OverlaidArray", "is_lazy"]

#: Side of a block, in pixels.
_SIDE = 512

_Block = tuple[int, ...]


def is_lazy(data: Any) -> bool:
    """Tell whether an array is one of dask's, which are computed when they are read."""
    graph = getattr(data, "__dask_graph__", None)
    return graph is not None and graph() is not None  # xarray's may have none


class OverlaidArray:
    """An array whose pixels can be written, over one that stays as it is.

    A block of the array is computed and copied when it is first written to; all
    others are computed when they are read. So both take as long after thousands
    of changes as after the first one, and what dask computes from, such as a file,
    is not touched.

    It can be indexed with integers and slices, or with one array of integers for
    each axis, as napari does.

    Parameters
    ----------
    base : array_like
        With ``shape``, ``dtype`` and basic indexing; read only.

    Examples
    --------
    >>> array = OverlaidArray(np.zeros((2, 3), np.uint8))
    >>> array[0, 1:] = 7
    >>> np.asarray(array).tolist(), int(array.base.sum())
    ([[0, 7, 7], [0, 0, 0]], 0)
    """

    def __init__(self, base: Any) -> None:
        self.base = base
        self.shape = tuple(int(size) for size in base.shape)
        self.dtype = np.dtype(base.dtype)
        self._steps = tuple(
            max(1, min(_SIDE, size)) if axis >= len(self.shape) - 2 else 1
            for axis, size in enumerate(self.shape)
        )
        self._top: Any = None
        self._held: set[_Block] = set()

    @property
    def chunks(self) -> Any:
        """What the array below is best read in; None if it does not say."""
        return getattr(self.base, "chunks", None)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        """Return the length of the first axis."""
        return self.shape[0]

    def __repr__(self) -> str:
        """Say what it is and how much was written."""
        return f"<OverlaidArray {self.shape} {self.dtype}, {len(self._held)} blocks>"

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """Compute all of it."""
        return np.asarray(self[()], dtype)

    def compute(self) -> NDArray[Any]:
        """Compute all of it, as dask's arrays do."""
        return np.asarray(self)

    def __getitem__(self, key: Any) -> Any:
        """Return pixels as a new numpy array."""
        box, within = self._located(key)
        return self._read(box)[within]

    def __setitem__(self, key: Any, value: Any) -> None:
        """Write pixels; the array below stays as it is."""
        box, within = self._located(key)
        self.hold(box)
        pixels = self._read(box)
        pixels[within] = value
        if pixels.size:
            self._top[box] = pixels

    def hold(self, key: Any) -> None:
        """Compute and copy the blocks under a key, so that they can be written to."""
        box, _ = self._located(key)
        missing = [block for block in self._blocks(box) if block not in self._held]
        if not missing:
            return
        if self._top is None:
            self._top = scratch_array(self.shape, self.dtype)
        places = [self._place(block) for block in missing]
        span = [
            slice(min(one.start for one in axis), max(one.stop for one in axis))
            for axis in zip(*places, strict=True)
        ]
        # At once: several blocks may come from one chunk, which is computed whole.
        pixels = np.asarray(self.base[tuple(span)])
        for block, place in zip(missing, places, strict=True):
            self._top[place] = pixels[_from(span, place)]
            self._held.add(block)  # last: other threads read meanwhile

    def _read(self, box: tuple[slice, ...]) -> NDArray[Any]:
        blocks = list(self._blocks(box))
        held = [block for block in blocks if block in self._held]
        if blocks and len(held) == len(blocks):
            return np.array(self._top[box])
        pixels = np.array(self.base[box])
        for block in held:
            shared = tuple(
                slice(max(one.start, part.start), min(one.stop, part.stop))
                for one, part in zip(box, self._place(block), strict=True)
            )
            pixels[_from(box, shared)] = self._top[shared]
        return pixels

    def _located(self, key: Any) -> tuple[tuple[slice, ...], Any]:
        """Return the box that a key reaches, and the key within that box."""
        parts = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in [one for one in parts if not isinstance(one, np.ndarray)]:
            at = next(at for at, one in enumerate(parts) if one is Ellipsis)
            parts[at : at + 1] = [slice(None)] * (self.ndim - len(parts) + 1)
        parts += [slice(None)] * (self.ndim - len(parts))
        if len(parts) > self.ndim:
            raise IndexError(f"{len(parts)} indices for {self.ndim} axes")
        located = [
            _within(one, size) for one, size in zip(parts, self.shape, strict=True)
        ]
        return tuple(box for box, _ in located), tuple(part for _, part in located)

    def _blocks(self, box: tuple[slice, ...]) -> Iterator[_Block]:
        yield from product(
            *(
                range(one.start // step, -(-one.stop // step))
                for one, step in zip(box, self._steps, strict=True)
            )
        )

    def _place(self, block: _Block) -> tuple[slice, ...]:
        return tuple(
            slice(at * step, min((at + 1) * step, size))
            for at, step, size in zip(block, self._steps, self.shape, strict=True)
        )


def _from(box: Sequence[slice], part: Sequence[slice]) -> tuple[slice, ...]:
    """Return where a part of a box lies in it."""
    return tuple(
        slice(inner.start - outer.start, inner.stop - outer.start)
        for outer, inner in zip(box, part, strict=True)
    )


def _within(one: Any, size: int) -> tuple[slice, Any]:
    """Return the span of an axis that an index reaches, and the index in the span."""
    if isinstance(one, slice):
        at = range(*one.indices(size))
        if not at:
            return slice(0, 0), slice(0, 0)
        low, high = min(at[0], at[-1]), max(at[0], at[-1])
        return slice(low, high + 1), slice(None, None, at.step)
    places = np.asarray(one)
    if places.dtype == np.bool_ or not np.issubdtype(places.dtype, np.integer):
        raise IndexError(f"{one!r} is no integer, slice or array of integers")
    if not places.size:
        return slice(0, 0), places
    if int(places.min()) < -size or int(places.max()) >= size:
        raise IndexError(f"index {one!r} is out of bounds for {size} pixels")
    places = np.where(places < 0, places + size, places)
    low = int(places.min())
    within = places - low
    span = slice(low, int(places.max()) + 1)
    return span, within if within.ndim else int(within)
