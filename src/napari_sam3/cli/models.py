"""``napari-sam3 models``, ``… models download`` and ``… models doctor``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam3.cli.report import Progress, print_json, table
from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, ModelSpec, find_model

if TYPE_CHECKING:
    from napari_sam3.models.examination import Examination

__all__ = ["run", "run_doctor", "run_download"]

_COLUMNS = {
    "model": "model",
    "size": "size",
    "licence": "licence",
    "source": "comes from",
    "here": "on this machine",
}


def run(options: argparse.Namespace) -> None:
    """List the models.

    Parameters
    ----------
    options : argparse.Namespace
        With ``json``.
    """
    if options.json:
        print_json([_facts(spec) for spec in CATALOG.values()])
        return
    print(table([_row(spec) for spec in CATALOG.values()], _COLUMNS))
    print()
    for spec in CATALOG.values():
        default = " (default)" if spec.id == DEFAULT_MODEL else ""
        needs = f'; needs pip install "napari-sam3[{spec.extra}]"' if spec.extra else ""
        print(f"{spec.id}{default}: {spec.summary}{needs}")
    if any(spec.gated for spec in CATALOG.values()):
        print("\ngated: accept the licence on the model's page before downloading it")


def run_download(options: argparse.Namespace) -> None:
    """Download a model's weights.

    Parameters
    ----------
    options : argparse.Namespace
        With ``model``, the id.
    """
    from napari_sam3.models.download import fetch_weights

    spec = find_model(options.model)
    with Progress() as progress:

        def report(done: int, total: int) -> None:
            share = f"{done / max(total, 1):.0%}"
            progress.say(
                f"{spec.id}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ({share})"
            )

        path = fetch_weights(spec, report=report)
    print(f"{spec.id} is at {path}")
    if spec.extra:
        print(f'It needs: pip install "napari-sam3[{spec.extra}]"')
    print(f"Use it: napari-sam3 segment IMAGE --model {spec.id} …")


def run_doctor(options: argparse.Namespace) -> None:
    """Say what weights are, and what this machine makes of them.

    Parameters
    ----------
    options : argparse.Namespace
        With ``model`` (an id, a path, or None for all that are here) and ``json``.

    Raises
    ------
    CheckpointError
        After everything was printed, if a file is not whole.
    """
    from napari_sam3.models.doctor import examine
    from napari_sam3.models.machine import measure

    if options.model is not None:
        models = [options.model]
    else:
        models = [spec.id for spec in CATALOG.values() if spec.is_here]
    found = []
    with Progress() as progress:
        progress.say("Measuring how fast this machine is …")
        machine = measure()
        for model in models:
            report = progress.share(f"Reading {model}")
            found.append(examine(model, machine=machine, report=report))
    if options.json:
        from dataclasses import asdict

        weights = [one.facts() for one in found]
        print_json({"machine": asdict(machine), "weights": weights})
    else:
        _print_lines("this machine", machine.lines())
        for one in found:
            print()
            _print_lines(str(one.path), one.lines())
    _complain(found)


def _complain(found: list[Examination]) -> None:
    broken = [one.path for one in found if one.is_whole is False]
    if broken:
        raise CheckpointError(
            f"{', '.join(map(str, broken))} cannot be used as it is; get it again, or "
            "give another file."
        )


def _print_lines(title: str, lines: list[str]) -> None:
    print(title)
    for line in lines:
        print(f"  {line}")


def _facts(spec: ModelSpec) -> dict[str, Any]:
    here = spec.here
    return {
        "id": spec.id,
        "family": spec.family,
        "licence": spec.licence,
        "licence_url": spec.licence_url,
        "source": spec.source,
        "page_url": spec.page_url,
        "is_gated": spec.gated,
        "extra": spec.extra,
        "bytes": spec.size,
        "parameters": spec.parameters,
        "input_size": spec.input_size,
        "path": _path(here),
        "summary": spec.summary,
        "is_default": spec.id == DEFAULT_MODEL,
    }


def _row(spec: ModelSpec) -> dict[str, str]:
    size = spec.size
    return {
        "model": spec.id,
        "size": "-" if size is None else f"{size / 1e6:,.1f} MB",
        "licence": spec.licence + ", gated" * spec.gated,
        "source": spec.source,
        "here": _path(spec.here) or "no",
    }


def _path(here: tuple[Path, ...]) -> str | None:
    return str(here[0]) if here else None
