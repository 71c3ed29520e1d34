"""Weights that differ have another hash, however large they are."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_sam3.models.weights.fingerprint import _sample, weights_hash


@pytest.fixture
def network() -> nn.Module:
    """Return a network with tensors of many sizes."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Module()
    for name, shape in {
        "scalar": (),
        "empty": (0, 3),
        "small": (3, 5),
        "edge": (256, 256),  # as large as what is hashed whole
        "over": (256, 257),
        "large": (1000, 1003),
    }.items():
        tensor = torch.randn(shape, generator=generator)
        network.register_buffer(name, tensor)
    network.register_buffer("count", torch.tensor(3))
    return network


def test_equal_weights_have_the_same_hash(network: nn.Module) -> None:
    found = weights_hash(network)

    assert weights_hash(copy.deepcopy(network)) == found
    assert len(found) == 12
    assert int(found, 16) >= 0
    # Wherever it is computed: fingerprints are kept.
    zeros = nn.Linear(2, 1)
    nn.init.zeros_(zeros.weight)
    nn.init.zeros_(zeros.bias)
    assert weights_hash(zeros) == "6ec358e6ec61"


@pytest.mark.parametrize("name", ["scalar", "small", "edge", "over", "large", "count"])
def test_a_change_of_any_single_tensor_changes_the_hash(
    network: nn.Module, name: str
) -> None:
    before = weights_hash(network)
    tensor = network.get_buffer(name)

    # As little as training does: the last bits of most numbers.
    tensor.copy_(tensor * (1 + 1e-5) if tensor.is_floating_point() else tensor + 1)

    assert weights_hash(network) != before


@pytest.mark.parametrize("name", ["small", "edge"])
def test_in_a_small_tensor_a_single_number_counts(
    network: nn.Module, name: str
) -> None:
    before = weights_hash(network)

    network.get_buffer(name)[-1, -1] += 1

    assert weights_hash(network) != before


def test_dtype_shape_and_name_count(network: nn.Module) -> None:
    def hash_of(name: str, tensor: torch.Tensor) -> str:
        module = nn.Module()
        module.register_buffer(name, tensor)
        return weights_hash(module)

    zeros = torch.zeros(4, 2)
    hashes = {
        hash_of("a", zeros),
        hash_of("b", zeros),
        hash_of("a", zeros.view(2, 4)),
        hash_of("a", zeros.to(torch.int32)),
        hash_of("a", zeros.half()),
        hash_of("a", zeros.bfloat16()),
    }

    assert len(hashes) == 6


def test_how_a_tensor_lies_in_memory_does_not_count() -> None:
    one, other = nn.Module(), nn.Module()
    values = torch.arange(600_000, dtype=torch.float32).view(2, 3, 100, 1000)
    one.register_buffer("a", values)
    other.register_buffer("a", values.to(memory_format=torch.channels_last))

    assert weights_hash(one) == weights_hash(other)


@pytest.mark.parametrize("numbers", [65_537, 1_000_003, 10_000_000])
def test_of_large_tensors_a_few_pages_all_over_it_are_hashed(numbers: int) -> None:
    tensor = torch.arange(numbers, dtype=torch.int32)

    sample = _sample(tensor)

    assert 32 * 4096 <= sample.numel() <= 64 * 4096
    seen = sample.view(torch.int32).flatten()
    assert torch.diff(seen).max() < numbers / 16
    assert seen[0] == 0
    assert seen[-1] > 0.9 * numbers
