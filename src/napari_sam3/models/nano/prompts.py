"""Prompts as dense maps: what the decoder sees of clicks, box and earlier mask.

Dense maps instead of sparse tokens follow SegNext (Liu et al., CVPR 2024) and
RITM (Sofiiuk et al., 2022): a small network learns them in far fewer steps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MAP_CHANNELS", "MAP_STRIDE", "PromptTensors", "prompt_maps"]

MAP_STRIDE = 4
#: Two widths of clicks of each sign, the box and its flag, the earlier mask at
#: stride 2 folded into four channels, and its flag.
MAP_CHANNELS = 2 * 2 + 2 + 4 + 1

# A narrow spot says exactly where; a wide one reaches the coarse levels.
_CLICK_SIGMAS = (2.0, 8.0)
_CLICKS_AT_ONCE = 32


class PromptTensors(NamedTuple):
    """Prompts of B objects, in pixels of their windows.

    Attributes
    ----------
    points : Tensor of shape (B, N, 2)
        (row, col); the window's corner is (0, 0), so that the centre of its
        first pixel is (0.5, 0.5).
    labels : Tensor of shape (B, N)
        1 object, 0 background, -1 no click.
    boxes : Tensor of shape (B, 4)
        (row0, col0, row1, col1), edges; NaN where there is no box.
    masks : Tensor of shape (B, 1, H / 2, W / 2)
        Earlier logits at stride 2.
    has_mask : Tensor of shape (B,)
        1 where ``masks`` counts, else 0.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor
    masks: Tensor
    has_mask: Tensor


def _click_maps(prompts: PromptTensors, rows: Tensor, cols: Tensor) -> Tensor:
    """Draw clicks as Gaussians at their exact places, (B, 4, h, w)."""
    maps = torch.zeros(
        (len(prompts.points), 4, len(rows), len(cols)),
        dtype=rows.dtype,
        device=rows.device,
    )
    # In parts, so that thousands of clicks need no more memory than a few.
    for points, labels in zip(
        prompts.points.split(_CLICKS_AT_ONCE, 1),
        prompts.labels.split(_CLICKS_AT_ONCE, 1),
        strict=True,
    ):
        maps = torch.maximum(maps, _draw_clicks(points, labels, rows, cols))
    return maps


def _draw_clicks(points: Tensor, labels: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    d_row = rows[None, None] - points[..., :1]  # (B, N, h)
    d_col = cols[None, None] - points[..., 1:]
    maps = []
    for wanted in (1, 0):
        shown = (labels == wanted).to(d_row.dtype)[..., None, None]
        for sigma in _CLICK_SIGMAS:
            down = torch.exp(-0.5 * (d_row / sigma) ** 2)[..., :, None]
            across = torch.exp(-0.5 * (d_col / sigma) ** 2)[..., None, :]
            maps.append((down * across * shown).amax(1))
    return torch.stack(maps, 1)


def _box_map(boxes: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
    """Fill boxes, edge cells by the share that is covered; (B, 2, h, w)."""
    known = ~boxes.isnan().any(1)
    row0, col0, row1, col1 = boxes.nan_to_num(0.0).unbind(1)

    def share(centres: Tensor, low: Tensor, high: Tensor) -> Tensor:
        half = MAP_STRIDE / 2
        covered = torch.minimum(centres[None] + half, high[:, None]) - torch.maximum(
            centres[None] - half, low[:, None]
        )
        return covered.clamp(0, MAP_STRIDE) / MAP_STRIDE

    filled = share(rows, row0, row1)[:, :, None] * share(cols, col0, col1)[:, None, :]
    flag = known.to(filled.dtype)[:, None, None]
    return torch.stack([filled * flag, flag.expand_as(filled)], 1)


def prompt_maps(prompts: PromptTensors, size: tuple[int, int]) -> Tensor:
    """Draw prompts for the decoder.

    Parameters
    ----------
    prompts : PromptTensors
        Of B objects.
    size : tuple of int
        (H, W) of the windows in pixels.

    Returns
    -------
    Tensor of shape (B, MAP_CHANNELS, H / 4, W / 4)
        In the order clicks (positive narrow, wide, negative narrow, wide), box,
        box flag, earlier mask (4), its flag.
    """
    points = prompts.points
    rows, cols = (
        (torch.arange(n // MAP_STRIDE, device=points.device, dtype=points.dtype) + 0.5)
        * MAP_STRIDE
        for n in size
    )
    flag = prompts.has_mask.to(points.dtype)[:, None, None, None]
    earlier = F.pixel_unshuffle(torch.tanh(prompts.masks / 4), 2) * flag
    return torch.cat(
        [
            _click_maps(prompts, rows, cols),
            _box_map(prompts.boxes, rows, cols),
            earlier,
            flag.expand(-1, 1, *earlier.shape[-2:]),
        ],
        dim=1,
    )
