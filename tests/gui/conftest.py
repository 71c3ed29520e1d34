"""Windows need napari, a Qt and a display."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Tests neither read nor change how the developer has set up napari.
os.environ.setdefault("NAPARI_CONFIG", "")
# Mesa draws small windows quicker without threads of its own.
os.environ.setdefault("LP_NUM_THREADS", "1")
# Without a display Qt would abort where tests of widgets follow.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

import napari_sam3
from napari_sam3.cli.window import why_no_window
from napari_sam3.models.loading import load_torch_libraries
from napari_sam3.viewer.engine import Engine
from tests.fakes import FakeTracker
from tests.gui.desk import Desk

MANIFEST = Path(napari_sam3.__file__).parent / "napari.yaml"

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


@pytest.fixture(scope="session")
def quick_collections() -> Iterator[None]:
    """Spare what is there already: napari collects garbage with each lost layer."""
    load_torch_libraries()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def tracker() -> FakeTracker:
    return FakeTracker()


@pytest.fixture
def engine(tracker: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Have every session of the test ask the fake model."""
    engine = Engine(build=lambda **_: tracker)
    monkeypatch.setattr("napari_sam3.viewer.session.shared_engine", lambda: engine)
    yield engine
    engine.thread.stop()


@pytest.fixture
def slicing(request: pytest.FixtureRequest) -> str:
    """Tell whether napari draws "at once" or "async", as with NAPARI_ASYNC=1."""
    return getattr(request, "param", "at once")


@pytest.fixture
def make_viewer(
    desktop,
    quick_collections,
    plugin_settings,
    npe2pm,
    monkeypatch,
    request,
    slicing,
) -> Callable[[], Any]:
    """Return a maker of windows in which only our plugin is installed."""
    monkeypatch.setenv("NAPARI_STRICT_QT", "1")
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    make = request.getfixturevalue("make_napari_viewer")
    notification_manager.records.clear()
    # It has put all settings back, and does so again at the end.
    get_settings().experimental.async_ = slicing == "async"
    return lambda: make(show=True)


@pytest.fixture
def desk(make_viewer, engine: Engine, tracker: FakeTracker) -> Iterator[Desk]:
    """Return a window with a black image, and the panel still closed."""
    viewer = make_viewer()
    viewer.add_image(np.zeros((64, 64), np.uint8), name="cells")
    desk = Desk(viewer, tracker)
    yield desk
    desk.__dict__.clear()  # pytest holds it longer than napari's check for leaks
