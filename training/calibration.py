"""Whether the predicted IoU can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from training.user import ObjectResult

__all__ = ["BINS", "Calibration", "ReliabilityBin", "calibrate", "pearson", "spearman"]

BINS = 10

_Values = NDArray[np.float64]


class ReliabilityBin(NamedTuple):
    """Objects whose predicted IoU lies in one of equal ranges.

    Attributes
    ----------
    low, high : float
        The range; its lower end belongs to it, and 1 to the last one.
    objects : int
        How many; more than none.
    predicted, true : float
        Their mean predicted and true IoU.
    """

    low: float
    high: float
    objects: int
    predicted: float
    true: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How predicted and true IoU go together after one click.

    Parameters
    ----------
    pearson, spearman : float
        Correlation over all objects; NaN where one of both is always the same.
    pearson_of_sets, spearman_of_sets : float
        Mean of the data sets' correlations, of those that have one.
    error : float
        Expected calibration error: mean distance between a bin's mean predicted
        and mean true IoU, weighted by its objects.
    optimism : float
        Mean predicted less mean true IoU, over all objects.
    bins : list of ReliabilityBin
        Those that are not empty.
    """

    pearson: float
    spearman: float
    pearson_of_sets: float
    spearman_of_sets: float
    error: float
    optimism: float
    bins: list[ReliabilityBin]


def pearson(first: _Values, second: _Values) -> float:
    """Return the linear correlation; NaN where one is always the same."""
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def spearman(first: _Values, second: _Values) -> float:
    """Return the correlation of ranks; NaN where one is always the same."""
    return pearson(rankdata(first), rankdata(second))


def calibrate(results: Sequence[ObjectResult]) -> Calibration:
    """Compare predicted with true IoU at one click.

    Parameters
    ----------
    results : sequence of ObjectResult
        At least one.
    """
    predicted = np.array([result.scores[0] for result in results])
    true = np.array([result.clicks[0] for result in results])
    sets = np.array([result.dataset for result in results])
    parts = [sets == name for name in sorted(set(sets.tolist()))]

    def mean_of_sets(correlate: Callable[[_Values, _Values], float]) -> float:
        each = np.array([correlate(predicted[part], true[part]) for part in parts])
        known = each[~np.isnan(each)]
        return float(known.mean()) if known.size else float("nan")

    bins = _bins(predicted, true)
    gaps = sum(one.objects * abs(one.predicted - one.true) for one in bins)
    return Calibration(
        pearson=pearson(predicted, true),
        spearman=spearman(predicted, true),
        pearson_of_sets=mean_of_sets(pearson),
        spearman_of_sets=mean_of_sets(spearman),
        error=gaps / len(results),
        optimism=float((predicted - true).mean()),
        bins=bins,
    )


def _bins(predicted: _Values, true: _Values) -> list[ReliabilityBin]:
    index = np.clip((predicted * BINS).astype(int), 0, BINS - 1)
    return [
        ReliabilityBin(
            number / BINS,
            (number + 1) / BINS,
            int((index == number).sum()),
            float(predicted[index == number].mean()),
            float(true[index == number].mean()),
        )
        for number in range(BINS)
        if (index == number).any()
    ]
