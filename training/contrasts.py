"""Packed objects as different kinds of microscope show them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.packing import Packing

CONTRASTS = ("phase", "crowd", "fluorescence", "membrane", "seam", "rim", "relief")
CONTRAST_ODDS = (0.25, 0.25, 0.15, 0.1, 0.1, 0.08, 0.07)


def profile(packing: Packing, flatness: float) -> np.ndarray:
    """Thickness of the objects.

    Parameters
    ----------
    packing : Packing
        The objects.
    flatness : float
        0.5 for round objects; less for flat ones.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        1 in the middle of an object, 0 outside.
    """
    depth = np.clip(-packing.first / packing.radii[packing.owner], 0, 1)
    return np.asarray((1 - (1 - depth) ** 2) ** flatness, np.float32)


def _seams(packing: Packing, width: float) -> np.ndarray:
    """Lines between objects that touch, float32 (size, size), peak 1."""
    halfway = (packing.second - packing.first) / 2
    line = np.exp(-((halfway / width) ** 2))
    return np.asarray(line * (packing.first < 1.5), np.float32)


def _phase(rng: np.random.Generator, thick: np.ndarray, width: float) -> np.ndarray:
    """Phase contrast of thick objects: dark, in a halo, paler in the midst of many."""
    reach = width * rng.uniform(0.5, 1.6)
    halo = ndimage.gaussian_filter(thick, reach)
    return rng.uniform(0.4, 0.9) * halo - thick


def _crowd(rng: np.random.Generator, thick: np.ndarray, width: float) -> np.ndarray:
    """Phase contrast out of focus: what stands out is the crowd, seams are faint."""
    blurred = ndimage.gaussian_filter(thick, width * rng.uniform(0.06, 0.2))
    near = ndimage.gaussian_filter(thick, width * rng.uniform(0.5, 1.2))
    far = ndimage.gaussian_filter(thick, width * rng.uniform(2, 5))
    return np.asarray(rng.uniform(0, 0.4) * near + rng.uniform(0, 0.5) * far - blurred)


def contrasted(
    rng: np.random.Generator, packing: Packing, width: float
) -> tuple[np.ndarray, float]:
    """Show the objects in one of `CONTRASTS`.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    packing : Packing
        The objects.
    width : float
        Their typical width in pixels.

    Returns
    -------
    picture : np.ndarray, float32, shape (size, size)
        0 in the background, about 1 at the strongest.
    base : float
        Fitting brightness of the background.
    """
    kind = str(rng.choice(CONTRASTS, p=CONTRAST_ODDS))
    levels = 1 + rng.uniform(0.02, 0.1) * rng.standard_normal(len(packing.radii))
    level = levels.astype(np.float32)[packing.owner]
    first = packing.first
    solid = np.clip(0.5 - first, 0, 1)
    line = np.exp(-((first / rng.uniform(0.8, 1.3)) ** 2)).astype(np.float32)
    if kind == "phase":
        thick = level * profile(packing, rng.uniform(0.35, 0.8))
        return _phase(rng, thick, width), rng.uniform(0.45, 0.65)
    if kind == "crowd":
        thick = level * profile(packing, rng.uniform(0.12, 0.45))
        sign = rng.choice([1, -1], p=[0.75, 0.25])
        return sign * _crowd(rng, thick, width), 0.5 + 0.15 * sign
    if kind == "fluorescence":
        glow = level * profile(packing, rng.uniform(0.3, 0.9))
        return glow * (1 - 0.4 * _seams(packing, 0.7)), rng.uniform(0.04, 0.2)
    if kind == "membrane":
        sign = rng.choice([-1, 1], p=[0.35, 0.65])
        body = rng.uniform(-0.15, 0.3) * solid * level
        return sign * (np.maximum(line, _seams(packing, 0.8)) + body), 0.5 - 0.3 * sign
    if kind == "seam":
        sign = rng.choice([-1, 1])
        body = solid * level * rng.uniform(0.5, 0.8)
        gaps = np.maximum(_seams(packing, rng.uniform(0.6, 1.0)), 0.6 * line)
        return sign * body * (1 - rng.uniform(0.6, 1.3) * gaps), 0.5 - 0.3 * sign
    if kind == "rim":
        rim = np.exp(-(((first + 1) / rng.uniform(0.9, 1.6)) ** 2))
        bright = profile(packing, 1.0) * level * rng.uniform(0.4, 0.9)
        sign = rng.choice([-1, 1], p=[0.3, 0.7])
        return sign * (0.7 * bright - rim).astype(np.float32), 0.5
    height = ndimage.gaussian_filter(level * profile(packing, 0.5), 0.6)
    dy, dx = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * dy + np.cos(angle) * dx
    return 0.8 * slope / (np.abs(slope).max() + 1e-6), 0.5
