"""What the user placed: clicks, boxes, outlines, masks, in pixels of one plane."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import PromptError
from napari_sam3.core.mask_mark import MaskMark
from napari_sam3.core.plain_json import entry
from napari_sam3.core.polygon import fill_polygon
from napari_sam3.core.prompt import as_floats

__all__ = [
    "BoxMark",
    "Mark",
    "MaskMark",
    "OutlineMark",
    "PointMark",
    "bounds_of_marks",
    "mark_from_json",
    "mark_to_json",
]

#: No plane has more rows or columns; numbers beyond it are mistakes.
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class PointMark:
    """A click.

    Parameters
    ----------
    row, col : float
        Where; a pixel's centre has whole numbers.
    positive : bool
        Whether it is on the object, or on the background.

    Raises
    ------
    PromptError
        If a number is not usable.
    """

    row: float
    col: float
    positive: bool = True

    def __post_init__(self) -> None:
        """Bring numpy's numbers to Python's."""
        _set_floats(self, ("row", "col"), "point")
        object.__setattr__(self, "positive", bool(self.positive))


@dataclass(frozen=True, slots=True)
class BoxMark:
    """A box around the object.

    Parameters
    ----------
    row0, col0, row1, col1 : float
        Half-open pixel edges: the box (0, 0, 2, 3) holds two rows and three
        columns.

    Raises
    ------
    PromptError
        If a number is not usable, or the box is empty.
    """

    row0: float
    col0: float
    row1: float
    col1: float

    def __post_init__(self) -> None:
        """Refuse a box that holds nothing."""
        _set_floats(self, ("row0", "col0", "row1", "col1"), "box")
        if self.row1 <= self.row0 or self.col1 <= self.col0:
            raise PromptError(
                f"The box (row0 {self.row0:g}, col0 {self.col0:g}, row1 {self.row1:g}, "
                f"col1 {self.col1:g}) is empty; its second corner must lie below and "
                "right of the first."
            )


@dataclass(frozen=True, slots=True)
class OutlineMark:
    """A closed line around a part of the object, as a lasso draws it.

    Parameters
    ----------
    vertices : tuple of (float, float)
        (row, col) of at least three; a pixel's centre has whole numbers. The
        last one is joined to the first one.

    Raises
    ------
    PromptError
        If there are too few vertices, or a number is not usable.
    """

    vertices: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Bring any array to tuples."""
        array = as_floats(self.vertices, "Vertices of an outline")
        if array.ndim != 2 or array.shape[1] != 2 or len(array) < 3:
            raise PromptError(
                "An outline needs three vertices (row, col) at least, not the shape "
                f"{array.shape}; draw it again."
            )
        _check_size(array, "outline")
        pairs = tuple((float(row), float(col)) for row, col in array)
        object.__setattr__(self, "vertices", pairs)

    def rasterize(
        self, shape: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], tuple[int, int, int, int]]:
        """Return the pixels whose centres it holds.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the plane; what lies outside is cut off.

        Returns
        -------
        mask : ndarray of shape (h, w) and dtype bool
            A crop; it is never empty: an outline between pixel centres takes the
            pixels that its vertices lie on.
        bbox : tuple of int
            ``(row0, col0, row1, col1)`` of the crop in the plane, half-open.

        Raises
        ------
        PromptError
            If it does not meet the plane.
        """
        vertices = np.array(self.vertices)
        pixels = np.floor(vertices + 0.5).astype(np.intp)
        low = pixels.min(axis=0).clip(0, None)
        high = (pixels.max(axis=0) + 1).clip(None, shape)
        if (high <= low).any():
            raise PromptError(
                f"The outline around row {vertices[:, 0].mean():g}, column "
                f"{vertices[:, 1].mean():g} does not meet the image of {shape[0]} rows "
                f"and {shape[1]} columns; draw it on the image."
            )
        size = high - low
        mask = fill_polygon(vertices - low, (int(size[0]), int(size[1])))
        if not mask.any():
            inside = ((pixels >= low) & (pixels < high)).all(axis=1)
            rows, cols = (pixels[inside] - low).T
            mask[rows, cols] = True
        if not mask.any():
            raise PromptError(
                "The outline only passes by the image; draw it on the image."
            )
        return mask, (int(low[0]), int(low[1]), int(high[0]), int(high[1]))


Mark = PointMark | BoxMark | OutlineMark | MaskMark


