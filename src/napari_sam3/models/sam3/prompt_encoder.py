"""SAM's prompt encoder (Kirillov et al., ICCV 2023): clicks, boxes and masks."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_sam3.models.view.network import ViewPrompts

__all__ = ["LayerNorm2d", "PromptEncoder"]

#: Rows of `PromptEncoder.point_embed`.
_BACKGROUND, _OBJECT, _UPPER_LEFT, _LOWER_RIGHT = range(4)
_MASK_CHANNELS = (4, 16)


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels of each pixel of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class PromptEncoder(nn.Module):
    """Turns prompts into tokens, and earlier masks into a map.

    Always in float32: in half precision a click would move by a pixel.

    Parameters
    ----------
    size : int
        Side of the view in pixels.
    grid : int
        Side of the view in tokens.
    channels : int
        Of tokens and maps.
    """

    def __init__(self, size: int, grid: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.grid = grid
        self.frequencies = nn.Parameter(torch.empty(2, channels // 2))
        self.point_embed = nn.Parameter(torch.empty(4, channels))
        self.not_a_point_embed = nn.Parameter(torch.empty(1, channels))
        self.no_mask_embed = nn.Parameter(torch.empty(1, channels))
        first, second = _MASK_CHANNELS
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, first, 2, stride=2),
            LayerNorm2d(first),
            nn.GELU(),
            nn.Conv2d(first, second, 2, stride=2),
            LayerNorm2d(second),
            nn.GELU(),
            nn.Conv2d(second, channels, 1),
        )

    def tokens(self, prompts: ViewPrompts) -> Tensor:
        """Encode boxes and clicks.

        Parameters
        ----------
        prompts : ViewPrompts
            Of P objects.

        Returns
        -------
        Tensor of shape (P, T, channels)
            Two corners, the clicks, and one token that stands for no click. T is 0
            where there is neither a box nor a click.
        """
        parts = []
        if prompts.boxes is not None:
            corners = self.point_embed[[_UPPER_LEFT, _LOWER_RIGHT]]
            parts.append(self._places(prompts.boxes) + corners)
        if prompts.points.shape[1]:
            kinds = torch.where(prompts.labels == 1, _OBJECT, _BACKGROUND)
            parts.append(self._places(prompts.points) + self.point_embed[kinds])
        count = len(prompts.points)
        if not parts:
            return self.not_a_point_embed.new_zeros((count, 0, self._channels))
        parts.append(self.not_a_point_embed.expand(count, 1, -1))
        return torch.cat(parts, dim=1)

    def mask_map(self, masks: Tensor) -> Tensor:
        """Encode earlier masks.

        Parameters
        ----------
        masks : Tensor of shape (P, 1, 4 grid, 4 grid)
            Logits.

        Returns
        -------
        Tensor of shape (P, grid * grid, channels)
            Added to the image's features; `no_mask_embed` is where there is none.
        """
        return self.mask_downscaling(masks).flatten(2).transpose(1, 2)

    def grid_places(self) -> Tensor:
        """Return the code of each token's place, shape (grid * grid, channels)."""
        axis = (torch.arange(self.grid, device=self.frequencies.device) + 0.5) * (
            self.size / self.grid
        )
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        # Without the half pixel that clicks get: these are places, not pixels.
        return self._code(torch.stack((x, y), dim=-1).flatten(0, 1))

    @property
    def _channels(self) -> int:
        return self.point_embed.shape[1]

    def _places(self, pixels: Tensor) -> Tensor:
        return self._code(pixels + 0.5)

    def _code(self, xy: Tensor) -> Tensor:
        """Encode places with random Fourier features (Tancik et al., NeurIPS 2020)."""
        angles = (2 * xy / self.size - 1) @ self.frequencies * (2 * math.pi)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)
