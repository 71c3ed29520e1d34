"""nano's network: pyramid over the encoder, prompts as maps, a light U-Net decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.nano.encoder import TAP_CHANNELS, ConvNorm, Encoder
from napari_sam3.models.nano.prompts import MAP_CHANNELS, PromptTensors, prompt_maps
from napari_sam3.models.nano.ranking import LadderHead

__all__ = ["TRAITS", "Decoded", "Features", "NanoNet"]

#: Channels of every pyramid level; four levels make the 256 of the embedding.
PYRAMID_CHANNELS = 64
#: Decoder widths at strides 4, 8, 16, 32.
WIDTHS = (32, 64, 128, 160)
#: One mask for a clear prompt and three for an ambiguous one.
MASKS = 4
_FINE_CHANNELS = 16
#: What is kept of a mask beside its score, for ranking it among others.
TRAITS = 128


class Features(NamedTuple):
    """What the encoder gives for a batch of windows (B, 3, H, W).

    Attributes
    ----------
    fine : Tensor of shape (B, 16, H / 2, W / 2)
        The encoder's first features, for sharp edges.
    levels : tuple of Tensor
        Pyramid levels (B, 64, H / s, W / s) for s in 4, 8, 16, 32.
    """

    fine: Tensor
    levels: tuple[Tensor, ...]

    def repeat(self, index: Tensor) -> Features:
        """Return the features of the windows that ``index`` (B',) names."""
        return Features(self.fine[index], tuple(level[index] for level in self.levels))


class Decoded(NamedTuple):
    """What the decoder answers for B prompts.

    Attributes
    ----------
    logits : Tensor of shape (B, 4, H / 2, W / 2)
        Masks: the plain answer, then three for ambiguous prompts.
    scores : Tensor of shape (B, 4)
        Logits of the predicted intersection over union.
    traits : Tensor of shape (B, 4, TRAITS)
        What the scores were computed from.
    """

    logits: Tensor
    scores: Tensor
    traits: Tensor


class _Block(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, activation=nn.ReLU())
        self.second = ConvNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)))


