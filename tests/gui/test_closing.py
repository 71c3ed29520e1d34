"""Nothing crashes, hangs or complains when things go away while the model works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.gui

ROOT = Path(__file__).parents[2]
SCENARIOS = ("panel", "layer", "window")
TIMEOUT = 240


@pytest.fixture(scope="module")
def programs(desktop) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Run all scenarios at the same time; see `tests.gui.rounds`."""
    started = {
        scenario: subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.gui.rounds", scenario],
            cwd=ROOT,
            env={**desktop, "NAPARI_CONFIG": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for scenario in SCENARIOS
    }
    yield started
    for program in started.values():
        program.kill()
        program.communicate()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_twenty_of_twenty_are_clean(programs, scenario):
    program = programs[scenario]
    said, complaints = program.communicate(timeout=TIMEOUT)
    if complaints:
        pytest.fail(complaints, pytrace=False)  # in full
    assert (program.returncode, said) == (0, "20 of 20 clean\n")
