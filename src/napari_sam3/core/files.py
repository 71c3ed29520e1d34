"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from napari_sam3.core.errors import FileError

__all__ = ["write_atomically", "write_labels"]


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


def write_labels(path: Path, labels: NDArray[Any], axes: str | None = None) -> None:
    """Write a label image as compressed TIFF.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    labels : ndarray of integers
        Of any number of axes.
    axes : str, optional
        What they are, such as ``"YX"``.

    Raises
    ------
    FileError
        If it cannot be written; see `write_atomically`.
    """
    import tifffile

    metadata = {} if axes is None else {"axes": axes}
    write_atomically(
        path,
        lambda file: tifffile.imwrite(
            file,
            labels,
            compression="zlib",
            metadata=metadata,
            photometric="minisblack",  # three planes are no colours
        ),
    )