class Pyramid(nn.Module):
    """Feature pyramid (Lin et al., CVPR 2017) over strides 4 to 32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            ConvNorm(channels, width, 1) for channels in TAP_CHANNELS[1:]
        )

    def forward(self, taps: list[Tensor]) -> tuple[Tensor, ...]:
        """Turn taps at strides 4 to 32 into levels of equal channels."""
        levels = [
            lateral(tap) for lateral, tap in zip(self.laterals, taps, strict=True)
        ]
        for index in range(len(levels) - 1, 0, -1):
            finer = F.interpolate(levels[index], scale_factor=2.0, mode="nearest")
            levels[index - 1] = levels[index - 1] + finer
        return tuple(levels)


class Decoder(nn.Module):
    """U-Net over pyramid levels and prompt maps: four masks and their scores."""

    def __init__(self, pyramid: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.prompt = nn.Sequential(
            ConvNorm(MAP_CHANNELS, widths[0], activation=nn.ReLU()),
            ConvNorm(widths[0], widths[0]),
        )
        self.enter = nn.ModuleList(ConvNorm(pyramid, width, 1) for width in widths)
        self.down = nn.ModuleList(
            ConvNorm(fine, coarse, stride=2) for fine, coarse in pairwise(widths)
        )
        self.left = nn.ModuleList(_Block(width) for width in widths)
        self.up = nn.ModuleList(
            ConvNorm(coarse, fine, 1) for fine, coarse in pairwise(widths)
        )
        self.right = nn.ModuleList(_Block(width) for width in widths[:-1])
        # The whole window's mean lets one click know what else is around.
        self.context = nn.Linear(widths[-1], widths[-1])
        self.spread = ConvNorm(widths[0], 4 * _FINE_CHANNELS)
        self.fine = ConvNorm(TAP_CHANNELS[0], _FINE_CHANNELS, 1)
        self.last = ConvNorm(_FINE_CHANNELS, _FINE_CHANNELS, activation=nn.ReLU())
        self.masks = nn.Conv2d(_FINE_CHANNELS, MASKS, 1)
        self.score = _ScoreHead(widths[0], widths[-1])

    def forward(self, features: Features, maps: Tensor) -> Decoded:
        """Decode prompts.

        Parameters
        ----------
        features : Features
            Of B windows.
        maps : Tensor of shape (B, MAP_CHANNELS, H / 4, W / 4)
            One object per window.

        Returns
        -------
        Decoded
            Masks, scores and traits.
        """
        skips = []
        x = self.prompt(maps)
        for index, level in enumerate(features.levels):
            if index:
                x = self.down[index - 1](x)
            x = self.left[index](F.relu(x + self.enter[index](level)))
            skips.append(x)
        context = self.context(x.mean((2, 3)))
        x = x + context[:, :, None, None]
        for index in range(len(self.up) - 1, -1, -1):
            coarse = F.interpolate(self.up[index](x), scale_factor=2.0, mode="nearest")
            x = self.right[index](F.relu(skips[index] + coarse))
        fine = F.pixel_shuffle(self.spread(x), 2) + self.fine(features.fine)
        logits = self.masks(self.last(F.relu(fine)))
        return Decoded(logits, *self.score(context, x, logits.detach()))


class _ScoreHead(nn.Module):
    """Predicted quality of each mask, from what lies under it and at its rim.

    Pooling features under the mask follows Mask Scoring R-CNN (Huang et al.,
    CVPR 2019) in spirit: the score must see the mask that it judges.
    """

    def __init__(self, fine: int, context: int) -> None:
        super().__init__()
        # Means under the mask and in its blurred rim, and four plain numbers.
        self.first = nn.Linear(context + 2 * fine + 4, TRAITS)
        self.rank = nn.Parameter(torch.zeros(MASKS, TRAITS))
        self.second = nn.Linear(TRAITS, TRAITS)
        self.last = nn.Linear(TRAITS, 1)

    def forward(
        self, context: Tensor, x: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        inside = F.avg_pool2d(logits.float().sigmoid(), 2)  # to stride 4
        rim = inside * (1 - inside) * 4
        pixels = x.float().flatten(2).transpose(1, 2)  # (B, hw, C)
        area, edge = inside.flatten(2), rim.flatten(2)
        mean_in = area @ pixels / (area.sum(-1, keepdim=True) + 1)
        mean_rim = edge @ pixels / (edge.sum(-1, keepdim=True) + 1)
        border = torch.cat(
            [inside[..., 0, :], inside[..., -1, :], inside[..., 0], inside[..., -1]],
            dim=-1,
        )
        numbers = torch.stack(
            [
                area.mean(-1).sqrt(),
                edge.sum(-1) / (area.sum(-1) + 1),
                border.mean(-1),
                border.amax(-1),
            ],
            dim=-1,
        )
        shared = context.float()[:, None].expand(-1, MASKS, -1)
        hidden = self.first(torch.cat([shared, mean_in, mean_rim, numbers], -1))
        hidden = F.relu(hidden + self.rank)
        hidden = F.relu(self.second(hidden))
        return self.last(hidden).squeeze(-1), hidden


class NanoNet(nn.Module):
    """The whole network; embed once, decode for each prompt.

    Parameters
    ----------
    pyramid : int
        Channels of each level of the pyramid.
    widths : sequence of int
        Channels of the decoder at strides 4, 8, 16, 32. The shipped weights have
        the default widths; others are for trying.
    """

    def __init__(
        self, pyramid: int = PYRAMID_CHANNELS, widths: Sequence[int] = WIDTHS
    ) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.pyramid = Pyramid(pyramid)
        self.decoder = Decoder(pyramid, widths)
        self.ranking = LadderHead(TRAITS)

    def embed(
        self, pixels: Tensor, *, between: Callable[[], object] | None = None
    ) -> Features:
        """Encode RGB windows of shape (B, 3, H, W), 0 to 255; see `Encoder.forward`."""
        taps = self.encoder(pixels, between=between)
        return Features(taps[0], self.pyramid(taps[1:]))

    def decode(self, features: Features, prompts: PromptTensors) -> Decoded:
        """Segment one object per window; see `Decoder.forward`."""
        height, width = features.fine.shape[-2:]
        maps = prompt_maps(prompts, (2 * height, 2 * width))
        decoded: Decoded = self.decoder(features, maps)
        return decoded

    def fold(self) -> NanoNet:
        """Merge all normalisations into their convolutions, for inference."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
                module.fold()
        return self
