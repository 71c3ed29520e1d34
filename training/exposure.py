"""Light, blur, noise and tint for pictures whose objects are painted already."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from training.camera import FAINTEST, add_noise, visibility
from training.scenes import boundaries
from training.shapes import log_uniform, smooth_noise

ATTEMPTS = 4


@dataclass
class Specimen:
    """Labels and the ideal picture of them.

    Attributes
    ----------
    labels : np.ndarray, int32, shape (size, size)
        0 is background.
    picture : np.ndarray, float32, shape (size, size) or (size, size, 3)
        Brightness, about 0 to 1.
    diameter : float
        Smallest extent of a typical object in pixels; blur stays well below.
    contrast : float
        Difference in brightness at an outline; noise stays below.
    """

    labels: np.ndarray
    picture: np.ndarray
    diameter: float
    contrast: float


def illumination(rng: np.random.Generator, size: int) -> np.ndarray:
    """Uneven light, float32 (size, size), about 1 on average; often even."""
    if rng.random() < 0.45:
        return np.ones((size, size), np.float32)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    kind = rng.integers(3)
    if kind == 0:
        angle = rng.uniform(0, 2 * np.pi)
        field = np.sin(angle) * ramp[:, None] + np.cos(angle) * ramp[None]
    elif kind == 1:
        y, x = rng.uniform(-0.4, 0.4, 2)
        field = 0.5 - (ramp[:, None] - y) ** 2 - (ramp[None] - x) ** 2
    else:
        field = smooth_noise(rng, size, size / rng.uniform(1.5, 4))
    strength = rng.uniform(0.04, 0.25)
    return (1 + strength * np.clip(field, -1.6, 1.6)).astype(np.float32)


def _tint(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Colour a grey picture faintly, or as one dye; float32 (size, size, 3)."""
    if rng.random() < 0.6:
        # The white balance of a camera.
        return grey[..., None] * (1 + rng.normal(0, 0.07, 3)).astype(np.float32)
    dye = np.array(rng.choice([0.1, 0.4, 1.0], 3), np.float32)
    dye[rng.integers(3)] = 1
    return grey[..., None] * dye


def _expose(rng: np.random.Generator, specimen: Specimen) -> np.ndarray:
    """One exposure, uint8 (size, size, 3), however faint."""
    picture = specimen.picture
    size = len(picture)
    light = illumination(rng, size)
    coloured = picture.ndim == 3
    if coloured:
        # Colour cameras look at brightly and evenly lit things.
        light = 1 + 0.4 * (light - 1)
    picture = picture * (light[..., None] if coloured else light)
    sigma = rng.uniform(0.3, 0.8)
    if rng.random() < 0.2:
        sigma += rng.uniform(0, min(0.07 * specimen.diameter, 3))
    picture = ndimage.gaussian_filter(picture, (sigma, sigma, 0)[: picture.ndim])
    bearable = specimen.contrast * np.clip(specimen.diameter / 25, 0.35, 1.2)
    heavy = 0.6 if rng.random() < 0.15 else 0.3
    noise = bearable * log_uniform(rng, 0.02, heavy)
    picture = add_noise(rng, np.clip(picture, 0, 1), noise)
    picture = np.clip(picture, 0, 1)
    if rng.random() < 0.25:
        picture = picture ** np.float32(log_uniform(rng, 0.7, 1.5))
    if not coloured:
        if rng.random() < 0.08:
            picture = 1 - picture
        if rng.random() < 0.12:
            picture = _tint(rng, picture)
        else:
            picture = np.repeat(picture[..., None], 3, 2)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def expose(rng: np.random.Generator, specimen: Specimen) -> np.ndarray:
    """Photograph a specimen, anew if the outlines are lost in the picture.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    specimen : Specimen
        What is to be seen.

    Returns
    -------
    np.ndarray, uint8, shape (size, size, 3)
    """
    away = ndimage.distance_transform_edt(~boundaries(specimen.labels))
    best, best_score = None, -np.inf
    for _ in range(ATTEMPTS):
        image = _expose(rng, specimen)
        on, off = visibility(image, away)
        score = min((on - 0.7 * off) / FAINTEST, on / FAINTEST - 1)
        if best is None or score > best_score:
            best, best_score = image, score
        if score > 1:
            break
    assert best is not None
    return best
