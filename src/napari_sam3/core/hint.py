"""What is known of an object's size before a model has seen it."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from statistics import median
from typing import Any

from napari_sam3.core.errors import PromptError
from napari_sam3.core.plain_json import entry

__all__ = ["SizeHint"]

#: How many of the latest sizes count: cells of one image are alike, and records that
#: hold more would be mostly hint.
MOST_SIZES = 32

# What a wrong size costs. Scores are predicted IoUs, 0 to 1.

#: At most, for a size unlike those of the objects that were accepted.
SIZES_WEIGHT = 0.3
#: Octaves beyond the spread at which that much is reached.
SIZES_FALLOFF = 1.5
#: Octaves around the median that cost nothing, however alike the objects are.
LEAST_SPREAD = 0.35
#: The same while it is not known yet how alike they are, and until when it is not.
FEW_SPREAD, FEW_SIZES = 0.7, 3
#: At most, for a size that does not fit the view.
VIEW_WEIGHT = 0.2
#: For each octave beyond what fits.
VIEW_RATE = 0.05
#: Sizes that fit, as shares of the view's shorter side: who clicks on something sees
#: it, and mostly sees all of it.
VIEW_LEAST, VIEW_LARGEST = 1 / 40, 0.8

#: Of normally distributed numbers, the standard deviation by the median distance.
_DEVIATION = 1.4826


@dataclass(frozen=True, slots=True)
class SizeHint:
    """What is known of an object's size before the model has seen it.

    Models that look for an object at several scales prefer the fitting ones; others
    do without it.

    Parameters
    ----------
    sizes_px : tuple of float
        Square roots of the areas, in pixels of the image, of objects like it: those
        that were accepted in this image, the latest last. The last 32 are kept.
    view_px : float, optional
        Shorter side of what the user sees of the image, in its pixels.

    Raises
    ------
    PromptError
        If a number is not finite, or not above 0.

    Examples
    --------
    >>> hint = SizeHint(sizes_px=(20, 22, 25))
    >>> hint.penalty(24)
    0.0
    >>> hint.penalty(200)
    0.3
    """

    sizes_px: tuple[float, ...] = ()
    view_px: float | None = None

    def __post_init__(self) -> None:
        """Bring numpy's numbers to Python's, and refuse what is no size."""
        try:
            sizes = tuple(self.sizes_px)
        except TypeError as error:
            raise PromptError(
                f"sizes_px is {reprlib.repr(self.sizes_px)}; give a tuple of numbers, "
                "such as (30,)."
            ) from error
        sizes = tuple(_positive(size, "A size in sizes_px") for size in sizes)
        object.__setattr__(self, "sizes_px", sizes[-MOST_SIZES:])
        if self.view_px is not None:
            object.__setattr__(self, "view_px", _positive(self.view_px, "view_px"))

    def penalty(self, size_px: float) -> float:
        """Return what to subtract from a score, 0 to 1, of a mask of some size.

        Parameters
        ----------
        size_px : float
            Square root of the mask's area, in pixels of the image; 0 if it is empty.

        Returns
        -------
        float
            0 where the hint fits or says nothing, else growing with the octaves
            between both: up to 0.3 for the sizes and 0.2 for the view.

        Raises
        ------
        PromptError
            If the size is negative or not finite.
        """
        size = float(size_px)
        if not 0 <= size < math.inf:
            raise PromptError(
                f"The size of a mask is {size}; give the square root of its area."
            )
        octave = math.log2(size) if size else -math.inf
        return self._unlike_others(octave) + self._beside_view(octave)

    def scaled(self, ratio: float) -> SizeHint:
        """Return it for an image that is resampled.

        Parameters
        ----------
        ratio : float
            New pixels per pixel, along a side.
        """
        view = None if self.view_px is None else self.view_px * ratio
        return SizeHint(tuple(size * ratio for size in self.sizes_px), view)

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON has: the two fields, sizes as a list."""
        return {"sizes_px": list(self.sizes_px), "view_px": self.view_px}

    @classmethod
    def from_dict(cls, data: Any) -> SizeHint:
        """Read what `to_dict` made.

        Raises
        ------
        PromptError
            If it is something else; the message says why.
        """
        owner = "A size hint"
        sizes = entry(data, "sizes_px", list, owner)
        has_view = data.get("view_px") is not None
        view = entry(data, "view_px", float, owner) if has_view else None
        return cls(tuple(sizes), view)

    def _unlike_others(self, octave: float) -> float:
        """Return the penalty for being unlike the accepted objects."""
        if not self.sizes_px:
            return 0.0
        octaves = [math.log2(size) for size in self.sizes_px]
        middle = median(octaves)
        deviation = _DEVIATION * median(abs(one - middle) for one in octaves)
        least = FEW_SPREAD if len(octaves) < FEW_SIZES else LEAST_SPREAD
        beyond = max(0.0, abs(octave - middle) - max(least, deviation))
        return SIZES_WEIGHT * min(1.0, (beyond / SIZES_FALLOFF) ** 2)

    def _beside_view(self, octave: float) -> float:
        """Return the penalty for being a speck, or larger than what is shown."""
        if self.view_px is None:
            return 0.0
        low = math.log2(self.view_px * VIEW_LEAST)
        high = math.log2(self.view_px * VIEW_LARGEST)
        beyond = max(0.0, low - octave, octave - high)
        return min(VIEW_WEIGHT, VIEW_RATE * beyond)


def _positive(value: Any, name: str) -> float:
    try:
        # True and "3" would be numbers for Python.
        number = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number < math.inf:
        raise PromptError(
            f"{name} is {reprlib.repr(value)}; give a finite number of pixels above 0."
        )
    return number
