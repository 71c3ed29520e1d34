"""Figures of objects, their means, and how they change from click to click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from training.bootstrap import Estimate, estimate
from training.user import ObjectResult

__all__ = [
    "ALL",
    "GOOD",
    "MEAN",
    "MOST_CLICKS",
    "Fall",
    "Group",
    "by_dataset",
    "clicks_needed",
    "curves",
    "falls",
    "group",
    "object_figures",
    "shorten",
]

#: Clicks after which the IoU is shown.
_SHOWN = (1, 3, 5, 10, 20)
#: Clicks that NoC counts at most; an object that needs more counts as this many.
MOST_CLICKS = 20
_TARGETS = (0.85, 0.90)
#: An object is good if its IoU is over this.
GOOD = 0.90
#: Rows beside the data sets' own.
MEAN, ALL = "mean of the sets", "all objects"


@dataclass(frozen=True, slots=True)
class Group:
    """Mean figures of some objects.

    Parameters
    ----------
    sets, images, objects : int
        How many.
    figures : dict of str to Estimate
        By name, in the order of the table's columns.
    """

    sets: int
    images: int
    objects: int
    figures: dict[str, Estimate]

    @property
    def means(self) -> dict[str, float]:
        """The figures without intervals."""
        return {name: one.mean for name, one in self.figures.items()}


class Fall(NamedTuple):
    """A click that lowers a mean.

    Attributes
    ----------
    click : int
        The one that lowers it; the first click is 1.
    amount : float
        By how much, above 0.
    """

    click: int
    amount: float


def clicks_needed(clicks: Sequence[float], target: float) -> int:
    """Return the first click that reaches an IoU, or `MOST_CLICKS` if none does."""
    reached = [n for n, value in enumerate(clicks, 1) if value >= target]
    return min(reached[0], MOST_CLICKS) if reached else MOST_CLICKS


def object_figures(result: ObjectResult) -> dict[str, float]:
    """Return the figures of one object, whose means are the columns of tables.

    NoC and the share of good objects want `MOST_CLICKS` clicks and are left out
    of shorter runs.
    """
    most = len(result.clicks)
    figures = {
        f"{n} click{'s' if n > 1 else ''}": result.clicks[n - 1]
        for n in _SHOWN
        if n <= most
    }
    figures["best of 3"] = result.best_of_three
    figures["box"] = result.box
    figures["box + 2"] = result.box_clicks
    if most >= MOST_CLICKS:
        for target in _TARGETS:
            needed = clicks_needed(result.clicks, target)
            figures[f"NoC@{target * 100:.0f}"] = float(needed)
        is_good = result.clicks[MOST_CLICKS - 1] > GOOD
        figures[f"over .{GOOD * 100:.0f} at {MOST_CLICKS}"] = float(is_good)
    return figures


def group(results: Sequence[ObjectResult], *, pooled: bool = False) -> Group:
    """Average over objects, then over data sets.

    Parameters
    ----------
    results : sequence of ObjectResult
        At least one, all of runs of the same length.
    pooled : bool
        Average over objects alone.
    """
    rows = [object_figures(result) for result in results]
    sets = [result.dataset for result in results]
    images = [result.image for result in results]
    values = np.array([list(row.values()) for row in rows])
    estimates = estimate(values, sets, images, pooled=pooled)
    return Group(
        sets=len(set(sets)),
        images=len(set(zip(sets, images, strict=True))),
        objects=len(results),
        figures=dict(zip(rows[0], estimates, strict=True)),
    )


def by_dataset(results: Sequence[ObjectResult]) -> dict[str, Group]:
    """Return the figures of each data set, their mean, and those of all objects."""
    groups = {
        name: group([result for result in results if result.dataset == name])
        for name in sorted({result.dataset for result in results})
    }
    groups[MEAN] = group(results)
    groups[ALL] = group(results, pooled=True)
    return groups


def curves(results: Sequence[ObjectResult]) -> dict[str, list[float]]:
    """Return the mean IoU after each click, of each data set and their mean."""
    sets = sorted({result.dataset for result in results})
    each = {
        name: np.mean([r.clicks for r in results if r.dataset == name], axis=0)
        for name in sets
    }
    each[MEAN] = np.mean([each[name] for name in sets], axis=0)
    return {name: values.tolist() for name, values in each.items()}


def falls(curve: Sequence[float]) -> list[Fall]:
    """Return the clicks that lower a curve of `curves`."""
    return [
        Fall(click, before - after)
        for click, (before, after) in enumerate(pairwise(curve), start=2)
        # What is left of rounding is no fall.
        if before - after > 1e-9
    ]


def shorten(result: ObjectResult, clicks: int) -> ObjectResult:
    """Return what a run of fewer clicks would have given."""
    return replace(result, clicks=result.clicks[:clicks], scores=result.scores[:clicks])
