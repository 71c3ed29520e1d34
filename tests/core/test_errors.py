"""One family of errors, which also are what callers expect from Python."""

from __future__ import annotations

import pytest

from napari_sam3.core import errors


def test_all_errors_are_of_one_family():
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), errors.Sam3Error)


@pytest.mark.parametrize(
    ("ours", "python"),
    [
        (errors.ImageError, ValueError),
        (errors.PromptError, ValueError),
        (errors.StateError, RuntimeError),
        (errors.ModelError, ValueError),
        (errors.CheckpointError, RuntimeError),
        (errors.FileError, OSError),
        (errors.LayerError, ValueError),
        (errors.MemoryFullError, RuntimeError),
    ],
)
def test_an_error_can_be_caught_as_the_built_in_one(ours, python):
    with pytest.raises(python, match="give another"):
        raise ours("Wrong; give another.")


def test_a_file_error_keeps_its_message():
    assert str(errors.FileError("There is no a.tif; check it.")) == (
        "There is no a.tif; check it."
    )
