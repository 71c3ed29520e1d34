"""Draw the curves of a run.

Run ``python -m training.plot RUN -o curve.png``.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.recipe import LOG

__all__ = ["read_log", "smooth"]


def read_log(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read ``log.csv``; repeated steps of a resumed run keep the last row."""
    with path.open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    names = list(next(iter(rows.values())))
    return {
        name: np.array([float(rows[step][name]) for step in sorted(rows)])
        for name in names
    }


def smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return running means over ``width`` values, shorter at the start."""
    total = np.cumsum(values)
    total[width:] = total[width:] - total[:-width]
    counts = np.minimum(np.arange(1, len(values) + 1), width)
    means: NDArray[np.float64] = total / counts
    return means


def main(argv: list[str] | None = None) -> None:
    """Draw from the command line."""
    parser = argparse.ArgumentParser(prog="training.plot", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    log = read_log(arguments.run / LOG)
    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    labels = {
        "plain": "mask, plain answer",
        "best": "mask, best of three",
        "score": "predicted quality",
    }
    for name, label in labels.items():
        axis.plot(log["step"], smooth(log[name], 100), label=label)
    axis.set(xlabel="step", ylabel="loss, mean of 100 steps")
    axis.set_ylim(bottom=0)
    axis.legend()
    axis.grid(alpha=0.3)
    figure.savefig(arguments.output, dpi=110)


if __name__ == "__main__":
    main()
