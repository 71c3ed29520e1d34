"""Stained sections, plant tissue and organoids."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.outlines import StarMap, divide, draw_radii, scatter
from training.scenes import boundaries, tidy
from training.shapes import log_uniform, smooth_noise

HAEMATOXYLIN = np.array([0.75, 0.85, 0.35])
EOSIN = np.array([0.10, 0.65, 0.35])


def _stroma(rng: np.random.Generator, size: int) -> np.ndarray:
    """Density of eosin between nuclei: fibres, cells and empty places."""
    waves = smooth_noise(rng, size, size / rng.uniform(2, 6))
    fibres = np.sin(waves * rng.uniform(8, 25) + 2 * smooth_noise(rng, size, 12))
    mottle = smooth_noise(rng, size, log_uniform(rng, 3, 20))
    density = 0.55 + 0.12 * fibres * rng.uniform(0, 1) + rng.uniform(0.05, 0.2) * mottle
    if rng.random() < 0.5:
        empty = smooth_noise(rng, size, log_uniform(rng, 20, 80)) - rng.uniform(
            0.5, 1.5
        )
        density = density * (1 - 0.9 * np.clip(5 * empty, 0, 1))
    return np.asarray(np.clip(density, 0, 1.5), np.float32)


def histology(rng: np.random.Generator, size: int) -> Specimen:
    """Draw a section in haematoxylin and eosin.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Nuclei are the objects; the picture is in colour.
    """
    r = log_uniform(rng, 5, 20)
    stars = scatter(
        rng,
        size,
        draw_radii(rng, size, r, (0.2, 1.3), rng.uniform(0.08, 0.3)),
        rng.uniform(0.75, 1.1),
        int(rng.integers(1, 16)),
        flat=rng.uniform(0.45, 0.95),
        vary=0.12,
        wobble=rng.uniform(0.05, 0.3),
    )
    nuclei = divide(size, stars)
    chromatin = smooth_noise(rng, size, max(2, r / rng.uniform(2, 5)))
    level = rng.uniform(0.5, 1.1) * np.exp(rng.normal(0, 0.2, len(stars) + 1))
    rim = np.exp(-((nuclei.depth / 1.5) ** 2))
    blue = 1 + rng.uniform(0.1, 0.4) * chromatin + rng.uniform(0, 0.5) * rim
    blue = level[nuclei.owner] * blue * np.clip(nuclei.depth + 0.5, 0, 1)
    # Where nuclei touch, or lie on each other, a line shows.
    seam = boundaries(nuclei.labels) & ndimage.binary_erosion(nuclei.inside)
    blue = np.clip(blue, 0, 3) * (1 + rng.choice([-0.6, 0.5]) * seam)
    pink = _stroma(rng, size) * rng.uniform(0.4, 1.1)
    purple = HAEMATOXYLIN * np.exp(rng.normal(0, 0.15, 3))
    red = EOSIN * np.exp(rng.normal(0, 0.15, 3))
    if rng.random() < 0.2:
        # Brown instead of pink, as with DAB.
        red = np.array([0.35, 0.55, 0.75]) * np.exp(rng.normal(0, 0.1, 3))
    density = blue[..., None] * purple + pink[..., None] * red + 0.05
    picture = np.exp(-density).astype(np.float32)
    return Specimen(tidy(nuclei.labels), picture, 2 * r, 0.25)


def _files(rng: np.random.Generator, size: int, width: float) -> np.ndarray:
    """Cells in files with cross walls, int32 (size, size), from 1."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    sway = rng.uniform(0, 0.06) * size * smooth_noise(rng, size, size)
    wave = rng.uniform(0.02, 0.12) * width
    u = np.cos(angle) * x + np.sin(angle) * y + wave * smooth_noise(rng, size, width)
    v = np.cos(angle) * y - np.sin(angle) * x + sway
    v = v + wave * smooth_noise(rng, size, width)
    count = int((v.max() - v.min()) / width) + 3
    edges = v.min() - width + np.cumsum(width * rng.uniform(0.55, 1.45, 2 * count))
    strip = np.searchsorted(edges, v)
    long = width * log_uniform(rng, 1.0, 4)
    spread = rng.uniform(0.1, 0.5)
    cells = np.zeros((size, size), np.int32)
    used = 0
    for i in np.unique(strip):
        here = strip == i
        steps = long * np.exp(spread * rng.normal(size=int(2 * size / long) + 8))
        # A cross wall is not quite straight across.
        lean = rng.normal(0, 0.2)
        along = u[here] + lean * v[here]
        walls = along.min() - long * rng.uniform(0, 1) + np.cumsum(steps)
        cells[here] = used + 1 + np.searchsorted(walls, along)
        used = int(cells.max())
    return cells


def _chloroplasts(
    rng: np.random.Generator, away: np.ndarray, width: float
) -> np.ndarray:
    """Discs that line the walls of wide cells, float32 (size, size), 0 to 1; or none.

    `away`, float (size, size), is the distance to the nearest wall.
    """
    if width < 18 or rng.random() < 0.3:
        return np.zeros(away.shape, np.float32)
    size = len(away)
    r = max(1.8, width * rng.uniform(0.06, 0.12))
    count = int(rng.uniform(4, 20) * size**2 / width**2)
    radii = r * rng.uniform(0.7, 1.2, min(count, 300))
    grains = divide(size, scatter(rng, size, radii, 1.0, 3, flat=0.8))
    return np.clip(grains.depth, 0, 1) * ((away > 1.5) & (away < 4 * r + 2))


