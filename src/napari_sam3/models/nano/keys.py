"""How a weights file of nano is told from others."""

from __future__ import annotations

import torch

from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.weights.layout import Layout

__all__ = ["LAYOUT", "expected_shapes"]

LAYOUT = Layout(
    "nano, as training/pack.py writes it",
    "nano",
    "nano",
    "pyramid.laterals.0.conv.weight",
    lambda name: name,
)


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Return the tensors that the network needs, without making any.

    Returns
    -------
    dict of str to tuple of int
        Shape of each tensor.
    """
    with torch.device("meta"):
        state = NanoNet().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
