"""Named tensors of torch's own files."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["read_pickle"]

#: Under which a checkpoint of a training keeps its weights.
_WRAPPERS = ("model", "state_dict", "model_state", "model_state_dict")
#: How many of them lie in each other at most; pickles can contain themselves.
_DEPTH = 2


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Read a file that ``torch.save`` wrote, if it holds tensors and no code.

    Parameters
    ----------
    path : Path
        Of a state dict, or of a checkpoint with one in it.

    Returns
    -------
    dict of str to Tensor
        Mapped to the file, but for files of torch before version 1.6. Empty if there
        are no named tensors.

    Raises
    ------
    pickle.UnpicklingError
        If it holds more than tensors; nothing of that is run.
    Exception
        Of many types, if it is damaged.
    """
    # Files of torch before 1.6 are no zip archives and cannot be mapped.
    content = torch.load(
        path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
    )
    return _tensors_in(content, _DEPTH)


def _tensors_in(content: object, depth: int) -> dict[str, Tensor]:
    """Find the state dict in what a file holds."""
    if not isinstance(content, Mapping):
        return {}
    tensors = {
        name: value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor) and _is_plain(value)
    }
    if not depth:
        return tensors
    inner = [
        _tensors_in(content[key], depth - 1) for key in _WRAPPERS if key in content
    ]
    return max([tensors, *inner], key=len)


def _is_plain(tensor: Tensor) -> bool:
    """Tell whether there are numbers, one for each place."""
    is_dense = tensor.layout == torch.strided and not tensor.is_quantized
    return is_dense and not tensor.is_meta
