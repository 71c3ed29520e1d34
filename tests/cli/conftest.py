"""Images to segment, and the command line called as a user would."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_sam3.cli import main
from tests.models.hub_fixtures import cache, content, hub, spec  # noqa: F401


@dataclass
class Outcome:
    """What a call printed and returned."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def sam3(capsys) -> Callable[..., Outcome]:
    """Call the command line within this process."""

    def call(*arguments: object) -> Outcome:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture
def cells_png(tmp_path: Path) -> Path:
    """Two bright discs on a dark ground: at x 30, y 40, and at x 90, y 70."""
    rows, cols = np.mgrid[:100, :120]
    image = np.full((100, 120), 20, np.uint8)
    for x, y in ((30, 40), (90, 70)):
        image[(rows - y) ** 2 + (cols - x) ** 2 < 15**2] = 200
    path = tmp_path / "cells.png"
    Image.fromarray(image).save(path)
    return path
