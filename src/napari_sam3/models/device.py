"""Where a network runs, in which number format, and when memory runs out there."""

from __future__ import annotations

import errno
import math
import os
import re
import sys
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING

from napari_sam3.core.errors import MemoryFullError, ModelError

if TYPE_CHECKING:
    import torch

__all__ = [
    "free_memory",
    "is_faster_in_half",
    "is_out_of_memory",
    "leave_a_core",
    "resolve_device",
    "resolve_dtype",
    "synchronize",
]

_DTYPES = ("float32", "bfloat16", "float16")

#: Shapes of the factors that are tried, like those in a large transformer.
_PROBE = ((512, 1024), (4096, 1024))
_PROBES = 4
#: Share of the time at which the lesser precision is worth it.
_WORTHWHILE = 0.75

#: What torch says where memory runs out, besides its own type of error: CUDA,
#: cuBLAS and cuDNN, MPS, and the CPU's allocator on each system.
_SHORTAGE = re.compile(
    "out of memory|allocate memory|not enough memory|ALLOC_FAILED|Invalid buffer size"
)


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Turn a wish into a device that is there.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` takes CUDA, else Apple's MPS, else the CPU; ``"cpu"``,
        ``"cuda"``, ``"cuda:1"``, ``"mps"`` are taken at their word.

    Returns
    -------
    torch.device
        One that this machine has.

    Raises
    ------
    ModelError
        If there is no such device on this machine.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ModelError(
            f"{device!r} is no device; give 'auto', 'cpu', 'cuda' or 'mps'."
        ) from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available()
        and (wanted.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(wanted.type, False):
        raise ModelError(
            f"This machine or this build of torch has no {str(wanted)!r} device; "
            "use device='cpu' or device='auto'."
        )
    return wanted


def resolve_dtype(
    dtype: str | torch.dtype = "auto", device: torch.device | None = None
) -> torch.dtype:
    """Turn a wish into a number format.

    Parameters
    ----------
    dtype : str or torch.dtype
        ``"float32"``, ``"bfloat16"``, ``"float16"`` or ``"auto"``.
    device : torch.device, optional
        For which ``"auto"`` is decided: bfloat16 if `is_faster_in_half` says so, else
        float32. Without a device it is float32.

    Returns
    -------
    torch.dtype
        To compute in.

    Raises
    ------
    ModelError
        If the name is none of these.
    """
    import torch

    name = str(dtype).removeprefix("torch.")
    if name == "auto":
        is_fast = device is not None and is_faster_in_half(str(device))
        return torch.bfloat16 if is_fast else torch.float32
    if name not in _DTYPES:
        raise ModelError(
            f"{dtype!r} is no dtype of the models; give 'auto', "
            + " or ".join(repr(known) for known in _DTYPES)
            + "."
        )
    chosen: torch.dtype = getattr(torch, name)
    return chosen


@cache
def is_faster_in_half(device: str) -> bool:
    """Try whether a device multiplies matrices faster in bfloat16 than in float32.

    Takes some tenths of a second on a CPU, once per process. Where processors only
    emulate bfloat16, it is slower.

    Parameters
    ----------
    device : str
        Such as ``"cpu"``.

    Returns
    -------
    bool
        True if it saves a quarter of the time or more. False where bfloat16 is not
        known.
    """
    import torch

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        try:
            seconds[dtype] = _time_product(torch.device(device), dtype)
        except (RuntimeError, TypeError):  # this device has no such format
            return False
    return seconds[torch.bfloat16] <= _WORTHWHILE * seconds[torch.float32]


def _time_product(device: torch.device, dtype: torch.dtype) -> float:
    """Return the seconds that a product takes, the best of some."""
    import torch

    a, b = (torch.ones(shape, device=device, dtype=dtype) for shape in _PROBE)
    best = math.inf
    for _ in range(_PROBES):
        start = perf_counter()
        # One number of it: it is there when the product is.
        torch.nn.functional.linear(a, b)[-1, -1].item()
        best = min(best, perf_counter() - start)
    return best


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on a device or in the machine.

    Parameters
    ----------
    error : BaseException
        From torch, NumPy, Python or the system; torch is not imported for it.

    Returns
    -------
    bool
        True where the same work may succeed with less at once, or elsewhere.

    Examples
    --------
    >>> is_out_of_memory(MemoryError())
    True
    >>> is_out_of_memory(RuntimeError("shapes do not match"))
    False
    """
    if isinstance(error, MemoryError | MemoryFullError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch's own type is a RuntimeError, and without torch there is none of it.
    return isinstance(error, RuntimeError) and (
        isinstance(error, getattr(sys.modules.get("torch"), "OutOfMemoryError", ()))
        or _SHORTAGE.search(str(error)) is not None
    )


def leave_a_core(device: str | torch.device = "cpu") -> None:
    """Have torch compute on one core less than there are, on this thread.

    The threads of one computation wait for each other. If a window is drawn on one
    of their cores, all of them wait for the window, many times in each layer of a
    network.

    Parameters
    ----------
    device : str or torch.device
        Nothing is done for others than the CPU, nor if fewer threads are set already.
    """
    torch = sys.modules.get("torch")
    if torch is None or str(device) != "cpu":
        return
    spare = max(1, (os.cpu_count() or 1) - 1)
    if torch.get_num_threads() > spare:
        torch.set_num_threads(spare)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was asked for.

    Graphics cards are asked long before they are done: who does not wait knows
    neither how far they are nor how long they take, and cannot cancel.

    Parameters
    ----------
    device : torch.device
        Nothing is to be waited for on the CPU.
    """
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def free_memory(device: str | torch.device = "cpu") -> None:
    """Give back what nobody holds any more, before work is tried again.

    An exception keeps the arrays of every function that it came through: call this
    after its ``except`` clause, not in it. Python's cyclic garbage is left alone:
    it may hold windows, which no other thread than theirs may destroy.

    Parameters
    ----------
    device : str or torch.device
        Whose cache is emptied. torch is not imported for it.
    """
    torch = sys.modules.get("torch")
    kind = str(device).partition(":")[0]
    if torch is None:
        return
    if kind == "cuda" and torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif kind == "mps" and torch.backends.mps.is_available():
        torch.mps.empty_cache()
