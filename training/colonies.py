"""Colonies of bacteria, cocci and yeast: small alike objects that touch.

Neighbours differ little in brightness, so that only the seams between them tell
where one ends and the next begins.
"""

from __future__ import annotations

import numpy as np

from training.contrasts import contrasted, profile
from training.exposure import Specimen
from training.packing import Capsule, Ellipse, Packing, Shape, grow
from training.scenes import tidy
from training.shapes import log_uniform, smooth_noise

MOST = 250


def _direction(angle: float) -> np.ndarray:
    """Make a unit vector (y, x), float (2,)."""
    return np.array([np.sin(angle), np.cos(angle)])


def _rod(
    centre: np.ndarray, angle: float, length: float, bend: float, r: float
) -> Capsule:
    """Make a rod, `length` long from tip to tip and bent by `bend` radians."""
    half = max(length / 2 - r, 0.5)
    ends = [half * _direction(angle + bend / 2), half * _direction(angle - bend / 2)]
    if abs(bend) < 0.05:
        return Capsule(np.array([centre - ends[0], centre + ends[1]]), r)
    return Capsule(np.array([centre - ends[0], centre, centre + ends[1]]), r)


class _RodDivision:
    """Places a rod beside another one or behind its end.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    width : float
        Of every rod of the colony, in pixels.
    """

    def __init__(self, rng: np.random.Generator, width: float) -> None:
        self.rng, self.width = rng, width
        self.length = width * log_uniform(rng, 1.8, 6)
        self.disorder = rng.uniform(0.04, 0.25)
        self.bend = float(rng.choice([0.0, 0.15, 0.4]))
        self.gap = rng.uniform(-0.3, 0.8)
        self.beside = rng.uniform(0.5, 0.85)

    def _made(self, centre: np.ndarray, angle: float, length: float) -> Capsule:
        r = self.width / 2 * self.rng.uniform(0.93, 1.07)
        return _rod(centre, angle, length, self.bend * self.rng.normal(), r)

    def founder(self, centre: np.ndarray) -> Capsule:
        """Make the first rod of a colony, at `centre`."""
        return self._made(centre, self.rng.uniform(0, np.pi), self.length)

    def __call__(self, parent: Shape) -> Capsule:
        """Make a neighbour of `parent`."""
        rng = self.rng
        assert isinstance(parent, Capsule)
        span = parent.points[-1] - parent.points[0]
        old = float(np.hypot(*span))
        middle = parent.points.mean(0)
        heading = float(np.arctan2(span[0], span[1]))
        length = self.length * rng.uniform(0.65, 1.35)
        side = rng.choice([-1, 1])
        if rng.random() < self.beside:
            # A tilted neighbour needs room at one of its ends.
            tilt = self.disorder * rng.normal()
            away = self.width + self.gap + 0.25 * length * abs(np.sin(tilt))
            shift = rng.uniform(-0.5, 0.5) * old
            across = side * away * _direction(heading + np.pi / 2)
            centre = middle + across + shift * _direction(heading)
            return self._made(centre, heading + tilt, length)
        tilt = 1.5 * self.disorder * rng.normal()
        reach = 0.5 * old + self.width / 2 + self.gap
        tip = middle + side * reach * _direction(heading)
        centre = tip + side * 0.5 * length * _direction(heading + tilt)
        return self._made(centre, heading + tilt, length)


class _RoundDivision:
    """Places a coccus or a yeast cell at the surface of another one.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    radius : float
        Typical of the colony, in pixels.
    flat : float
        Typical quotient of the axes.
    buds : float
        How many of the cells are small buds.
    """

    def __init__(
        self, rng: np.random.Generator, radius: float, flat: float, buds: float
    ) -> None:
        self.rng, self.radius, self.flat, self.buds = rng, radius, flat, buds
        self.width = 2 * radius
        self.spread = rng.uniform(0.03, 0.15)
        self.gap = rng.uniform(-0.8, 0.6)
        self.chain = buds == 0 and rng.random() < 0.2

    def founder(self, centre: np.ndarray) -> Ellipse:
        """Make the first cell of a colony, at `centre`."""
        rng = self.rng
        r = self.radius * np.exp(self.spread * rng.normal())
        if rng.random() < self.buds:
            r *= rng.uniform(0.45, 0.8)
        flat = float(np.clip(self.flat + 0.06 * rng.normal(), 0.55, 1))
        return Ellipse(centre, (r / flat**0.5, r * flat**0.5), rng.uniform(0, np.pi))

    def __call__(self, parent: Shape) -> Ellipse:
        """Make a neighbour of `parent`."""
        rng = self.rng
        assert isinstance(parent, Ellipse)
        new = self.founder(parent.centre)
        angle = rng.uniform(0, 2 * np.pi)
        if self.chain:
            angle = parent.angle + 0.3 * rng.normal() + np.pi * rng.integers(2)
        apart = _radius_along(parent, angle) + _radius_along(new, angle) + self.gap
        centre = parent.centre + apart * _direction(angle)
        return Ellipse(centre, new.axes, angle if self.chain else new.angle)


