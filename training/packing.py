"""Packing of round and rod-shaped objects so that they touch without overlap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Distances are known this far from every object, in pixels.
REACH = 6
FAR = 1e3


@dataclass(frozen=True)
class Capsule:
    """A straight or bent rod.

    Attributes
    ----------
    points : np.ndarray, float, shape (n, 2)
        Middle line as (y, x) in pixels.
    radius : float
        Half the width.
    """

    points: np.ndarray
    radius: float

    @property
    def probes(self) -> np.ndarray:
        """Points, float (m, 2), that another object must not cover."""
        return self.points

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last (y, x), each float (2,)."""
        return self.points.min(0) - self.radius, self.points.max(0) + self.radius

    def distance(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Distance to the outline, negative inside; `y` and `x` broadcast."""
        nearest: np.ndarray | None = None
        for a, b in zip(self.points[:-1], self.points[1:], strict=True):
            along = b - a
            length = max(float(along @ along), 1e-6)
            t = np.clip(((y - a[0]) * along[0] + (x - a[1]) * along[1]) / length, 0, 1)
            far = np.hypot(y - a[0] - t * along[0], x - a[1] - t * along[1])
            nearest = far if nearest is None else np.minimum(nearest, far)
        assert nearest is not None
        return nearest - self.radius


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Attributes
    ----------
    centre : np.ndarray, float, shape (2,)
        As (y, x) in pixels.
    axes : tuple of float
        Half axes, the first along `angle`.
    angle : float
        In radians; 0 points along x.
    """

    centre: np.ndarray
    axes: tuple[float, float]
    angle: float

    @property
    def radius(self) -> float:
        """The smaller half axis."""
        return min(self.axes)

    @property
    def probes(self) -> np.ndarray:
        """Points, float (m, 2), that another object must not cover."""
        return self.centre[None]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last (y, x), each float (2,)."""
        return self.centre - max(self.axes), self.centre + max(self.axes)

    def distance(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Distance to the outline, to first order; negative inside."""
        s, c = np.sin(self.angle), np.cos(self.angle)
        y, x = y - self.centre[0], x - self.centre[1]
        u, v = (c * x + s * y) / self.axes[0], (c * y - s * x) / self.axes[1]
        rho = np.hypot(u, v)
        slope = np.hypot(u / self.axes[0], v / self.axes[1])
        # In the very middle the quotient is undefined; the small radius is right.
        exact = rho * (rho - 1) / np.maximum(slope, 1e-6)
        return np.where(rho < 1e-3, -self.radius, np.maximum(exact, -self.radius))


Shape = Capsule | Ellipse


class Packing:
    """Objects on a plane, as distances to the nearest and the second nearest.

    Parameters
    ----------
    size : int
        Side of the picture.
    pad : int, default 24
        Margin around the picture in which objects may lie too, so that colonies
        are cut by the border instead of ending at it.
    """

    def __init__(self, size: int, pad: int = 24) -> None:
        full = size + 2 * pad
        self.size, self.pad = size, pad
        self._first = np.full((full, full), FAR, np.float32)
        self._second = np.full((full, full), FAR, np.float32)
        self._owner = np.zeros((full, full), np.int32)
        self.members: list[Shape] = []
        self._swollen = 0.0

    def _crop(self, full: np.ndarray) -> np.ndarray:
        """Cut the picture out of a padded array."""
        inside = slice(self.pad, self.pad + self.size)
        return full[inside, inside]

    @property
    def first(self) -> np.ndarray:
        """Signed distance to the nearest outline, float32 (size, size)."""
        return self._crop(self._first)

    @property
    def second(self) -> np.ndarray:
        """Signed distance to the second nearest, float32 (size, size)."""
        return self._crop(self._second)

    @property
    def owner(self) -> np.ndarray:
        """Nearest member, counted from 1, int32 (size, size); 0 is far from all."""
        return self._crop(self._owner)

    @property
    def labels(self) -> np.ndarray:
        """Members seen on the picture, int32 (size, size); 0 is background."""
        return np.where(self.first < 0, self.owner, 0).astype(np.int32)

    @property
    def radii(self) -> np.ndarray:
        """Radius of every member, float32 (n + 1,); 1 for no member."""
        own = [m.radius + self._swollen for m in self.members]
        return np.array([1.0, *own], np.float32)

    def inflate(self, by: float) -> None:
        """Let every member swell by `by` pixels, flattened where it meets others."""
        self._first -= np.float32(by)
        self._second -= np.float32(by)
        self._swollen += by

    def add(self, shape: Shape, overlap: float) -> bool:
        """Add an object unless more than `overlap` of it would lie in others.

        Returns
        -------
        bool
            Whether it was added; an object outside the padded plane never is.
        """
        full = len(self._first)
        low, high = shape.bounds()
        low = np.maximum(np.floor(low + self.pad) - REACH, 0).astype(int)
        high = np.minimum(np.ceil(high + self.pad) + REACH + 1, full).astype(int)
        probes = np.round(shape.probes + self.pad).astype(int)
        if (probes < 0).any() or (probes >= full).any():
            return False
        if self._first[probes[:, 0], probes[:, 1]].min() < 0.5 * shape.radius:
            return False
        window = (slice(low[0], high[0]), slice(low[1], high[1]))
        y = np.arange(low[0], high[0], dtype=np.float32)[:, None] - self.pad
        x = np.arange(low[1], high[1], dtype=np.float32)[None] - self.pad
        new = shape.distance(y, x).astype(np.float32)
        first, second, owner = (
            a[window] for a in (self._first, self._second, self._owner)
        )
        area = np.count_nonzero(new < 0)
        if np.count_nonzero((new < 0) & (first < 0)) > overlap * area:
            return False
        self.members.append(shape)
        np.minimum(second, np.maximum(first, new), out=second)
        owner[new < first] = len(self.members)
        np.minimum(first, new, out=first)
        return True


def grow(
    packing: Packing,
    rng: np.random.Generator,
    founder: Shape,
    divide: Callable[[Shape], Shape],
    wanted: int,
    overlap: float,
) -> int:
    """Let a colony grow from one object, each new one beside an older one.

    Parameters
    ----------
    packing : Packing
        Grows in place.
    rng : np.random.Generator
        Source of all that is random.
    founder : Shape
        The first object.
    divide : callable
        Makes a neighbour for an object; it is tried up to nine times for each.
    wanted : int
        Size of the colony.
    overlap : float
        Largest part of an object that may lie in others.

    Returns
    -------
    int
        How many objects were added, fewer where there is no room.
    """
    if not packing.add(founder, overlap):
        return 0
    added = 1
    growing, misses = [founder], [0]
    while growing and added < wanted:
        # The oldest come first: that keeps the colony compact.
        i = int(len(growing) * rng.random() ** 2)
        child = divide(growing[i])
        if packing.add(child, overlap):
            growing.append(child)
            misses.append(0)
            added += 1
            continue
        misses[i] += 1
        if misses[i] >= 9:
            del growing[i], misses[i]
    return added
