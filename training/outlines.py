"""Star-shaped objects: many at once, each known by its relative radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIRECTIONS = 360
OUTSIDE = 9.0


@dataclass(frozen=True)
class Star:
    """An outline that every ray from the centre crosses once.

    Attributes
    ----------
    centre : np.ndarray, float, shape (2,)
        As (y, x) in pixels.
    radii : np.ndarray, float32, shape (360,)
        Distance of the outline from the centre, one per degree from the x axis
        towards the y axis.
    """

    centre: np.ndarray
    radii: np.ndarray

    @property
    def mean_radius(self) -> float:
        """Mean distance of the outline from the centre, in pixels."""
        return float(self.radii.mean())

    def window(self, size: int, reach: float) -> tuple[slice, slice]:
        """Rows and columns within `reach` times the largest radius of the centre."""
        far = reach * float(self.radii.max()) + 1
        low = np.clip(np.floor(self.centre - far), 0, size).astype(int)
        high = np.clip(np.ceil(self.centre + far) + 1, 0, size).astype(int)
        return slice(low[0], high[0]), slice(low[1], high[1])

    def relative(self, window: tuple[slice, slice]) -> np.ndarray:
        """Distance from the centre, 1 at the outline.

        Returns
        -------
        np.ndarray, float32, of the window's shape
        """
        dy = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
        dx = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None]
        dy, dx = dy - np.float32(self.centre[0]), dx - np.float32(self.centre[1])
        degree = np.arctan2(dy, dx) * np.float32(DIRECTIONS / (2 * np.pi))
        return np.hypot(dy, dx) / self.radii[degree.astype(np.int32) % DIRECTIONS]


def star(
    rng: np.random.Generator,
    centre: np.ndarray,
    r: float,
    *,
    flat: float = 1.0,
    wobble: float = 0.1,
    corners: int = 0,
    arms: int = 0,
) -> Star:
    """Make an outline with a random turn.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    centre : np.ndarray, shape (2,)
        As (y, x) in pixels.
    r : float
        Larger half axis in pixels, before wobble and arms.
    flat : float, default 1
        Quotient of the half axes.
    wobble : float, default 0.1
        Relative deviation from an ellipse.
    corners : int, default 0
        Cut to a rounded polygon with about as many sides, if 3 or more.
    arms : int, default 0
        Number of pointed protrusions.

    Returns
    -------
    Star
    """
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    turn = rng.uniform(0, 2 * np.pi)
    radii = 1 / np.hypot(np.cos(angle - turn), np.sin(angle - turn) / flat)
    for k in range(2, 8):
        phase = rng.uniform(0, 2 * np.pi)
        radii = radii * (1 + wobble * rng.normal() / k * np.cos(k * angle + phase))
    if corners >= 3:
        sides = np.arange(corners) + rng.uniform(-0.3, 0.3, corners)
        sides = 2 * np.pi * sides / corners + rng.uniform(0, 2 * np.pi)
        facing = np.cos(angle[:, None] - sides)
        reach = rng.uniform(0.65, 0.95, corners) / np.maximum(facing, 1e-3)
        cut = np.min(np.where(facing > 0.05, reach, 9), 1)
        # A soft minimum rounds the corners off.
        radii = radii * (1 + np.clip(cut, 0.2, 9) ** -8.0) ** (-1 / 8)
    for _ in range(arms):
        to = rng.uniform(0, 2 * np.pi)
        bump = np.exp(rng.uniform(8, 60) * (np.cos(angle - to) - 1))
        radii = radii + rng.uniform(0.3, 1.3) * bump
    return Star(np.asarray(centre, float), np.maximum(r * radii, 1).astype(np.float32))


def pack_discs(
    rng: np.random.Generator,
    size: int,
    radii: np.ndarray,
    tight: float,
    tries: int = 24,
) -> tuple[np.ndarray, np.ndarray]:
    """Find places for discs, the largest first, close to each other.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture; centres may lie a little outside.
    radii : np.ndarray, float, shape (n,)
        Of the discs to place, in pixels.
    tight : float
        Discs keep this times the sum of their radii apart.
    tries : int, default 24
        Places tried for each disc; few make for a loose packing.

    Returns
    -------
    centres : np.ndarray, float, shape (m, 2)
    radii : np.ndarray, float, shape (m,)
        Of those that found room, in descending order.
    """
    placed = np.empty((0, 2))
    kept = np.empty(0)
    for r in np.sort(radii)[::-1]:
        where = rng.uniform(-0.5 * r, size + 0.5 * r, (tries, 2))
        if len(kept):
            far = np.hypot(*(where[:, None] - placed).transpose(2, 0, 1))
            clear = (far - tight * (r + kept)).min(1)
            free = np.flatnonzero(clear >= 0)
            if not len(free):
                continue
            # The place with the least room to spare makes the packing dense.
            chosen = where[free[np.argmin(clear[free])]]
        else:
            chosen = where[0]
        placed = np.concatenate([placed, chosen[None]])
        kept = np.append(kept, r)
    return placed, kept


def draw_radii(
    rng: np.random.Generator,
    size: int,
    r: float,
    coverage: tuple[float, float],
    spread: float,
    most: int = 260,
) -> np.ndarray:
    """Radii of objects that together cover a part of the picture.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the picture.
    r : float
        Typical radius in pixels.
    coverage : tuple of float
        Smallest and largest total area, as a part of the picture's; more than 1
        finds no room, and makes for a dense packing.
    spread : float
        Standard deviation of the logarithm of the radii.
    most : int, default 260
        Largest number of objects.

    Returns
    -------
    np.ndarray, float, shape (n,)
        At least one, between 4 pixels and 0.45 times `size`.
    """
    count = rng.uniform(*coverage) * size**2 / (np.pi * r**2)
    radii = r * np.exp(spread * rng.normal(size=int(np.clip(count, 1, most))))
    return np.clip(radii, 4, 0.45 * size)


def scatter(
    rng: np.random.Generator,
    size: int,
    radii: np.ndarray,
    tight: float,
    tries: int,
    *,
    flat: float = 1.0,
    vary: float = 0.0,
    wobble: float = 0.1,
    arms: int = 0,
) -> list[Star]:
    """Pack stars of one kind.

    Parameters
    ----------
    rng, size, radii, tight, tries
        As for `pack_discs`.
    flat : float, default 1
        Typical quotient of the half axes.
    vary : float, default 0
        Standard deviation of that quotient.
    wobble : float, default 0.1
        Relative deviation from an ellipse.
    arms : int, default 0
        Largest number of protrusions.

    Returns
    -------
    list of Star
        Those that found room, the largest first.
    """
    stars = []
    for centre, r in zip(*pack_discs(rng, size, radii, tight, tries), strict=True):
        shape = float(np.clip(flat + vary * rng.normal(), 0.2, 1))
        many = int(rng.integers(0, arms + 1))
        stars.append(star(rng, centre, r, flat=shape, wobble=wobble, arms=many))
    return stars


@dataclass
class StarMap:
    """Which star every pixel belongs to.

    Attributes
    ----------
    owner : np.ndarray, int32, shape (size, size)
        Number of the star from 1; 0 where none is near.
    rho : np.ndarray, float32, shape (size, size)
        Distance from its centre, 1 at its outline; `OUTSIDE` far from all.
    radii : np.ndarray, float32, shape (n + 1,)
        Mean radius of every star in pixels; 1 for none.
    """

    owner: np.ndarray
    rho: np.ndarray
    radii: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Pixels in a star, bool (size, size)."""
        return self.rho < 1

    @property
    def labels(self) -> np.ndarray:
        """Number of the star, 0 outside of all, int32 (size, size)."""
        return np.where(self.inside, self.owner, 0).astype(np.int32)

    @property
    def depth(self) -> np.ndarray:
        """Pixels below the outline, about; negative outside; float32 (size, size)."""
        return np.asarray((1 - self.rho) * self.radii[self.owner], np.float32)


def divide(size: int, stars: list[Star], *, stacked: bool = False) -> StarMap:
    """Divide the plane among stars.

    Parameters
    ----------
    size : int
        Side of the picture.
    stars : list of Star
        Pixels in several stars belong to the one with the smallest relative radius.
    stacked : bool, default False
        Later stars lie on earlier ones and hide them instead.

    Returns
    -------
    StarMap
    """
    owner = np.zeros((size, size), np.int32)
    rho = np.full((size, size), OUTSIDE, np.float32)
    for i, one in enumerate(stars, 1):
        window = one.window(size, 1.0 if stacked else 1.3)
        new = one.relative(window)
        nearer = new < 1 if stacked else new < rho[window]
        rho[window][nearer] = new[nearer]
        owner[window][nearer] = i
    radii = np.array([1.0, *(s.mean_radius for s in stars)], np.float32)
    return StarMap(owner, rho, radii)