def _radius_along(e: Ellipse, angle: float) -> float:
    """Distance from the centre of an ellipse to its outline in a direction."""
    c, s = np.cos(angle - e.angle), np.sin(angle - e.angle)
    return float(1 / np.hypot(c / e.axes[0], s / e.axes[1]))


def _settle(
    rng: np.random.Generator,
    size: int,
    divide: _RodDivision | _RoundDivision,
    area: float,
) -> Packing:
    """Grow one to five colonies of objects of `area` pixels."""
    packing = Packing(size)
    room = 0.8 * size**2 / area
    total = int(np.clip(log_uniform(rng, 25, 320), 4, min(room, MOST)))
    colonies = int(rng.choice([1, 1, 1, 2, 3, 5]))
    shares = rng.dirichlet(np.full(colonies, 2.0))
    for share in shares:
        wanted = max(round(share * total), 1)
        # A colony should be seen almost whole: its radius stays clear of the rim.
        clear = min(0.4 * size, 0.6 * np.sqrt(wanted * area / np.pi))
        centre = rng.uniform(clear, size - clear, 2)
        grow(packing, rng, divide.founder(centre), divide, wanted, 0.1)
    for _ in range(int(rng.integers(0, 6))):
        packing.add(divide.founder(rng.uniform(0, size, 2)), 0.02)
    # Swollen cells press against each other and leave no room between them.
    if rng.random() < 0.7:
        packing.inflate(rng.uniform(0.04, 0.14) * divide.width)
    return packing


def _specimen(
    rng: np.random.Generator, packing: Packing, width: float, inner: np.ndarray
) -> Specimen:
    """Photograph a packing; `inner` is what is seen inside, in units of contrast."""
    size = packing.size
    shown, base = contrasted(rng, packing, width)
    contrast = log_uniform(rng, 0.15, 0.6)
    ground = smooth_noise(rng, size, log_uniform(rng, 3, 30))
    ground = rng.uniform(0, 0.12) * ground * (packing.first > 0)
    picture = base + contrast * (shown + inner + ground)
    labels = tidy(packing.labels)
    return Specimen(labels, picture.astype(np.float32), width, 0.6 * contrast)


def bacteria(rng: np.random.Generator, size: int) -> Specimen:
    """Draw micro-colonies of rods that lie side by side.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.

    Returns
    -------
    Specimen
        Every rod is an object: 4 to 14 pixels wide, two to six times as long.
    """
    width = log_uniform(rng, 4.5, 14)
    divide = _RodDivision(rng, width)
    packing = _settle(rng, size, divide, width * divide.length)
    spots = smooth_noise(rng, size, width * rng.uniform(0.5, 1.2))
    inner = rng.uniform(0, 0.1) * spots * profile(packing, 1.0)
    return _specimen(rng, packing, width, inner)


def cocci(rng: np.random.Generator, size: int) -> Specimen:
    """Draw clusters and chains of round bacteria; arguments as for `bacteria`."""
    width = rng.uniform(6, 16)
    divide = _RoundDivision(rng, width / 2, rng.uniform(0.8, 1), 0.0)
    packing = _settle(rng, size, divide, 0.8 * width**2)
    return _specimen(rng, packing, width, np.zeros((size, size), np.float32))


def _vacuoles(rng: np.random.Generator, packing: Packing) -> np.ndarray:
    """One round vacuole in many of the cells, float32 (size, size), 0 to 1."""
    inside = Packing(packing.size)
    for cell in packing.members:
        if rng.random() < 0.6:
            assert isinstance(cell, Ellipse)
            r = cell.radius * rng.uniform(0.25, 0.55)
            off = rng.uniform(0, 0.35) * cell.radius
            at = cell.centre + off * _direction(rng.uniform(0, 2 * np.pi))
            inside.add(Ellipse(at, (r, r), 0.0), 1.0)
    return np.asarray(np.clip(0.5 - inside.first / 1.5, 0, 1), np.float32)


def yeasts(rng: np.random.Generator, size: int) -> Specimen:
    """Draw colonies of budding yeast; arguments as for `bacteria`.

    Returns
    -------
    Specimen
        Every mother and every bud is an object of its own, 12 to 40 pixels wide.
    """
    width = log_uniform(rng, 14, float(np.clip(size / 4, 16, 40)))
    buds = rng.uniform(0, 0.3)
    divide = _RoundDivision(rng, width / 2, rng.uniform(0.72, 0.95), buds)
    packing = _settle(rng, size, divide, 0.8 * width**2)
    grains = smooth_noise(rng, size, rng.uniform(1.5, max(2, width / 6)))
    inner = rng.uniform(0.02, 0.15) * grains * profile(packing, 1.0)
    if rng.random() < 0.5:
        inner += rng.choice([-1, 1]) * rng.uniform(0.1, 0.35) * _vacuoles(rng, packing)
    return _specimen(rng, packing, width, inner.astype(np.float32))
