"""Sections as an electron microscope shows them: neurites and myelinated axons."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.monolayers import spread_cells
from training.outlines import Star, StarMap, divide, draw_radii, pack_discs, star
from training.scenes import boundaries, tidy
from training.shapes import log_uniform, smooth_noise


def _grit(rng: np.random.Generator, size: int) -> np.ndarray:
    """Texture of stained cytoplasm, float32 (size, size), deviation about 1."""
    grit = smooth_noise(rng, size, 1.5) + smooth_noise(rng, size, rng.uniform(2.5, 6))
    return np.asarray(grit / 1.4, np.float32)


def _organelles(
    rng: np.random.Generator, picture: np.ndarray, away: np.ndarray, diameter: float
) -> None:
    """Draw mitochondria and vesicles where there is room, in place.

    `away`, float (size, size), is the distance to the nearest membrane.
    """
    size = len(picture)
    stars: list[Star] = []
    small = max(2.5, diameter * rng.uniform(0.08, 0.16))
    rows, cols = np.nonzero(away > small + 2)
    if not len(rows):
        return
    for _ in range(int(rng.integers(0, 2 + int((size / diameter) ** 2)))):
        i = rng.integers(len(rows))
        centre = np.array([rows[i], cols[i]], float)
        r = min(small * rng.uniform(0.8, 1.6), away[rows[i], cols[i]] - 1.5)
        stars.append(star(rng, centre, r, flat=rng.uniform(0.5, 1)))
    kept = divide(size, stars)
    inside = kept.inside & (away > 1.5)
    stripes = np.sin(smooth_noise(rng, size, 2 * small) * 3 * rng.uniform(1, 4))
    body = rng.uniform(-0.45, -0.15) + 0.1 * stripes
    picture[inside] = (0.3 * picture + body)[inside]
    picture -= 0.4 * np.exp(-((kept.depth / 1.0) ** 2)) * (away > 1.5)
    if rng.random() < 0.6:
        # Vesicles: small rings in clouds.
        cloud = smooth_noise(rng, size, diameter / 2) > rng.uniform(0.3, 1.5)
        dots = smooth_noise(rng, size, rng.uniform(3, 5))
        ring = np.exp(-(((dots - 1.0) / 0.25) ** 2))
        picture -= rng.uniform(0.2, 0.5) * ring * cloud * (away > 3)


def neurites(rng: np.random.Generator, size: int) -> Specimen:
    """Draw cut neurites that fill the plane, with dark membranes between them.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Neurites are the objects; mitochondria and vesicles are parts of them.
    """
    diameter = min(log_uniform(rng, 18, 110), max(size / 2.5, 18))
    labels = spread_cells(
        rng, size, diameter, rng.uniform(0.05, 0.2), rng.uniform(1, 2.4)
    )
    if rng.random() < 0.6:
        # Some profiles are far larger: neighbours grow together.
        other = spread_cells(rng, size, 2.2 * diameter, 0.15, rng.uniform(1, 2))
        big = rng.random(other.max() + 1) < rng.uniform(0.2, 0.6)
        labels = np.where(big[other], other + labels.max() + 1, labels)
    labels = tidy(labels)
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    spread = rng.uniform(0.03, 0.2)
    level = spread * rng.standard_normal(labels.max() + 1).astype(np.float32)
    picture = level[labels] + rng.uniform(0.05, 0.2) * _grit(rng, size)
    _organelles(rng, picture, away, diameter)
    thick = rng.uniform(0.8, 1.2 + 0.012 * diameter)
    # Two membranes with a cleft between, where the scale shows them apart.
    cleft = rng.uniform(0, 1.8) if diameter > 50 else 0.0
    membrane = np.exp(-(((away - cleft) / thick) ** 2))
    picture = picture * (1 - membrane) - rng.uniform(0.7, 1.1) * membrane
    if rng.random() < 0.5:
        labels = tidy(np.where(away > cleft + 0.5 * thick, labels, 0))
    contrast = log_uniform(rng, 0.2, 0.55)
    base = rng.uniform(0.5, 0.75)
    picture = base + contrast * picture
    if rng.random() < 0.12:
        picture = 1 - picture
    return Specimen(labels, picture.astype(np.float32), diameter / 2, 0.5 * contrast)


def _fibres(rng: np.random.Generator, size: int) -> tuple[StarMap, StarMap]:
    """Pack nerve fibres: their outlines and those of the axons within."""
    r = log_uniform(rng, 7, max(min(45, size / 6), 8))
    radii = draw_radii(rng, size, r, (0.8, 2.2), rng.uniform(0.15, 0.55))
    tight = rng.uniform(0.85, 1.05)
    centres, radii = pack_discs(rng, size, radii, tight, int(rng.integers(4, 30)))
    wobble, ratio = rng.uniform(0.05, 0.3), rng.uniform(0.55, 0.82)
    outer, inner = [], []
    for centre, one in zip(centres, radii, strict=True):
        whole = star(rng, centre, one, flat=rng.uniform(0.65, 1), wobble=wobble)
        uneven = star(rng, centre, 1.0, wobble=0.5 * wobble).radii
        share = np.clip(ratio * uneven + rng.normal(0, 0.04), 0.4, 0.9)
        outer.append(whole)
        inner.append(Star(centre, (whole.radii * share).astype(np.float32)))
    return divide(size, outer), divide(size, inner)


def axons(rng: np.random.Generator, size: int) -> Specimen:
    """Draw myelinated nerve fibres cut across; arguments as for `neurites`.

    Returns
    -------
    Specimen
        The objects are whole fibres, or axons without their myelin, alike
        throughout an image.
    """
    outer, inner = _fibres(rng, size)
    axon = inner.inside & (inner.owner == outer.owner) & outer.inside
    diameter = float(2 * np.median(outer.radii[1:]))
    grit = _grit(rng, size)
    # Between the fibres: unmyelinated processes and collagen.
    small = smooth_noise(rng, size, rng.uniform(6, 12))
    veins = np.exp(-((small / rng.uniform(0.15, 0.3)) ** 2))
    picture = rng.uniform(-0.1, 0.1) - rng.uniform(0.1, 0.3) * veins
    picture = picture + rng.uniform(0.05, 0.15) * grit
    within = rng.uniform(0.2, 0.5) + rng.uniform(0.03, 0.12) * grit
    if diameter > 24:
        spots = smooth_noise(rng, size, diameter / rng.uniform(5, 9)) > 1.5
        within = within - rng.uniform(0.1, 0.4) * spots
    picture = np.where(axon, within, picture)
    sheath = outer.inside & ~axon
    lamellae = np.sin(outer.depth * rng.uniform(1, 3)) * rng.uniform(0, 0.15)
    ring = -rng.uniform(0.6, 0.9) + lamellae + rng.uniform(0, 0.15) * grit
    picture = np.where(sheath, ring, picture)
    # Thin gaps keep sheaths apart that touch.
    gap = boundaries(outer.labels)
    picture = picture + rng.uniform(0.2, 0.6) * gap
    contrast = log_uniform(rng, 0.25, 0.55)
    sign = rng.choice([-1, 1], p=[0.35, 0.65])
    picture = 0.5 + sign * contrast * (picture + 0.1)
    whole = rng.random() < 0.5
    labels = tidy(outer.labels if whole else np.where(axon, outer.owner, 0))
    return Specimen(labels, picture.astype(np.float32), diameter / 2, 0.5 * contrast)
