"""Results as Markdown, to be read and to be pasted into the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import torch

from benchmarks.ratios import Comparison, Spread

__all__ = ["comparison_table", "conditions", "steps_table"]


def conditions(size: int, rounds: int) -> dict[str, str]:
    """Say what a run was made with.

    Parameters
    ----------
    size : int
        Side of the image in pixels.
    rounds : int
        Pairs per comparison.

    Returns
    -------
    dict of str to str
        In the order to print them.
    """
    found = {
        "CPU": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"torch uses {torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
        "image": f"{size} × {size} uint8 RGB",
        "rounds": str(rounds),
        "versions": ", ".join(
            f"{name} {version(name)}" for name in ("torch", "transformers")
        )
        + f", Python {platform.python_version()}, {platform.system()}",
    }
    if hasattr(os, "getloadavg"):
        found["load before"] = f"{os.getloadavg()[0]:.1f} processes"
    return found


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Lay out comparisons of the same two things.

    Parameters
    ----------
    comparisons : sequence of Comparison
        With the names of the first one's sides as headings.

    Returns
    -------
    str
        A Markdown table: median times, and the spread of the ratios.
    """
    first, second = comparisons[0].first, comparisons[0].second
    head = f"| | {first} | {second} | ratio | quartiles | min–max | aim |"
    lines = [head, "|---|--:|--:|--:|--:|--:|---|"]
    for one in comparisons:
        ratio = one.ratio
        lines.append(
            f"| {one.task} | {_time(one.first_s)} | {_time(one.second_s)} "
            f"| **{_number(ratio.median)}** "
            f"| {_number(ratio.lower)}–{_number(ratio.upper)} "
            f"| {_number(ratio.minimum)}–{_number(ratio.maximum)} | {one.aim} |"
        )
    return "\n".join(lines)


def steps_table(steps_s: Mapping[str, float]) -> str:
    """Lay out where the time goes.

    Parameters
    ----------
    steps_s : mapping of str to float
        Seconds per step.

    Returns
    -------
    str
        A Markdown table with seconds and shares.
    """
    total = sum(steps_s.values())
    lines = ["| step | s | share |", "|---|--:|--:|"]
    lines += [
        f"| {name} | {seconds:.2f} | {seconds / total:.0%} |"
        for name, seconds in steps_s.items()
    ]
    return "\n".join(lines)


def _time(seconds: Sequence[float]) -> str:
    median = Spread.of(seconds).median
    return f"{median:.2f} s" if median >= 1 else f"{median * 1000:.0f} ms"


def _number(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2f}"
