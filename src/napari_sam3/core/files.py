"""Writing files whole or not at all."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.chunks import chunk_of
from napari_sam3.core.errors import FileError
from napari_sam3.core.tracker import no_report

__all__ = ["write_atomically", "write_labels"]

#: Side of a tile, in pixels.
_TILE = 512
#: Bytes that are read at a time.
_PART = 2**26
#: Bytes that a classic TIFF has room for, less its headers.
_CLASSIC = 2**32 - 2**25


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name first, so that no half of it stays.

    Parameters
    ----------
    path : Path
        The file.
    write : callable
        Gets the open binary file.

    Raises
    ------
    FileError
        If the disk is full, for example; an earlier file of that name stays.
    """
    # Cut short: a name of the longest length has no room for more.
    unfinished = path.with_name(f".{path.name[:40]}.{os.getpid()}.tmp")
    try:
        with unfinished.open("wb") as file:
            write(file)
        unfinished.replace(path)
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error.strerror or error}); check the disk, "
            "or give another name."
        ) from error
    finally:
        with suppress(OSError):  # the folder is gone, for example
            unfinished.unlink()


def write_labels(
    path: Path,
    labels: Any,
    axes: str | None = None,
    report: Callable[[int, int], object] = no_report,
) -> None:
    """Write a label image as compressed TIFF.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    labels : array_like of integers
        Of any number of axes. Arrays that are not numpy's, such as zarr's or
        dask's, are read and written in parts of at most 64 MiB, or of one row of
        chunks if that is more, as tiles of 512 x 512 pixels. What would have more
        than 4 GB unpacked becomes BigTIFF.
    axes : str, optional
        What they are, such as ``"YX"``.
    report : callable, optional
        Called with how many parts are done, and of how many, where it is written in
        parts. What it raises comes out of here, and the file is not written.

    Raises
    ------
    FileError
        If it cannot be written; see `write_atomically`.
    """
    import tifffile

    options: dict[str, Any] = {
        "compression": "zlib",
        "metadata": {} if axes is None else {"axes": axes},
        "photometric": "minisblack",  # three planes are no colours
        "bigtiff": math.prod(labels.shape) * labels.dtype.itemsize > _CLASSIC,
    }
    if isinstance(labels, np.ndarray):
        write_atomically(path, lambda file: tifffile.imwrite(file, labels, **options))
        return
    options |= {
        "shape": labels.shape,
        "dtype": labels.dtype,
        "tile": (_TILE, _TILE),
    }
    step = _rows_at_once(labels)
    *before, rows, _ = labels.shape
    parts = list(product(*(range(size) for size in before), range(0, rows, step)))

    def write(file: IO[bytes]) -> None:
        tifffile.imwrite(file, _tiles(labels, parts, step, report), **options)
        report(len(parts), len(parts))

    write_atomically(path, write)


def _tiles(
    array: Any,
    parts: Sequence[tuple[int, ...]],
    step: int,
    report: Callable[[int, int], object],
) -> Iterator[NDArray[Any]]:
    """Go through the tiles of all planes, in their order in the file."""
    for done, (*place, start) in enumerate(parts):
        report(done, len(parts))
        band = np.asarray(array[(*place, slice(start, start + step))])
        for row in range(0, len(band), _TILE):
            for col in range(0, band.shape[1], _TILE):
                yield np.ascontiguousarray(band[row : row + _TILE, col : col + _TILE])


def _rows_at_once(array: Any) -> int:
    """Return whole tiles, and if it can be whole chunks: each is read only once."""
    cols = array.shape[-1]
    room = _PART // max(1, cols * array.dtype.itemsize)
    whole = math.lcm(_TILE, max(1, chunk_of(array)[-2]))
    if whole > room:
        whole = -(-chunk_of(array)[-2] // _TILE) * _TILE
    return max(whole, room // whole * whole)
