"""Guess how nano fares on something new: train without each data set in turn.

Run ``python -m training.leave_one_out DATA FOLDER --minutes 10 --workers 2``. Each
run starts from ImageNet weights, never saw the data set that it is measured on, and
is compared on the same validation images with a run of equal time that did.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from training.command import errors_told
from training.data import load_split
from training.figures import group
from training.trials import Outcome, Trial, add_arguments, run_all
from training.user import ObjectResult

__all__ = ["tabulate"]

_FIGURES = ("1 click", "3 clicks", "5 clicks", "best of 3", "box", "box + 2")
_ALL = "all"


def tabulate(seen: Sequence[ObjectResult], unseen: Sequence[Outcome]) -> str:
    """Compare figures of data sets that were trained on and left out.

    Parameters
    ----------
    seen : sequence of ObjectResult
        Of the run that was trained on everything.
    unseen : sequence of Outcome
        One per data set that was left out.

    Returns
    -------
    str
        A Markdown table: left out / trained on; the last line has the means.
    """
    lines = [
        "| left out | objects | " + " | ".join(_FIGURES) + " |",
        "|---" * (len(_FIGURES) + 2) + "|",
    ]
    rows = []
    for outcome in unseen:
        name = outcome.trial.exclude
        known = [result for result in seen if result.dataset == name]
        pairs = [
            [group(results).figures[figure].mean for figure in _FIGURES]
            for results in (outcome.results, known)
        ]
        rows.append(pairs)
        lines.append(_line(str(name), len(outcome.results), pairs))
    means = [
        [sum(row[side][i] for row in rows) / len(rows) for i in range(len(_FIGURES))]
        for side in (0, 1)
    ]
    count = sum(len(outcome.results) for outcome in unseen)
    return "\n".join([*lines, _line("**mean**", count, means)])


def _line(name: str, count: int, pairs: Sequence[Sequence[float]]) -> str:
    cells = [f"{out:.3f} / {seen:.3f}" for out, seen in zip(*pairs, strict=True)]
    return f"| {name} | {count} | " + " | ".join(cells) + " |"


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(prog="training.leave_one_out", description=__doc__)
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    names = sorted({i.dataset for i in load_split(arguments.data, "validation")})
    trials = [
        Trial(
            _ALL if name is None else f"without-{name}",
            arguments.data,
            arguments.folder,
            arguments.minutes,
            arguments.images,
            arguments.synthetic,
            exclude=name,
        )
        for name in [None, *names]
    ]
    everything, *others = run_all(trials, arguments.workers)
    table = tabulate(everything.results, others)
    print(table)
    if arguments.output:
        arguments.output.write_text(table + "\n")


if __name__ == "__main__":
    main()
