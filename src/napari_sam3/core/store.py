"""Embeddings on disk, so that an image is encoded once and for all programs.

A store is a folder of files, one per embedding, each named by a hash of what it
was computed from. Processes share it without locks: a file gets its name when it
is whole, its content never changes, and whoever reads it checks its digest. A file
that is not as it should be counts as absent.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.embeddings import checked_bytes
from napari_sam3.core.errors import StateError
from napari_sam3.core.shared_files import is_abandoned, listed, write_shared
from napari_sam3.core.stored_file import (
    FORMAT,
    StoredEmbedding,
    pack,
    to_halves,
    unpack,
)

__all__ = [
    "DEFAULT_CAP",
    "EmbeddingStore",
    "default_folder",
    "shared_store",
    "store_key",
]

#: Bytes that a store holds if nobody says otherwise.
DEFAULT_CAP = 10 * 2**30
#: Where a folder's cap is written; and how often a cap is filled by a part of it before
#: it is looked what there is.
_CAP_FILE, _LISTINGS = "cap", 64
_KEY = re.compile(r"[0-9a-f]{64}")
_SUFFIX = ".safetensors"
_FILE = re.compile(rf"({_KEY.pattern}){re.escape(_SUFFIX)}")

_log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    """One file of the store."""

    path: Path
    used: int
    size: int


class EmbeddingStore:
    """A folder of embeddings, of which those that were used last are kept.

    Any number of threads and processes may use one folder. Trouble with the disk is
    never an error: what cannot be read is not there, what cannot be written is not
    kept, and the log says so once.

    Parameters
    ----------
    folder : Path, optional
        Made when something is put into it; by default `default_folder`.
    cap : int, optional
        Bytes that the files may hold together; 0 keeps none. By default what was set
        last for this folder, by any program, or 10 GiB.

    Raises
    ------
    ModelError
        If the cap is no whole number, or negative.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> store = EmbeddingStore(Path(mkdtemp()))
    >>> key = store_key(np.zeros((4, 5, 3), np.uint8), "nano-1")
    >>> store.put(key, {"levels": np.ones((1, 2), np.float16)}, (4, 5))
    True
    >>> store.get(key).arrays["levels"]
    array([[1., 1.]], dtype=float16)
    """

    def __init__(self, folder: Path | None = None, cap: int | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder)
        self._own_cap = None if cap is None else _checked_cap(cap)
        self._told = False
        # Bytes that were put since the files were listed.
        self._unlisted = math.inf
        #: Why the last `put` did not keep its embedding; empty if it did.
        self.trouble = ""

    @property
    def cap(self) -> int:
        """Bytes that the files may hold together; a lower one removes at once.

        What is set holds for the folder: for all programs, and the next time.
        """
        if self._own_cap is not None:
            return self._own_cap
        try:
            return _checked_cap(int((self.folder / _CAP_FILE).read_text("ascii")))
        except (OSError, ValueError):  # a ModelError is one, too
            return DEFAULT_CAP

    @cap.setter
    def cap(self, cap: int) -> None:
        number = _checked_cap(cap)
        if self._own_cap is None and number == self.cap:
            return  # to list what is there would hold up every start of the panel
        self._own_cap = None
        try:
            content = memoryview(str(number).encode())
            write_shared(self.folder / _CAP_FILE, [content])
        except OSError as error:
            self._own_cap = number
            self._tell(error)
        self.tidy()

    @property
    def nbytes(self) -> int:
        """Bytes that the files hold together."""
        return sum(entry.size for entry in self._entries())

    def __len__(self) -> int:
        """Return how many embeddings there are."""
        return len(self._entries())

    def __contains__(self, key: str) -> bool:
        """Tell whether there is a file for a key; only `get` looks into it."""
        return self._path(key).is_file()

    def get(self, key: str) -> StoredEmbedding | None:
        """Read an embedding, which counts as using it.

        Parameters
        ----------
        key : str
            Of `store_key`.

        Returns
        -------
        StoredEmbedding or None
            None if it is not there, or not as it was written; then it is removed.
        """
        path = self._path(key)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        found = unpack(key, content)
        with suppress(OSError):  # a folder that may only be read, for example
            if found is None:
                path.unlink()
            else:
                os.utime(path)
        return found

    def put(
        self, key: str, arrays: Mapping[str, NDArray[Any]], image_shape: tuple[int, int]
    ) -> bool:
        """Keep an embedding; `trouble` says why where that is not possible.

        Parameters
        ----------
        key : str
            Of `store_key`. If it is there already nothing is done.
        arrays : mapping of str to ndarray
            Of floating-point numbers, kept as float16.
        image_shape : tuple of int
            (rows, columns) of the image.

        Returns
        -------
        bool
            Whether it is in the store now. False if a value is not finite in
            float16, the file is larger than the cap, or it cannot be written.
        """
        path = self._path(key)
        self.trouble = ""
        if path.is_file():
            return True
        halves = to_halves(arrays)
        if halves is None:
            self.trouble = "it has numbers that float16 cannot hold"
            return False
        parts = pack(key, halves, image_shape)
        size, cap = sum(map(len, parts)), self.cap
        if size > cap:
            self.trouble = f"it is larger than the store's cap of {cap} bytes"
            return False
        try:
            write_shared(path, parts)
        except OSError as error:
            self._tell(error)
            return False
        # Listing thousands of files takes its time: only where it could be needed.
        self._unlisted += size
        if self._unlisted > cap / _LISTINGS:
            self.tidy(keep=path)
        return True

    def remove(self, key: str) -> None:
        """Remove an embedding, if it is there."""
        with suppress(OSError):
            self._path(key).unlink()

    def tidy(self, keep: Path | None = None) -> None:
        """Remove what is over the cap, and what processes that died left behind.

        Parameters
        ----------
        keep : Path, optional
            A file that stays: the newest.
        """
        entries = self._entries(remove_abandoned=True)
        total, cap = sum(entry.size for entry in entries), self.cap
        self._unlisted = max(0.0, total - cap * (1 - 1 / _LISTINGS))
        for entry in sorted(entries, key=lambda entry: entry.used):
            if total <= cap:
                break
            if entry.path != keep:
                with suppress(OSError):  # another process was quicker
                    entry.path.unlink()
                total -= entry.size

    def clear(self) -> int:
        """Remove all embeddings; other files in the folder stay.

        Returns
        -------
        int
            Bytes that were freed.
        """
        freed = 0
        for entry in self._entries(remove_abandoned=True):
            with suppress(OSError):
                entry.path.unlink()
                freed += entry.size
        return freed

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise StateError(
                f"{key!r} is no key of a store; make one with store_key(image, "
                "fingerprint)."
            )
        return self.folder / key[:2] / f"{key}{_SUFFIX}"

    def _entries(self, *, remove_abandoned: bool = False) -> list[_Entry]:
        """List the embeddings' files, as far as the folder can be read."""
        entries = []
        for folder in listed(self.folder):
            if len(folder.name) != 2:
                continue
            for file in listed(Path(folder.path)):
                with suppress(OSError):  # another process removed it meanwhile
                    name = _FILE.fullmatch(file.name)
                    if name and name[1].startswith(folder.name):
                        known = file.stat()
                        entry = (known.st_mtime_ns, known.st_size)
                        entries.append(_Entry(Path(file.path), *entry))
                    elif remove_abandoned and is_abandoned(file):
                        Path(file.path).unlink()
        return entries

    def _tell(self, error: OSError) -> None:
        self.trouble = f"{self.folder} cannot be written ({error.strerror or error})"
        if not self._told:
            self._told = True
            _log.warning(
                "Embeddings are not kept: %s; make room, or set NAPARI_SAM3_CACHE to "
                "another folder.",
                self.trouble,
            )


