"""The cells that the fixture ``cells`` draws."""

from __future__ import annotations

import numpy as np

#: (row, col) of the centre, and the radius.
DISCS = ((60, 70, 18), (60, 150, 14), (140, 100, 22), (150, 190, 16))


def disc(row: int, col: int, radius: int) -> np.ndarray:
    """Return the truth of one of the `DISCS`."""
    rows, cols = np.mgrid[:200, :240]
    return np.hypot(rows - row, cols - col) <= radius
