"""Fluorescent nuclei and cell bodies, touching and unevenly bright."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.monolayers import islands, spread_cells
from training.outlines import divide, draw_radii, scatter, star
from training.scenes import boundaries, tidy
from training.shapes import log_uniform, smooth_noise


def _haze(rng: np.random.Generator, glow: np.ndarray, diameter: float) -> np.ndarray:
    """Light from above and below the focus, float32, shaped as `glow`."""
    size = len(glow)
    wide = ndimage.gaussian_filter(glow, diameter * rng.uniform(0.4, 1.2))
    ghosts = np.clip(smooth_noise(rng, size, 1.3 * diameter) - 0.5, 0, None)
    haze = rng.uniform(0, 0.4) * wide + rng.uniform(0, 0.2) * ghosts
    return np.asarray(haze, np.float32)


def nuclei(rng: np.random.Generator, size: int) -> Specimen:
    """Draw stained nuclei: textured, crowded, with haze from beyond the focus.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Nuclei are the objects; neighbours are told apart by thin dark seams or by
        bright overlaps.
    """
    r = min(log_uniform(rng, 6, 40), max(size / 6, 6))
    stars = scatter(
        rng,
        size,
        draw_radii(rng, size, r, (0.2, 1.6), rng.uniform(0.05, 0.3)),
        rng.uniform(0.8, 1.05),
        int(rng.integers(2, 30)),
        flat=rng.uniform(0.6, 0.95),
        vary=0.1,
        wobble=rng.uniform(0.02, 0.2),
    )
    bodies = divide(size, stars)
    labels = tidy(bodies.labels)
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    inside = labels > 0
    vary = rng.uniform(0.03, 0.3)
    level = np.exp(vary * rng.standard_normal(labels.max() + 1)).astype(np.float32)
    ball = np.clip(away / (rng.uniform(0.1, 0.8) * r), 0, 1) ** 0.5
    chromatin = smooth_noise(rng, size, max(1.5, r / rng.uniform(2, 6)))
    glow = level[labels] * inside * (0.4 + 0.6 * ball)
    glow = glow * (1 + rng.uniform(0.03, 0.3) * chromatin)
    if r > 12 and rng.random() < 0.5:
        # Nucleoli take up no dye.
        spots = smooth_noise(rng, size, r / rng.uniform(2, 3)) > 1.4
        glow = glow * (1 - rng.uniform(0.2, 0.6) * spots * (away > 0.15 * r))
    touch = (away < 1.2) & ndimage.binary_erosion(inside, iterations=2)
    glow = glow * (1 + rng.choice([-0.6, 0.35], p=[0.75, 0.25]) * touch)
    contrast = log_uniform(rng, 0.12, 0.7)
    picture = rng.uniform(0.03, 0.15) + contrast * (glow + _haze(rng, glow, 2 * r))
    return Specimen(labels, picture.astype(np.float32), 2 * r, 0.5 * contrast)


def _cores(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Nuclei in the middle of the cells, float32 (size, size), 0 to 1; or none."""
    count = int(labels.max())
    if not count or rng.random() < 0.25:
        return np.zeros(labels.shape, np.float32)
    index = np.arange(1, count + 1)
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, index))
    radii = np.sqrt(np.bincount(labels.ravel())[1:]) * rng.uniform(0.17, 0.28)
    stars = [
        star(rng, c, max(q, 2), flat=rng.uniform(0.7, 1))
        for c, q in zip(centres, radii, strict=True)
    ]
    return np.clip(divide(len(labels), stars).depth, 0, 1) * (labels > 0)


def cytoplasm(rng: np.random.Generator, size: int) -> Specimen:
    """Draw dyed cell bodies with dark or counterstained nuclei.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Whole cells are the objects; two dyes make a picture in colour.
    """
    diameter = min(log_uniform(rng, 18, 110), max(size / 2.5, 18))
    labels = spread_cells(
        rng, size, diameter, rng.uniform(0.03, 0.2), rng.uniform(1, 2.5)
    )
    labels = islands(rng, labels, diameter, 0.6)
    inside = labels > 0
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    vary = rng.uniform(0.05, 0.35)
    level = np.exp(vary * rng.standard_normal(labels.max() + 1)).astype(np.float32)[
        labels
    ]
    thick = np.clip(away / (rng.uniform(0.1, 0.5) * diameter), 0, 1)
    strands = smooth_noise(rng, size, max(1.5, diameter / rng.uniform(6, 20)))
    body = 0.35 + 0.65 * thick + rng.uniform(0.05, 0.3) * strands
    glow = inside * level * np.clip(body, 0.1, None)
    line = np.exp(-((away / rng.uniform(0.8, 1.5)) ** 2)) * inside
    glow = glow + rng.choice([-0.7, 0.9]) * rng.uniform(0.5, 1) * line * level
    cores = _cores(rng, labels)
    contrast = log_uniform(rng, 0.12, 0.55)
    base = rng.uniform(0.03, 0.15)
    if rng.random() < 0.35:
        dyes = rng.permutation(np.eye(3))[:2]
        if rng.random() < 0.4:
            dyes = dyes + 0.3
        grain = 1 + 0.2 * smooth_noise(rng, size, max(2, diameter / 12))
        layers = np.stack([glow * (1 - 0.4 * cores), 1.2 * cores * grain], -1)
        picture = base + contrast * layers @ dyes
    else:
        picture = base + contrast * (glow * (1 + rng.uniform(-0.8, 0.4) * cores))
    return Specimen(labels, picture.astype(np.float32), diameter / 2, 0.5 * contrast)
