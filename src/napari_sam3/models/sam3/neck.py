"""SAM 3's neck: the trunk's features at three resolutions."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.sam3.linear import linear

__all__ = ["Doubling", "Neck", "unnest"]

#: Channels of the finest level that are computed at once.
_CHANNELS = 64


class Doubling(nn.Module):
    """A transposed convolution of kernel 2 and stride 2, on tokens.

    Each cell becomes four, and no two overlap: that is a matrix product. The four
    stay side by side in the token axis, which is a nested order of pixels, so that
    nothing is moved in memory; `unnest` brings them into reading order.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 2, 2))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, tokens: Tensor) -> Tensor:
        """Take (B, L, inputs) to (B, 4 L, outputs)."""
        return double(tokens, self.weight.permute(2, 3, 1, 0), self.bias)


def double(tokens: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """Make four tokens of each.

    Parameters
    ----------
    tokens : Tensor of shape (B, L, I)
        Of a view.
    matrix : Tensor of shape (2, 2, O, I)
        For the upper and lower, left and right of the four.
    bias : Tensor of shape (O,)
        Added to each.

    Returns
    -------
    Tensor of shape (B, 4 L, O)
        The four side by side.
    """
    doubled = linear(tokens, matrix.flatten(0, 2), bias.repeat(4))
    return doubled.view(tokens.shape[0], -1, len(bias))


def unnest(tokens: Tensor, times: int) -> Tensor:
    """Bring tokens that were doubled into reading order.

    Parameters
    ----------
    tokens : Tensor of shape (B, L, C)
        Of a square view.
    times : int
        How often `Doubling` was applied.

    Returns
    -------
    Tensor of shape (B, C, H, W)
        Channels last in memory.
    """
    batch, length, channels = tokens.shape
    side = round((length / 4**times) ** 0.5)
    cut = tokens.view(batch, side, side, *[2] * (2 * times), channels)
    rows = [1, *range(3, 3 + 2 * times, 2)]
    cols = [2, *range(4, 4 + 2 * times, 2)]
    ordered = cut.permute(0, *rows, *cols, 3 + 2 * times)
    pixels = ordered.reshape(batch, side * 2**times, side * 2**times, channels)
    return pixels.permute(0, 3, 1, 2)


class Level(nn.Module):
    """One resolution: doublings, then two convolutions.

    From the last doubling on everything is linear. So steps that follow each other
    are drawn into one where they work on the same pixels, and channels are computed
    some at a time and added up: at the finest level all of them would take 85 MB,
    twice.
    """

    def __init__(self, width: int, channels: int, doublings: int) -> None:
        super().__init__()
        widths = [width // 2**index for index in range(doublings + 1)]
        self.doublings = nn.ModuleList(
            Doubling(wide, narrow) for wide, narrow in pairwise(widths)
        )
        self.conv_1x1 = nn.Conv2d(widths[-1], channels, 1)
        self.conv_3x3 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, tokens: Tensor, projection: nn.Conv2d | None = None) -> Tensor:
        """Take (B, L, width) to (B, channels, H, W).

        A 1 x 1 convolution that follows may be given; then only its channels are
        computed.
        """
        for doubling in self.doublings[:-1]:
            tokens = F.gelu(doubling(tokens))
        matrix, bias = self._first_step()
        weight, last_bias = self.conv_3x3.weight, self.conv_3x3.bias
        if projection is not None:
            weight, last_bias = _joined(self.conv_3x3, projection)
        pixels: Tensor | None = None
        for start in range(0, len(bias), _CHANNELS):
            some = slice(start, start + _CHANNELS)
            if self.doublings:
                part = double(tokens, matrix[:, :, some], bias[some])
            else:
                part = linear(tokens, matrix[some], bias[some])
            part = unnest(part, len(self.doublings))
            part = F.conv2d(part, weight[:, some], padding=1).float()
            pixels = part if pixels is None else pixels.add_(part)
        assert pixels is not None
        if last_bias is not None:
            pixels.add_(last_bias[:, None, None])
        return pixels.to(tokens.dtype)

    def _first_step(self) -> tuple[Tensor, Tensor]:
        """Return what takes tokens to the channels that the 3 x 3 convolution sees."""
        after, bias = self.conv_1x1.weight.flatten(1), self.conv_1x1.bias
        assert bias is not None
        if not self.doublings:
            return after, bias
        last: Doubling = self.doublings[-1]  # type: ignore[assignment]
        # In float32, or the product would be rounded twice.
        matrix = after.float() @ last.weight.permute(2, 3, 1, 0).float()
        shift = after.float() @ last.bias.float() + bias.float()
        return matrix.to(after.dtype), shift.to(after.dtype)


class Neck(nn.Module):
    """The trunk's features at four, two and one times its resolution.

    Parameters
    ----------
    width : int
        Channels of the trunk.
    channels : int
        Channels of each level.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            Level(width, channels, doublings) for doublings in (2, 1, 0)
        )

    def forward(
        self, features: Tensor, projections: tuple[nn.Conv2d, nn.Conv2d]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the levels.

        Parameters
        ----------
        features : Tensor of shape (B, H, W, width)
            Of the trunk.
        projections : tuple of nn.Conv2d
            What the mask decoder does to the two fine levels.

        Returns
        -------
        tuple of Tensor
            (B, c0, 4 H, 4 W) and (B, c1, 2 H, 2 W), projected, and
            (B, channels, H, W).
        """
        tokens = features.flatten(1, 2)
        finest, fine, coarse = self.levels
        return (
            finest(tokens, projections[0]),
            fine(tokens, projections[1]),
            coarse(tokens),
        )


def _joined(first: nn.Conv2d, second: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Return one convolution that does what two do, the second being 1 x 1."""
    matrix = second.weight.flatten(1).float()
    weight = torch.einsum("om,mihw->oihw", matrix, first.weight.float())
    bias = torch.zeros(len(matrix), device=matrix.device)
    for one, by in ((first, matrix), (second, None)):
        if one.bias is not None:
            bias = bias + (one.bias.float() if by is None else by @ one.bias.float())
    dtype = first.weight.dtype
    return weight.to(dtype), bias.to(dtype)
