"""Pictures of made-up scenes: background, light, colour, blur and noise."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.appearance import Depth, debris, measure, organelles, paint
from training.scenes import Scene
from training.shapes import log_uniform, smooth_noise

BACKGROUNDS = ("flat", "fractal", "gradient", "vignette", "texture", "scene")
BACKGROUND_ODDS = (0.2, 0.25, 0.17, 0.13, 0.13, 0.12)
# Grey values per pixel by which outlines have to be steeper than the rest.
FAINTEST = 1.2
ATTEMPTS = 4


def fractal_noise(
    rng: np.random.Generator, size: int, scale: float, roughness: float = 0.5
) -> np.ndarray:
    """Sum of smooth noise over octaves from `scale` downwards.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        Standard deviation 1.
    """
    total = np.zeros((size, size), np.float32)
    weight = 1.0
    while scale >= 2 and weight > 0.05:
        total += weight * smooth_noise(rng, size, scale)
        scale, weight = scale / 2, weight * roughness
    return total / (total.std() + 1e-6)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw what lies behind the objects, as an offset in brightness.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        In units that put the strongest variation at about 1.
    """
    kind = str(rng.choice(BACKGROUNDS, p=BACKGROUND_ODDS))
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    if kind == "flat":
        return np.zeros((size, size), np.float32)
    if kind == "fractal":
        scale = log_uniform(rng, 20, size)
        return 0.4 * fractal_noise(rng, size, scale, rng.uniform(0.3, 0.8))
    if kind == "gradient":
        angle = rng.uniform(0, 2 * np.pi)
        return np.sin(angle) * ramp[:, None] + np.cos(angle) * ramp[None]
    if kind == "vignette":
        y, x = rng.uniform(-0.4, 0.4, 2)
        return -((ramp[:, None] - y) ** 2) - (ramp[None] - x) ** 2
    if kind == "texture":
        noise = smooth_noise(rng, size, log_uniform(rng, 2, 10))
        return 0.25 * (np.abs(noise) if rng.random() < 0.5 else noise)
    noise = smooth_noise(rng, size, size / rng.uniform(1.5, 4))
    levels = np.tanh(rng.uniform(4, 30) * np.sin(noise * rng.uniform(1, 3)))
    return 0.4 * levels.astype(np.float32)


def _random_colour(rng: np.random.Generator, luminance: float) -> np.ndarray:
    """Pick a colour, float (3,), of random hue and saturation about a luminance."""
    hue = rng.uniform(0, 1) + np.array([0, 1 / 3, 2 / 3])
    tint = np.cos(2 * np.pi * hue) * log_uniform(rng, 0.02, 0.35)
    return np.clip(luminance + tint, 0, 1)


