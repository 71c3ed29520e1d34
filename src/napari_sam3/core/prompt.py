"""What the user says about one object: clicks, a box, an earlier mask."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.prediction import LOGIT_LIMIT

__all__ = ["Box", "Prompt", "as_floats"]

#: Half-open pixel box: ``(row0, col0, row1, col1)``; edges, not pixel centres.
Box = tuple[float, float, float, float]


def _no_points() -> NDArray[np.float64]:
    return np.empty((0, 2), np.float64)


def _no_labels() -> NDArray[np.bool_]:
    return np.empty(0, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Everything that describes one object in one plane.

    Parameters
    ----------
    points : ndarray of shape (N, 2) and dtype float64
        Clicks as (row, col) in image pixels. A pixel's centre has whole
        numbers: ``(0, 0)`` is the centre of the first pixel.
    labels : ndarray of shape (N,) and dtype bool
        True for a click on the object, False for one on the background.
    box : tuple of float, optional
        ``(row0, col0, row1, col1)``, half-open, in image pixels: the box
        ``(0, 0, 2, 3)`` holds two rows and three columns.
    mask_logits : ndarray of shape (h, w) and dtype float32, optional
        Logits of an earlier mask in equal cells, clamped to ±32: a prediction's
        low-resolution logits, or finer ones of a part of the image.
    mask_box : tuple of float, optional
        The part of the image that ``mask_logits`` cover, as a box like ``box``;
        outside of it is background. All of the image by default. A small object
        in a large image keeps its resolution in a small one.
    size_hint : SizeHint, optional
        What is known of the object's size, in pixels of the image. By itself it
        describes nothing.

    Raises
    ------
    PromptError
        If nothing is described, shapes do not fit, numbers are not finite, a
        box is empty, or ``mask_box`` comes without ``mask_logits``.

    Examples
    --------
    >>> prompt = Prompt(points=[[3, 4]], labels=[True])
    >>> prompt.positive
    array([[3., 4.]])
    """

    points: NDArray[np.float64] = field(default_factory=_no_points)
    labels: NDArray[np.bool_] = field(default_factory=_no_labels)
    box: Box | None = None
    mask_logits: NDArray[np.float32] | None = None
    mask_box: Box | None = None
    size_hint: SizeHint | None = None

    def __post_init__(self) -> None:
        """Bring the fields to their dtypes and refuse what says nothing."""
        object.__setattr__(self, "points", _checked_points(self.points))
        object.__setattr__(self, "labels", _checked_labels(self.labels))
        if len(self.points) != len(self.labels):
            raise PromptError(
                f"{len(self.points)} points but {len(self.labels)} labels; "
                "give one label (1 object, 0 background) per point."
            )
        if self.box is not None:
            object.__setattr__(self, "box", _checked_box(self.box, "box"))
        if self.mask_logits is not None:
            object.__setattr__(self, "mask_logits", _checked_mask(self.mask_logits))
        if self.mask_box is not None:
            object.__setattr__(
                self, "mask_box", _checked_box(self.mask_box, "mask box")
            )
            if self.mask_logits is None:
                raise PromptError(
                    "A mask box says where mask_logits lie, but there are none; "
                    "give both, or leave it out."
                )
        if not len(self.points) and self.box is None and self.mask_logits is None:
            raise PromptError(
                "The prompt is empty; give at least a point, a box or a mask."
            )
        if not isinstance(self.size_hint, SizeHint | None):
            raise PromptError(
                f"The size hint is {reprlib.repr(self.size_hint)}; give a SizeHint, "
                "such as SizeHint(sizes_px=(30,)), or None."
            )

    @property
    def positive(self) -> NDArray[np.float64]:
        """Clicks on the object, shape (P, 2), (row, col)."""
        return self.points[self.labels]

    @property
    def negative(self) -> NDArray[np.float64]:
        """Clicks on the background, shape (Q, 2), (row, col)."""
        return self.points[~self.labels]

    def check_inside(self, shape: tuple[int, int]) -> None:
        """Refuse clicks, boxes and masks that lie outside an image.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the image.

        Raises
        ------
        PromptError
            If a click is on no pixel, or a box does not meet the image.
        """
        rows, cols = shape
        low, high = (-0.5, -0.5), (rows - 0.5, cols - 0.5)
        outside = ((self.points < low) | (self.points > high)).any(axis=1)
        if outside.any():
            row, col = self.points[outside][0]
            raise PromptError(
                f"The point at row {row:g}, column {col:g} is outside the image of "
                f"{rows} rows and {cols} columns; points are pixels of the image "
                "(x is the column, y is the row)."
            )
        for name, box in (("box", self.box), ("mask box", self.mask_box)):
            if box is None:
                continue
            row0, col0, row1, col1 = box
            if row1 <= 0 or col1 <= 0 or row0 >= rows or col0 >= cols:
                raise PromptError(
                    f"The {name} {box} does not meet the image of {rows} rows and "
                    f"{cols} columns; boxes are pixels of the image."
                )


