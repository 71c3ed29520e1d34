"""From the start of a process to its first mask, beside importing torch alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.ratios import Comparison, Spread, take_turns
from benchmarks.sample import Sample

__all__ = ["Processes", "compare_processes"]


@dataclass(frozen=True, slots=True)
class Processes:
    """What was measured of whole processes.

    Parameters
    ----------
    comparison : Comparison
        The command beside ``python -c "import torch"``.
    steps_s : dict of str to float
        Where the time goes: median seconds of each step, in their order.
    """

    comparison: Comparison
    steps_s: dict[str, float]


def compare_processes(
    sample: Sample, model: str, rounds: int, threads: int | None
) -> Processes:
    """Measure ``napari-sam3 segment`` and its floor, in turns.

    Parameters
    ----------
    sample : Sample
        Written to a file and clicked on.
    model : str
        Catalog id or weights file.
    rounds : int
        Processes of each kind that count; one more of each goes before.
    threads : int, optional
        For torch; by default its own choice.

    Returns
    -------
    Processes

    Raises
    ------
    subprocess.CalledProcessError
        If a process fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        commands = _commands(sample, model, Path(folder))
        segment_s, floor_s, steps = _measure(commands, rounds, threads)
    comparison = Comparison(
        "process to first mask",
        "napari-sam3 segment",
        "import torch",
        segment_s,
        floor_s,
        "segment ≤ 4 s",
    )
    medians = {
        name: Spread.of([one[name] for one in steps]).median for name in steps[0]
    }
    return Processes(comparison, medians)


def _measure(
    commands: dict[str, list[str]], rounds: int, threads: int | None
) -> tuple[tuple[float, ...], tuple[float, ...], list[dict[str, float]]]:
    """Return the seconds of segment and of the floor, and the steps per round."""
    steps: list[dict[str, float]] = []

    def stepwise() -> float:
        wall, output = _run(commands["steps"], threads)
        seconds: dict[str, float] = json.loads(output)
        outside = wall - sum(seconds.values())
        steps.append({**seconds, "start and end Python": outside})
        return wall

    calls = [
        lambda: _run(commands["segment"], threads)[0],
        lambda: _run(commands["floor"], threads)[0],
        stepwise,
    ]
    take_turns(calls, 1)  # brings the files to the system's cache
    steps.clear()
    segment_s, floor_s, _ = take_turns(calls, rounds)
    return segment_s, floor_s, steps


def _commands(sample: Sample, model: str, folder: Path) -> dict[str, list[str]]:
    image, labels = folder / "cells.png", folder / "labels.tif"
    Image.fromarray(sample.image).save(image)
    x, y = (f"{value:.1f}" for value in sample.centre_xy)
    python = sys.executable
    segment = [python, "-m", "napari_sam3.cli", "segment", str(image)]
    segment += ["--point", f"{x},{y}", "-o", str(labels)]
    segment += ["--model", model, "--device", "cpu"]
    steps = [python, "-m", "benchmarks.first_mask", str(image), x, y, str(labels)]
    return {
        "floor": [python, "-c", "import torch"],
        "segment": segment,
        "steps": [*steps, "--model", model],
    }


def _run(command: list[str], threads: int | None) -> tuple[float, str]:
    """Return seconds from start to end, and what was printed."""
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    start = time.perf_counter()
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    )
    return time.perf_counter() - start, done.stdout