def store_key(image: NDArray[np.uint8], fingerprint: str) -> str:
    """Name an embedding by what it is computed from.

    Parameters
    ----------
    image : ndarray of shape (rows, columns, 3) and dtype uint8
        Exactly what the model is given: contrast, colours, window and level of a
        pyramid are all in it.
    fingerprint : str
        Of the model and its weights.

    Returns
    -------
    str
        64 hex digits.
    """
    start = f"{FORMAT}\0{fingerprint}\0{image.shape}\0{image.dtype}\0"
    digest = hashlib.blake2b(start.encode(), digest_size=32)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def default_folder() -> Path:
    """Return where embeddings are kept, by the environment's settings.

    Returns
    -------
    Path
        ``$NAPARI_SAM3_CACHE`` if that is set, else ``napari-sam3/embeddings`` in
        the user's folder for caches, which depends on the system.
    """
    if folder := os.environ.get("NAPARI_SAM3_CACHE"):
        return Path(folder).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("napari-sam3", appauthor=False) / "embeddings"


@cache
def shared_store() -> EmbeddingStore:
    """Return the store of this process, in `default_folder`."""
    return EmbeddingStore()


def _checked_cap(cap: int) -> int:
    return checked_bytes(cap, "The store's cap", "10 * 2**30, or 0 to keep nothing")
