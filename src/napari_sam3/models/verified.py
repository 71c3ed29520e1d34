"""Which files were found whole, so that gigabytes are hashed once and not always."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from napari_sam3.core.errors import FileError
from napari_sam3.core.files import write_atomically
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models.hub_cache import assets_folder

__all__ = ["digest", "is_known", "remember"]

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


def is_known(path: Path, expected: str | None) -> bool:
    """Tell whether a file was found whole earlier and was not touched since.

    Parameters
    ----------
    path : Path
        The file.
    expected : str, optional
        The digest that it must have had; None takes any that was remembered.
    """
    try:
        content = path.resolve()
        state = content.stat()
        noted = json.loads(_note(content).read_text("utf-8"))
        same = (noted["size"], noted["mtime_ns"]) == (state.st_size, state.st_mtime_ns)
        return same and expected in (None, noted["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def remember(path: Path, found: str) -> None:
    """Note that a file was found whole.

    Where nothing can be noted, it is hashed again the next time.

    Parameters
    ----------
    path : Path
        The file.
    found : str
        Its digest.
    """
    content = path.resolve()
    state = content.stat()
    note = {
        "path": str(content),
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        "digest": found,
    }
    with suppress(OSError, FileError):
        target = _note(content)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, lambda file: file.write(json.dumps(note).encode()))


def _note(content: Path) -> Path:
    key = hashlib.sha256(str(content).encode()).hexdigest()[:32]
    return assets_folder() / "verified" / f"{key}.json"
