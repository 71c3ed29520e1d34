"""How made-up objects look: fill, edges, shading, texture and what is inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from training.scenes import Scene, boundaries
from training.shapes import log_uniform, smooth_noise

STYLES = ("filled", "edge", "filled_edge", "halo", "sphere", "relief", "texture")
STYLE_ODDS = (0.28, 0.12, 0.17, 0.13, 0.15, 0.06, 0.09)


@dataclass
class Depth:
    """Where every pixel lies with respect to the outlines.

    Attributes
    ----------
    labels : np.ndarray, int32, shape (size, size)
    away : np.ndarray, float32, shape (size, size)
        Distance in pixels to the nearest outline, inside and outside.
    depth : np.ndarray, float32, shape (size, size)
        0 at the outline of an object, 1 in its middle; 0 outside.
    count : int
        Number of labels.
    diameter : float
        Typical diameter of the objects in pixels.
    """

    labels: np.ndarray
    away: np.ndarray
    depth: np.ndarray
    count: int
    diameter: float


def measure(scene: Scene) -> Depth:
    """Distances to the outlines of a scene.

    Parameters
    ----------
    scene : Scene
        What is to be seen.

    Returns
    -------
    Depth
    """
    labels = scene.labels
    away = ndimage.distance_transform_edt(~boundaries(labels)).astype(np.float32)
    count = int(labels.max())
    deepest = np.full(count + 1, 1e-3, np.float32)
    np.maximum.at(deepest, labels.ravel(), away.ravel() + 0.5)
    depth = np.where(labels > 0, away / deepest[labels], 0)
    return Depth(labels, away, depth, count, scene.diameter)


def object_levels(rng: np.random.Generator, count: int, vary: float) -> np.ndarray:
    """Strength of every object, some of them dim.

    Returns
    -------
    np.ndarray, float32, shape (count + 1,)
        About 1; 0 for the background.
    """
    levels = np.exp(rng.normal(0, vary, count + 1))
    if rng.random() < 0.35:
        dim = rng.random(count + 1) < rng.uniform(0.1, 0.4)
        levels[dim] *= rng.uniform(0.3, 0.6)
    if rng.random() < 0.12:
        # Brighter and darker objects side by side.
        levels *= np.where(rng.random(count + 1) < 0.4, -1, 1)
    levels[0] = 0
    return np.clip(levels, -2.0, 2.0).astype(np.float32)


def _edge(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Line along the inside of every outline, float32 (size, size), peak 1."""
    width = rng.uniform(0.7, 1.0 + 0.06 * min(d.diameter, 60))
    return np.exp(-((d.away / width) ** 2)) * (d.labels > 0)


