"""``napari-sam3 embed`` and ``napari-sam3 store``."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel
from npe2 import PluginManifest
from PIL import Image

from napari_sam3.core.patches import patches
from napari_sam3.core.record import Plane
from napari_sam3.core.store import EmbeddingStore
from napari_sam3.core.stored import find_stored
from napari_sam3.viewer.sources import plane_source
from tests.cli.test_process import is_one_error
from tests.fakes import FakeTracker

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def readers(plugin_settings, npe2pm) -> None:
    """Have napari's own readers, and no other plugins of this machine."""
    npe2pm.register(PluginManifest.from_distribution("napari"))


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> FakeTracker:
    """Have the command take a model that counts what it is asked."""
    tracker = FakeTracker(view_size=64)
    monkeypatch.setattr("napari_sam3.models.build.build_tracker", lambda **_: tracker)
    return tracker


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingStore:
    monkeypatch.setenv("NAPARI_SAM3_CACHE", str(tmp_path / "store"))
    return EmbeddingStore()


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Five planes that napari shows with common limits."""
    path = tmp_path / "stack.tif"
    planes = RNG.integers(100, 900, (5, 30, 40)) * np.arange(1, 6)[:, None, None]
    tifffile.imwrite(path, planes.astype(np.uint16))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "plate"
    path.mkdir()
    for number in (1, 2, 10):
        pixels = RNG.integers(0, 256, (40, 40 + number, 3), np.uint8)
        Image.fromarray(pixels).save(path / f"well{number}.png")
    (path / ".hidden.png").write_bytes(b"")
    return path


def files_of(store: EmbeddingStore) -> list[Path]:
    return sorted(store.folder.glob("*/*.safetensors"))


# ---- what the window sees ---------------------------------------------------


def opened(path: Path, ndim: int) -> list[tuple[object, Plane]]:
    """Open a file in a viewer as the window does, and go through its planes."""
    with redirect_stderr(StringIO()):  # napari shows how far it is
        (layer,) = ViewerModel().open(str(path), plugin=None)
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    axes = (ndim - 2, ndim - 1)
    return [
        (layer, Plane(axes, (*index, None, None)))
        for index in np.ndindex(*shape[: ndim - 2])
    ]


def assert_all_found(path: Path, ndim: int, store: EmbeddingStore, **options) -> int:
    """Check that a session would find each plane; return how many windows."""
    count = 0
    for layer, plane in opened(path, ndim):
        source = plane_source(layer, plane, 0)
        for patch in patches(source.shape, 64, **options):
            seen = patch.read(source.picture())
            found = find_stored(FakeTracker(), seen, store)
            assert found is not None
            np.testing.assert_array_equal(found.features, seen)
            count += 1
    return count


def test_the_planes_of_a_stack_are_what_the_window_sees(sam3, tracker, stack, store):
    done = sam3("embed", stack)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "stack.tif: 5 embedded, 0 were there already",
        "5 embedded, 0 were there already",
        f"{store.folder} holds 5: {store.nbytes / 1e6:,.1f} MB of at most 10,737 MB",
    ]
    assert tracker.embed_calls == len(store) == 5
    assert assert_all_found(stack, 3, store) == 5
    # The limits are those of the layer, not of each plane.
    assert tracker.images[0].max() < 80


def test_a_zarr_pyramid_and_its_windows_are_what_the_window_sees(
    sam3, tracker, tmp_path, store
):
    path = tmp_path / "slide.zarr"
    group = zarr.open_group(path, mode="w")
    full = RNG.integers(0, 4000, (2, 100, 150)).astype(np.uint16)
    for level, pixels in enumerate((full, full[:, ::2, ::2])):
        array = group.create_array(
            str(level), shape=pixels.shape, dtype=pixels.dtype, chunks=(1, 32, 32)
        )
        array[:] = pixels
    assert sam3("embed", path).code == 0
    assert assert_all_found(path, 3, store) == len(store) == 2

    done = sam3("embed", path, "--all-windows")

    assert (done.code, done.err) == (0, "")
    windows = assert_all_found(path, 3, store, all_windows=True)
    assert windows > 10
    assert len(store) == windows
    assert f"slide.zarr: {windows - 2} embedded, 2 were there already" in done.out


def test_a_folder_is_so_many_images_or_one_stack(sam3, tracker, tmp_path, store):
    folder = tmp_path / "series"
    folder.mkdir()
    for number in (1, 2, 10):
        pixels = (RNG.integers(0, 100, (20, 30)) * number).astype(np.uint16)
        tifffile.imwrite(folder / f"t{number}.tif", pixels)
    done = sam3("embed", folder)
    assert (done.code, done.err) == (0, "")
    assert [line.split(":")[0] for line in done.out.splitlines()[:3]] == [
        "t1.tif",
        "t2.tif",
        "t10.tif",
    ]
    for number in (1, 2, 10):
        assert assert_all_found(folder / f"t{number}.tif", 2, store) == 1
    assert len(store) == 3

    assert sam3("embed", folder, "--stack").code == 0
    assert assert_all_found(folder, 3, store) == 3
    assert len(store) > 3  # with contrast limits of their own


# ---- resume -----------------------------------------------------------------


def test_what_is_in_the_store_is_not_embedded_again(sam3, tracker, folder, stack):
    assert sam3("embed", folder).code == 0
    assert tracker.embed_calls == 3
    done = sam3("embed", folder, stack)
    assert (done.code, tracker.embed_calls) == (0, 8)
    assert "well10.png: 0 embedded, 1 were there already" in done.out
    assert "stack.tif: 5 embedded, 0 were there already" in done.out
    assert sam3("embed", stack, folder).code == 0
    assert tracker.embed_calls == 8
    tracker.fingerprint = "fake-1"  # other weights
    assert sam3("embed", stack).code == 0
    assert tracker.embed_calls == 13


def test_ctrl_c_leaves_what_is_finished(sam3, tracker, stack, store):
    def interrupt(done: int, total: int) -> None:
        if tracker.embed_calls == 3 and done == 2:
            raise KeyboardInterrupt

    tracker.on_block = interrupt
    done = sam3("embed", stack)
    assert done.code == 130
    assert "2 embedded, 0 were there already" in done.out
    assert "interrupted" in done.err
    assert len(store) == 2

    tracker.on_block = None
    done = sam3("embed", stack)
    assert done.code == 0
    assert "stack.tif: 3 embedded, 2 were there already" in done.out
    assert tracker.embed_calls == 3 + 3


def test_a_damaged_file_is_embedded_again(sam3, tracker, stack, store):
    assert sam3("embed", stack).code == 0
    damaged = files_of(store)[2]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-2] + b"\1\1")
    done = sam3("embed", stack)
    assert (done.code, done.err) == (0, "")
    assert "1 embedded, 4 were there already" in done.out
    assert tracker.embed_calls == 6
    restored = store.get(damaged.stem)
    assert restored is not None
    assert assert_all_found(stack, 3, store) == 5


# ---- what it tells ----------------------------------------------------------


def test_a_terminal_sees_how_far_it_is_and_what_is_left(
    sam3, tracker, folder, stack, monkeypatch
):
    told = []
    monkeypatch.setattr(
        "napari_sam3.cli.report.Progress.say", lambda self, text: told.append(text)
    )
    assert sam3("embed", folder, stack).code == 0
    assert "image 1 of 4, opening well1.png" in told
    assert "image 4 of 4, opening stack.tif" in told
    last = [text for text in told if text.startswith("image 4 of 4, plane 5 of 5")]
    assert "s left" in last[0]
    assert last[-1].endswith(": 100%")


def test_a_model_that_needs_none_of_it_says_so(sam3, cells_png, store):
    done = sam3("embed", cells_png)
    assert (done.code, done.err) == (0, "")
    assert "need no encoding in advance" in done.out.splitlines()[0]
    assert len(store) == 1
    assert "1 embedded, 0 were there" in done.out
    assert "0 embedded, 1 were there" in sam3("embed", cells_png).out


def test_another_folder_is_taken_if_one_is_given(sam3, tracker, stack, tmp_path, store):
    other = tmp_path / "other"
    assert sam3("embed", stack, "--store", other).code == 0
    assert len(EmbeddingStore(other)) == 5
    assert len(store) == 0
    facts = sam3("store", "--store", other, "--json").facts
    assert facts["embeddings"] == 5
    assert facts["folder"] == str(other)
    assert sam3("store", "clear", "--store", other).code == 0
    assert len(EmbeddingStore(other)) == 0


# ---- errors -----------------------------------------------------------------


def test_other_files_in_a_folder_are_told_and_left_out(sam3, tracker, folder, store):
    (folder / "notes.txt").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "well1.png").read_bytes()[:60])
    done = sam3("embed", folder)
    assert done.code == 1
    assert is_one_error(done.err)
    assert "2 of 5 files could not be embedded" in done.err
    assert "no reader" in done.out
    assert "cut.png cannot be read" in done.out
    assert len(store) == 3


@pytest.mark.parametrize("name", ["missing.tif", "empty", "notes.txt", "points.csv"])
def test_what_is_no_image_is_refused(sam3, tracker, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "points.csv").write_text("index,axis-0,axis-1\n0,1,1\n")
    done = sam3("embed", tmp_path / name)
    assert done.code == 1
    assert is_one_error(done.err)
    assert tracker.embed_calls == 0


def test_a_store_that_cannot_be_written_ends_it(sam3, tracker, stack, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = sam3("embed", stack, "--store", tmp_path / "file")
    assert done.code == 1
    assert is_one_error(done.err)
    assert "cannot be written" in done.err
    assert tracker.embed_calls == 1


def test_more_than_the_store_holds_ends_it(sam3, tracker, stack, store, monkeypatch):
    assert sam3("embed", stack).code == 0
    size = store.nbytes // 5
    store.clear()
    monkeypatch.setattr("napari_sam3.cli.embed.EmbeddingStore", small(3 * size))
    done = sam3("embed", stack)
    assert done.code == 1
    assert "does not fit" in done.err
    assert tracker.embed_calls == 5 + 4
    assert len(store) == 3


def small(cap: int):
    return lambda folder: EmbeddingStore(folder, cap=cap)


def test_numbers_that_float16_lacks_are_told(sam3, tracker, stack, monkeypatch):
    huge = {"pixels": np.full((30, 40, 3), np.inf, np.float16)}
    monkeypatch.setattr(tracker, "to_arrays", lambda embedding: huge)
    done = sam3("embed", stack)
    assert done.code == 1
    assert "float16" in done.err


def test_a_model_that_cannot_be_stored_is_refused(sam3, stack, monkeypatch):
    monkeypatch.setattr("napari_sam3.models.build.build_tracker", lambda **_: Bare())
    done = sam3("embed", stack)
    assert done.code == 1
    assert is_one_error(done.err)
    assert "choose another model" in done.err


class Bare:
    model_id = "bare"


# ---- store ------------------------------------------------------------------


def test_the_store_is_listed_and_cleared(sam3, tracker, stack, store):
    assert "holds 0: 0.0 MB" in sam3("store").out
    sam3("embed", stack)
    nbytes = store.nbytes
    assert json.loads(sam3("store", "--json").out) == {
        "folder": str(store.folder),
        "embeddings": 5,
        "bytes": nbytes,
        "cap": 10 * 2**30,
    }
    assert f"{store.folder} holds 5" in sam3("store").out
    done = sam3("store", "clear")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"removed 5 from {store.folder}: {nbytes / 1e6:,.1f} MB\n"
    assert len(store) == 0
    shutil.rmtree(store.folder)
    assert sam3("store", "clear").code == 0
