"""Files of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from napari_sam3.core.errors import CheckpointError
from napari_sam3.core.files import write_atomically

__all__ = ["read", "write"]


def read(path: Path) -> dict[str, Tensor]:
    """Read tensors by their names.

    Raises
    ------
    CheckpointError
        If the file is missing, or is none of weights.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {error}; give weights.safetensors of a run."
        ) from error


def write(
    state: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors, all at once or not at all, for all who may read other files.

    Parameters
    ----------
    state : dict of str to Tensor
        By their names.
    path : Path
        Replaced if there is one.
    metadata : dict of str to str, optional
        Kept in the file's header.

    Raises
    ------
    FileError
        If the disk is full, for example; an earlier file stays.
    """
    # A file of safetensors' own could be read by its owner alone.
    content = save({k: v.contiguous() for k, v in state.items()}, metadata)
    write_atomically(path, lambda file: file.write(content))
