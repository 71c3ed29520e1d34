"""The network's shapes, and that folding it changes nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from napari_sam3.core.ladder import NUMBERS
from napari_sam3.models.nano.network import TRAITS, NanoNet
from napari_sam3.models.nano.prompts import PromptTensors


def one_click(count: int, size: int) -> PromptTensors:
    """Click the middle of each of some windows."""
    return PromptTensors(
        torch.full((count, 1, 2), size / 2),
        torch.ones(count, 1),
        torch.full((count, 4), float("nan")),
        torch.zeros(count, 1, size // 2, size // 2),
        torch.zeros(count),
    )


def pixels(count: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), generator=generator).float()


@pytest.mark.parametrize(("count", "size"), [(2, 128), (1, 512)])
def test_shapes(network, count, size):
    with torch.inference_mode():
        features = network.embed(pixels(count, size))
        logits, scores, traits = network.decode(features, one_click(count, size))
    assert features.fine.shape == (count, 16, size // 2, size // 2)
    assert [tuple(level.shape) for level in features.levels] == [
        (count, 64, size // stride, size // stride) for stride in (4, 8, 16, 32)
    ]
    assert logits.shape == (count, 4, size // 2, size // 2)
    assert scores.shape == (count, 4)
    assert traits.shape == (count, 4, TRAITS)
    assert logits.isfinite().all()
    assert scores.isfinite().all()
    assert traits.isfinite().all()


def test_folding_removes_the_normalisations_and_changes_no_answer(network):
    folded = copy.deepcopy(network).fold()
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    with torch.inference_mode():
        before, after = (
            net.decode(net.embed(pixels(2, 64)), one_click(2, 64))
            for net in (network, folded)
        )
    for one, other in zip(before, after):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)


def test_folding_twice_is_folding_once(network):
    folded = network.fold()
    state = {name: tensor.clone() for name, tensor in folded.state_dict().items()}
    again = folded.fold().state_dict()
    assert list(again) == list(state)
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_windows_do_not_influence_each_other(network):
    both = pixels(2, 64)
    with torch.inference_mode():
        together = network.decode(network.embed(both), one_click(2, 64))
        alone = network.decode(network.embed(both[1:]), one_click(1, 64))
    for one, other in zip(together, alone):
        assert torch.allclose(one[1:], other, rtol=1e-4, atol=1e-4)


def test_repeated_features_are_those_of_the_named_windows(network):
    with torch.inference_mode():
        features = network.embed(pixels(2, 64))
    repeated = features.repeat(torch.tensor([1, 1, 0]))
    assert torch.equal(repeated.fine[1], features.fine[1])
    for level, source in zip(repeated.levels, features.levels):
        assert len(level) == 3
        assert torch.equal(level[0], source[1])
        assert torch.equal(level[2], source[0])


def test_the_answer_depends_on_the_prompt(network):
    with torch.inference_mode():
        features = network.embed(pixels(1, 64))
        here = one_click(1, 64)
        there = here._replace(points=here.points / 4)
        one, other = (network.decode(features, told).logits for told in (here, there))
    assert not torch.allclose(one, other)


def test_the_scores_are_computed_from_the_traits(network):
    with torch.inference_mode():
        decoded = network.decode(network.embed(pixels(2, 64)), one_click(2, 64))
        scores = network.decoder.score.last(decoded.traits).squeeze(-1)
    assert torch.allclose(decoded.scores, scores, atol=1e-5)


@pytest.mark.parametrize("size", [64, 96])
def test_decoders_of_other_widths_give_the_same_shapes(size):
    torch.manual_seed(0)
    small = NanoNet(pyramid=16, widths=(8, 16, 24, 32)).eval()
    with torch.inference_mode():
        decoded = small.decode(small.embed(pixels(1, size)), one_click(1, size))
    assert decoded.logits.shape == (1, 4, size // 2, size // 2)
    assert decoded.traits.shape == (1, 4, TRAITS)


# ---- the ranking of a ladder ----------------------------------------------------


def tokens(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Make traits and numbers of one ladder's masks."""
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(1, count, TRAITS, generator=generator),
        torch.randn(1, count, len(NUMBERS), generator=generator),
    )


def test_masks_are_ranked_in_any_order(network):
    traits, numbers = tokens(12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        scores = network.ranking(traits, numbers)
        shuffled = network.ranking(traits[:, order], numbers[:, order])
    assert scores.shape == (1, 12)
    assert torch.allclose(scores[:, order], shuffled, atol=1e-5)
    assert scores.std() > 1e-3


def test_masks_are_ranked_beside_each_other(network):
    traits, numbers = tokens(12)
    with torch.inference_mode():
        scores = network.ranking(traits, numbers)
        fewer = network.ranking(traits[:, :8], numbers[:, :8])
        missing = (torch.arange(12) >= 8)[None]
        hidden = network.ranking(traits, numbers, missing)
    assert not torch.allclose(scores[:, :8], fewer, atol=1e-4)
    assert torch.allclose(hidden[:, :8], fewer, atol=1e-5)


def test_the_weights_fit_into_the_package():
    # In float16 all of it stays below 12 MB.
    count = sum(tensor.numel() for tensor in NanoNet().state_dict().values())
    assert count < 6e6
