"""What files' content was found to be, so that gigabytes are hashed once."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from napari_sam3.core.errors import FileError
from napari_sam3.core.files import write_atomically
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models.hub_cache import assets_folder

__all__ = ["Hashes", "digest", "is_known", "remember"]

_CHUNK = 1 << 22


def digest(path: Path, like: str | None = None, *, report: Report = no_report) -> str:
    """Hash a file.

    Parameters
    ----------
    path : Path
        The file.
    like : str, optional
        A digest to be compared with: 40 hex digits are git's SHA-1 of a file, which
        Hugging Face uses for small ones. Others, and None, are SHA-256.
    report : callable, optional
        Called with the bytes done and the bytes there are; what it raises ends it.

    Returns
    -------
    str
        Hex digits.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    size = path.stat().st_size
    if like is not None and len(like) == 40:
        hasher = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    else:
        hasher = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            done += len(chunk)
            report(done, size)
    return hasher.hexdigest()


class Hashes:
    """The digests of files, each of which is hashed at most once.

    What was found is noted, so that the next process need not hash the file either,
    be it whole or not; a file that was touched since is hashed again.

    Parameters
    ----------
    report : callable, optional
        As for `digest`.
    """

    def __init__(self, report: Report = no_report) -> None:
        self._report = report
        # Beside the notes, which cannot be written everywhere.
        self._found: dict[tuple[_Version, int], str] = {}

    def of(self, path: Path, expected: str) -> str:
        """Return a file's digest, to be compared with the one that it should have.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        version = _version(path)
        noted = _noted(version)
        key = version, len(expected)
        got = self._found.get(key)
        if got is None and noted is not None and len(noted.digest) == len(expected):
            got = noted.digest
        if got is None:
            got = digest(path, expected, report=self._report)
        self._found[key] = got
        is_whole = got == expected
        if noted is None or noted.digest != got or (is_whole and not noted.is_whole):
            _write(version, _Note(got, is_whole))
        return got


def is_known(path: Path) -> bool:
    """Tell whether a file was found whole earlier and was not touched since."""
    try:
        noted = _noted(_version(path))
    except OSError:
        return False
    return noted is not None and noted.is_whole


def remember(path: Path, found: str) -> None:
    """Note that a file was found whole.

    Where nothing can be noted, it is hashed again the next time.

    Parameters
    ----------
    path : Path
        The file.
    found : str
        Its digest.

    Raises
    ------
    OSError
        If the file is not there any more.
    """
    _write(_version(path), _Note(found, is_whole=True))


class _Version(NamedTuple):
    """A file as it is now."""

    path: str
    size: int
    mtime_ns: int


class _Note(NamedTuple):
    """What was found out about a file, and whether that is what it should be."""

    digest: str
    is_whole: bool


def _version(path: Path) -> _Version:
    content = path.resolve()
    state = content.stat()
    return _Version(str(content), state.st_size, state.st_mtime_ns)


def _noted(version: _Version) -> _Note | None:
    try:
        noted = json.loads(_place(version).read_text("utf-8"))
        if (noted["size"], noted["mtime_ns"]) != (version.size, version.mtime_ns):
            return None
        return _Note(str(noted["digest"]), noted["is_whole"] is True)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(version: _Version, note: _Note) -> None:
    content = json.dumps({**version._asdict(), **note._asdict()}).encode()
    place = _place(version)
    with suppress(OSError, FileError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, lambda file: file.write(content))


def _place(version: _Version) -> Path:
    key = hashlib.sha256(version.path.encode()).hexdigest()[:32]
    return assets_folder() / "verified" / f"{key}.json"
