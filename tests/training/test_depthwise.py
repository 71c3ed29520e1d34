"""Quick gradients are the library's gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.depthwise import speed_up


def pair(
    kernel: int = 3, stride: int = 1, channels: int = 6
) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Return the library's depthwise convolution, and the same one sped up."""
    torch.manual_seed(0)
    plain = nn.Conv2d(
        channels,
        channels,
        kernel,
        stride,
        kernel // 2,
        groups=channels,
        bias=False,
    )
    quick = copy.deepcopy(plain)
    speed_up(nn.Sequential(quick))
    return plain, quick


def gradients(conv: nn.Conv2d, x: torch.Tensor) -> list[torch.Tensor]:
    """Return the answer, and the gradients of a weighted sum of it."""
    x = x.clone().requires_grad_()
    y = conv(x)
    weights = torch.linspace(-1, 1, y.numel()).view(y.shape)
    (y * weights).sum().backward()
    return [y.detach(), x.grad, conv.weight.grad]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_answers_and_gradients_are_the_same(kernel, stride):
    x = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(1))
    plain, quick = pair(kernel, stride)
    for one, other in zip(gradients(plain, x), gradients(quick, x), strict=True):
        assert one.any()
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_half_precision_gives_them_too():
    x = torch.randn(2, 6, 9, 8, generator=torch.Generator().manual_seed(1))
    plain, quick = pair()
    exact = gradients(plain, x)[2]
    plain.weight.grad = None
    found = []
    for conv in (plain, quick):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found.append(gradients(conv, x))
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        assert torch.allclose(one.float(), other.float(), rtol=0.02, atol=0.05)
    assert found[1][0].dtype == torch.bfloat16
    assert torch.allclose(found[1][2], exact, rtol=0.05, atol=0.1)


def test_only_the_gradients_that_are_wanted_are_computed():
    x = torch.randn(1, 6, 8, 8)
    _, quick = pair()
    quick(x).sum().backward()
    assert x.grad is None
    assert quick.weight.grad is not None
    quick.weight.grad = None
    quick.requires_grad_(False)
    x.requires_grad_()
    quick(x).sum().backward()
    assert quick.weight.grad is None
    assert x.grad is not None


def test_other_convolutions_and_all_names_stay():
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.Conv2d(4, 4, 3, bias=False),
        nn.Conv2d(1, 1, 3, bias=False),
    )
    before = network.state_dict()
    speed_up(network)
    assert [type(part) is nn.Conv2d for part in network] == [False] + [True] * 4
    assert isinstance(network[0], nn.Conv2d)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_network_that_was_sped_up_can_be_copied():
    _, quick = pair()
    again = copy.deepcopy(quick)
    x = torch.randn(1, 6, 8, 8)
    assert type(again) is type(quick)
    assert torch.equal(again(x), quick(x))
