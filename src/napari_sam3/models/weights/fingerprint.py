"""Telling the weights of a network from others of the same shapes."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn

__all__ = ["weights_hash"]

#: Bytes up to which a tensor is hashed whole; of larger ones it is these samples. A
#: sample is a page, because nothing less is read of a mapped file.
_HASHED_WHOLE = 1 << 18
_SAMPLES = 32
_PAGE = 4096


def weights_hash(network: nn.Module) -> str:
    """Return twelve hex digits that tell weights apart.

    Of large tensors only samples are hashed, 32 pages or more spread over each:
    training changes them all, and reading gigabytes would take as long as loading.

    Parameters
    ----------
    network : nn.Module
        With its weights.

    Returns
    -------
    str
        The same on every machine for the same weights in the same dtype.
    """
    digest = hashlib.blake2b(digest_size=6)
    for name, tensor in network.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(_sample(tensor).cpu().numpy().tobytes())
    return digest.hexdigest()


def _sample(tensor: Tensor) -> Tensor:
    flat = tensor.detach().contiguous().view(-1).view(torch.uint8)
    if flat.numel() <= _HASHED_WHOLE:
        return flat
    pages = flat[: flat.numel() // _PAGE * _PAGE].view(-1, _PAGE)
    return pages[:: len(pages) // _SAMPLES].contiguous()
