"""Times of two things measured in turns, and what their ratios say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["Comparison", "Spread", "take_turns", "time_in_turns"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Five numbers that tell where values lie.

    Parameters
    ----------
    minimum, lower, median, upper, maximum : float
        Lower and upper are the quartiles, interpolated linearly.

    Examples
    --------
    >>> Spread.of([1, 2, 3, 4, 9])
    Spread(minimum=1.0, lower=2.0, median=3.0, upper=4.0, maximum=9.0)
    """

    minimum: float
    lower: float
    median: float
    upper: float
    maximum: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one or more values."""
        if not values:
            raise ValueError("There is nothing to summarise; measure at least once.")
        return cls(*np.percentile(values, (0, 25, 50, 75, 100)).tolist())


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two things that were measured in turns.

    Only the two times of one round are divided by each other: a machine that
    gets slower or busier in the meantime slows both of them.

    Parameters
    ----------
    task : str
        What both of them do.
    first, second : str
        Their names.
    first_s, second_s : tuple of float
        Seconds, one per round.
    aim : str
        What the median ratio, or the first's time, should be; for the reader.
    """

    task: str
    first: str
    second: str
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]
    aim: str = ""

    def __post_init__(self) -> None:
        """Hold both to the same number of positive times."""
        if not self.first_s or len(self.first_s) != len(self.second_s):
            raise ValueError(
                f"{len(self.first_s)} and {len(self.second_s)} times make no pairs; "
                "give one of each per round."
            )
        if min(*self.first_s, *self.second_s) <= 0:
            raise ValueError("Times must be positive seconds.")

    @property
    def ratio(self) -> Spread:
        """The first's time divided by the second's, over the rounds."""
        return Spread.of(
            [a / b for a, b in zip(self.first_s, self.second_s, strict=True)]
        )

    def to_json(self) -> dict[str, Any]:
        """Return all times and their summaries as plain types."""
        return {
            **asdict(self),
            "ratio": asdict(self.ratio),
            "first_median_s": Spread.of(self.first_s).median,
            "second_median_s": Spread.of(self.second_s).median,
        }


def take_turns(
    calls: Sequence[Callable[[], float]], rounds: int
) -> list[tuple[float, ...]]:
    """Call several functions one after the other, again and again.

    Parameters
    ----------
    calls : sequence of callable
        Each returns how many seconds it took.
    rounds : int
        How often each is called.

    Returns
    -------
    list of tuple of float
        Per function ``rounds`` numbers.
    """
    taken = [tuple(call() for call in calls) for _ in range(rounds)]
    return list(zip(*taken, strict=True))


def time_in_turns(
    first: Callable[[], object],
    second: Callable[[], object],
    *,
    rounds: int,
    warm_up: int = 2,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Time two functions in turns, after calls that do not count.

    Parameters
    ----------
    first, second : callable
        What to time; results are thrown away.
    rounds : int
        Times measured of each.
    warm_up : int
        Calls of each before.

    Returns
    -------
    first_s, second_s : tuple of float
        Seconds per round.
    """
    for _ in range(warm_up):
        first()
        second()
    calls = [lambda: _seconds(first), lambda: _seconds(second)]
    first_s, second_s = take_turns(calls, rounds)
    return first_s, second_s


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
