"""Features as named arrays of float16, and back: what a store keeps."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.models.view.network import Features

__all__ = ["Kinds", "kinds_of", "to_arrays", "to_features"]

#: Per tensor its dtype and shape.
Kinds = tuple[tuple[torch.dtype, tuple[int, ...]], ...]

_DTYPES = {
    name: getattr(torch, name) for name in ("float16", "bfloat16", "float32", "float64")
}


def kinds_of(features: Features) -> Kinds:
    """Return what features of the same network have in common."""
    return tuple((tensor.dtype, tuple(tensor.shape)) for tensor in features)


def to_arrays(features: Features) -> dict[str, NDArray[np.float16]]:
    """Return features as arrays.

    Parameters
    ----------
    features : tuple of Tensor
        Of one image, floating-point.

    Returns
    -------
    dict of str to ndarray of dtype float16
        Called by number and dtype, such as ``"0.bfloat16"``. bfloat16 loses nothing
        but what is tiny; what is too large becomes infinite.
    """
    return {
        f"{number}.{str(tensor.dtype).removeprefix('torch.')}": tensor.detach()
        .to("cpu", torch.float16)
        .contiguous()
        .numpy()
        for number, tensor in enumerate(features)
    }


def to_features(
    arrays: Mapping[str, NDArray[np.generic]], device: torch.device
) -> Features | None:
    """Return arrays as the features that they were.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Of `to_arrays`, in any order.
    device : torch.device
        Where to.

    Returns
    -------
    tuple of Tensor or None
        None if they are something else.
    """
    tensors = {}
    for name, array in arrays.items():
        number, _, dtype = name.partition(".")
        fits = array.dtype == np.float16 and array.shape[:1] == (1,)
        if not fits or not number.isdecimal() or dtype not in _DTYPES:
            return None
        # A copy: torch wants memory that may be written to.
        tensor = torch.from_numpy(np.array(array))
        tensors[int(number)] = tensor.to(device, _DTYPES[dtype])
    if not tensors or sorted(tensors) != list(range(len(tensors))):
        return None
    return tuple(tensors[number] for number in range(len(tensors)))
