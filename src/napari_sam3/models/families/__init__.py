"""SAM 1 and SAM 2.1, through transformers, which is imported when one is built.

The networks are transformers' modules; what goes in, what comes out and in which
order they are called is ours, as the original predictors have it. `sam1` and `sam2`
say what has which shape, `sam1_keys` and `sam2_keys` how files name it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam3.models.families import sam1_keys, sam2_keys

if TYPE_CHECKING:
    import torch

    from napari_sam3.models.families.network import FamilyNetwork
    from napari_sam3.models.view.tracker import ViewTracker
    from napari_sam3.models.weights.layout import Layout
    from napari_sam3.models.weights.source import TensorSource

__all__ = ["LAYOUTS", "expected_shapes", "load"]

#: Every published form of every size that `load` reads.
LAYOUTS: tuple[Layout, ...] = (*sam2_keys.LAYOUTS, *sam1_keys.LAYOUTS)

#: Parts whose numbers stay in float32, whatever the rest is computed in.
_FLOAT32 = ("prompt_encoder.",)


def expected_shapes(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the tensors that a network needs, without making any.

    Parameters
    ----------
    layout : Layout
        One of `LAYOUTS`.

    Returns
    -------
    dict of str to tuple of int
        Shape of each tensor, by the network's name, as `compare` takes it.

    Raises
    ------
    ModelError
        If transformers, whose modules they are, is not there or does not work.
    """
    state = _build(layout).state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def load(
    source: TensorSource,
    layout: Layout,
    *,
    model_id: str,
    device: torch.device,
    dtype: torch.dtype,
) -> ViewTracker:
    """Make a model of a weights file.

    Parameters
    ----------
    source : TensorSource
        The file, which may be closed afterwards.
    layout : Layout
        The one of `LAYOUTS` that it follows.
    model_id : str
        How embeddings name it.
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        What to compute in; prompts are encoded in float32 in any case.

    Returns
    -------
    ViewTracker
        Ready to embed images.

    Raises
    ------
    ModelError
        If transformers is not there or does not work.
    CheckpointError
        If tensors are missing, of another shape, or unknown.
    """
    from napari_sam3.models.view.tracker import ViewTracker
    from napari_sam3.models.weights.convert import converter
    from napari_sam3.models.weights.layout import fill, weights_hash

    network = _build(layout)

    fill(network, source, layout, converter(device, dtype, _FLOAT32))
    network.finish(dtype)
    number = str(dtype).removeprefix("torch.")
    weights = f"{weights_hash(network)}-{number}"
    return ViewTracker(network, model_id=model_id, weights=weights, device=device)


def _build(layout: Layout) -> FamilyNetwork:
    """Make the network of a layout on the ``meta`` device, where nothing is stored."""
    import torch

    from napari_sam3.models.families import sam1, sam2
    from napari_sam3.models.families.network import from_transformers

    # Imported before: what modules make while they are imported stays what it is.
    from_transformers("SamModel" if layout.family == "sam1" else "Sam2Model")
    with torch.device("meta"):
        if layout.family == "sam1":
            return sam1.Sam1Network(sam1.SIZES[layout.variant])
        return sam2.Sam2Network(sam2.SIZES[layout.variant])
