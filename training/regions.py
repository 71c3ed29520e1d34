"""Masks as crops: what is compared is as large as an object, not as an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bounds", "Region", "around"]

#: Half-open box of whole pixels: ``(row0, col0, row1, col1)``.
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Pixels of an image, cropped to their bounds.

    Parameters
    ----------
    pixels : ndarray of shape (h, w) and dtype bool
        There are none outside of this crop.
    row0, col0 : int
        The crop's first pixel in the image.

    Examples
    --------
    >>> region = Region.trim(np.array([[0, 0, 0], [0, 1, 1]], bool))
    >>> region.bounds, region.area
    ((1, 1, 2, 3), 2)
    """

    pixels: NDArray[np.bool_]
    row0: int = 0
    col0: int = 0

    @classmethod
    def trim(cls, mask: NDArray[np.bool_], row0: int = 0, col0: int = 0) -> Region:
        """Crop a mask whose first pixel lies at (row0, col0) to what is in it.

        The pixels are copied; of an empty mask a crop of shape (0, 0) is left.
        """
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return cls(np.zeros((0, 0), np.bool_), row0, col0)
        top, left = int(rows[0]), int(cols[0])
        crop = mask[top : int(rows[-1]) + 1, left : int(cols[-1]) + 1]
        return cls(crop.copy(), row0 + top, col0 + left)

    @property
    def bounds(self) -> Bounds:
        """The crop's place in the image, half-open."""
        height, width = self.pixels.shape
        return self.row0, self.col0, self.row0 + height, self.col0 + width

    @property
    def area(self) -> int:
        """How many pixels there are."""
        return int(np.count_nonzero(self.pixels))

    def within(self, frame: Bounds) -> NDArray[np.bool_]:
        """Return the pixels in a frame of the image, shape (rows, columns) of it."""
        row0, col0, row1, col1 = frame
        result = np.zeros((row1 - row0, col1 - col0), np.bool_)
        top, left, bottom, right = self.bounds
        top, left = max(top, row0), max(left, col0)
        bottom, right = min(bottom, row1), min(right, col1)
        if bottom > top and right > left:
            result[top - row0 : bottom - row0, left - col0 : right - col0] = (
                self.pixels[
                    top - self.row0 : bottom - self.row0,
                    left - self.col0 : right - self.col0,
                ]
            )
        return result

    def iou(self, other: Region) -> float:
        """Return intersection over union; 0 for two empty regions."""
        shared = int(np.count_nonzero(self.pixels & other.within(self.bounds)))
        union = self.area + other.area - shared
        return shared / union if union else 0.0


def around(*regions: Region) -> Bounds:
    """Return the smallest frame that holds all regions; empty ones need none."""
    bounds = [region.bounds for region in regions if region.pixels.size]
    if not bounds:
        return 0, 0, 0, 0
    corners = np.array(bounds)
    row0, col0 = corners[:, :2].min(axis=0).tolist()
    row1, col1 = corners[:, 2:].max(axis=0).tolist()
    return row0, col0, row1, col1
