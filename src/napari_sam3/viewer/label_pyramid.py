"""Labels in several sizes: all of them are written, the full one is read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam3.viewer.label_grid import Window

__all__ = ["full_size", "levels_of", "write_levels"]


def levels_of(labels: Labels) -> list[Any]:
    """Return a layer's arrays, the full size first; only one if not multiscale."""
    return list(labels.data) if labels.multiscale else [labels.data]


def full_size(data: Any) -> Any:
    """Return the array in full size of a layer's data, multiscale or not."""
    return data[0] if isinstance(data, Sequence) else data


def write_levels(
    levels: Sequence[Any],
    window: Window,
    changed: NDArray[np.bool_],
    values: NDArray[Any],
) -> NDArray[Any]:
    """Write pixels into all sizes of multiscale labels.

    A pixel of a coarser size is that of the full one at whose place it lies, as
    ``array[::2, ::2]`` has it. Sizes that are views of the full one have it already.

    Parameters
    ----------
    levels : sequence of array_like
        The full size first. They need to know slices alone.
    window : Window
        Part of the full size.
    changed : ndarray of the window's shape and dtype bool
        The pixels, one at least.
    values : ndarray of shape (N,)
        What they become, row by row.

    Returns
    -------
    ndarray of the window's shape
        The window of the full size as it was.

    Raises
    ------
    Exception
        What an array raises that cannot be written to. What was written before
        becomes what it was.
    """
    full = np.zeros(changed.shape, levels[0].dtype)
    full[changed] = values
    shape = tuple(levels[0].shape)
    done: list[tuple[Any, Window, NDArray[Any]]] = []
    try:
        for level in levels:
            coarse = _seen(window, shape, tuple(level.shape))
            if coarse is None or (done and _shares(level, levels[0])):
                continue
            place, rows, cols = coarse
            hit = changed[np.ix_(rows, cols)]
            if not hit.any():
                continue
            before = place.read(level)
            after = np.where(hit, full[np.ix_(rows, cols)], before)
            done.append((level, place, before.copy()))
            level[place.key] = place.turned(after)
    except Exception:
        for level, place, before in done:
            # A disk that takes no more may not take this, either.
            with suppress(Exception):
                level[place.key] = place.turned(before)
        raise
    return done[0][2]


def _seen(
    window: Window, full: tuple[int, ...], coarse: tuple[int, ...]
) -> tuple[Window, NDArray[np.intp], NDArray[np.intp]] | None:
    """Return the pixels of a size that stand for those of a window.

    Returns
    -------
    Window
        Of the coarse array.
    rows, cols : ndarray of int
        Those of the window that its rows and columns stand for; None instead of all
        if there are none.
    """
    index: list[int | None] = []
    for axis, at in enumerate(window.index):
        if at is None:
            index.append(None)
            continue
        first, places = _places(full[axis], coarse[axis], at, at + 1)
        if not len(places):
            return None
        index.append(first)
    row0, col0, row1, col1 = window.box
    row_axis, col_axis = window.axes
    first_row, rows = _places(full[row_axis], coarse[row_axis], row0, row1)
    first_col, cols = _places(full[col_axis], coarse[col_axis], col0, col1)
    if not (len(rows) and len(cols)):
        return None
    box = (first_row, first_col, first_row + len(rows), first_col + len(cols))
    return Window(window.axes, tuple(index), box), rows, cols


def _places(
    full: int, coarse: int, start: int, stop: int
) -> tuple[int, NDArray[np.intp]]:
    """Return which coarse pixels lie in a span, the first, and where, from its start.

    Examples
    --------
    >>> _places(9, 5, 3, 8)
    (2, array([1, 3]))
    """
    ratio = full / coarse
    step = round(ratio)
    if coarse in (full // step, -(-full // step)):
        ratio = step  # a last row that is cut off, or is not, moves no other
    # One more at both ends than can be: rounding is left to the comparison.
    near = np.arange(max(int(start / ratio) - 1, 0), min(int(stop / ratio) + 2, coarse))
    at = np.minimum((near * ratio).astype(np.intp), full - 1)
    inside = (at >= start) & (at < stop)
    first = int(near[inside][0]) if inside.any() else 0
    return first, at[inside] - start


def _shares(level: Any, full: Any) -> bool:
    return (
        isinstance(level, np.ndarray)
        and isinstance(full, np.ndarray)
        and np.may_share_memory(level, full)
    )
