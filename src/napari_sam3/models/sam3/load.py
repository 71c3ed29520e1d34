"""From a weights file to SAM 3, ready to be asked."""

from __future__ import annotations

import torch

from napari_sam3.models.sam3.network import Sam3Network
from napari_sam3.models.view.tracker import ViewTracker
from napari_sam3.models.weights.convert import converter
from napari_sam3.models.weights.layout import Layout, fill, weights_hash
from napari_sam3.models.weights.source import TensorSource

__all__ = ["expected_shapes", "load"]


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Return the tensors that the network needs, without making any.

    Returns
    -------
    dict of str to tuple of int
        Shape of each tensor, by the network's name.
    """
    with torch.device("meta"):
        state = Sam3Network().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def load(
    source: TensorSource,
    layout: Layout,
    *,
    model_id: str,
    device: torch.device,
    dtype: torch.dtype,
    network: Sam3Network | None = None,
) -> ViewTracker:
    """Make a model of a weights file.

    On a CPU and in the file's dtype, the weights stay mapped to the file: loading
    takes a moment, and what is never used is never read.

    Parameters
    ----------
    source : TensorSource
        The file, which may be closed afterwards.
    layout : Layout
        That it follows.
    model_id : str
        How embeddings name it.
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        What to compute in; prompts are encoded in float32 in any case.
    network : Sam3Network, optional
        On the ``meta`` device, of another size than the published one.

    Returns
    -------
    ViewTracker
        Ready to embed images.

    Raises
    ------
    CheckpointError
        If tensors are missing, of another shape, or unknown.
    """
    if network is None:
        with torch.device("meta"):
            network = Sam3Network()

    fill(network, source, layout, converter(device, dtype, ("prompt_encoder.",)))
    network.eval().requires_grad_(False)
    number = str(dtype).removeprefix("torch.")
    weights = f"{weights_hash(network)}-{number}"
    return ViewTracker(network, model_id=model_id, weights=weights, device=device)
