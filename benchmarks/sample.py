"""The picture that is measured with: round cells, drawn, the same every time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sample", "draw_sample"]

#: Distance of the cells' places and their radii, in pixels.
_PITCH = 96
_RADII = (20.0, 32.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A picture with a cell that is known.

    Parameters
    ----------
    image : ndarray of shape (size, size, 3) and dtype uint8
        Bright cells before a dark background.
    centre_xy : tuple of float
        Middle of the cell next to the middle of the picture, in pixels.
    radius : float
        Its radius in pixels.
    """

    image: NDArray[np.uint8]
    centre_xy: tuple[float, float]
    radius: float

    @property
    def click(self) -> list[list[float]]:
        """A click on the cell, shape (1, 2), (x, y)."""
        return [list(self.centre_xy)]

    @property
    def correction(self) -> list[list[float]]:
        """The same click and one beside the cell, shape (2, 2)."""
        x, y = self.centre_xy
        return [[x, y], [x + 1.4 * self.radius, y]]

    @property
    def box(self) -> list[float]:
        """The box around the cell, ``[x0, y0, x1, y1]``."""
        x, y = self.centre_xy
        return [x - self.radius, y - self.radius, x + self.radius, y + self.radius]


def draw_sample(size: int = 1024, seed: int = 0) -> Sample:
    """Draw a picture.

    Parameters
    ----------
    size : int
        Its side in pixels, at least 128.
    seed : int
        Of where the cells are and of the noise.

    Returns
    -------
    Sample
    """
    if size < 128:
        raise ValueError(f"A picture of {size} pixels has no room; give 128 or more.")
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:size, :size].astype(np.float32)
    light = np.full((size, size), 30.0, np.float32)
    cells = []
    for place in np.ndindex(size // _PITCH, size // _PITCH):
        row, col = (np.array(place) + 0.5) * _PITCH + rng.uniform(-12, 12, 2)
        radius = rng.uniform(*_RADII)
        cells.append((row, col, radius))
        near = np.s_[
            max(0, int(row) - _PITCH) : int(row) + _PITCH,
            max(0, int(col) - _PITCH) : int(col) + _PITCH,
        ]
        distance = np.hypot(rows[near] - row, cols[near] - col)
        inside = np.clip((radius - distance) / 3 + 0.5, 0, 1)  # a soft edge
        light[near] += inside * rng.uniform(80, 160)
    light += rng.normal(0, 4, light.shape)
    grey = light.clip(0, 255).astype(np.uint8)
    row, col, radius = min(
        cells, key=lambda cell: np.hypot(cell[0] - size / 2, cell[1] - size / 2)
    )
    image = np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    return Sample(image, (float(col), float(row)), float(radius))
