"""From a name or a file to a model that can be asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, find_model
from napari_sam3.models.device import resolve_device, resolve_dtype

if TYPE_CHECKING:
    import torch

    from napari_sam3.core.tracker import Tracker

__all__ = ["build_tracker"]

_PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_WEIGHTS_SUFFIXES = (".safetensors", *_PICKLE_SUFFIXES)


def build_tracker(
    apply_temporal_disambiguation: bool = False,
    with_backbone: bool = True,
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
) -> Tracker:
    """Build a promptable model, ready to embed images.

    Parameters
    ----------
    apply_temporal_disambiguation : bool
        Accepted for scripts written for SAM 3; it concerns video memory and has
        no effect on images.
    with_backbone : bool
        Accepted likewise; a model without its image encoder could not embed
        images, so it always has one.
    model : str or path
        A catalog id (see ``napari-sam3 models``) or a weights file.
    device : str or torch.device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    dtype : str or torch.dtype
        ``"auto"`` (float32), ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Returns
    -------
    Tracker
        In inference mode; pass it to `SAM3InteractiveImagePredictor`.

    Raises
    ------
    ModelError
        If the model, device or dtype is unknown or not available.
    CheckpointError
        If the weights file is missing, damaged, or of another network.

    Examples
    --------
    >>> tracker = build_tracker(apply_temporal_disambiguation=False)
    >>> tracker.model_id
    'nano'
    """
    for name, flag in (
        ("apply_temporal_disambiguation", apply_temporal_disambiguation),
        ("with_backbone", with_backbone),
    ):
        if not isinstance(flag, bool):
            raise ModelError(
                f"{name} is {flag!r}; it is True or False. A model is chosen by its "
                "name: build_tracker(model=...)."
            )
    target, number = resolve_device(device), resolve_dtype(dtype)
    path, model_id = _find_weights(model)
    from napari_sam3.models.nano.tracker import NanoTracker

    return NanoTracker.load(path, model_id=model_id, device=target, dtype=number)


def _find_weights(model: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the weights file of a catalog id or of a path, and the model's id."""
    if not isinstance(model, str | os.PathLike):
        raise ModelError(f"{model!r} is no model; give a name or a weights file.")
    name = os.fspath(model)
    path = Path(name)
    is_path = isinstance(model, os.PathLike) or path.name != name
    if name in CATALOG or not (is_path or path.suffix in _WEIGHTS_SUFFIXES):
        spec = find_model(name)
        path, name = spec.path, spec.id
    else:
        name = path.stem
    if path.suffix in _PICKLE_SUFFIXES:
        raise CheckpointError(
            f"{path} is a pickle, which could run code when it is read; give a "
            ".safetensors file."
        )
    try:
        is_there = path.is_file()
    except OSError:  # a name that no file can have
        is_there = False
    if not is_there:
        raise CheckpointError(
            f"There is no weights file at {path}; give the path of a .safetensors "
            "file, or reinstall napari-sam3 if it is the embedded model's."
        )
    return path, name
