"""Measure nano beside SAM 2.1-tiny, in one process and in turns.

Run ``python -m benchmarks.speed``, on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.inference import compare_encoding, compare_predictions
from benchmarks.processes import Processes, compare_processes
from benchmarks.ratios import Comparison
from benchmarks.report import comparison_table, conditions, steps_table
from benchmarks.sam2_tiny import Sam2Tiny
from benchmarks.sample import Sample, draw_sample
from napari_sam3 import Sam3Error, SAM3InteractiveImagePredictor, build_tracker

__all__ = ["main"]


@dataclass(frozen=True, slots=True)
class _Results:
    conditions: dict[str, str]
    inference: list[Comparison]
    processes: Processes

    def to_json(self) -> dict[str, Any]:
        return {
            "conditions": self.conditions,
            "inference": [one.to_json() for one in self.inference],
            "process": self.processes.comparison.to_json(),
            "steps_s": self.processes.steps_s,
        }


def main(argv: list[str] | None = None) -> int:
    """Measure, print tables, and write JSON if asked to.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        Exit code: 0 done, 1 something is missing or failed.
    """
    arguments = _parser().parse_args(argv)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    try:
        results = _measure(arguments)
        _write(results, arguments.json)
    except ModuleNotFoundError as error:
        return _complain(f"{error}; install it: pip install 'napari-sam3[benchmarks]'")
    except (Sam3Error, OSError) as error:
        return _complain(str(error))
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "no message").strip().splitlines()[-1]
        return _complain(f"{' '.join(error.cmd[1:4])} failed: {last}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__
    )
    parser.add_argument(
        "--threads", type=_positive, help="for torch (default: its own choice)"
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=11,
        help="pairs that are timed (default: 11)",
    )
    parser.add_argument(
        "--model", default="nano", help="catalog id or weights file (default: nano)"
    )
    parser.add_argument(
        "--size", type=_side, default=1024, help="side of the image (default: 1024)"
    )
    parser.add_argument("--json", type=Path, help="where to write every time")
    return parser


def _measure(arguments: argparse.Namespace) -> _Results:
    """Measure one thing after the other, and print each as soon as it is known."""
    rounds = arguments.rounds
    peer = Sam2Tiny()
    ours = SAM3InteractiveImagePredictor(
        build_tracker(model=arguments.model, device="cpu")
    )
    sample = draw_sample(arguments.size)
    settings = conditions(arguments.size, rounds)
    settings["SAM 2.1-tiny"] = f"{peer.parameters / 1e6:.1f} M parameters, random"
    for name, value in settings.items():
        print(f"- {name}: {value}")
    inference = _compare_models(ours, peer, sample, rounds)
    print("\n" + comparison_table(inference), flush=True)
    processes = compare_processes(sample, arguments.model, rounds, arguments.threads)
    print("\n" + comparison_table([processes.comparison]))
    print("\n" + steps_table(processes.steps_s))
    return _Results(settings, inference, processes)


def _write(results: _Results, path: Path | None) -> None:
    if path is not None:
        text = json.dumps(results.to_json(), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def _compare_models(
    ours: SAM3InteractiveImagePredictor, peer: Sam2Tiny, sample: Sample, rounds: int
) -> list[Comparison]:
    encoding = compare_encoding(ours, peer, sample, rounds)
    return [encoding, *compare_predictions(ours, peer, sample, rounds)]


def _complain(message: str) -> int:
    print(f"benchmarks.speed: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def _side(text: str) -> int:
    number = int(text)
    if number < 128:
        raise argparse.ArgumentTypeError(f"{text} is not 128 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