def as_floats(value: Any, name: str) -> NDArray[np.float64]:
    """Read finite numbers from any array-like, torch tensors included.

    Parameters
    ----------
    value : array_like
        Copied.
    name : str
        What messages call it.

    Returns
    -------
    ndarray of dtype float64
        Of the same shape.

    Raises
    ------
    PromptError
        If it holds something else than numbers, or NaN or infinity.
    """
    detach = getattr(value, "detach", None)
    plain: Any = detach().cpu() if detach is not None else value
    try:
        array = np.array(plain, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(
            f"{name} must be numbers, not {reprlib.repr(value)}; give a list or an "
            "array of them."
        ) from error
    if not np.isfinite(array).all():
        raise PromptError(f"{name} hold NaN or infinity; give finite numbers.")
    return array


def _checked_points(value: Any) -> NDArray[np.float64]:
    points = as_floats(value, "Points")
    if points.size == 0:
        points = points.reshape(0, 2)
    if points.ndim != 2 or points.shape[1] != 2:
        raise PromptError(
            f"Points must have the shape (N, 2), not {points.shape}; one row per click."
        )
    points.flags.writeable = False
    return points


def _checked_labels(value: Any) -> NDArray[np.bool_]:
    numbers = as_floats(value, "Labels")
    if numbers.ndim != 1 or not np.isin(numbers, (0, 1)).all():
        raise PromptError(
            "Labels must be a flat list of 1 (object) and 0 (background), "
            f"not {np.asarray(value).tolist()}."
        )
    labels: NDArray[np.bool_] = numbers.astype(np.bool_)
    labels.flags.writeable = False
    return labels


def _checked_box(value: Any, name: str) -> Box:
    box = as_floats(value, f"{name.capitalize()} edges")
    if box.shape != (4,):
        raise PromptError(
            f"A {name} has four edges, not the shape {box.shape}; "
            "give (row0, col0, row1, col1)."
        )
    row0, col0, row1, col1 = (float(edge) for edge in box)
    if row1 <= row0 or col1 <= col0:
        raise PromptError(
            f"The {name} (row0 {row0:g}, col0 {col0:g}, row1 {row1:g}, col1 {col1:g}) "
            "is empty; its second corner must lie below and right of the first."
        )
    return row0, col0, row1, col1


def _checked_mask(value: Any) -> NDArray[np.float32]:
    # Masks at full resolution are large; the usual ones need no float64.
    is_ready = isinstance(value, np.ndarray) and value.dtype == np.float32
    floats = (
        value if is_ready and _is_finite(value) else as_floats(value, "Mask logits")
    )
    mask = floats.clip(-LOGIT_LIMIT, LOGIT_LIMIT).astype(np.float32, copy=False)
    if mask.ndim != 2 or 0 in mask.shape:
        raise PromptError(
            f"Mask logits must have the shape (h, w), not {mask.shape}; give the "
            "low-resolution logits of one earlier mask."
        )
    mask.flags.writeable = False
    return mask


def _is_finite(array: NDArray[np.float32]) -> bool:
    # Both are NaN if one number is.
    return array.size > 0 and bool(np.isfinite([array.min(), array.max()]).all())
