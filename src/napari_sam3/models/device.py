"""Where a network runs and in which number format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam3.core.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["resolve_device", "resolve_dtype"]

_DTYPES = ("float32", "bfloat16", "float16")


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


def resolve_dtype(dtype: str | torch.dtype = "auto") -> torch.dtype:
    """Turn a wish into a number format.

    Parameters
    ----------
    dtype : str or torch.dtype
        ``"auto"`` is float32; also ``"float32"``, ``"bfloat16"``, ``"float16"``.

    Returns
    -------
    torch.dtype
        To compute convolutions in.

    Raises
    ------
    ModelError
        If the name is none of these.
    """
    import torch

    name = str(dtype).removeprefix("torch.")
    if name == "auto":
        return torch.float32
    if name not in _DTYPES:
        raise ModelError(
            f"{dtype!r} is no dtype of the models; give 'auto', "
            + " or ".join(repr(known) for known in _DTYPES)
            + "."
        )
    chosen: torch.dtype = getattr(torch, name)
    return chosen
