"""SAM 3's mask decoder: from tokens and features to masks and their scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.sam3.neck import Doubling, unnest
from napari_sam3.models.sam3.two_way import Image, TwoWayTransformer

__all__ = ["MaskDecoder", "nest", "stable_or_best"]

#: One mask for a clear prompt and three for an ambiguous one.
MASKS = 4
_HEAD_WIDTH = 256
_NORM_EPS = 1e-6
#: A mask is stable if raising and lowering the threshold by so much...
_STABILITY_DELTA = 0.05
#: ...leaves so much of its area.
_STABILITY = 0.98


class Head(nn.Module):
    """A perceptron of three layers."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(one, other)
            for one, other in ((inputs, hidden), (hidden, hidden), (hidden, outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform the last axis."""
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class MaskDecoder(nn.Module):
    """Answers prompts from an image's features.

    Parameters
    ----------
    channels : int
        Of the image's tokens.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(channels)
        self.obj_score_token = nn.Parameter(torch.empty(1, channels))
        self.iou_token = nn.Parameter(torch.empty(1, channels))
        self.mask_tokens = nn.Parameter(torch.empty(MASKS, channels))
        self.upscale_first = Doubling(channels, channels // 4)
        self.upscale_norm = nn.LayerNorm(channels // 4, eps=_NORM_EPS)
        self.upscale_second = Doubling(channels // 4, channels // 8)
        self.conv_s0 = nn.Conv2d(channels, channels // 8, 1)
        self.conv_s1 = nn.Conv2d(channels, channels // 4, 1)
        self.hypernetworks = nn.ModuleList(
            Head(channels, channels, channels // 8) for _ in range(MASKS)
        )
        self.iou_head = Head(channels, _HEAD_WIDTH, MASKS)

    def forward(
        self,
        prompts: Tensor,
        image: Image,
        places: Tensor,
        fine: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Compute all four masks.

        Parameters
        ----------
        prompts : Tensor of shape (P, T, C)
            Of the prompt encoder; T may be 0.
        image : Image
            Of `TwoWayTransformer.meet`.
        places : Tensor of shape (L, C)
            The code of each image token's place.
        fine : tuple of Tensor
            (1, 4 L, C / 4) and (1, 16 L, C / 8): the image in higher resolution,
            projected, in the order of `nest`.

        Returns
        -------
        logits : Tensor of shape (P, 4, H, W)
            Four pixels to each side of an image token.
        scores : Tensor of shape (P, 4)
            Predicted IoU, 0 to 1.
        """
        own = torch.cat((self.obj_score_token, self.iou_token, self.mask_tokens))
        codes = torch.cat((own.expand(len(prompts), -1, -1), prompts), dim=1)
        tokens, features = self.transformer(codes, image, places)
        upscaled = self.upscale_first(features) + fine[0]
        upscaled = F.gelu(self.upscale_norm(upscaled))
        upscaled = F.gelu(self.upscale_second(upscaled) + fine[1])
        weights = [
            head(tokens[:, 2 + index]) for index, head in enumerate(self.hypernetworks)
        ]
        logits = unnest(upscaled @ torch.stack(weights, dim=-1), 2).contiguous()
        return logits, self.iou_head(tokens[:, 1]).float().sigmoid()


def nest(pixels: Tensor, times: int) -> Tensor:
    """Bring pixels into the order in which `Doubling` makes them.

    Parameters
    ----------
    pixels : Tensor of shape (B, C, H, W)
        Square; its side a multiple of ``2 ** times``.
    times : int
        How often doubling was applied.

    Returns
    -------
    Tensor of shape (B, H * W, C)
        Each coarse cell's pixels side by side, nested.
    """
    batch, channels, height, _ = pixels.shape
    side = height // 2**times
    cut = pixels.reshape(batch, channels, side, *[2] * times, side, *[2] * times)
    pairs = [axis for index in range(times) for axis in (3 + index, 4 + times + index)]
    ordered = cut.permute(0, 2, 3 + times, *pairs, 1)
    return ordered.reshape(batch, height * height, channels)


def stable_or_best(logits: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one mask of four: the first if it is stable, else the best other.

    Parameters
    ----------
    logits : Tensor of shape (P, 4, H, W)
        The first is the answer to a clear prompt.
    scores : Tensor of shape (P, 4)
        Predicted IoU.

    Returns
    -------
    logits : Tensor of shape (P, 1, H, W)
        Chosen, object by object.
    scores : Tensor of shape (P, 1)
        Theirs.

    Notes
    -----
    SAM 2 calls it dynamic multimask via stability (Ravi et al., 2024).
    """
    single = logits[:, 0].flatten(1)
    inner = (single > _STABILITY_DELTA).sum(dim=1)
    outer = (single > -_STABILITY_DELTA).sum(dim=1)
    is_stable = (outer == 0) | (inner >= _STABILITY * outer)
    best = torch.where(is_stable, 0, 1 + scores[:, 1:].argmax(dim=1))
    rows = torch.arange(len(logits), device=logits.device)
    return logits[rows, best, None], scores[rows, best, None]
