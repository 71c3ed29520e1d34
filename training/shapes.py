"""Outlines of made-up objects: cells, rods, rings, threads and crystals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw


@dataclass
class Part:
    """A piece of a body: a filled polygon, or a thick line where `width` is set.

    Attributes
    ----------
    points : np.ndarray, float, shape (n, 2)
        Vertices as (y, x) relative to the centre of the object.
    width : float or None
        Diameter of the line through `points`; None fills the polygon instead.
    """

    points: np.ndarray
    width: float | None = None


@dataclass
class Body:
    """One connected thing of an object and what becomes of its pixels.

    Attributes
    ----------
    parts : list of Part
        The body is their union.
    role : str
        "own" gets a label of its own, "hole" turns back into background and
        "lumen" keeps the label beneath it and only looks different.
    """

    parts: list[Part]
    role: str = "own"


def rasterize(body: Body, origin: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Draw a body, seen through a window.

    Parameters
    ----------
    body : Body
        Its points are relative to the centre of the object.
    origin : np.ndarray, shape (2,)
        The window's first pixel as (y, x), relative to that centre too.
    shape : tuple of int
        (height, width) of the window.

    Returns
    -------
    np.ndarray, bool, of `shape`
    """
    picture = Image.new("L", shape[::-1])
    draw = ImageDraw.Draw(picture)
    for part in body.parts:
        xy = (part.points - origin)[:, ::-1]
        flat = [tuple(p) for p in xy.tolist()]
        if part.width is None:
            draw.polygon(flat, fill=1)
            continue
        draw.line(flat, fill=1, width=max(2, round(part.width)))
        r = part.width / 2
        for x, y in flat:
            draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    return np.asarray(picture).astype(bool)


