"""Changes of a window that leave its objects what they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["change_appearance", "turn", "turn_box", "turn_point"]

Floats = NDArray[np.float32]
_Numbers = Sequence[float] | NDArray[np.float64]


def turn(array: NDArray[Any], code: int) -> NDArray[Any]:
    """Apply one of the eight symmetries of the square to the first two axes."""
    if code & 1:
        array = array[::-1]
    if code & 2:
        array = array[:, ::-1]
    return array.swapaxes(0, 1) if code & 4 else array


def turn_point(point: _Numbers, code: int, size: int) -> list[float]:
    """Turn (row, col) in a window of ``size`` as `turn` turns the window."""
    row, col = point
    if code & 1:
        row = size - row
    if code & 2:
        col = size - col
    return [col, row] if code & 4 else [row, col]


def turn_box(box: _Numbers, code: int, size: int) -> list[float]:
    """Turn (row0, col0, row1, col1) as `turn_point` turns a point."""
    first, second = (turn_point(box[i : i + 2], code, size) for i in (0, 2))
    low, high = np.minimum(first, second), np.maximum(first, second)
    return [*low, *high]


def _recolour(x: Floats, rng: np.random.Generator) -> Floats:
    choice = rng.random()
    if choice < 0.25:  # grey
        weights = rng.dirichlet((2, 2, 2)).astype(np.float32)
        return np.repeat((x @ weights)[..., None], 3, axis=2)
    if choice < 0.40:  # a ramp between two random colours
        grey = x.mean(axis=2, keepdims=True)
        low, high = rng.random((2, 3)).astype(np.float32)
        return low + (high - low) * grey
    if choice < 0.60:
        return x[..., rng.permutation(3)]
    if choice < 0.75:  # mix the channels a little
        mix = np.eye(3) + rng.normal(0, 0.2, (3, 3))
        return x @ (mix / mix.sum(axis=0, keepdims=True)).astype(np.float32)
    return x


def _relight(x: Floats, rng: np.random.Generator) -> Floats:
    if rng.random() < 0.15:
        x = 1 - x
    if rng.random() < 0.7:
        x = np.clip(x, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.35)))
    if rng.random() < 0.7:
        contrast = np.float32(np.exp(rng.normal(0, 0.35)))
        x = (x - 0.5) * contrast + 0.5 + np.float32(rng.normal(0, 0.12))
    if rng.random() < 0.15:  # uneven illumination
        size = x.shape[0]
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        a, b = rng.normal(0, 0.2, 2).astype(np.float32)
        x = x * (1 + a * ramp[:, None, None] + b * ramp[None, :, None])
    return x


def _degrade(x: Floats, rng: np.random.Generator) -> Floats:
    if rng.random() < 0.2:
        sigma = rng.uniform(0.4, 1.8)
        x = ndimage.gaussian_filter(x, (sigma, sigma, 0))
    if rng.random() < 0.3:
        grain = rng.exponential(0.05)
        shape = x.shape if rng.random() < 0.3 else (*x.shape[:2], 1)
        x = x + rng.normal(0, grain, shape).astype(np.float32)
    return x


def change_appearance(
    window: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change colours, light, sharpness and noise.

    Parameters
    ----------
    window : ndarray of shape (rows, columns, 3) and dtype uint8
        RGB.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    ndarray of the same shape and dtype
    """
    if rng.random() < 0.15:
        return window
    x = window.astype(np.float32) / np.float32(255)
    x = _degrade(_relight(_recolour(x, rng), rng), rng)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)
