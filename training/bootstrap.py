"""How sure a mean is: images are drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "Estimate", "estimate"]

DRAWS = 1000
_LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


def estimate(
    values: NDArray[np.float64],
    sets: Sequence[str],
    images: Sequence[str],
    *,
    pooled: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[Estimate]:
    """Average figures over objects, then over data sets; with intervals.

    Within each data set as many images are drawn as it has, with replacement,
    and all objects of a drawn image come along: objects of one image are alike,
    so that drawing objects would give intervals that are too narrow.

    Parameters
    ----------
    values : ndarray of shape (n, c) and dtype float64
        c figures of each of n objects.
    sets, images : sequence of str, n of each
        Data set and image of each object.
    pooled : bool
        Average over all objects instead, as if they were of one set; images are
        still drawn within each set.
    draws : int
        Repetitions.
    seed : int
        Of the draws.

    Returns
    -------
    list of Estimate
        One per figure. A set with a single image adds nothing to the width.
    """
    rng = np.random.default_rng(seed)
    sums, counts = [], []
    drawn_sums, drawn_counts = [], []
    for name in sorted(set(sets)):
        own = np.array([one == name for one in sets])
        _, index = np.unique(np.array(images)[own], return_inverse=True)
        count = np.bincount(index).astype(np.float64)
        total = np.stack(
            [np.bincount(index, weights=column) for column in values[own].T], axis=1
        )
        drawn = rng.integers(len(count), size=(draws, len(count)))
        sums.append(total.sum(axis=0))
        counts.append(count.sum())
        drawn_sums.append(total[drawn].sum(axis=1))
        drawn_counts.append(count[drawn].sum(axis=1))
    mean = _combine(np.array(sums)[:, None], np.array(counts)[:, None], pooled)[0]
    spread = _combine(np.array(drawn_sums), np.array(drawn_counts), pooled)
    tails = ((1 - _LEVEL) / 2, (1 + _LEVEL) / 2)
    low, high = np.quantile(spread, tails, axis=0)
    return [Estimate(*map(float, three)) for three in zip(mean, low, high, strict=True)]


def _combine(
    sums: NDArray[np.float64], counts: NDArray[np.float64], pooled: bool
) -> NDArray[np.float64]:
    """Turn sums (sets, draws, c) and counts (sets, draws) into means (draws, c)."""
    if pooled:
        pooled_mean: NDArray[np.float64] = sums.sum(0) / counts.sum(0)[:, None]
        return pooled_mean
    mean: NDArray[np.float64] = (sums / counts[..., None]).mean(axis=0)
    return mean
