"""Importing the package is cheap, and loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import napari_sam3

HEAVY = ("torch", "napari", "qtpy", "PyQt6", "PySide6", "skimage", "scipy", "numpy")
INTERPRETERS = 7
LIMIT_MS = 50


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )


def loaded_by(statement: str, modules: tuple[str, ...] = HEAVY) -> list[str]:
    code = (
        f"{statement}\nimport sys\nprint(*(m for m in {modules} if m in sys.modules))"
    )
    return run("-c", code).stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_by("import napari_sam3") == []


def test_the_predictor_and_its_values_load_no_torch():
    names = "SAM3InteractiveImagePredictor, Prompt, Prediction, Tracker, to_rgb"
    heavy = tuple(name for name in HEAVY if name != "numpy")
    assert loaded_by(f"from napari_sam3 import {names}", heavy) == []


def test_the_catalog_loads_no_torch():
    assert loaded_by("import napari_sam3.models.catalog", ("torch", "napari")) == []


def test_importing_the_package_takes_no_time():
    # The least of several is what the package costs; the rest is the machine.
    milliseconds = []
    for _ in range(INTERPRETERS):
        report = run("-X", "importtime", "-c", "import napari_sam3").stderr
        (line,) = (
            line
            for line in report.splitlines()
            if line.rpartition("|")[2].strip() == "napari_sam3"
        )
        milliseconds.append(int(line.split("|")[1]) / 1000)
    assert min(milliseconds) <= LIMIT_MS


@pytest.mark.parametrize("name", napari_sam3.__all__)
def test_every_public_name_is_there(name):
    value = getattr(napari_sam3, name)
    assert value is not None
    assert getattr(napari_sam3, name) == value


def test_public_names_are_listed():
    assert dir(napari_sam3) == sorted(napari_sam3.__all__)


def test_a_star_import_gives_the_public_names():
    assert (
        loaded_by("from napari_sam3 import *\nPrompt, build_tracker", ("qtpy",)) == []
    )


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="has no attribute 'Prompts'"):
        napari_sam3.Prompts  # noqa: B018
