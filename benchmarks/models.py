"""Measure every model of the catalog on this machine, and print the table of models.

Run ``python -m benchmarks.models``, on a machine that does nothing else. Nothing is
downloaded: weights are random, which makes no difference to the time. Each model runs
in a process of its own, so that its memory can be told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import conditions
from benchmarks.sam3_process import peak_memory
from benchmarks.sample import draw_sample
from napari_sam3 import build_tracker
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Tracker
from napari_sam3.models import families
from napari_sam3.models.catalog import CATALOG, ModelSpec
from napari_sam3.models.device import is_faster_in_half
from napari_sam3.models.layouts import LAYOUTS, expected_shapes
from napari_sam3.models.sam3.load import load as load_sam3
from napari_sam3.models.weights.layout import Layout
from napari_sam3.models.weights.source import TensorSource

__all__ = ["layout_of", "main", "random_tracker"]

_SIZE = 1024
_CLICKS = 9
_ENCODINGS = 5
#: Seconds: what takes longer is timed once.
_QUICK = 5
_SAME_NETWORK = {"sam3.1": "sam3"}
#: Of the catalog, where they are called otherwise than their network.
_VARIANTS = {
    "sam-vit-base": "vit_b",
    "sam-vit-large": "vit_l",
    "sam-vit-huge": "vit_h",
}


def main(argv: list[str] | None = None) -> int:
    """Measure and print a Markdown table.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.models", description=__doc__
    )
    parser.add_argument(
        "models", nargs="*", help="ids of the catalog (default: all of it)"
    )
    parser.add_argument("--one", metavar="DTYPE", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.one:
        print(json.dumps(_measure(CATALOG[arguments.models[0]], arguments.one)))
        return 0
    for name, value in conditions(_SIZE, 1).items():
        print(f"- {name}: {value}")
    print()
    head = ("operations", "float32", "click", "bfloat16", "click", "kept", "memory")
    print(_row("model", *head))
    print("|---" + "|--:" * len(head) + "|")
    for model in arguments.models or CATALOG:
        spec = CATALOG[model]
        same = _SAME_NETWORK.get(model)
        print(_row(spec.id, f"as {same}") if same else _line(spec), flush=True)
    return 0


def _line(spec: ModelSpec) -> str:
    whole = _in_process(spec, "float32")
    half = {"encode": "–", "click": "–"}
    if spec.family != "nano" and is_faster_in_half("cpu"):
        half = _in_process(spec, "bfloat16")
    return _row(
        spec.id,
        f"{whole['operations'] / 1e9:,.0f} G",
        *(_seconds(one[what]) for one in (whole, half) for what in ("encode", "click")),
        f"{whole['kept_bytes'] / 1e6:.1f} MB",
        f"{whole['peak_bytes'] / 2**30:.1f} GiB",
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _seconds(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def _in_process(spec: ModelSpec, dtype: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.models", spec.id, "--one", dtype]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(spec: ModelSpec, dtype: str) -> dict[str, Any]:
    """Return seconds, operations of an image, and the process's peak of memory."""
    tracker = random_tracker(spec, dtype)
    sample = draw_sample(_SIZE)
    column, row = sample.centre_xy
    prompt = Prompt(np.array([[row, column]]), np.array([True]))
    # Operations are counted in the first call: that takes microseconds each, which
    # matters only where a call is short enough to be repeated.
    with FlopCounterMode(display=False) as counter:
        start = time.perf_counter()
        (embedding,) = tracker.embed([sample.image])
        encode = time.perf_counter() - start
    if encode < _QUICK:
        encode = _time(lambda: tracker.embed([sample.image]), _ENCODINGS)
    tracker.predict(embedding, [prompt], multimask=True)
    click = _time(lambda: tracker.predict(embedding, [prompt], multimask=True), _CLICKS)
    return {
        "encode": encode,
        "click": click,
        "operations": counter.get_total_flops(),
        "kept_bytes": embedding.nbytes,
        "peak_bytes": peak_memory(),
    }


def _time(call: Callable[[], object], times: int) -> float:
    """Return the median seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def random_tracker(spec: ModelSpec, dtype: str = "float32") -> Tracker:
    """Build a model of the catalog with random weights.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog; nano comes with its real weights.
    dtype : str
        To compute in.

    Returns
    -------
    Tracker
        On the CPU.
    """
    if spec.family == "nano":
        return build_tracker(device="cpu", dtype=dtype)
    layout = layout_of(spec)
    # The tensors come under the network's own names.
    plain = replace(layout, rename=lambda name: name)
    shapes = expected_shapes(layout)
    source = TensorSource(
        Path("random"),
        "random",
        shapes,
        lambda name: torch.randn(shapes[name]) * 0.02,
    )
    load = load_sam3 if spec.family == "sam3" else families.load
    return load(
        source,
        plain,
        model_id=spec.id,
        device=torch.device("cpu"),
        dtype=getattr(torch, dtype),
    )


def layout_of(spec: ModelSpec) -> Layout:
    """Return a layout of a model's network.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog.

    Returns
    -------
    Layout
        One of those that weights files of it follow.
    """
    variant = _VARIANTS.get(spec.id, spec.id.removeprefix("sam2.1-").replace("-", "_"))
    return next(
        one for one in LAYOUTS if (one.family, one.variant) == (spec.family, variant)
    )


if __name__ == "__main__":
    sys.exit(main())
