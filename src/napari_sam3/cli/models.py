"""``napari-sam3 models``."""

from __future__ import annotations

import argparse

from napari_sam3.cli.report import print_json, table
from napari_sam3.models.catalog import CATALOG, DEFAULT_MODEL, ModelSpec

__all__ = ["run"]

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
    for spec in CATALOG.values():
        default = " (default)" if spec.id == DEFAULT_MODEL else ""
        print(f"\n{spec.id}{default}: {spec.summary}")


def _facts(spec: ModelSpec) -> dict[str, object]:
    return {
        "id": spec.id,
        "family": spec.family,
        "licence": spec.licence,
        "source": spec.source,
        "bytes": spec.size,
        "path": str(spec.path) if spec.is_here else None,
        "summary": spec.summary,
        "is_default": spec.id == DEFAULT_MODEL,
    }


def _row(spec: ModelSpec) -> dict[str, str]:
    return {
        "model": spec.id,
        "size": "-" if spec.size is None else f"{spec.size / 1e6:.1f} MB",
        "licence": spec.licence,
        "source": spec.source,
        "here": str(spec.path) if spec.is_here else "no",
    }
