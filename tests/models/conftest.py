"""Networks with random weights: what they answer is nonsense, but always the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models.nano.network import NanoNet
from tests.models.hub_fixtures import cache, content, hub, spec  # noqa: F401


@pytest.fixture
def network() -> NanoNet:
    """Return a network in inference mode, its normalisations not yet folded."""
    torch.manual_seed(0)
    network = NanoNet().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # What folding has to respect.
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network


@pytest.fixture
def weights(network: NanoNet, tmp_path: Path) -> Path:
    """Write the network's weights to a file."""
    path = tmp_path / "random.safetensors"
    save_file(network.state_dict(), path)
    return path
