"""Size classes of objects."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from training.user import ObjectResult

__all__ = ["SIZE_CLASSES", "by_size", "size_class"]

#: Where classes end, square root of the area in pixels.
_EDGES = (16, 32, 64, 128)

#: Their names, from small to large.
SIZE_CLASSES = (
    f"< {_EDGES[0]} px",
    *(f"{low} to {high} px" for low, high in pairwise(_EDGES)),
    f">= {_EDGES[-1]} px",
)


def size_class(area: int) -> str:
    """Return the class of an object of ``area`` pixels.

    Examples
    --------
    >>> size_class(255), size_class(256), size_class(100 * 100)
    ('< 16 px', '16 to 32 px', '64 to 128 px')
    """
    size = math.sqrt(area)
    return SIZE_CLASSES[sum(size >= edge for edge in _EDGES)]


def by_size(results: Sequence[ObjectResult]) -> dict[str, list[ObjectResult]]:
    """Sort results into classes, from small to large; empty classes are left out."""
    classes: dict[str, list[ObjectResult]] = {name: [] for name in SIZE_CLASSES}
    for result in results:
        classes[size_class(result.area)].append(result)
    return {name: members for name, members in classes.items() if members}
