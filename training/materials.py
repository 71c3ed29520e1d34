"""Things that are not cells: droplets, pebbles, and objects before a background."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.exposure import Specimen
from training.outlines import (
    Star,
    divide,
    draw_radii,
    pack_discs,
    scatter,
    star,
)
from training.scenes import tidy
from training.shapes import log_uniform, smooth_noise


def droplets(rng: np.random.Generator, size: int) -> Specimen:
    """Draw an emulsion: round drops with rims and a spot of reflected light.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Drops are the objects.
    """
    r = log_uniform(rng, 5, max(min(60, size / 5), 6))
    spread = rng.choice([0.02, 0.15, 0.5])
    radii = draw_radii(rng, size, r, (0.3, 2.5), spread, 300)
    tight, tries = rng.uniform(0.96, 1.06), int(rng.integers(4, 60))
    discs = scatter(rng, size, radii, tight, tries, wobble=0.01)
    drops = divide(size, discs)
    inside, depth = drops.inside, drops.depth
    light = rng.uniform(0, 2 * np.pi)
    to = 0.45 * np.array([np.sin(light), np.cos(light)])
    spots = [Star(d.centre + to * d.mean_radius, 0.22 * d.radii) for d in discs]
    glint = np.clip(1.2 - divide(size, spots).rho, 0, 1) * inside
    wide = rng.uniform(1, 1.5 + 0.1 * r)
    rim = np.exp(-(((depth - rng.uniform(0, 1.5)) / wide) ** 2)) * inside
    dark = np.exp(-((depth / 1.2) ** 2))
    ball = np.sqrt(np.clip(1 - drops.rho**2, 0, 1))
    tone = 1 + rng.uniform(0, 0.15) * rng.standard_normal(len(discs) + 1)
    picture = rng.uniform(-0.5, 0.6) * ball * tone[drops.owner]
    picture += rng.uniform(0.3, 1.1) * rng.choice([-1, 1], p=[0.3, 0.7]) * rim
    picture -= rng.uniform(0.2, 1.1) * dark
    if rng.random() < 0.6:
        picture += rng.uniform(0.4, 1.2) * glint
    ground = 0.1 * smooth_noise(rng, size, log_uniform(rng, 3, 60)) * ~inside
    contrast = log_uniform(rng, 0.12, 0.5)
    picture = rng.uniform(0.35, 0.65) + contrast * (picture + ground)
    return Specimen(
        tidy(drops.labels), picture.astype(np.float32), 2 * r, 0.5 * contrast
    )


def texture(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """One of many kinds of surface, float32 (size, size), deviation about 1."""
    kind = rng.integers(6)
    noise = smooth_noise(rng, size, scale * log_uniform(rng, 0.05, 0.6))
    if kind == 0:
        return noise
    if kind == 1:
        # Fractal: rock, bark, cloth.
        fine = smooth_noise(rng, size, max(1.5, scale / 20))
        return np.asarray(0.7 * noise + 0.5 * fine, np.float32)
    if kind == 2:
        angle = rng.uniform(0, 2 * np.pi)
        axis = np.arange(size, dtype=np.float32)
        along = np.sin(angle) * axis[:, None] + np.cos(angle) * axis[None]
        period = max(3.5, scale * log_uniform(rng, 0.06, 0.4))
        bend = noise * rng.uniform(0, 2)
        return np.asarray(1.3 * np.sin(2 * np.pi * along / period + bend), np.float32)
    if kind == 3:
        spots = np.clip(3 * (noise - rng.uniform(0.5, 1.3)), 0, 1)
        return np.asarray((spots - spots.mean()) / (spots.std() + 1e-3), np.float32)
    if kind == 4:
        veins = np.exp(-((noise / 0.15) ** 2))
        return np.asarray((veins - veins.mean()) / (veins.std() + 1e-3), np.float32)
    return np.asarray(rng.standard_normal((size, size)), np.float32)


class _Painter:
    """Lays lit, textured stars over each other, with their shadows.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    ground : np.ndarray, float32, shape (size, size, 3)
        Painted over in place.
    shading, shadow : float
        Strength of both, 0 to 1.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        ground: np.ndarray,
        shading: float,
        shadow: float,
    ) -> None:
        self.rng, self.picture = rng, ground
        self.shading, self.shadow = shading, shadow
        angle = rng.uniform(0, 2 * np.pi)
        self.light = np.array([np.sin(angle), np.cos(angle)])

    def lay(self, one: Star, colour: np.ndarray, surface: np.ndarray) -> None:
        """Paint a star in a colour, float (3,), with a texture, float (size, size)."""
        size = len(self.picture)
        # The shadow falls away from the light.
        cast = Star(one.centre - 0.15 * one.mean_radius * self.light, one.radii)
        window = cast.window(size, 1.25)
        dim = np.clip((1.25 - cast.relative(window)) / 0.3, 0, 1)
        self.picture[window] *= (1 - self.shadow * dim)[..., None]
        window = one.window(size, 1.0)
        rho = one.relative(window)
        cover = np.clip((1 - rho) * one.mean_radius + 0.5, 0, 1)[..., None]
        y = np.arange(window[0].start, window[0].stop)[:, None] - one.centre[0]
        x = np.arange(window[1].start, window[1].stop)[None] - one.centre[1]
        towards = (y * self.light[0] + x * self.light[1]) / one.mean_radius
        lit = 1 + self.shading * (0.7 * towards - 0.5 * np.minimum(rho, 1) ** 4)
        fresh = (colour * (1 + surface[window][..., None])) * lit[..., None]
        self.picture[window] += cover * (fresh - self.picture[window])


