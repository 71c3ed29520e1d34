"""Arrays for new labels, also for those that are larger than memory."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.core.errors import LayerError

__all__ = ["empty_labels", "has_zarr", "scratch_array"]

#: Bytes up to which labels are one array in memory, which everything can edit.
_IN_MEMORY = 2**30
#: Longest side, in pixels, of planes that are kept in one size. Graphics drivers
#: refuse textures of twice that, and napari then sends the whole plane to the
#: screen after each change.
_ONE_SIZE = 8192
#: Side of the coarsest size, in pixels: that of a small window.
_COARSEST = 1024
#: Side of a chunk, in pixels: it is packed in 2 ms, one of 1024 in 10 ms.
_CHUNK = 512


def empty_labels(
    shape: Sequence[int], dtype: DTypeLike, plane_axes: tuple[int, int] | None = None
) -> Any:
    """Return an array of zeros for labels, as large as that may be.

    Parameters
    ----------
    shape : sequence of int
        At least two axes.
    dtype : dtype
        Of integers.
    plane_axes : tuple of int, optional
        Axes of the planes that will be written, the last two by default.

    Returns
    -------
    ndarray, array_like or list of array_like
        In memory if it has at most 1 GiB and planes of at most 8192 pixels a side;
        else that of `scratch_array`, and for larger planes one in each size:
        the next one has every other row and column.

    Raises
    ------
    LayerError
        If there is no room for it.
    """
    shape = tuple(int(size) for size in shape)
    axes = plane_axes or (len(shape) - 2, len(shape) - 1)
    sizes = _sizes(shape, axes)
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if len(sizes) > 1 or nbytes > _IN_MEMORY:
        arrays = [scratch_array(size, dtype, axes) for size in sizes]
        return arrays if len(arrays) > 1 else arrays[0]
    try:
        # The system gives memory for zeros when they are written to.
        return np.zeros(shape, dtype)
    except (MemoryError, ValueError) as error:
        raise _no_room(shape, "does not fit into memory") from error


def scratch_array(
    shape: Sequence[int], dtype: DTypeLike, plane_axes: tuple[int, int] | None = None
) -> Any:
    """Return zeros of which only what is written needs room, for this process.

    Parameters
    ----------
    shape, dtype, plane_axes
        As in `empty_labels`.

    Returns
    -------
    zarr.Array or numpy.memmap
        With zarr, its chunks lie packed in memory. Without it, the array lies in
        an unnamed temporary file, which the system removes with the array.

    Raises
    ------
    LayerError
        If the disk has no room for the file.
    """
    shape = tuple(int(size) for size in shape)
    if not has_zarr():
        return _in_file(shape, np.dtype(dtype))
    import zarr

    axes = plane_axes or (len(shape) - 2, len(shape) - 1)
    chunks = tuple(
        max(1, min(_CHUNK, size)) if axis in axes else 1
        for axis, size in enumerate(shape)
    )
    store = zarr.storage.MemoryStore()
    return zarr.create_array(
        store, shape=shape, chunks=chunks, dtype=np.dtype(dtype), fill_value=0
    )


def has_zarr() -> bool:
    """Tell whether zarr, version 3 at least, can be imported."""
    try:
        import zarr
    except ImportError:
        return False
    return hasattr(zarr, "create_array")


def _sizes(shape: tuple[int, ...], axes: tuple[int, int]) -> list[tuple[int, ...]]:
    """Return the shapes of a layer's arrays, the full one first."""
    sizes = [shape]
    if max(shape[axis] for axis in axes) <= _ONE_SIZE:
        return sizes
    step = 1
    while max(sizes[-1][axis] for axis in axes) > _COARSEST:
        step *= 2
        sizes.append(
            tuple(
                -(-size // step) if axis in axes else size
                for axis, size in enumerate(shape)
            )
        )
    return sizes


def _in_file(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    nbytes = math.prod(shape) * dtype.itemsize
    folder = Path(tempfile.gettempdir())
    # To write to a file that finds no room any more would end the process.
    if nbytes > shutil.disk_usage(folder).free:
        raise _no_room(shape, f"does not fit on the disk of {folder}")
    try:
        # The array keeps the file open; nothing else does.
        with tempfile.TemporaryFile(prefix="napari-sam3-", suffix=".labels") as file:
            return np.memmap(file, dtype, "w+", shape=shape)
    except (OSError, ValueError, OverflowError) as error:
        raise _no_room(shape, f"does not fit on the disk of {folder}") from error


def _no_room(shape: tuple[int, ...], reason: str) -> LayerError:
    return LayerError(
        f"A Labels layer of the shape {shape} {reason}; install zarr, which packs "
        "labels (pip install zarr), crop the image, or add a Labels layer that lies "
        "on disk (such as a zarr array) and choose it."
    )
