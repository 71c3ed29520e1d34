"""What a run found, and whether it is what was aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.ratios import Comparison

__all__ = [
    "Finding",
    "compared",
    "findings_table",
    "in_bytes",
    "in_ms",
    "misses",
    "percentile_finding",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table.

    Parameters
    ----------
    task : str
        What was measured.
    model : str
        With whom.
    figures : str
        What came out.
    aim : str
        What should; empty if it is for information.
    holds : bool, optional
        Whether it does; None without an aim.
    """

    task: str
    model: str
    figures: str
    aim: str = ""
    holds: bool | None = None

    @property
    def row(self) -> str:
        """The line, as Markdown."""
        verdict = {True: "yes", False: "**no**", None: ""}[self.holds]
        cells = (self.task, self.model, self.figures, self.aim, verdict)
        return f"| {' | '.join(cells)} |"


def findings_table(findings: Sequence[Finding]) -> str:
    """Lay findings out as Markdown, in their order."""
    head = "| what | model | measured | aim | reached |\n|---|---|---|---|---|"
    return "\n".join([head, *(one.row for one in findings)])


def misses(findings: Sequence[Finding]) -> list[Finding]:
    """Return those whose aim was missed."""
    return [one for one in findings if one.holds is False]


def compared(comparison: Comparison, model: str, limit: float | None = None) -> Finding:
    """Say how two times compare, and hold the median of their ratios to a limit.

    Parameters
    ----------
    comparison : Comparison
        Of the large plane with the small one.
    model : str
        Who answered.
    limit : float, optional
        The most that the ratio may be; without it there is no aim.

    Returns
    -------
    Finding
    """
    ratio = comparison.ratio
    figures = (
        f"{in_ms(np.median(comparison.first_s))} to "
        f"{in_ms(np.median(comparison.second_s))}: **{ratio.median:.2f}**, quartiles "
        f"{ratio.lower:.2f}–{ratio.upper:.2f}, "
        f"min–max {ratio.minimum:.2f}–{ratio.maximum:.2f}"
    )
    if limit is None:
        return Finding(comparison.task, model, figures)
    return Finding(
        comparison.task, model, figures, f"≤ {limit:g}", ratio.median <= limit
    )


def percentile_finding(
    task: str, model: str, seconds: Sequence[float], limit_ms: float
) -> Finding:
    """Hold 95 of 100 times to a limit.

    Parameters
    ----------
    task, model : str
        What was measured, with whom.
    seconds : sequence of float
        Every time.
    limit_ms : float
        Milliseconds that 95 % may take at most.

    Returns
    -------
    Finding
    """
    middle, most, longest = 1000 * np.percentile(seconds, (50, 95, 100))
    figures = (
        f"median {middle:.0f} ms, 95 % within **{most:.0f} ms**, "
        f"longest {longest:.0f} ms, of {len(seconds)}"
    )
    return Finding(
        task, model, figures, f"95 % ≤ {limit_ms:g} ms", bool(most <= limit_ms)
    )


def in_ms(seconds: float) -> str:
    """Write a time for people."""
    return f"{seconds:.2f} s" if seconds >= 10 else f"{1000 * seconds:.0f} ms"


def in_bytes(nbytes: float) -> str:
    """Write a number of bytes for people.

    Examples
    --------
    >>> in_bytes(3_400_000)
    '3.2 MiB'
    """
    if nbytes < 2**20:
        return f"{nbytes / 2**10:.0f} KiB"
    return f"{nbytes / 2**20:.1f} MiB"
