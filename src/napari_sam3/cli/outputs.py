"""Outputs that are known to be possible before the work is done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from napari_sam3.core.errors import FileError

__all__ = ["check_output", "make_folder"]


def check_output(path: Path, *, inputs: Sequence[Path]) -> None:
    """Refuse a file that could not be written, before the work is done.

    Parameters
    ----------
    path : Path
        The file to write.
    inputs : sequence of Path
        Files that must not be overwritten.

    Raises
    ------
    FileError
        If it cannot or should not be written.
    """
    _check_folder(path.parent)
    if not _exists(path):
        return
    if path.is_dir():
        raise FileError(f"The output {path} is a folder; give the name of a file.")
    if any(_is_same(path, other) for other in inputs):
        raise FileError(f"{path} is an input; give another name for the output.")
    if not os.access(path, os.W_OK):
        raise FileError(f"{path} is write-protected; give another name.")


def make_folder(path: Path) -> None:
    """Create a folder for outputs, if it is not there.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    FileError
        If it is neither there nor can be created, or not be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"The folder {path} cannot be created ({error.strerror}); "
            "give another one with -o."
        ) from error
    _check_folder(path)


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:  # the name is too long, for example
        raise FileError(
            f"{path} cannot be used ({error.strerror}); give another name."
        ) from error
    return True


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # there is no other; reading it will tell
        return False


def _check_folder(folder: Path) -> None:
    if not _exists(folder) or not folder.is_dir():
        raise FileError(f"There is no folder {folder}; create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"The folder {folder} is write-protected; give another one.")