def _sphere(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Shading of a ball, float32 (size, size), 0 to 1."""
    inside = np.sqrt(np.clip(1 - (1 - np.clip(d.depth, 0, 1)) ** 2, 0, 1))
    base = rng.uniform(0, 0.5)
    return np.where(d.labels > 0, base + (1 - base) * inside, 0)


def _slant(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Light from one side, float32 (size, size): 1 on average over an object."""
    size = d.labels.shape[0]
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.arange(size, dtype=np.float32)
    along = np.sin(angle) * axis[:, None] + np.cos(angle) * axis[None]
    flat = d.labels.ravel()
    centre = np.bincount(flat, along.ravel()) / np.maximum(np.bincount(flat), 1)
    offset = (along - centre[d.labels]) / d.diameter
    return 1 + rng.uniform(0.3, 1.2) * np.clip(offset, -0.7, 0.7)


def _relief(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Slope seen from one side as with differential interference contrast."""
    height = _sphere(rng, d) * (0.6 + 0.4 * (d.labels > 0))
    height = ndimage.gaussian_filter(height, max(0.7, 0.03 * d.diameter))
    dy, dx = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.sin(angle) * dy + np.cos(angle) * dx
    return slope / (np.percentile(np.abs(slope), 99) + 1e-6)


def _halo(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Surround every object with a rim of the opposite sign, float32 (size, size)."""
    reach = rng.uniform(1.0, 1.5 + 0.08 * min(d.diameter, 60))
    strength = rng.uniform(0.4, 1.2)
    return -strength * np.exp(-d.away / reach) * (d.labels == 0)


def _grain(rng: np.random.Generator, size: int, d: Depth) -> np.ndarray:
    """Texture fine enough to repeat within an object, standard deviation 1."""
    scale = log_uniform(rng, 1.5, max(2.0, d.diameter / 6))
    noise = smooth_noise(rng, size, scale)
    return np.abs(noise) - 0.8 if rng.random() < 0.3 else noise


def paint(rng: np.random.Generator, scene: Scene, d: Depth) -> np.ndarray:
    """Objects without background, in units of the contrast of the image.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        About 1 in objects and 0 elsewhere.
    """
    size = d.labels.shape[0]
    style = str(rng.choice(STYLES, p=STYLE_ODDS))
    if style == "texture" and d.diameter < 24:
        # Too small to hold a texture that could be told apart.
        style = "filled_edge"
    inside = (d.labels > 0).astype(np.float32)
    crowded = scene.membrane.any() or inside.mean() > 0.5
    plain = style in ("filled", "texture", "halo")
    # Neighbours of one brightness need something else to tell them apart.
    vary = rng.uniform(0.25, 0.6) if crowded and plain else rng.uniform(0, 0.35)
    level = object_levels(rng, d.count, vary)[d.labels]
    if style == "edge":
        picture = _edge(rng, d) * np.where(level == 0, 0, 0.3 + 0.7 * level)
    elif style == "filled_edge":
        picture = level * inside * rng.uniform(0.3, 0.8)
        picture += rng.choice([-0.8, 0.9]) * _edge(rng, d)
    elif style == "halo":
        picture = level * (inside if rng.random() < 0.5 else _sphere(rng, d))
        picture = picture + _halo(rng, d)
        picture -= rng.uniform(0.2, 0.8) * _edge(rng, d)
    elif style == "sphere":
        picture = level * _sphere(rng, d)
        if rng.random() < 0.4:
            picture = level * inside * _slant(rng, d)
    elif style == "relief":
        picture = 1.2 * _relief(rng, d) + rng.uniform(0, 0.3) * level
    elif style == "texture":
        picture = 0.7 * inside * _grain(rng, size, d) + rng.uniform(-0.3, 0.5) * level
    else:
        picture = level * inside
    if style in ("filled", "filled_edge", "sphere") and rng.random() < 0.35:
        picture += rng.uniform(0.1, 0.35) * inside * _grain(rng, size, d)
    return _structure(rng, scene, d, picture.astype(np.float32), plain)


def _structure(
    rng: np.random.Generator,
    scene: Scene,
    d: Depth,
    picture: np.ndarray,
    plain: bool,
) -> np.ndarray:
    """Add lumens, walls and, to plain objects, lines where they touch."""
    if scene.lumen.any():
        picture[scene.lumen] *= rng.uniform(-0.2, 0.35)
    if scene.membrane.any() and rng.random() < 0.8:
        strength = rng.choice([-1.0, 1.3]) * rng.uniform(0.6, 1)
        picture[scene.membrane] = strength
    elif plain:
        touch = _touching(d.labels)
        if touch.mean() > 0.002:
            line = ndimage.gaussian_filter(touch.astype(np.float32), 0.7)
            picture -= rng.uniform(0.5, 1.2) * np.minimum(2 * line, 1) * picture
    return picture


def _touching(labels: np.ndarray) -> np.ndarray:
    """Pixels, bool (h, w), that have another object below or to the right."""
    touch = np.zeros(labels.shape, bool)
    a, b = labels[1:], labels[:-1]
    touch[:-1] |= (a != b) & (a > 0) & (b > 0)
    a, b = labels[:, 1:], labels[:, :-1]
    touch[:, :-1] |= (a != b) & (a > 0) & (b > 0)
    return touch


def organelles(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Nuclei or granules inside the objects; zero where there are none.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        0 to 1.
    """
    size = d.labels.shape[0]
    kind = rng.choice(["none", "nucleus", "granules"], p=[0.6, 0.22, 0.18])
    if kind == "none" or d.diameter < 14:
        return np.zeros((size, size), np.float32)
    noise = smooth_noise(rng, size, max(4, d.diameter / 4))
    if kind == "nucleus":
        inner = d.depth + 0.12 * noise - rng.uniform(0.45, 0.75)
        return np.clip(inner * d.diameter / 4, 0, 1).astype(np.float32)
    fine = smooth_noise(rng, size, rng.uniform(2, max(3, d.diameter / 10)))
    spots = np.clip((fine - rng.uniform(0.8, 1.8)) * 3, 0, 1)
    return (spots * np.clip(d.depth * 4 - 0.5, 0, 1)).astype(np.float32)


def debris(rng: np.random.Generator, d: Depth) -> np.ndarray:
    """Specks and threads between the objects that nobody would label.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        -1 to 1; 0 where there is none.
    """
    size = d.labels.shape[0]
    picture = Image.new("F", (size, size))
    if rng.random() < 0.55:
        return np.zeros((size, size), np.float32)
    draw = ImageDraw.Draw(picture)
    largest = np.clip(0.12 * d.diameter, 0.8, 5)
    sign = rng.choice([-1, 1])
    for _ in range(int(log_uniform(rng, 3, 80))):
        x, y = rng.uniform(0, size, 2)
        value = float(sign * rng.uniform(0.2, 1))
        r = rng.uniform(0.5, largest)
        if rng.random() < 0.9:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=value)
        else:
            far = rng.normal(0, 4 * largest, 2)
            draw.line((x, y, x + far[0], y + far[1]), fill=value)
    # Clear of the objects, so that it cannot pass for a part of them.
    return np.asarray(picture) * ((d.labels == 0) & (d.away > 2))