def bounds_of_marks(marks: Iterable[Mark]) -> tuple[int, int, int, int] | None:
    """Return where marks say that an object is.

    Parameters
    ----------
    marks : iterable of mark
        Background clicks do not count.

    Returns
    -------
    tuple of int or None
        ``(row0, col0, row1, col1)`` around the others, half-open, in whole pixels;
        None if there are no others.
    """
    corners: list[tuple[float, float]] = []
    for mark in marks:
        if isinstance(mark, PointMark):
            corners += [(mark.row, mark.col)] if mark.positive else []
        elif isinstance(mark, OutlineMark):
            corners += mark.vertices
        elif isinstance(mark, MaskMark):
            row0, col0, row1, col1 = mark.bbox
            corners += [(row0, col0), (row1 - 1, col1 - 1)]
        else:
            corners += [(mark.row0, mark.col0), (mark.row1 - 1, mark.col1 - 1)]
    if not corners:
        return None
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    row0, col0 = np.floor(low + 0.5).astype(int).tolist()
    row1, col1 = np.floor(high + 1.5).astype(int).tolist()
    return row0, col0, row1, col1


def mark_to_json(mark: Mark) -> dict[str, Any]:
    """Return a mark as values that JSON has.

    Parameters
    ----------
    mark : PointMark, BoxMark, OutlineMark or MaskMark
        Of one plane.

    Returns
    -------
    dict
        With its ``"kind"`` (``"point"``, ``"box"``, ``"outline"`` or ``"mask"``)
        and its fields. A mask's pixels are ``"runs"``: row by row, how many are
        background, then how many are object, and so on in turns.

    Examples
    --------
    >>> mark_to_json(PointMark(3, 4))
    {'kind': 'point', 'row': 3.0, 'col': 4.0, 'positive': True}
    >>> ring = np.array([[1, 1, 1], [1, 0, 1]], bool)
    >>> mark_to_json(MaskMark.from_mask(ring, (5, 6, 7, 9)))["runs"]
    [0, 4, 1, 1]
    """
    match mark:
        case OutlineMark(vertices):
            return {"kind": "outline", "vertices": [list(pair) for pair in vertices]}
        case MaskMark(bbox, _, score):
            bounds, runs = list(bbox), mark.runs()
            return {"kind": "mask", "bbox": bounds, "runs": runs, "score": score}
    kind = "point" if isinstance(mark, PointMark) else "box"
    return {"kind": kind} | {f.name: getattr(mark, f.name) for f in fields(mark)}


def mark_from_json(data: Any) -> Mark:
    """Read what `mark_to_json` made.

    Parameters
    ----------
    data : object
        As a JSON reader gives it.

    Returns
    -------
    PointMark, BoxMark, OutlineMark or MaskMark
        Equal to the one that was written.

    Raises
    ------
    PromptError
        If it is no mark; the message says why.
    """
    kind = entry(data, "kind", str, "A mark")
    if kind == "point":
        row, col = (entry(data, key, float, "A point") for key in ("row", "col"))
        return PointMark(row, col, entry(data, "positive", bool, "A point"))
    if kind == "box":
        keys = ("row0", "col0", "row1", "col1")
        return BoxMark(*(entry(data, key, float, "A box") for key in keys))
    if kind == "outline":
        return OutlineMark(tuple(entry(data, "vertices", list, "An outline")))
    if kind == "mask":
        return MaskMark.from_runs(
            entry(data, "bbox", list, "A mask"),
            entry(data, "runs", list, "A mask"),
            entry(data, "score", float, "A mask"),
        )
    raise PromptError(
        f'There is no mark of the kind "{kind}"; use point, box, outline.'
    )


def _set_floats(mark: Any, names: tuple[str, ...], kind: str) -> None:
    """Check numbers and bring them to Python's; quick, for there may be thousands."""
    for name in names:
        value = getattr(mark, name)
        if type(value) is not float or not abs(value) <= _LARGEST:
            array = as_floats(value, f"Numbers of a {kind}")
            if array.shape != ():
                raise PromptError(f"{name} of a {kind} must be one number.")
            _check_size(array, kind)
            object.__setattr__(mark, name, float(array))


def _check_size(values: NDArray[np.float64], kind: str) -> None:
    if (np.abs(values) > _LARGEST).any():
        raise PromptError(f"The {kind} lies far beyond any image; draw it again.")
