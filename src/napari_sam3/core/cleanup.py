"""Tidying a mask: small holes, sprinkles, and what the clicks say about them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skimage.measure import label

from napari_sam3.core.errors import PromptError

__all__ = ["clean"]

#: Neighbours of a pixel, as scikit-image counts them: 1 is the four that share
#: an edge, 2 the eight that share a corner. One for the object and the other for
#: the background, or a diagonal line would enclose something and yet leak.
_BACKGROUND_CONNECTIVITY = 1
_OBJECT_CONNECTIVITY = 2

#: Rows and columns of pixels, to index a mask with.
_Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]


def clean(
    mask: NDArray[np.bool_],
    *,
    max_hole_area: float = 0.0,
    max_sprinkle_area: float = 0.0,
    positive: ArrayLike | None = None,
    negative: ArrayLike | None = None,
    keep_clicked: bool = False,
    origin: tuple[int, int] = (0, 0),
    image_shape: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """Fill small holes, remove sprinkles, and respect the clicks.

    First the pixels of the negative clicks are taken out, then holes are filled,
    then components removed, so that an object's area includes its filled holes,
    and cleaning twice changes nothing more.

    Parameters
    ----------
    mask : ndarray of shape (h, w) and dtype bool
        The object in a crop of the image; there is none outside of the crop.
    max_hole_area : float, optional
        Holes of up to this many pixels are filled; 0 turns it off, ``inf`` fills
        all. A hole is a 4-connected piece of background that reaches neither
        the crop's border nor the image's, and holds no negative click. What
        lies inside it is not counted.
    max_sprinkle_area : float, optional
        8-connected components of up to this many pixels are removed, unless
        they hold a positive click; 0 turns it off. If none would be left, the
        largest one stays, of equal ones the uppermost.
    positive, negative : array_like of shape (N, 2), optional
        Clicks on the object and on the background as (row, col) in pixels of
        the image; a pixel's centre has whole numbers. Those outside the crop
        say nothing. The pixel of a negative click is False in the result, even
        if there is a positive one too.
    keep_clicked : bool, optional
        Keep only the components that hold a positive click; all if none does.
    origin : tuple of int, optional
        (row, col) of the crop's first pixel in the image.
    image_shape : tuple of int, optional
        (rows, columns) of the image; by default it ends with the crop. A click
        on the very edge of the image belongs to its last pixel.

    Returns
    -------
    ndarray of shape (h, w) and dtype bool
        A new mask.

    Raises
    ------
    PromptError
        If the mask is not two-dimensional or not bool, an area is negative or
        NaN, or the clicks are not finite numbers of shape (N, 2).

    Examples
    --------
    >>> rows = [
    ...     [1, 1, 1, 0, 0],
    ...     [1, 0, 1, 0, 0],
    ...     [1, 1, 1, 0, 1],
    ... ]
    >>> ring = np.array(rows, bool)
    >>> clean(ring, max_hole_area=1, max_sprinkle_area=1).astype(int)
    array([[1, 1, 1, 0, 0],
           [1, 1, 1, 0, 0],
           [1, 1, 1, 0, 0]])
    >>> clean(ring, max_hole_area=1, negative=[[1, 1]]).astype(int)
    array([[1, 1, 1, 0, 0],
           [1, 0, 1, 0, 0],
           [1, 1, 1, 0, 1]])
    """
    cleaned = np.array(_checked_mask(mask))
    _check_area(max_hole_area, "max_hole_area")
    _check_area(max_sprinkle_area, "max_sprinkle_area")
    if image_shape is None:
        image_shape = (origin[0] + mask.shape[0], origin[1] + mask.shape[1])
    clicked = _pixels(positive, mask.shape, origin, image_shape)
    barred = _pixels(negative, mask.shape, origin, image_shape)

    cleaned[barred] = False
    if max_hole_area > 0:
        _fill_holes(cleaned, max_hole_area, barred)
    if max_sprinkle_area > 0 or keep_clicked:
        _remove_components(cleaned, max_sprinkle_area, clicked, keep_clicked)
    return cleaned


def _checked_mask(mask: Any) -> NDArray[np.bool_]:
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
        raise PromptError(
            "The mask must be a bool array of shape (h, w); compare logits with "
            "their threshold, as in logits > 0, and give one mask at a time."
        )
    return mask


def _check_area(area: float, name: str) -> None:
    if math.isnan(area) or area < 0:
        raise PromptError(
            f"{name} is {area!r}; give an area in pixels, or 0 to turn it off."
        )


def _pixels(
    points: ArrayLike | None,
    shape: tuple[int, ...],
    origin: tuple[int, int],
    image_shape: tuple[int, int],
) -> _Pixels:
    """Return the rows and columns in the crop that the points lie on."""
    try:
        array = np.array([] if points is None else points, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(f"Clicks must be numbers, not {points!r}.") from error
    if array.size == 0:
        array = array.reshape(0, 2)
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise PromptError(
            f"Clicks must be finite (row, col) pairs of shape (N, 2), not {points!r}."
        )
    pixels = np.floor(array + 0.5)
    # Half a pixel beyond the last centre is still the image, and not a next pixel.
    edge = np.array(image_shape) - 0.5
    pixels = np.where(array == edge, edge - 0.5, pixels) - origin
    inside = ((pixels >= 0) & (pixels < shape)).all(axis=1)
    rows, cols = pixels[inside].astype(np.intp).T
    return rows, cols


def _fill_holes(mask: NDArray[np.bool_], max_area: float, barred: _Pixels) -> None:
    """Fill in place the holes that hold no barred pixel."""
    row0, col0, row1, col1 = _bounds(mask)
    # The frame of background joins all that is open, so that one label tells it.
    framed = np.pad(mask[row0:row1, col0:col1], 1)
    labels, count = label(
        ~framed, connectivity=_BACKGROUND_CONNECTIVITY, return_num=True
    )
    if count <= 1:
        return
    areas = _areas(labels, count)
    fill = areas <= max_area
    # Label 0 is the object, and the frame's the outside.
    fill[[0, labels[0, 0]]] = False
    rows, cols = barred[0] - row0 + 1, barred[1] - col0 + 1
    near = (rows >= 0) & (rows < labels.shape[0])
    near &= (cols >= 0) & (cols < labels.shape[1])
    fill[labels[rows[near], cols[near]]] = False
    mask[row0:row1, col0:col1] |= fill[labels[1:-1, 1:-1]]


def _remove_components(
    mask: NDArray[np.bool_], max_area: float, clicked: _Pixels, keep_clicked: bool
) -> None:
    """Clear in place components that are small, or not clicked if that counts."""
    row0, col0, row1, col1 = _bounds(mask)
    window = mask[row0:row1, col0:col1]
    labels, count = label(window, connectivity=_OBJECT_CONNECTIVITY, return_num=True)
    if count <= 1:
        return
    hit = mask[clicked]
    chosen = labels[clicked[0][hit] - row0, clicked[1][hit] - col0]
    areas = _areas(labels, count)
    areas[0] = 0
    keep = areas > max_area
    if keep_clicked and chosen.size:
        keep[:] = False
    keep[chosen] = True
    if not keep.any():
        keep[areas.argmax()] = True
    window &= keep[labels]


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the half-open box (row0, col0, row1, col1) around all that is True."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 0, 0
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1


def _areas(labels: NDArray[Any], count: int) -> NDArray[np.intp]:
    return np.bincount(labels.ravel(), minlength=count + 1)
