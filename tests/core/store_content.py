"""Embeddings of known content, and the programs that write and share them."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.store import EmbeddingStore, store_key
from napari_sam3.core.stored_file import StoredEmbedding

SHAPE = (30, 40)


def key_of(number: int) -> str:
    return store_key(np.zeros((1, 1, 3), np.uint8), f"model-{number}")


def content(number: int, size: int = 100) -> dict[str, NDArray[np.float16]]:
    """Return arrays that are others for each number."""
    values = (np.arange(size, dtype=np.int32) + 31 * number) % 1999
    return {
        "0.float32": values.astype(np.float16).reshape(1, -1),
        "1.float32": np.full((1, 3), number % 2000, np.float16),
    }


def assert_content(found: StoredEmbedding | None, number: int, size: int = 100) -> None:
    assert found is not None
    assert found.image_shape == SHAPE
    wanted = content(number, size)
    assert found.arrays.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found.arrays[name], array)


def write(folder: Path, start: int, size: int) -> None:
    """Write until killed."""
    store = EmbeddingStore(folder)
    print("ready", flush=True)
    for number in range(start, start + 100):
        store.put(key_of(number), content(number, size), SHAPE)


def share(folder: Path, seed: int, seconds: float) -> None:
    """Put, get and evict; check all that is got."""
    rng = random.Random(seed)
    store = EmbeddingStore(folder, cap=10 * 42_000)
    stored = hits = misses = 0
    end = time.monotonic() + seconds
    # A busy machine takes longer until each has happened often enough.
    while time.monotonic() < end or (
        min(stored, hits, misses) <= 20 and time.monotonic() < end + 40
    ):
        number = rng.randrange(40)
        found = store.get(key_of(number))
        if found is not None:
            assert_content(found, number, 20_000)
            hits += 1
            continue
        misses += 1
        stored += store.put(key_of(number), content(number, 20_000), SHAPE)
    print(stored, hits, misses)


if __name__ == "__main__":
    mode, folder, *options = sys.argv[1:]
    if mode == "write":
        write(Path(folder), *map(int, options))
    else:
        share(Path(folder), int(options[0]), float(options[1]))