def _colours(rng: np.random.Generator, count: int, grey: bool) -> np.ndarray:
    """Colours of many objects, float (count, 3), of one family of hues."""
    spread = rng.uniform(0.03, 0.25)
    light = rng.uniform(0.3, 0.7) + spread * rng.normal(size=(count, 1))
    hue = rng.normal(0, 0.05, 3) + rng.uniform(0, 0.06) * rng.normal(size=(count, 3))
    return np.clip(light + (0 if grey else 1) * hue, 0.12, 0.95)


def pebbles(rng: np.random.Generator, size: int) -> Specimen:
    """Draw a heap of stones or grains, as in a photograph.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Grains are the objects; the gaps between them are background.
    """
    r = log_uniform(rng, 10, max(min(60, size / 4), 11))
    radii = draw_radii(rng, size, r, (1.2, 2.5), rng.uniform(0.1, 0.5), 160)
    centres, radii = pack_discs(rng, size, radii, rng.uniform(0.7, 0.95), 20)
    flat, corners = rng.uniform(0.6, 0.95), int(rng.choice([0, 5, 7]))
    grey = rng.random() < 0.45
    ground = rng.uniform(0.05, 0.3) * (1 + 0.3 * texture(rng, size, r))
    painter = _Painter(
        rng,
        np.repeat(ground[..., None], 3, 2).astype(np.float32),
        rng.uniform(0.2, 0.7),
        rng.uniform(0.2, 0.8),
    )
    surfaces = [rng.uniform(0.03, 0.14) * texture(rng, size, r) for _ in range(4)]
    stars = []
    order = rng.permutation(len(radii))
    colours = _colours(rng, len(radii), grey)
    for i in order:
        shape = np.clip(flat + rng.normal(0, 0.12), 0.4, 1)
        one = star(
            rng, centres[i], 1.1 * radii[i], flat=shape, wobble=0.15, corners=corners
        )
        stars.append(one)
        painter.lay(one, colours[i], surfaces[rng.integers(4)])
    labels = tidy(divide(size, stars, stacked=True).labels)
    return Specimen(labels, painter.picture.astype(np.float32), 2 * r, 0.2)


def _anything(rng: np.random.Generator, centre: np.ndarray, r: float) -> Star:
    """Make a shape round, cut or with arms."""
    return star(
        rng,
        centre,
        r,
        flat=rng.uniform(0.4, 1),
        wobble=rng.uniform(0, 0.6),
        corners=int(rng.choice([0, 0, 4, 6])),
        arms=int(rng.choice([0, 0, 2, 5])),
    )


def leaves(rng: np.random.Generator, size: int) -> Specimen:
    """Draw a few large objects, each of its own texture, before a textured ground.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        The objects in front; what makes up the ground is not labelled.
    """
    r = log_uniform(rng, size / 14, size / 4)
    count = int(rng.integers(1, 13))
    grey = rng.random() < 0.4
    colours = _colours(rng, count + 1, grey)
    far = rng.uniform(0.03, 0.12) * texture(rng, size, size / 2)
    far = far + rng.uniform(0, 0.12) * smooth_noise(rng, size, size / 3)
    ground = np.clip(colours[0] * (1 + far[..., None]), 0, 1).astype(np.float32)
    painter = _Painter(rng, ground, rng.uniform(0, 0.5), rng.uniform(0, 0.4))
    stars = []
    for i in range(count):
        one = _anything(rng, rng.uniform(0, size, 2), r * np.exp(0.4 * rng.normal()))
        # It must stand out from the ground, by brightness or hue.
        tone = colours[i + 1]
        if np.abs(tone - colours[0]).max() < 0.12:
            tone = np.clip(tone + rng.choice([-0.25, 0.25]), 0.1, 0.95)
        surface = rng.uniform(0.03, 0.2) * texture(rng, size, 2 * r)
        stars.append(one)
        painter.lay(one, tone, surface)
    labels = tidy(divide(size, stars, stacked=True).labels)
    picture = painter.picture
    if rng.random() < 0.3:
        # The lens is focused on the objects in front.
        soft = ndimage.gaussian_filter(picture, (2.5, 2.5, 0))
        picture = np.where((labels > 0)[..., None], picture, soft)
    return Specimen(labels, picture.astype(np.float32), 2 * r, 0.2)
