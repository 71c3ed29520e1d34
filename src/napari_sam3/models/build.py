"""From a name or a file to a model that can be asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, find_model
from napari_sam3.models.device import resolve_device, resolve_dtype

if TYPE_CHECKING:
    import torch

    from napari_sam3.core.tracker import Tracker

__all__ = ["build_tracker"]


def build_tracker(
    apply_temporal_disambiguation: bool = False,
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
    target, number = resolve_device(device), resolve_dtype(dtype)
    name = os.fspath(model)
    if name not in CATALOG and (Path(name).suffix or Path(name).exists()):
        path, model_id = Path(name), Path(name).stem
    else:
        spec = find_model(name)
        path, model_id = spec.path, spec.id
    if not path.is_file():
        raise CheckpointError(
            f"There is no weights file at {path}; give the path of a .safetensors "
            "file or reinstall napari-sam3 if it is the embedded model's."
        )
    from napari_sam3.models.nano.tracker import NanoTracker

    return NanoTracker.load(path, model_id=model_id, device=target, dtype=number)