def colour(
    rng: np.random.Generator, main: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Turn two layers into a colour picture.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    main : np.ndarray, float32, shape (size, size)
        Brightness from 0 to 1.
    second : np.ndarray, float32, shape (size, size)
        Organelles, 0 to 1; may be of another dye.

    Returns
    -------
    np.ndarray, float32, shape (size, size, 3)
        About 0 to 1.
    """
    kind = rng.choice(["pair", "stain", "dyes", "mixed"], p=[0.4, 0.25, 0.2, 0.15])
    a, b = main[..., None], second[..., None]
    if kind == "stain":
        # Light that dyes absorb, as in a section of tissue.
        eosin = np.array([0.10, 0.75, 0.40]) * rng.uniform(0.6, 1.4, 3)
        haematoxylin = np.array([0.90, 0.95, 0.35]) * rng.uniform(0.7, 1.3, 3)
        dye = eosin if rng.random() < 0.5 else haematoxylin
        density = rng.uniform(0.8, 1.8) * (dye * (1 - a) + haematoxylin * b * 0.8)
        pale = rng.uniform(0, 0.4) * eosin
        return np.exp(-density - pale).astype(np.float32)
    if kind == "dyes":
        one, two = (_random_colour(rng, 0.5) for _ in range(2))
        return (a * one * 1.4 + b * two).astype(np.float32)
    low = rng.uniform(0, 0.9)
    high = np.clip(low + rng.choice([-1, 1]) * rng.uniform(0.3, 0.7), 0, 1)
    ends = _random_colour(rng, low), _random_colour(rng, high)
    picture = ends[0] + a * (ends[1] - ends[0])
    if kind == "mixed":
        size = main.shape[0]
        mix = np.eye(3) + rng.normal(0, 0.25, (3, 3))
        other = smooth_noise(rng, size, size / 3)[..., None]
        picture = picture @ mix + 0.04 * other * rng.normal(0, 1, 3)
    return picture.astype(np.float32)


def add_noise(
    rng: np.random.Generator, picture: np.ndarray, strength: float
) -> np.ndarray:
    """Add camera noise.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    picture : np.ndarray, float32, shape (size, size) or (size, size, 3)
        About 0 to 1.
    strength : float
        Standard deviation at middle brightness.

    Returns
    -------
    np.ndarray, float32, of the same shape
    """
    kind = rng.integers(3)
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    if kind == 0:
        # Shot noise: its variance grows with the light; a normal draw comes close.
        noise *= np.sqrt(np.clip(picture, 0.02, 1) * 2)
    elif kind == 1:
        # The camera or a denoiser left it correlated.
        sigma = rng.uniform(0.4, 0.8)
        noise = ndimage.gaussian_filter(noise, (sigma, sigma, 0)[: noise.ndim])
        noise /= noise.std() + 1e-6
    return picture + strength * noise


def visibility(image: np.ndarray, away: np.ndarray) -> tuple[float, float]:
    """How much steeper the picture is along the outlines than elsewhere.

    Parameters
    ----------
    image : np.ndarray, uint8, shape (size, size, 3)
        The picture.
    away : np.ndarray, float, shape (size, size)
        Distance in pixels to the nearest outline.

    Returns
    -------
    on, off : float
        Mean slope within 1.5 pixels of an outline and beyond 4, in grey values
        per pixel of the smoothed picture.
    """
    weights = np.array([0.3, 0.4, 0.3], np.float32)
    smooth = ndimage.gaussian_filter(image.astype(np.float32) @ weights, 1.2)
    dy, dx = np.gradient(smooth)
    slope = np.hypot(dy, dx)
    far = away > 4
    off = float(slope[far].mean()) if far.any() else 0.0
    return float(slope[away < 1.5].mean()), off


def render(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """Photograph a scene, anew if the objects are lost in the picture.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    scene : Scene
        What is to be seen.

    Returns
    -------
    np.ndarray, uint8, shape (size, size, 3)
    """
    d = measure(scene)
    # The slope of a large object may spread over a wider rim.
    enough = FAINTEST * min(1.0, 12 / d.diameter + 0.3)
    best, best_score = None, -np.inf
    for _ in range(ATTEMPTS):
        image = _photograph(rng, scene, d)
        on, off = visibility(image, d.away)
        # A mask that nobody could see in the picture would teach to guess.
        score = min((on - off) / enough, on / (1.15 * off + 1e-6))
        if best is None or score > best_score:
            best, best_score = image, score
        if score > 1:
            break
    assert best is not None
    return best


def _expose(
    rng: np.random.Generator, scene: Scene, d: Depth, separate: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Brightness of the scene through the optics, before colour and noise.

    Returns
    -------
    main, inner : np.ndarray, float32, shape (size, size)
        The picture, about 0 to 1, and the organelles where they are separate.
    contrast : float
        Of the objects in `main`.
    """
    objects = paint(rng, scene, d)
    inner = organelles(rng, d)
    contrast = log_uniform(rng, 0.1, 0.7)
    # Nothing behind the objects may drown them.
    behind = background(rng, len(objects)) * contrast * rng.uniform(0.1, 0.8)
    dirt = debris(rng, d) * rng.uniform(0.3, 1)
    if not separate:
        objects = objects + rng.choice([-1.0, 0.8]) * rng.uniform(0.3, 1) * inner
    sign = rng.choice([-1, 1])
    main = sign * contrast * (objects + dirt) + behind
    sigma = rng.uniform(0.4, 0.9)
    if rng.random() < 0.3:
        sigma += rng.uniform(0, min(0.06 * d.diameter, 4))
    main = ndimage.gaussian_filter(main, sigma)
    if separate and inner.any():
        inner = ndimage.gaussian_filter(inner, sigma)
    # Bright objects on a dark ground or the reverse, so that little is clipped.
    middle = 0.5 - sign * rng.uniform(-0.05, 0.45) * (1 - contrast)
    main = main + np.clip(middle, 0.06, 0.94)
    if rng.random() < 0.4:
        main = _stretch(rng, main)
        contrast = max(contrast, 0.3)
    return main, inner, contrast


def _photograph(rng: np.random.Generator, scene: Scene, d: Depth) -> np.ndarray:
    """One picture of a scene, uint8 (size, size, 3), however faint."""
    in_colour = rng.random() < 0.3
    separate = in_colour and rng.random() < 0.6
    main, inner, contrast = _expose(rng, scene, d, separate)
    # Large objects can be told apart in noise that would hide small ones.
    bearable = contrast * np.clip(d.diameter / 30, 0.25, 1.3)
    strength = bearable * log_uniform(rng, 0.01, 0.7)
    if in_colour:
        layer = inner if separate else np.zeros_like(main)
        picture = colour(rng, np.clip(main, 0, 1), layer)
        picture = _finish(rng, add_noise(rng, picture, 0.7 * strength))
    else:
        grey = _finish(rng, add_noise(rng, main, strength))
        picture = np.repeat(grey[..., None], 3, 2)
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _stretch(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Scale the picture, float32 (size, size), to fill the range."""
    low, high = np.percentile(picture[::4, ::4], (rng.uniform(0, 2), 99.5))
    return np.clip((picture - low) / max(high - low, 0.05), -0.1, 1.3)


def _finish(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Gamma and, at times, inversion; float32 of any shape, clipped to 0 to 1."""
    picture = np.clip(picture, 0, 1)
    if rng.random() < 0.3:
        picture = picture ** np.float32(log_uniform(rng, 0.6, 1.6))
    return 1 - picture if rng.random() < 0.15 else picture
