"""Panels over a viewer without a window, with a model that is known beforehand."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

# Widgets need no display, only canvases do.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest

import napari_sam3
from napari_sam3 import Session, attach
from napari_sam3.viewer.engine import Engine
from napari_sam3.widgets.panel import Panel
from tests.fakes import FakeTracker

MANIFEST = Path(napari_sam3.__file__).parent / "napari.yaml"


@pytest.fixture(autouse=True)
def settings(plugin_settings, npe2pm) -> None:
    """Keep settings in a folder of the test."""
    npe2pm.register(PluginManifest.from_file(MANIFEST))


@pytest.fixture
def tracker() -> FakeTracker:
    return FakeTracker()


@pytest.fixture(autouse=True)
def engine(tracker: FakeTracker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Have every session of the test ask the fake model."""
    engine = Engine(build=lambda **_: tracker)
    monkeypatch.setattr("napari_sam3.viewer.session.shared_engine", lambda: engine)
    yield engine
    engine.thread.stop()


@pytest.fixture
def viewer() -> ViewerModel:
    """Return a viewer with one image."""
    viewer = ViewerModel()
    viewer.add_image(np.zeros((64, 64), np.uint8), name="cells")
    return viewer


@pytest.fixture
def session(viewer: ViewerModel) -> Iterator[Session]:
    session = attach(viewer)
    yield session
    session.close()


@pytest.fixture
def panel(qtbot, viewer: ViewerModel, session: Session) -> Panel:
    panel = Panel(viewer)
    qtbot.addWidget(panel, before_close_func=Panel.end)
    return panel


@pytest.fixture
def settle(qtbot, session: Session) -> Callable[[], None]:
    """Wait until all answers have been delivered by the pump."""
    return lambda: qtbot.waitUntil(lambda: not session.busy, timeout=10_000)


@pytest.fixture
def notes() -> Iterator[list[str]]:
    """Collect notifications that the user gets to see."""
    seen: list[str] = []

    def remember(notification) -> None:
        seen.append(notification.message)

    notification_manager.notification_ready.connect(remember)
    yield seen
    notification_manager.notification_ready.disconnect(remember)
