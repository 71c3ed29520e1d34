"""A file is written whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam3.core import files
from napari_sam3.core.errors import FileError
from napari_sam3.core.files import write_atomically, write_labels


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("before")
    write_atomically(path, lambda file: file.write(b"after"))
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_earlier_file_and_no_other(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("before")

    def half(file):
        file.write(b"aft")
        raise OSError(28, "No space left on device")

    with pytest.raises(FileError, match=r"cannot be written .No space left.*check the"):
        write_atomically(path, half)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="give another name"):
        write_atomically(tmp_path / "none" / "a.json", lambda file: None)


def test_a_name_that_is_too_long_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match="give another name"):
        write_atomically(tmp_path / ("x" * 300), lambda file: None)


def test_labels_are_compressed_and_their_axes_named(tmp_path):
    path, labels = tmp_path / "labels.tif", np.zeros((3, 100, 200), np.uint32)
    labels[1, 40:60, 80:120] = 70_000
    write_labels(path, labels, "ZYX")
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray(), labels)
    assert path.stat().st_size < labels.nbytes / 50


class Lazy:
    """An array that is read in parts, and remembers how large they were."""

    def __init__(self, array, chunks=None):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.parts = []
        if chunks is not None:
            self.chunks = chunks

    def __getitem__(self, key):
        part = self.array[key]
        self.parts.append(part.shape)
        return part


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(files, "_TILE", 32)
    monkeypatch.setattr(files, "_PART", 32 * 100 * 2 * 2)


@pytest.mark.parametrize(
    ("shape", "chunks", "rows"),
    [
        ((150, 100), None, 64),
        ((2, 3, 150, 100), None, 64),
        ((150, 100), (64, 64), 64),
        ((150, 100), ((50, 50, 50), (100,)), 64),  # dask's
        ((150, 100), (150, 150), 150),
    ],
)
def test_lazy_labels_are_written_in_parts(tmp_path, small_parts, shape, chunks, rows):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, shape).astype(np.uint16)
    lazy, path, told = Lazy(labels, chunks), tmp_path / "labels.tif", []

    write_labels(path, lazy, report=lambda *one: told.append(one))

    np.testing.assert_array_equal(tifffile.imread(path), labels)
    with tifffile.TiffFile(path) as file:
        assert file.series[0].shape == shape
    assert max(part[0] for part in lazy.parts) == rows
    assert sum(part[0] for part in lazy.parts) == np.prod(shape[:-1])
    assert told == [(done, len(lazy.parts)) for done in range(len(lazy.parts) + 1)]


def test_writing_is_ended_by_its_report(tmp_path, small_parts):
    def cancel(done, total):
        if done:
            raise KeyboardInterrupt

    lazy = Lazy(np.zeros((150, 100), np.uint16))
    with pytest.raises(KeyboardInterrupt):
        write_labels(tmp_path / "labels.tif", lazy, report=cancel)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lazily", [True, False])
def test_what_may_become_too_large_is_a_bigtiff(tmp_path, monkeypatch, lazily):
    labels = np.zeros((40, 100), np.uint16)
    for limit, is_big in ((labels.nbytes - 1, True), (labels.nbytes, False)):
        monkeypatch.setattr(files, "_CLASSIC", limit)
        write_labels(tmp_path / "labels.tif", Lazy(labels) if lazily else labels)
        with tifffile.TiffFile(tmp_path / "labels.tif") as file:
            assert file.is_bigtiff == is_big
