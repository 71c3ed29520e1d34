"""Importing torch on one thread while another one draws a window."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["load_torch_libraries"]

#: In the order in which they need each other.
_LIBRARIES = ("libc10", "libtorch_cpu", "libtorch", "libtorch_python")
_SUFFIX = {"linux": ".so", "darwin": ".dylib"}


def load_torch_libraries() -> bool:
    """Load torch's libraries without stopping the other threads.

    ``import torch`` holds Python's global lock while the operating system loads
    some hundred megabytes, for half a second on a laptop: a window freezes that
    long. Called as a foreign function the same system call releases the lock, and
    the import afterwards finds the libraries there.

    Returns
    -------
    bool
        Whether anything was loaded; False if torch is there already, or where
        this is not known to work. The import itself tells what is wrong then.
    """
    suffix = _SUFFIX.get(sys.platform)
    if suffix is None or "torch" in sys.modules:
        return False
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype = ctypes.c_void_p
    dlopen.argtypes = [ctypes.c_char_p, ctypes.c_int]
    folder = Path(spec.origin).parent / "lib"
    loaded = False
    for name in _LIBRARIES:
        path = folder / f"{name}{suffix}"
        if path.exists():
            flags = os.RTLD_NOW | os.RTLD_GLOBAL
            loaded |= dlopen(os.fsencode(path), flags) is not None
    return loaded
