"""SAM 3's neck: the trunk's features at three resolutions."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.sam3.linear import linear

__all__ = ["Doubling", "Neck"]


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

    def forward(self, tokens: Tensor, projection: nn.Conv2d | None = None) -> Tensor:
        """Take (B, L, inputs) to (B, 4 L, outputs).

        A 1 x 1 convolution that follows may be given: it is drawn in.
        """
        matrix: Tensor = self.weight.permute(2, 3, 1, 0)
        bias: Tensor = self.bias
        if projection is not None:
            # In float32, or the product would be rounded twice.
            after = projection.weight.flatten(1).float()
            matrix, bias = after @ matrix.float(), after @ bias.float()
            if projection.bias is not None:
                bias = bias + projection.bias
            matrix, bias = matrix.to(tokens.dtype), bias.to(tokens.dtype)
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
    """One resolution: doublings, then two convolutions."""

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

        A 1 x 1 convolution that follows may be given: it is drawn into the last one
        here, which then computes the few channels that are wanted of it.
        """
        # One name for all of it: at the finest level each step takes 85 MB, which
        # have to be free again when the next but one needs them.
        if self.doublings:
            *earlier, last = self.doublings
            for doubling in earlier:
                tokens = F.gelu(doubling(tokens))
            tokens = last(tokens, self.conv_1x1)
        else:
            tokens = linear(tokens, self.conv_1x1.weight.flatten(1), self.conv_1x1.bias)
        tokens = unnest(tokens, len(self.doublings))
        if projection is None:
            return self.conv_3x3(tokens)
        weight, bias = _joined(self.conv_3x3, projection)
        return F.conv2d(tokens, weight, bias, padding=1)


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
