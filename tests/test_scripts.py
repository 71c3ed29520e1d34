"""Scripts written for SAM 3's predictor run with only their import changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory, cells: np.ndarray) -> Path:
    path = tmp_path_factory.mktemp("scripts") / "cells.png"
    Image.fromarray(cells).save(path)
    return path


def test_all_six_are_here():
    assert [path.name[0] for path in SCRIPTS] == list("123456")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, picture: Path, tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-W", "error", script, picture, "70", "60", "150", "60"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    assert run.stdout.count("(") >= 1
