"""Files of a folder that several processes write to at the same time."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["is_abandoned", "listed", "write_shared"]

#: A file that is being written: host, process and thread tell writers apart.
_UNFINISHED = re.compile(r"\..+\.([0-9a-f]{8})-(\d+)-\d+\.tmp")
#: Seconds after which nobody is still writing a file.
_ABANDONED = 3600.0


@cache
def _host() -> str:
    """Return hex digits for this machine: a folder may be shared by several."""
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


def write_shared(path: Path, parts: Iterable[memoryview]) -> None:
    """Write a file that appears under its name whole, or not at all.

    Parameters
    ----------
    path : Path
        The file, whose content its name determines: which of several writers is
        first makes no difference. Its folder is made if it is not there.
    parts : iterable of memoryview
        Its bytes, one after the other.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    writer = f"{_host()}-{os.getpid()}-{threading.get_ident()}"
    unfinished = path.with_name(f".{path.stem}.{writer}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        # Windows lets nobody replace a file that another process is reading.
        if not path.is_file():
            raise
    finally:
        with suppress(OSError):
            unfinished.unlink()


def listed(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder, as far as it can be read."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # it is not there, or no folder, or not for us to read
        return []


def is_abandoned(file: os.DirEntry[str]) -> bool:
    """Tell whether a file was being written by a process that is gone.

    Parameters
    ----------
    file : os.DirEntry
        Any file.

    Returns
    -------
    bool
        False if it is not one of `write_shared`'s.

    Raises
    ------
    OSError
        If it is gone.
    """
    name = _UNFINISHED.fullmatch(file.name)
    if name is None:
        return False
    if name[1] == _host() and not _is_running(int(name[2])):
        return True
    return time.time() - file.stat().st_mtime > _ABANDONED


def _is_running(process: int) -> bool:
    """Tell whether a process of this machine may still be running."""
    if os.name == "nt":  # where the question would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OverflowError:  # no system has such numbers
        return False
    except OSError:  # it is another user's
        return True
    return True
