"""Single cells with protrusions in phase contrast, some of them touching."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.monolayers import granules, nucleus_hints, relief, round_up
from training.outlines import divide, draw_radii, scatter
from training.scenes import boundaries, tidy
from training.shapes import log_uniform, smooth_noise


def _phase(rng: np.random.Generator, signed: np.ndarray, r: float) -> np.ndarray:
    """Halo outside and dark line inside the outline, float32 (size, size).

    `signed`, float (size, size), is the distance to the outline, positive inside.
    """
    # The halo lies just outside and is brighter here and there.
    glow = smooth_noise(rng, len(signed), 2 * r) * 0.3 + 1
    reach = rng.uniform(1.0, 3.0)
    halo = rng.uniform(0.4, 1.4) * glow * np.exp(-np.abs(signed + 0.7) / reach)
    if rng.random() < 0.6:
        halo -= rng.uniform(0.3, 0.8) * np.exp(-(((signed - 2) / 1.2) ** 2))
    return np.asarray(halo, np.float32)


def adherent(rng: np.random.Generator, size: int) -> Specimen:
    """Draw single cells with protrusions.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Whole cells with their protrusions are the objects.
    """
    r = min(log_uniform(rng, 9, 45), max(size / 6, 9))
    cells = scatter(
        rng,
        size,
        draw_radii(rng, size, r, (0.1, 1.0), 0.2, 90),
        rng.uniform(0.7, 1.3),
        8,
        flat=rng.uniform(0.3, 0.9),
        vary=0.15,
        wobble=0.3,
        arms=int(rng.integers(2, 6)),
    )
    labels = tidy(divide(size, cells).labels)
    inside = labels > 0
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    signed = np.where(inside, away, -away)
    level = 1 + 0.12 * rng.standard_normal(labels.max() + 1)
    thick = np.clip(signed / (0.35 * r), 0, 1) * level[labels]
    picture = -rng.uniform(0, 0.5) * inside - rng.uniform(-0.5, 0.7) * thick
    picture += rng.uniform(0.1, 0.3) * inside * granules(rng, size, 2 * r)
    picture += _phase(rng, signed, r)
    vesicles = smooth_noise(rng, size, rng.uniform(2.5, 4.5)) > 1.7
    picture += rng.choice([-0.7, 0.55], p=[0.7, 0.3]) * vesicles * (signed > 2)
    if rng.random() < 0.5:
        picture += 0.6 * nucleus_hints(rng, labels, 2 * r)
    dirt = smooth_noise(rng, size, 2.5) > rng.uniform(2.2, 4)
    picture -= 0.5 * dirt * (signed < -3)
    if rng.random() < 0.2:
        picture = 0.5 * picture + relief(rng, thick, 0.06 * r)
    if rng.random() < 0.35:
        round_up(rng, labels, picture, 1.6 * r)
        labels = tidy(labels)
    contrast = log_uniform(rng, 0.08, 0.35)
    picture = rng.uniform(0.35, 0.55) + contrast * picture
    return Specimen(labels, picture.astype(np.float32), r, 0.6 * contrast)
