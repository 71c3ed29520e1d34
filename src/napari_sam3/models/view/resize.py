"""Pixels and logits at another size."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BAND_SIZE", "interpolate", "read_pixels"]

#: Pixels that are computed at once: so few that they stay in the processor's cache,
#: and that no image is ever held in floats.
BAND_SIZE = 1 << 18


def read_pixels(image: NDArray[np.uint8], rows: int, cols: int) -> Tensor:
    """Resize an image, bilinear and antialiased.

    Parameters
    ----------
    image : ndarray of shape (h, w, 3) and dtype uint8
        RGB.
    rows, cols : int
        Wanted.

    Returns
    -------
    Tensor of shape (3, rows, cols) and dtype float32
        Values from 0 to 1.
    """
    # First across, then down, as torch does it; but not where that would make more
    # of a narrow, tall image before it makes less.
    if image.shape[1] < cols and len(image) > rows:
        return _resize_lines(image.swapaxes(0, 1), cols, rows).transpose(1, 2)
    return _resize_lines(image, rows, cols)


def interpolate(values: Tensor, axis: int, places: Tensor) -> Tensor:
    """Read between the lines of a map; beyond its edges it goes on as it ends.

    Parameters
    ----------
    values : Tensor of shape (rows, columns)
        In any floating dtype, on any device.
    axis : int
        0 or 1.
    places : Tensor of shape (N,) and dtype float64
        Indices along the axis. On the CPU: Apple's devices have no float64.

    Returns
    -------
    Tensor of shape (N, columns) or (rows, N)
        Of the same dtype, on the same device.
    """
    last = values.shape[axis] - 1
    places = places.clamp(0, last)
    low = places.long()
    high = (low + 1).clamp(max=last)
    weights = (places - low).to(values.dtype).to(values.device)
    return torch.lerp(
        values.index_select(axis, low.to(values.device)),
        values.index_select(axis, high.to(values.device)),
        weights[:, None] if axis == 0 else weights,
    )


def _resize_lines(image: NDArray[np.uint8], rows: int, cols: int) -> Tensor:
    """Resize across, some lines at once, and then all of it down."""
    across = torch.empty(3, len(image), cols)
    step = max(1, BAND_SIZE // image.shape[1])
    for start in range(0, len(image), step):
        # A copy: torch takes no arrays that are read-only or run backwards.
        band = torch.from_numpy(image[start : start + step].copy())
        pixels = band.permute(2, 0, 1).float() / 255
        across[:, start : start + step] = _resize(pixels, len(band), cols)
    return _resize(across, rows, cols)


def _resize(image: Tensor, rows: int, cols: int) -> Tensor:
    if tuple(image.shape[1:]) == (rows, cols):
        return image
    return F.interpolate(
        image[None], (rows, cols), mode="bilinear", antialias=True, align_corners=False
    )[0]
