"""How a run was begun: kept beside its weights, and the same when it goes on."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from training.command import TrainingError

__all__ = ["LOG", "RECIPE", "check_same", "write"]

#: The files in a run's folder with its options, and with a row for each step.
RECIPE, LOG = "arguments.json", "log.csv"
#: What its optimizer and its pictures remember; a change would be told, but not done.
#: Copies of a run may go on with other seeds, and any may take longer.
_KEPT = ("start", "batch", "rate", "synthetic", "planes", "scratch", "exclude")


def write(arguments: argparse.Namespace) -> None:
    """Write down the options of a run."""
    path: Path = arguments.run / RECIPE
    told = _told(arguments)
    if told["start"] is None and path.exists():  # it goes on
        told["start"] = json.loads(path.read_text())["start"]
    path.write_text(json.dumps(told, indent=1))


def check_same(arguments: argparse.Namespace) -> None:
    """Refuse to go on with a run in another way than it was begun.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of `training.train`; its run has a checkpoint.

    Raises
    ------
    TrainingError
        If an option that a run keeps is another one; the message names it.
    """
    path: Path = arguments.run / RECIPE
    if not path.exists():
        return
    begun = json.loads(path.read_text())
    now = _told(arguments)
    if now["start"] is None:  # a run that goes on needs none
        begun.pop("start", None)
    other = [
        _option(name, begun[name])
        for name in _KEPT
        if name in begun and str(begun[name]) != str(now[name])
    ]
    if other:
        raise TrainingError(
            f"The run in {arguments.run} was begun with {', '.join(other)}; go on with "
            "the same, or begin another one: --start takes these weights."
        )


def _told(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return options as JSON has them."""
    told = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
    }
    return told | {"exclude": sorted(arguments.exclude)}


def _option(name: str, value: Any) -> str:
    """Return an option as it was given on the command line."""
    if value in (None, False, []):
        return f"no --{name}"
    if value is True:
        return f"--{name}"
    values = value if isinstance(value, list) else [value]
    return " ".join(f"--{name} {one}" for one in values)
