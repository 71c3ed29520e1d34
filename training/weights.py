"""Files of weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sam3.core.errors import CheckpointError

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
) -> int:
    """Write tensors, all at once or not at all, for all who may read other files.

    Parameters
    ----------
    state : dict of str to Tensor
        By their names.
    path : Path
        Replaced if there is one.
    metadata : dict of str to str, optional
        Kept in the file's header.

    Returns
    -------
    int
        Bytes written.
    """
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch()
    mode = partial.stat().st_mode  # safetensors lets only the owner read
    save_file({k: v.contiguous() for k, v in state.items()}, partial, metadata)
    partial.chmod(mode)
    partial.replace(path)
    return path.stat().st_size
