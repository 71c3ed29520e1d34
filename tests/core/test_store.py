"""Embeddings on disk: whatever happens to the files, nothing wrong is served."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from napari_sam3.core import shared_files, stored_file
from napari_sam3.core.errors import ModelError, StateError
from napari_sam3.core.store import (
    DEFAULT_CAP,
    EmbeddingStore,
    default_folder,
    shared_store,
    store_key,
)
from tests.core.store_content import SHAPE, assert_content, content, key_of

ROOT = Path(__file__).parents[2]
KILLS = 20


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "store")


def put(store: EmbeddingStore, number: int, size: int = 100) -> Path:
    """Store the known content of that number, and return its file."""
    assert store.put(key_of(number), content(number, size), SHAPE)
    key = key_of(number)
    return store.folder / key[:2] / f"{key}.safetensors"


def unfinished(folder: Path) -> list[Path]:
    return list(folder.glob("*/.*.tmp"))


def holds(store: EmbeddingStore) -> list[int]:
    """Return the numbers below 10 whose content is there."""
    return [number for number in range(10) if key_of(number) in store]


# ---- content ----------------------------------------------------------------


def test_what_is_put_is_what_is_got(store: EmbeddingStore) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "0.float32": rng.normal(size=(1, 3, 4, 5)).astype(np.float32),
        "1.float16": np.float16([[1.5, -2]])[:, ::-1],  # not contiguous
        "2": np.float64(3),
    }
    key = key_of(1)
    assert store.get(key) is None
    assert key not in store

    assert store.put(key, arrays, (40, 50))

    found = store.get(key)
    assert found is not None
    assert key in store
    assert found.image_shape == (40, 50)
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found.arrays[name].dtype == np.float16
        np.testing.assert_array_equal(found.arrays[name], array.astype(np.float16))
    assert unfinished(store.folder) == []


def test_a_key_is_of_the_pixels_the_shape_and_the_model() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    changed = image.copy()
    changed[3, 3, 2] ^= 1
    keys = [
        store_key(image, "nano-1"),
        store_key(image, "nano-2"),
        store_key(changed, "nano-1"),
        store_key(image.reshape(2, 8, 3), "nano-1"),
        store_key(image[::-1], "nano-1"),
    ]
    assert len(set(keys)) == len(keys)
    assert store_key(image.copy(order="F"), "nano-1") == keys[0]


def test_other_words_are_no_keys(store: EmbeddingStore) -> None:
    for word in ("", "../../x", "A" * 64, key_of(1) + "\n"):
        with pytest.raises(StateError, match="make one with store_key"):
            store.get(word)


@pytest.mark.parametrize("flip", [0x01, 0x20, 0x80])
def test_a_flipped_byte_anywhere_is_found_and_the_file_removed(
    store: EmbeddingStore, flip: int
) -> None:
    path = put(store, 1, size=20)
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= flip
        path.write_bytes(damaged)
        assert store.get(key_of(1)) is None, place
        assert not path.exists(), place
    path.write_bytes(whole)
    assert_content(store.get(key_of(1)), 1, 20)


def test_a_file_that_was_cut_or_has_more_is_removed(store: EmbeddingStore) -> None:
    path = put(store, 1, size=20)
    whole = path.read_bytes()
    for damaged in (
        *(whole[:length] for length in range(len(whole))),
        whole + b"\0",
        whole + whole,
        b"\0" * len(whole),
    ):
        path.write_bytes(damaged)
        assert store.get(key_of(1)) is None
        assert not path.exists()


def test_files_of_others_are_removed(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store, 1)
    other = put(store, 2)
    key = key_of(1)

    shutil.copy(other, path)  # whole, but of another image
    assert store.get(key) is None
    assert not path.exists()

    metadata = {"format": "pt", "key": key}
    for given in (None, metadata, {**metadata, "format": stored_file.FORMAT}):
        save_file({"x": np.ones(3, np.float16)}, path, given)
        assert store.get(key) is None
        assert not path.exists()

    nested = b"[" * 100_000
    path.write_bytes(len(nested).to_bytes(8, "little") + nested)
    assert store.get(key) is None
    assert not path.exists()

    with monkeypatch.context() as patch:
        patch.setattr(stored_file, "FORMAT", "napari-sam3 embedding 0")
        put(store, 1)
        assert store.get(key) is not None
    assert store.get(key) is None
    assert not path.exists()

    path.mkdir()  # not ours to remove
    assert store.get(key) is None
    assert key not in store
    assert path.is_dir()


def test_what_was_removed_can_be_stored_again(store: EmbeddingStore) -> None:
    path = put(store, 1)
    path.write_bytes(b"nonsense")
    assert store.get(key_of(1)) is None
    put(store, 1)
    assert_content(store.get(key_of(1)), 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -70000.0])
def test_numbers_that_float16_lacks_are_not_stored(
    store: EmbeddingStore, value: float
) -> None:
    arrays = {"a": np.ones(3, np.float32), "b": np.float32([0, value])}
    assert not store.put(key_of(1), arrays, SHAPE)
    assert "float16" in store.trouble
    assert len(store) == 0
    put(store, 1)
    assert store.trouble == ""


# ---- size -------------------------------------------------------------------


def test_what_was_not_used_for_longest_goes_first(store: EmbeddingStore) -> None:
    for number in range(4):
        path = put(store, number)
        os.utime(path, (1000 + number, 1000 + number))
    size = path.stat().st_size
    assert (len(store), store.nbytes) == (4, 4 * size)
    assert store.get(key_of(0)) is not None  # is now the one used last

    store.cap = 2 * size
    assert holds(store) == [0, 3]

    put(store, 5)
    assert holds(store) == [0, 5]
    assert store.nbytes == 2 * size


def test_putting_what_is_there_changes_nothing(store: EmbeddingStore) -> None:
    path = put(store, 1)
    before = path.stat()
    assert store.put(key_of(1), content(2), SHAPE)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert_content(store.get(key_of(1)), 1)


def test_what_is_larger_than_the_cap_is_not_stored(store: EmbeddingStore) -> None:
    put(store, 1)
    store.cap = store.nbytes
    assert not store.put(key_of(2), content(2, 5000), SHAPE)
    assert "cap" in store.trouble
    assert holds(store) == [1]
    store.cap = 0
    assert len(store) == 0
    assert not store.put(key_of(1), content(1), SHAPE)


def test_a_cap_holds_for_the_folder_whoever_opens_it(tmp_path: Path) -> None:
    first, second = EmbeddingStore(tmp_path), EmbeddingStore(tmp_path)
    assert first.cap == second.cap == DEFAULT_CAP
    first.cap = 30_000
    assert second.cap == EmbeddingStore(tmp_path).cap == 30_000
    assert len(first) == 0  # the file with the cap is no embedding
    for number in range(12):
        put(second, number)
    assert second.nbytes <= 30_000
    (tmp_path / "cap").write_text("nonsense")
    assert second.cap == DEFAULT_CAP


def test_the_files_are_listed_only_where_it_could_be_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddingStore(tmp_path, 2**30)
    put(store, 0)
    listings = []
    monkeypatch.setattr(store, "tidy", lambda keep=None: listings.append(keep))
    for number in range(1, 10):
        put(store, number)
    assert listings == []


@pytest.mark.parametrize("cap", [-1, 1.5, "10 GB"])
def test_a_cap_is_a_whole_number(store: EmbeddingStore, cap: object) -> None:
    with pytest.raises(ModelError, match="whole number of bytes"):
        EmbeddingStore(store.folder, cap)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="whole number of bytes"):
        store.cap = cap  # type: ignore[assignment]


def test_clearing_removes_embeddings_and_nothing_else(store: EmbeddingStore) -> None:
    for number in range(3):
        path = put(store, number)
    others = [
        store.folder / "readme.txt",
        path.parent / "notes.txt",
        store.folder / ("f" * 64 + ".safetensors"),
        path.parent / "model.safetensors",
        path.parent / ".hidden.tmp",
    ]
    for other in others:
        other.write_text("mine")
    nbytes = store.nbytes

    assert store.clear() == nbytes

    assert (len(store), store.nbytes) == (0, 0)
    assert all(other.read_text() == "mine" for other in others)
    assert EmbeddingStore(store.folder / "none").clear() == 0


# ---- trouble ----------------------------------------------------------------


def test_a_full_disk_is_told_once_and_leaves_nothing(
    store: EmbeddingStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "fsync", refuse)
        for number in range(3):
            assert not store.put(key_of(number), content(number), SHAPE)
            assert "No space left on device" in store.trouble
    (record,) = caplog.records
    assert "NAPARI_SAM3_CACHE" in record.getMessage()
    assert len(store) == 0
    assert unfinished(store.folder) == []
    put(store, 1)


def test_a_folder_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = EmbeddingStore(tmp_path / "file" / "store")
    assert not store.put(key_of(1), content(1), SHAPE)
    assert store.get(key_of(1)) is None
    assert (len(store), store.nbytes, store.clear()) == (0, 0, 0)


def test_a_folder_that_may_only_be_read_is_read(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(store, 1)
    damaged = put(store, 2)
    damaged.write_bytes(b"nonsense")

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        for owner, name in ((os, "utime"), (Path, "unlink"), (Path, "mkdir")):
            patch.setattr(owner, name, refuse)
        assert_content(store.get(key_of(1)), 1)
        assert store.get(key_of(2)) is None
        assert store.put(key_of(1), content(1), SHAPE)
        assert not store.put(key_of(3), content(3), SHAPE)
        store.cap = 1
        assert store.clear() == 0
    assert path.exists()


def test_files_that_another_process_removed_meanwhile_are_no_trouble(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(store, number)
    listed = shared_files.listed

    def list_then_remove(folder: Path) -> list[os.DirEntry[str]]:
        found = listed(folder)
        for entry in found:
            if entry.is_file():
                Path(entry.path).unlink()
        return found

    with monkeypatch.context() as patch:
        patch.setattr("napari_sam3.core.store.listed", list_then_remove)
        store.tidy()
        assert store.nbytes == 0
    assert len(store) == 0


# ---- several processes ------------------------------------------------------


def test_unfinished_files_go_when_their_process_is_gone(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(store, 1).parent
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host = shared_files._host()
    start = f".{key_of(2)}"
    dead = folder / f"{start}.{host}-{gone.pid}-1.tmp"
    absurd = folder / f"{start}.{host}-{10**30}-1.tmp"
    alive = folder / f"{start}.{host}-{os.getpid()}-1.tmp"
    elsewhere = folder / f"{start}.00000000-{gone.pid}-1.tmp"
    old = folder / f"{start}.00000000-{gone.pid}-2.tmp"
    for path in (dead, absurd, alive, elsewhere, old):
        path.write_bytes(b"half")
    long_ago = time.time() - 2 * 3600
    os.utime(old, (long_ago, long_ago))
    assert len(store) == 1  # they are no embeddings

    store.tidy()

    if os.name == "nt":  # where only their age counts
        assert set(unfinished(store.folder)) == {dead, absurd, alive, elsewhere}
    else:
        assert set(unfinished(store.folder)) == {alive, elsewhere}
    assert_content(store.get(key_of(1)), 1)


def writer(mode: str, folder: Path, *options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "tests.core.store_content", mode, str(folder)),
            *map(str, options),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_twenty_times_while_it_writes_a_store_serves_nothing_wrong(
    tmp_path: Path,
) -> None:
    rng = random.Random(0)
    size = 2_000_000
    served = left = 0
    for kill in range(KILLS):
        folder = tmp_path / "store"
        with writer("write", folder, 100 * kill, size) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.06))
            while not unfinished(folder) and process.poll() is None:
                pass
            time.sleep(rng.uniform(0, 0.004))  # as long as writing one takes
            process.kill()
            process.wait()
        left += len(unfinished(folder))
        store = EmbeddingStore(folder)
        for number in range(100 * kill, 100 * kill + 100):
            found = store.get(key_of(number))
            if found is not None:
                assert_content(found, number, size)
                served += 1
        assert store.put(key_of(99_999), content(99_999), SHAPE)
        assert os.name == "nt" or unfinished(folder) == []
        store.clear()
    # Else the kills came at other times than in the middle of it.
    assert served > KILLS / 4
    assert left > KILLS / 4


def test_two_processes_share_a_store(tmp_path: Path) -> None:
    processes = [writer("share", tmp_path, seed, 2.0) for seed in range(2)]
    for process in processes:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        stored, hits, misses = map(int, out.split())
        assert min(stored, hits, misses) > 20  # put, read, and evicted by either
    store = EmbeddingStore(tmp_path)
    store.tidy()
    assert unfinished(tmp_path) == []
    for number in range(40):
        found = store.get(key_of(number))
        if found is not None:
            assert_content(found, number, 20_000)


# ---- place ------------------------------------------------------------------


def test_the_folder_is_the_environments_or_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM3_CACHE", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    assert EmbeddingStore().folder == tmp_path / "mine"
    monkeypatch.setenv("NAPARI_SAM3_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = default_folder()
    assert folder.parts[-2:] == ("napari-sam3", "embeddings") or os.name == "nt"
    if sys.platform == "linux":
        assert folder == tmp_path / "napari-sam3" / "embeddings"


def test_the_shared_store_is_one() -> None:
    assert shared_store() is shared_store()
    assert shared_store().cap == 10 * 2**30


def test_the_same_cap_again_lists_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panel sets it at every start, on the thread of the window."""
    EmbeddingStore(tmp_path).cap = 40_000
    again = EmbeddingStore(tmp_path)
    monkeypatch.setattr(again, "tidy", lambda: pytest.fail("it was listed"))
    again.cap = 40_000
    assert again.cap == 40_000
