"""A file is written whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

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
