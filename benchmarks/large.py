"""Measure clicks in large planes, and in stacks, beside small ones.

Run ``python -m benchmarks.large``, on a machine that does nothing else. It writes
about 1 GB into a folder, downloads nothing, and exits with 1 if an aim is missed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.findings import Finding, findings_table, in_bytes, in_ms, misses
from benchmarks.large_clicks import measure_clicks
from benchmarks.large_stacks import (
    measure_memory,
    measure_revisits,
    measure_second_opening,
)
from benchmarks.pyramid import Pyramid, make_pyramid
from benchmarks.report import conditions
from benchmarks.stand_ins import Subject, subject
from benchmarks.studio import FIELD
from napari_sam3 import Sam3Error
from napari_sam3.models.catalog import CATALOG

__all__ = ["PARTS", "main", "measure"]

#: What can be measured.
PARTS = ("clicks", "memory", "revisits", "opening")
_DEFAULT_MODELS = ("nano", "sam2.1-tiny")
#: Of the rounds, for models that encode a window for seconds.
_DEAR_SHARE = 3


def main(
    argv: list[str] | None = None, build: Callable[[str], Subject] = subject
) -> int:
    """Measure, and print a table.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.
    build : callable, optional
        Gets a model's id, returns a `Subject`.

    Returns
    -------
    int
        0, or 1 if an aim was missed or something is missing.
    """
    arguments = _parser().parse_args(argv)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    try:
        findings = _measure_all(arguments, build)
    except ModuleNotFoundError as error:
        return _complain(f"{error}; install it: pip install 'napari-sam3[benchmarks]'")
    except (Sam3Error, OSError) as error:
        return _complain(str(error))
    print("\n" + findings_table(findings))
    missed = misses(findings)
    if missed:
        print(f"\n{len(missed)} of {len(findings)} lines miss their aim.")
    return 1 if missed else 0


def measure(
    one: Subject,
    path: Path,
    *,
    rounds: int,
    planes: int,
    parts: Sequence[str] = PARTS,
    tell: Callable[[str], object] = print,
) -> list[Finding]:
    """Measure one model.

    Parameters
    ----------
    one : Subject
        The model.
    path : Path
        Of the large plane, from `make_pyramid`.
    rounds : int
        Places that are clicked in; a third of them if encoding takes long.
    planes : int
        Of the stack for memory, which only models with a quick encoder go through.
    parts : sequence of str, optional
        Of `PARTS`.
    tell : callable, optional
        Gets a line when a part is done.

    Returns
    -------
    list of Finding
        For the table.
    """
    findings: list[Finding] = []
    works: dict[str, Callable[[], list[Finding]]] = {
        "clicks": lambda: measure_clicks(
            one, Pyramid.open(path), _share(rounds, one.tracker.is_quick)
        )[0],
        "memory": lambda: _memory(one, planes),
        "revisits": lambda: measure_revisits(one),
        "opening": lambda: measure_second_opening(one, path),
    }
    for part in parts:
        start = time.perf_counter()
        found = works[part]()
        findings += found
        gc.collect()
        tell(f"- {one.name}, {part}: took {in_ms(time.perf_counter() - start)}")
    return findings


def _measure_all(
    arguments: argparse.Namespace, build: Callable[[str], Subject]
) -> list[Finding]:
    for name, value in conditions(FIELD, arguments.rounds).items():
        if name != "image":
            print(f"- {name}: {value}")
    start = time.perf_counter()
    path = make_pyramid(arguments.folder, arguments.side)
    stored = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    print(
        f"- plane: {arguments.side:,} × {arguments.side:,} uint16, {in_bytes(stored)} "
        f"on disk; made in {in_ms(time.perf_counter() - start)}",
        flush=True,
    )
    findings = []
    for model in arguments.models:
        findings += measure(
            build(model),
            path,
            rounds=arguments.rounds,
            planes=arguments.planes,
            parts=arguments.parts,
            tell=lambda line: print(line, flush=True),
        )
    return findings


def _memory(one: Subject, planes: int) -> list[Finding]:
    """Go through a stack; not with a model that would take an hour for it."""
    if not one.tracker.is_quick:
        return []
    found, _ = measure_memory(one, planes)
    if not one.keeps_embeddings:
        found += measure_memory(one, planes, whole=True)[0]
    return found


def _share(rounds: int, is_quick: bool) -> int:
    return rounds if is_quick else max(1, rounds // _DEAR_SHARE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--side", type=_side, default=20_000, help="of the large plane (default: 20000)"
    )
    parser.add_argument(
        "--planes", type=_planes, default=1000, help="of the stack (default: 1000)"
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=15,
        help="places that are clicked in (default: 15)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "napari-sam3-benchmarks",
        help="keeps the plane for the next time (default: %(default)s)",
    )
    parser.add_argument(
        "--models", nargs="+", choices=list(CATALOG), default=list(_DEFAULT_MODELS)
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--threads", type=_positive, help="for torch (default: its own choice)"
    )
    return parser


def _complain(message: str) -> int:
    print(f"benchmarks.large: error: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _at_least(text: str, least: int) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not {least} or more")
    return number


def _positive(text: str) -> int:
    return _at_least(text, 1)


def _planes(text: str) -> int:
    return _at_least(text, 20)


def _side(text: str) -> int:
    return _at_least(text, 2 * FIELD)


if __name__ == "__main__":
    sys.exit(main())
