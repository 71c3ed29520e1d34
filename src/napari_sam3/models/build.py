"""From a name or a file to a model that can be asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, ModelSpec, find_model
from napari_sam3.models.device import resolve_device, resolve_dtype
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.spec import WEIGHTS_SUFFIXES

if TYPE_CHECKING:
    import torch

    from napari_sam3.core.tracker import Tracker

__all__ = ["build_tracker"]


def build_tracker(
    apply_temporal_disambiguation: bool = False,
    with_backbone: bool = True,
    *,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    report: Report = no_report,
    may_download: bool = True,
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
        A catalog id (see ``napari-sam3 models``), whose weights are downloaded if
        they are not here yet; or a weights file, or a folder with one, of any of
        these networks, in any published form.
    device : str or torch.device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    dtype : str or torch.dtype
        ``"float32"``, ``"bfloat16"``, ``"float16"``, or ``"auto"``: bfloat16 where
        this machine multiplies faster in it, which is tried once, else float32.
        nano is always quickest in float32.
    report : callable, optional
        Called with the bytes that are done and all there are, while weights are
        downloaded or checked; what it raises ends that.
    may_download : bool
        Whether weights of the catalog are downloaded if they are not on this machine,
        or not whole; else that is an error.

    Returns
    -------
    Tracker
        In inference mode; pass it to `SAM3InteractiveImagePredictor`.

    Raises
    ------
    ModelError
        If the model, device or dtype is unknown or not available.
    CheckpointError
        If the weights file is missing, damaged, or of another network, or cannot be
        downloaded.

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
    target = resolve_device(device)
    resolve_dtype(dtype)  # a wrong one is refused before gigabytes are downloaded
    spec, path = _find(model)
    if spec is not None:
        path = fetch_weights(spec, may_download=may_download, report=report)
    if path is None:
        raise AssertionError  # one of both there is
    name = _name_of(path) if spec is None else spec.id
    return _load(path, name, target, dtype)


def _name_of(path: Path) -> str:
    """Return how a file's model is called: never like one of the catalog's."""
    name = path.name or path.resolve().name
    for suffix in (".safetensors.index.json", *WEIGHTS_SUFFIXES):
        if name.endswith(suffix) and name.removesuffix(suffix) not in CATALOG:
            return name.removesuffix(suffix)
    return f"./{name}" if name in CATALOG else name


def _find(model: str | os.PathLike[str]) -> tuple[ModelSpec | None, Path | None]:
    """Return the catalog's entry, or the path, that a name stands for."""
    if not isinstance(model, str | os.PathLike):
        raise ModelError(f"{model!r} is no model; give a name or a weights file.")
    name = os.fspath(model)
    path = Path(name)
    is_path = isinstance(model, os.PathLike) or path.name != name
    is_file = path.name.endswith((*WEIGHTS_SUFFIXES, ".index.json"))
    if name in CATALOG or not (is_path or is_file):
        return find_model(name), None
    return None, path


def _load(
    path: Path, name: str, device: torch.device, dtype: str | torch.dtype
) -> Tracker:
    """Build the network that a file's tensors are of."""
    from napari_sam3.models.layouts import LAYOUTS
    from napari_sam3.models.weights.layout import recognise
    from napari_sam3.models.weights.source import open_weights

    with open_weights(path) as source:
        layout = recognise(source.shapes, LAYOUTS)
        if layout is None:
            raise CheckpointError(
                f"{path} holds no network that napari-sam3 knows; give the weights of "
                f"{', '.join(sorted({one.family for one in LAYOUTS}))}. What is in it "
                "says: napari-sam3 models doctor PATH."
            )
        if layout.family == "nano":
            from napari_sam3.models.nano.tracker import NanoTracker

            number = resolve_dtype(dtype)
            return NanoTracker.load(path, model_id=name, device=device, dtype=number)
        number = resolve_dtype(dtype, device)
        from napari_sam3.models import families
        from napari_sam3.models.sam3.load import load as load_sam3

        load = load_sam3 if layout.family == "sam3" else families.load
        return load(source, layout, model_id=name, device=device, dtype=number)