def smooth_noise(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Smooth noise without a preferred direction.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the square.
    scale : float
        Distance in pixels between independent values.

    Returns
    -------
    np.ndarray, float32, shape (size, size)
        Mean about 0, standard deviation 1.
    """
    n = int(np.clip(round(size / max(scale, 1.0)), 2, size)) + 3
    grid = Image.fromarray(rng.standard_normal((n, n), dtype=np.float32))
    # A margin of one and a half cells hides the flat rim of the interpolation.
    box = (1.5, 1.5, n - 1.5, n - 1.5)
    noise = np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """One value between `low` and `high`, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotate (n, 2) points about the origin by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def _turn(rng: np.random.Generator) -> float:
    """Pick a direction in radians."""
    return float(rng.uniform(0, 2 * np.pi))


def _star(radii: np.ndarray) -> np.ndarray:
    """Trace a closed outline, float (n, 2), with the given radii at even angles."""
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([radii * np.sin(angle), radii * np.cos(angle)], 1)


def _ellipse_points(rng: np.random.Generator, r: float, flat: float) -> np.ndarray:
    """Outline, float (40, 2), with half axes `r` and `r * flat`, turned at random."""
    return _rotate(_star(np.full(40, r)) * (flat, 1.0), _turn(rng))


def _blob_points(rng: np.random.Generator, r: float, wobble: float) -> np.ndarray:
    """Outline, float (64, 2), whose radius is a short random Fourier series."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    radii = np.ones(64)
    for k in range(2, 7):
        amplitude = wobble * rng.normal() / k
        radii += amplitude * np.cos(k * angle + _turn(rng))
    points = _star(r * np.clip(radii, 0.25, 2.0)) * (rng.uniform(0.6, 1), 1)
    return _rotate(points, _turn(rng))


def _walk(
    rng: np.random.Generator, length: float, bend: float, heading: float
) -> np.ndarray:
    """Random walk, float (n, 2), of `length` pixels whose heading drifts by `bend`."""
    n = int(np.clip(length / 4, 4, 80))
    turns = np.cumsum(rng.normal(0, bend / np.sqrt(n), n)) + heading
    steps = np.stack([np.sin(turns), np.cos(turns)], 1) * (length / n)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])


def _arc(length: float, bend: float, heading: float) -> np.ndarray:
    """Arc, float (12, 2), of `length` pixels that turns by `bend` radians."""
    turns = heading + bend * np.linspace(-0.5, 0.5, 11)
    steps = np.stack([np.sin(turns), np.cos(turns)], 1) * (length / 11)
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, 0)])


# A family is a function of (rng, options, r): `options` is a generator of its own,
# seeded anew for every object, so that what it draws is the same throughout an image.


def ellipse(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw an ellipse; the elongation is typical of the image."""
    flat = np.clip(options.uniform(0.45, 1) + rng.normal(0, 0.08), 0.35, 1)
    return [Body([Part(_ellipse_points(rng, r, flat))])]


def blob(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a wobbly blob."""
    return [Body([Part(_blob_points(rng, r, options.uniform(0.1, 0.55)))])]


def rod(rng: np.random.Generator, options: np.random.Generator, r: float) -> list[Body]:
    """Draw a straight or bent rod, or a chain of rods that touch end to end."""
    width = max(4.0, 2 * r / options.uniform(2, 6))
    bend = options.choice([0.0, 0.25, 1.2])
    links = int(rng.integers(2, 6)) if options.random() < 0.3 else 1
    heading, start, bodies = _turn(rng), np.zeros(2), []
    for _ in range(links):
        length = 2 * r * rng.uniform(0.7, 1.2) - width
        spine = _arc(max(length, 2.0), bend * rng.normal(), heading) + start
        bodies.append(Body([Part(spine, width)]))
        heading += rng.normal(0, 0.3)
        direction = np.array([np.sin(heading), np.cos(heading)])
        start = spine[-1] + direction * width * 0.95
    return bodies


def yeast(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a mother cell, mostly with a bud; one label or two, alike in an image."""
    apart = options.random() < 0.5
    mother = Part(_ellipse_points(rng, r, rng.uniform(0.8, 1)))
    if rng.random() < 0.25:
        return [Body([mother])]
    small = r * rng.uniform(0.35, 0.9)
    shift = _rotate(np.array([[0, 0.9 * (r + small)]]), _turn(rng))
    bud = Part(_ellipse_points(rng, small, rng.uniform(0.85, 1)) + shift)
    if apart:
        return [Body([mother]), Body([bud])]
    return [Body([mother, bud])]


def ring(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a wall around a lumen, which is part of it, background or a label."""
    role = options.choice(["lumen", "hole", "own"])
    points = _blob_points(rng, r, options.uniform(0.05, 0.35))
    inner = points * np.clip(options.uniform(0.4, 0.8) + rng.normal(0, 0.05), 0.3, 0.85)
    return [Body([Part(points)]), Body([Part(inner)], str(role))]


def filament(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a long thin thread, or a cell body that sends out threads."""
    bend = options.uniform(0.4, 2.5)
    width = max(2.0, r * options.uniform(0.08, 0.25))
    if options.random() < 0.5:
        length = r * rng.uniform(3, 7)
        return [Body([Part(_walk(rng, length, bend, _turn(rng)), width)])]
    parts = [Part(_blob_points(rng, r * 0.45, 0.25))]
    for _ in range(rng.integers(2, 6)):
        length = r * rng.uniform(0.8, 2.5)
        parts.append(Part(_walk(rng, length, bend, _turn(rng)), width))
    return [Body(parts)]


def polygon(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a crystal: convex with few corners, a box, a needle or a star."""
    kind = options.integers(3)
    if kind == 1:
        flat = np.clip(options.uniform(0.15, 1) * rng.uniform(0.7, 1.3), 0.12, 1)
        box = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * (r * flat, r)
        return [Body([Part(_rotate(box, _turn(rng)))])]
    corners = int(rng.integers(3, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    even = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    angle = 0.4 * angle + 0.6 * even + _turn(rng)
    radii = np.full(corners, r) if kind == 0 else r * rng.uniform(0.4, 1.2, corners)
    return [Body([Part(np.stack([radii * np.sin(angle), radii * np.cos(angle)], 1))])]


def amoeba(
    rng: np.random.Generator, options: np.random.Generator, r: float
) -> list[Body]:
    """Draw a star-convex cell with pointed protrusions."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    radii = np.full(96, 0.65)
    sharp = options.uniform(4, 40)
    for _ in range(rng.integers(2, 7)):
        bump = np.exp(sharp * (np.cos(angle - _turn(rng)) - 1))
        radii += rng.uniform(0.2, 1.0) * bump
    return [Body([Part(_rotate(_star(r * radii), _turn(rng)))])]


Maker = Callable[[np.random.Generator, np.random.Generator, float], list[Body]]
# Every function takes a generator for the object, one that is seeded alike for all
# objects of an image, and the radius.
MAKERS: dict[str, Maker] = {
    "ellipse": ellipse,
    "blob": blob,
    "rod": rod,
    "yeast": yeast,
    "ring": ring,
    "filament": filament,
    "polygon": polygon,
    "amoeba": amoeba,
}