def plant(rng: np.random.Generator, size: int) -> Specimen:
    """Draw plant tissue: files of cells with thin walls; arguments as for `histology`.

    Returns
    -------
    Specimen
        Cells are the objects; chloroplasts are parts of them.
    """
    width = min(log_uniform(rng, 14, 70), max(size / 3, 14))
    labels = tidy(_files(rng, size, width))
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    thick = rng.uniform(0.7, 1.2 + 0.02 * width)
    wall = np.exp(-((away / thick) ** 2))
    level = rng.uniform(0, 0.08) * rng.standard_normal(labels.max() + 1)
    cytoplasm = level[labels] + 0.04 * smooth_noise(rng, size, rng.uniform(2, 8))
    blobs = _chloroplasts(rng, away, width)
    contrast = log_uniform(rng, 0.15, 0.6)
    bright = rng.random() < 0.55
    sign = 1 if bright else -1
    shown = sign * wall + cytoplasm
    base = rng.uniform(0.05, 0.3) if bright else rng.uniform(0.6, 0.85)
    if rng.random() < 0.35:
        grey = base + contrast * shown
        tone = np.array([0.75, 1.0, 0.6]) if rng.random() < 0.6 else np.ones(3)
        green = np.array([0.6, 0.15, 0.7]) if not bright else np.array([-0.6, 0.1, 0.3])
        picture = grey[..., None] * tone - rng.uniform(0.3, 0.6) * (
            blobs[..., None] * green
        )
    else:
        picture = base + contrast * (
            shown + rng.choice([-0.6, 0.7]) * rng.uniform(0.4, 1) * blobs
        )
    if rng.random() < 0.6:
        labels = tidy(np.where(away > 0.6 * thick, labels, 0))
    return Specimen(labels, picture.astype(np.float32), width / 2, 0.6 * contrast)


def _wall_and_lumen(
    rng: np.random.Generator, blobs: StarMap, r: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fill organoids of radius `r`.

    Returns
    -------
    picture : np.ndarray, float, shape (size, size)
        0 outside.
    lumen : np.ndarray, bool, shape (size, size)
    """
    size = len(blobs.owner)
    count = len(blobs.radii)
    wall = np.maximum(2.5, rng.uniform(0.08, 0.35) * blobs.radii[blobs.owner])
    hollow = rng.random(count) < rng.choice([0.0, 0.7, 1.0], p=[0.2, 0.4, 0.4])
    lumen = blobs.inside & (blobs.depth > wall) & hollow[blobs.owner]
    grain = smooth_noise(rng, size, rng.uniform(1.5, max(2, r / 8)))
    lumps = smooth_noise(rng, size, max(3, r / 5))
    body = rng.uniform(-0.7, 0.5) + rng.uniform(0.1, 0.4) * grain
    body = body + rng.uniform(0, 0.4) * lumps
    content = rng.uniform(-0.3, 0.4) + rng.uniform(0, 0.12) * grain
    if rng.random() < 0.5:
        # Dead cells collect in the middle.
        core = (blobs.rho < rng.uniform(0.15, 0.4)) & (lumps > -0.5)
        content = content - rng.uniform(0.3, 0.9) * core
    tone = 1 + 0.15 * rng.standard_normal(count)
    picture = np.where(lumen, content, np.where(blobs.inside, body, 0))
    return picture * tone[blobs.owner], lumen


def organoids(rng: np.random.Generator, size: int) -> Specimen:
    """Draw organoids or cysts: a wall, a lumen and debris in it.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Organoids are the objects, with wall and lumen.
    """
    r = log_uniform(rng, 16, max(size / 3, 17))
    stars = scatter(
        rng,
        size,
        draw_radii(rng, size, r, (0.2, 0.9), rng.uniform(0.1, 0.5), 60),
        rng.uniform(0.98, 1.15),
        12,
        flat=0.88,
        vary=0.08,
        wobble=rng.uniform(0.02, 0.3),
    )
    blobs = divide(size, stars)
    inside, depth = blobs.inside, blobs.depth
    picture, lumen = _wall_and_lumen(rng, blobs, r)
    line = np.exp(-((depth / rng.uniform(1, 2.5)) ** 2)) * (depth < 4)
    picture = picture + rng.choice([-1.0, 0.8]) * rng.uniform(0.5, 1) * line
    step = ndimage.gaussian_filter(lumen.astype(np.float32), 1.2)
    picture = picture + rng.uniform(-1.5, 1.5) * step * (1 - step)
    if rng.random() < 0.6:
        halo = np.exp(-np.maximum(-depth, 0) / rng.uniform(2, 8)) * ~inside
        picture = picture + rng.uniform(0.2, 0.8) * halo
    ground = smooth_noise(rng, size, log_uniform(rng, 3, 60)) * ~inside
    contrast = log_uniform(rng, 0.12, 0.45)
    picture = 0.5 + contrast * (picture + rng.uniform(0, 0.15) * ground)
    if rng.random() < 0.15:
        picture = picture[..., None] * (1 + rng.normal(0, 0.12, 3))
    labels = tidy(blobs.labels)
    return Specimen(labels, picture.astype(np.float32), r, 0.6 * contrast)
