"""Objects half done: an earlier mask that is wrong somewhere, and its clicks.

A network that only ever corrects its own masks in windows that fit the truth does
not learn what happens in use: a window that was fitted to a wrong mask, a merged
neighbour, the tenth click. Such states are drawn here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MAX_CLICKS", "Draft", "draw_draft", "no_draft", "scribble"]

#: Clicks of a draft at most; unused places have the label -1.
MAX_CLICKS = 10

_Mask = NDArray[np.bool_]
#: Chance of each kind of wrong mask, in the order of `_KINDS`.
_CHANCES = (0.16, 0.16, 0.14, 0.18, 0.12, 0.24)


class Draft(NamedTuple):
    """An object as the user finds it before the next click.

    Attributes
    ----------
    mask : ndarray of shape (h, w) and dtype float32
        Logits of the earlier mask; zeros if there is none.
    has_mask : float
        1 if it counts, else 0.
    points : ndarray of shape (MAX_CLICKS, 2) and dtype float32
        (row, col) in cells of the mask, from its corner.
    labels : ndarray of shape (MAX_CLICKS,) and dtype float32
        1 object, 0 background, -1 no click.
    """

    mask: NDArray[np.float32]
    has_mask: float
    points: NDArray[np.float32]
    labels: NDArray[np.float32]


def no_draft(size: int) -> Draft:
    """Return the state before anything was done, for masks of ``size`` cells."""
    return Draft(
        np.zeros((size, size), np.float32),
        0.0,
        np.zeros((MAX_CLICKS, 2), np.float32),
        np.full(MAX_CLICKS, -1, np.float32),
    )


def draw_draft(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> Draft:
    """Draw a wrong mask of an object and clicks that it agrees with.

    Parameters
    ----------
    truth : ndarray of shape (h, h) and dtype bool
        The object; not empty.
    neighbours : ndarray of shape (h, h) and dtype int32
        Labels of all objects in the window.
    grey : ndarray of shape (h, h) and dtype float32
        The picture.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    Draft
    """
    kind = _KINDS[rng.choice(len(_KINDS), p=_CHANCES)]
    mask = kind(truth, neighbours, grey, rng)
    if rng.random() < 0.25:
        mask = _local(mask, neighbours, grey, rng)
    sharp = rng.uniform(0.4, 1.6)
    soft = ndimage.gaussian_filter(mask.astype(np.float32), sharp) - 0.5
    logits = soft * rng.uniform(8, 24)
    if rng.random() < 0.3:
        logits += ndimage.gaussian_filter(
            rng.normal(0, 1, mask.shape), 3
        ) * rng.uniform(2, 12)
    points, labels = _clicks(truth, mask, rng)
    return Draft(logits.astype(np.float32), 1.0, points, labels)


def scribble(truth: _Mask, rng: np.random.Generator) -> Draft:
    """Draw clicks along a line through an object, without an earlier mask."""
    draft = no_draft(len(truth))
    rows, cols = np.nonzero(truth)
    ends = rng.integers(len(rows), size=3)
    knots = np.stack([rows[ends], cols[ends]], 1) + rng.random((3, 2))
    along = np.linspace(0, 2, MAX_CLICKS)
    path = np.stack([np.interp(along, [0, 1, 2], knots[:, i]) for i in (0, 1)], 1)
    cells = path.astype(int)
    on = truth[cells[:, 0], cells[:, 1]]
    draft.points[:] = path
    draft.labels[:] = np.where(on, 1, -1)
    return draft


def _place_on(mask: _Mask, rng: np.random.Generator) -> tuple[int, int]:
    """Choose a cell of a mask that is not empty."""
    rows, cols = np.nonzero(mask)
    pick = rng.integers(len(rows))
    return int(rows[pick]), int(cols[pick])


def _merge(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Take one to three neighbours along."""
    near = ndimage.binary_dilation(truth, iterations=4) & ~truth
    others = np.unique(neighbours[near])
    others = others[others > 0]
    if not len(others):
        return _grow(truth, neighbours, grey, rng)
    taken = rng.permutation(others)[: rng.integers(1, 4)]
    joined = truth | np.isin(neighbours, taken)
    return np.asarray(ndimage.binary_closing(joined, iterations=2) | joined)


