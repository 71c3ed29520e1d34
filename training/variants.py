"""Compare ways to build nano at equal training time.

Run ``python -m training.variants DATA FOLDER --minutes 10 --workers 2``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from training.command import errors_told
from training.figures import group
from training.trials import Outcome, Trial, add_arguments, run_all

__all__ = ["VARIANTS", "tabulate"]

#: What differs from the shipped network, and how it is told.
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "pretrained": ("as shipped: ImageNet encoder", {}),
    "scratch": ("the same, encoder from scratch", {"scratch": True}),
    "wide": (
        "wider pyramid and decoder",
        {"pyramid": 96, "widths": (48, 96, 160, 192)},
    ),
    "slim": ("slimmer decoder", {"pyramid": 48, "widths": (24, 48, 96, 128)}),
}


def tabulate(outcomes: Sequence[Outcome]) -> str:
    """Return the means over the data sets as a Markdown table."""
    figures = ("1 click", "3 clicks", "5 clicks", "best of 3", "box", "box + 2")
    lines = [
        "| network | parameters | steps | " + " | ".join(figures) + " |",
        "|---" * (len(figures) + 3) + "|",
    ]
    for outcome in outcomes:
        mean = group(outcome.results).figures
        told, _ = VARIANTS[outcome.trial.name]
        cells = [f"{mean[name].mean:.3f}" for name in figures]
        lines.append(
            f"| {told} | {outcome.parameters / 1e6:.1f} M | {outcome.steps} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Compare from the command line."""
    parser = argparse.ArgumentParser(prog="training.variants", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--only", action="append", choices=list(VARIANTS))
    arguments = parser.parse_args(argv)
    trials = [
        Trial(
            name,
            arguments.data,
            arguments.folder,
            arguments.minutes,
            arguments.images,
            arguments.synthetic,
            **changes,  # type: ignore[arg-type]
        )
        for name, (_, changes) in VARIANTS.items()
        if not arguments.only or name in arguments.only
    ]
    table = tabulate(run_all(trials, arguments.workers))
    print(table)
    if arguments.output:
        arguments.output.write_text(table + "\n")


if __name__ == "__main__":
    main()
