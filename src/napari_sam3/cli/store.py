"""``napari-sam3 store`` and ``… store clear``."""

from __future__ import annotations

import argparse

from napari_sam3.cli.report import print_json
from napari_sam3.core.store import EmbeddingStore

__all__ = ["run", "run_clear", "summary"]


def run(options: argparse.Namespace) -> None:
    """Say what the store holds.

    Parameters
    ----------
    options : argparse.Namespace
        With ``store``, a folder or None, and ``json``.
    """
    store = EmbeddingStore(options.store)
    if options.json:
        print_json(
            {
                "folder": str(store.folder),
                "embeddings": len(store),
                "bytes": store.nbytes,
                "cap": store.cap,
            }
        )
        return
    print(summary(store))


def run_clear(options: argparse.Namespace) -> None:
    """Remove all embeddings.

    Parameters
    ----------
    options : argparse.Namespace
        With ``store``.
    """
    store = EmbeddingStore(options.store)
    count = len(store)
    freed = store.clear()
    print(f"removed {count} from {store.folder}: {freed / 1e6:,.1f} MB")


def summary(store: EmbeddingStore) -> str:
    """Say in one line where a store is and what it holds."""
    return (
        f"{store.folder} holds {len(store)}: {store.nbytes / 1e6:,.1f} MB of at most "
        f"{store.cap / 1e6:,.0f} MB"
    )
