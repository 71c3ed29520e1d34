"""Windows need napari, a Qt and a display."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from napari_sam3.cli.window import why_no_window

OPEN_DISPLAY = "from qtpy.QtGui import QGuiApplication; QGuiApplication([])"


def what_is_lacking(environment: dict[str, str]) -> str | None:
    reason = why_no_window(environment)
    if reason is not None:
        return reason
    # Qt may lack system libraries, and a display may not let us in: both abort.
    done = subprocess.run(
        [sys.executable, "-c", OPEN_DISPLAY],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return f"Qt says: {done.stderr.strip()}" if done.returncode else None


@pytest.fixture(scope="session")
def desktop() -> dict[str, str]:
    """Environment of a person at a screen; without one the test is skipped.

    In CI, where nobody would notice, it fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    reason = what_is_lacking(environment)
    if reason is None:
        return environment
    if os.environ.get("CI"):
        pytest.fail(f"CI has to open windows, but {reason}")
    pytest.skip(f"no window: {reason}")
