"""Tensors of a file on the device and in the dtype that a network computes in."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["converter"]


def converter(
    device: torch.device, dtype: torch.dtype, exact: tuple[str, ...] = ()
) -> Callable[[str, Tensor], Tensor]:
    """Return what `fill` takes tensors of a file through.

    Where nothing has to be changed, tensors stay mapped to their file. Where most
    have to, all of them are copied: were a few still mapped, the whole file would
    stay in memory beside its copy.

    Parameters
    ----------
    device : torch.device
        Where to.
    dtype : torch.dtype
        Of the network.
    exact : tuple of str
        Beginnings of the names of tensors that stay in float32.

    Returns
    -------
    callable
        Takes a tensor's name in the network and the tensor.
    """

    def convert(name: str, tensor: Tensor) -> Tensor:
        number = torch.float32 if name.startswith(exact) else dtype
        return tensor.to(device, number, copy=tensor.dtype != dtype)

    return convert