def _cut(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Keep the part on one side of a line."""
    place = _place_on(truth, rng)
    angle = rng.uniform(0, 2 * np.pi)
    row, col = np.indices(truth.shape)
    side = (row - place[0]) * np.sin(angle) + (col - place[1]) * np.cos(angle)
    kept = truth & (side > 0)
    return kept if kept.any() else truth


def _grow(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Grow or shrink all around."""
    depth = np.sqrt(truth.sum()) * rng.uniform(0.05, 0.35)
    inside = ndimage.distance_transform_edt(truth)
    if rng.random() < 0.5 and inside.max() > 1:
        return np.asarray(inside > min(depth, 0.7 * inside.max()))
    return np.asarray(ndimage.distance_transform_edt(~truth) <= depth)


def _flood(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Take what is as bright as a place in the object and hangs together with it."""
    smooth = ndimage.gaussian_filter(grey, rng.uniform(0.5, 2))
    place = _place_on(truth, rng)
    spread = smooth[truth].std() + 0.3 * smooth.std()
    alike = np.abs(smooth - smooth[place]) <= rng.uniform(0.5, 2) * spread
    pieces, _ = ndimage.label(alike)
    return np.asarray(pieces == pieces[place])


def _blob(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Draw a smooth blob of another size around a place in the object."""
    place = _place_on(truth, rng)
    radius = np.sqrt(truth.sum() / np.pi) * np.exp(rng.uniform(-1, 0.9)) + 1
    row, col = np.indices(truth.shape)
    away = np.hypot(row - place[0], col - place[1])
    wobble = ndimage.gaussian_filter(rng.normal(0, 1, truth.shape), 4) * 8 * radius
    return np.asarray(away + 0.3 * wobble <= radius) | (away < 1)


def _local(
    truth: _Mask,
    neighbours: NDArray[np.int32],
    grey: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Mask:
    """Add or take away a few small pieces at the edge, as late in a correction."""
    mask = truth.copy()
    edge = truth ^ ndimage.binary_erosion(truth)
    rows, cols = np.nonzero(edge)
    if not len(rows):
        return mask
    row, col = np.indices(truth.shape)
    for _ in range(rng.integers(1, 4)):
        pick = rng.integers(len(rows))
        radius = np.sqrt(truth.sum()) * rng.uniform(0.08, 0.4) + 1
        stretch = np.exp(rng.normal(0, 0.4))
        piece = (
            np.hypot((row - rows[pick]) * stretch, (col - cols[pick]) / stretch)
            < radius
        )
        mask = mask | piece if rng.random() < 0.5 else mask & ~piece
    return mask if mask.any() else truth


_KINDS = (_merge, _cut, _grow, _flood, _blob, _local)


def _clicks(
    truth: _Mask, mask: _Mask, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Place clicks that the mask obeys: in both, or in neither but near."""
    points = np.zeros((MAX_CLICKS, 2), np.float32)
    labels = np.full(MAX_CLICKS, -1, np.float32)
    if rng.random() < 0.25:  # it began with a box or a lasso
        return points, labels
    near = ndimage.binary_dilation(truth | mask, iterations=4)
    inside = np.argwhere(truth & mask)
    outside = np.argwhere(near & ~truth & ~mask)
    if not len(inside):
        return points, labels
    count = 1 if rng.random() < 0.5 else int(rng.integers(1, MAX_CLICKS + 1))
    for index in range(count):
        positive = not index or not len(outside) or rng.random() < 0.5
        cells = inside if positive else outside
        points[index] = cells[rng.integers(len(cells))] + rng.random(2)
        labels[index] = float(positive)
    return points, labels
