"""Simulated users, batched on tensors: the next click goes where it is worst."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

__all__ = ["depth_map", "worst_click"]


def depth_map(regions: Tensor) -> Tensor:
    """Return how deep inside its region each cell lies.

    Parameters
    ----------
    regions : bool Tensor of shape (B, h, w)
        The outside of the window counts as outside.

    Returns
    -------
    float32 Tensor of shape (B, h, w)
        0 outside, 1 at the rim, more inside (chessboard distance).
    """
    # On a CPU, scipy's chamfer distance beats repeated pooling tenfold.
    padded = np.pad(regions.numpy(), ((0, 0), (1, 1), (1, 1)))
    depth = [ndimage.distance_transform_cdt(part, "chessboard") for part in padded]
    return torch.from_numpy(np.stack(depth)[:, 1:-1, 1:-1].astype(np.float32))


def worst_click(
    truth: Tensor, predicted: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Click near the centre of the thickest error.

    Parameters
    ----------
    truth, predicted : bool Tensor of shape (B, h, w)
        At stride 2.
    generator : torch.Generator
        Chance: a user does not hit the centre exactly.

    Returns
    -------
    points : float32 Tensor of shape (B, 2)
        (row, col) in window pixels.
    labels : float32 Tensor of shape (B,)
        1 where the object was missed, 0 where background was taken, and -1 where
        nothing is wrong.
    """
    missed, taken = truth & ~predicted, predicted & ~truth
    depth = depth_map(torch.cat([missed, taken]))
    noise = torch.rand(depth.shape, generator=generator)
    spread = 0.01 + 0.6 * torch.rand(depth.shape[0], 1, 1, generator=generator) ** 2
    score = torch.where(depth > 0, depth * (1 + spread * (noise - 0.5)), -1.0)
    count, height, width = truth.shape
    score = score.view(2, count, height * width).transpose(0, 1).flatten(1)
    best = score.argmax(1)
    label = torch.where(best < height * width, 1.0, 0.0)
    label = torch.where(score.amax(1) > 0, label, -1.0)
    cell = best % (height * width)
    corner = torch.stack([cell // width, cell % width], 1).float()
    jitter = torch.rand(count, 2, generator=generator)
    return 2 * (corner + jitter), label
