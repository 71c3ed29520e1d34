"""Sheets of adherent cells in transmitted light: flat, textured, hard to tell apart."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.scenes import boundaries, tidy
from training.shapes import log_uniform, smooth_noise


def spread_cells(
    rng: np.random.Generator, size: int, spacing: float, wavy: float, stretch: float
) -> np.ndarray:
    """Divide the plane among cells of differing size with wavy outlines.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.
    spacing : float
        Typical distance of the cells in pixels.
    wavy : float
        How far outlines stray from straight lines, as a part of `spacing`.
    stretch : float
        Length over width of the cells; they turn with the place.

    Returns
    -------
    np.ndarray, int32, shape (size, size)
        Cells from 1; the whole plane is taken.
    """
    # A coarse plane will do: neither the seeds nor the waves are finer.
    step = 2 if size > 128 and spacing > 12 else 1
    axis = np.arange(-spacing, size + spacing, spacing)
    seeds = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    seeds = seeds + rng.normal(0, spacing * rng.uniform(0.2, 0.4), seeds.shape)
    weight = spacing * rng.uniform(0, 0.35, len(seeds))
    heading = 0.7 * smooth_noise(rng, size, 3 * spacing) + rng.uniform(0, np.pi)
    y, x = _waves(rng, size, spacing, wavy)[:, ::step, ::step]
    c, s = np.cos(heading)[::step, ::step], np.sin(heading)[::step, ::step]
    best = np.full(y.shape, np.inf, np.float32)
    owner = np.zeros(y.shape, np.int32)
    reach = 2.2 * spacing * stretch**0.5
    for i, (sy, sx) in enumerate(seeds):
        low, high = (
            np.maximum((np.array([sy, sx]) + sign * reach) / step, 0).astype(int)
            for sign in (-1, 1)
        )
        window = (slice(low[0], high[0]), slice(low[1], high[1]))
        dy, dx = y[window] - sy, x[window] - sx
        along = c[window] * dx + s[window] * dy
        across = c[window] * dy - s[window] * dx
        far = np.hypot(along / stretch**0.5, across * stretch**0.5) - weight[i]
        nearer = far < best[window]
        best[window][nearer] = far[nearer]
        owner[window][nearer] = i + 1
    return _refined(owner, step, size)


def _waves(
    rng: np.random.Generator, size: int, spacing: float, wavy: float
) -> np.ndarray:
    """Coordinates of the pixels, moved about; float32 (2, size, size)."""
    places = np.mgrid[:size, :size].astype(np.float32)
    for scale in (spacing / 2, spacing / 5):
        for axis in range(2):
            noise = smooth_noise(rng, size, max(scale, 3))
            places[axis] += wavy * scale * noise
    return np.asarray(places)


def islands(
    rng: np.random.Generator, labels: np.ndarray, diameter: float, lost: float
) -> np.ndarray:
    """Take some cells of a sheet away and let the others shrink unevenly.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    labels : np.ndarray, int32, shape (size, size)
        The sheet.
    diameter : float
        Typical of its cells, in pixels.
    lost : float
        Largest part of the cells that may be missing.

    Returns
    -------
    np.ndarray, int32, shape (size, size)
        Connected and numbered anew.
    """
    kept = rng.random(labels.max() + 1) > rng.uniform(0, lost)
    away = ndimage.distance_transform_edt(~boundaries(labels))
    waves = smooth_noise(rng, len(labels), 0.7 * diameter)
    shrunk = diameter * (rng.uniform(0, 0.06) * waves + rng.uniform(0, 0.05))
    return tidy(np.where(kept[labels] & (away > shrunk), labels, 0))


def _refined(owner: np.ndarray, step: int, size: int) -> np.ndarray:
    """Enlarge labels, int32, with smoothed outlines."""
    if step == 1:
        return owner
    large = owner.repeat(step, 0).repeat(step, 1)[:size, :size]
    return np.asarray(ndimage.median_filter(large, size=3), np.int32)


def granules(rng: np.random.Generator, size: int, diameter: float) -> np.ndarray:
    """Draw the texture of cytoplasm: organelles of two sizes.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.
    diameter : float
        Of the cells, in pixels.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        Standard deviation 1.
    """
    coarse = smooth_noise(rng, size, max(3, diameter / rng.uniform(4, 10)))
    fine = smooth_noise(rng, size, rng.uniform(1.5, 3))
    mixed = coarse * rng.uniform(0.3, 1) + fine * rng.uniform(0.3, 1)
    return np.asarray(mixed / (mixed.std() + 1e-6), np.float32)


def _discs(
    size: int, centres: np.ndarray, radii: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the nearest of some discs, negative inside, and its number.

    Returns
    -------
    distance : np.ndarray, float32, shape (size, size)
    number : np.ndarray, int32, shape (size, size)
        From 1.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32)
    distance = np.full((size, size), 1e3, np.float32)
    number = np.zeros((size, size), np.int32)
    for i, ((cy, cx), r) in enumerate(zip(centres, radii, strict=True), 1):
        new = np.hypot(y - cy, x - cx) - r
        number[new < distance] = i
        distance = np.minimum(distance, new)
    return distance, number


def nucleus_hints(
    rng: np.random.Generator, cells: np.ndarray, diameter: float
) -> np.ndarray:
    """Hint at nuclei in the middle of the cells.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    cells : np.ndarray, int32, shape (size, size)
        Labels; 0 is background.
    diameter : float
        Typical of the cells; much smaller ones get no nucleus.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        -1 to 1; 0 where there is none.
    """
    size = len(cells)
    index = np.unique(cells[cells > 0])
    centres = np.array(ndimage.center_of_mass(cells > 0, cells, index)).reshape(-1, 2)
    areas = np.bincount(cells.ravel())[index]
    shown = areas > 0.3 * diameter**2
    radii = np.sqrt(areas) * rng.uniform(0.18, 0.3)
    far, _ = _discs(size, centres[shown], radii[shown])
    body = np.clip(-far / 3, 0, 1)
    rim = np.exp(-((far / 1.2) ** 2))
    spots = smooth_noise(rng, size, max(3, diameter / 14)) > 1.6
    return np.asarray(
        rng.uniform(-0.6, 0.6) * body
        + rng.uniform(-0.5, 0.5) * rim
        - rng.uniform(0, 0.8) * spots * body,
        np.float32,
    )


def relief(rng: np.random.Generator, height: np.ndarray, sigma: float) -> np.ndarray:
    """Show the slope to one side, as interference contrast does.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    height : np.ndarray, float, shape (size, size)
        Thickness of what is shown.
    sigma : float
        Blur in pixels.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        -1.5 to 1.5.
    """
    dy, dx = np.gradient(ndimage.gaussian_filter(height, max(sigma, 0.7)))
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * dy + np.cos(angle) * dx
    return np.asarray(1.5 * slope / (np.abs(slope).max() + 1e-6), np.float32)


def round_up(
    rng: np.random.Generator, labels: np.ndarray, picture: np.ndarray, diameter: float
) -> None:
    """Put dividing cells, round and with a bright halo, over a sheet.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    labels : np.ndarray, int32, shape (size, size)
        Changed in place.
    picture : np.ndarray, float, shape (size, size)
        Changed in place.
    diameter : float
        Of the flat cells; the round ones have about half.
    """
    size = len(labels)
    count = int(rng.integers(1, 2 + int(6 * (size / (8 * diameter)) ** 2 + 1)))
    centres = rng.uniform(0, size, (count, 2))
    radii = diameter * rng.uniform(0.22, 0.38, count)
    far, number = _discs(size, centres, radii)
    inside = far < 0
    labels[inside] = labels.max() + number[inside]
    halo = np.exp(-np.maximum(far, 0) / rng.uniform(1.5, 4))
    ball = np.sqrt(np.clip(-far / radii.mean(), 0, 1))
    glow = np.where(inside, 0.4 + rng.uniform(-0.5, 0.7) * ball, 0)
    ring = np.exp(-(((far + 1) / 1.5) ** 2)) * rng.choice([-1.0, 1.0])
    picture *= 1 - 0.8 * inside
    picture += rng.uniform(1.0, 2.5) * (0.8 * halo * ~inside + glow + 0.5 * ring)


def monolayer(rng: np.random.Generator, size: int) -> Specimen:
    """Draw a sheet of adherent cells, closed or with gaps.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Whole cells are the objects, not their nuclei.
    """
    diameter = min(log_uniform(rng, 24, 110), max(size / 2.5, 24))
    stretch = rng.uniform(1, 2.6) if rng.random() < 0.5 else 1.0
    labels = spread_cells(rng, size, diameter, rng.uniform(0.03, 0.22), stretch)
    labels = (
        islands(rng, labels, diameter, 0.5) if rng.random() < 0.65 else tidy(labels)
    )
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    inside = labels > 0
    level = 1 + 0.15 * rng.standard_normal(labels.max() + 1).astype(np.float32)
    rough = rng.uniform(0.12, 0.45) * granules(rng, size, diameter)
    edge = np.exp(-((away / rng.uniform(0.8, 1.6)) ** 2)) * inside
    picture = (rough + rng.uniform(-0.3, 0.3)) * inside * level[labels]
    picture += rng.choice([-0.7, 1.0], p=[0.25, 0.75]) * rng.uniform(0.8, 1.6) * edge
    # Cells are thicker in the middle.
    height = np.minimum(away / (0.28 * diameter), 1) * inside
    picture += rng.choice([0, rng.uniform(-0.8, 0.8)]) * height
    if rng.random() < 0.75:
        picture += nucleus_hints(rng, labels, diameter)
    if rng.random() < 0.4:
        halo = np.exp(-away / rng.uniform(1.5, 5)) * ~inside
        picture += rng.uniform(0.3, 1) * halo
    if rng.random() < 0.15:
        picture = 0.5 * picture + relief(rng, height, 0.03 * diameter)
    if rng.random() < 0.45:
        round_up(rng, labels, picture, diameter)
    contrast = log_uniform(rng, 0.06, 0.3)
    picture = rng.uniform(0.35, 0.6) + contrast * picture
    labels = tidy(labels)
    return Specimen(labels, picture.astype(np.float32), diameter, 0.6 * contrast)
