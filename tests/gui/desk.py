"""A person at a window with the panel: looks, clicks, drags, types, pushes buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QMenu, QScrollArea

from benchmarks.hands import Hands
from napari_sam3 import Session, attach
from napari_sam3.widgets.panel import Panel
from tests.fakes import FakeTracker

#: How long anything may take before a test gives up; a busy machine is slow.
SECONDS = 30.0
PLUGIN = "napari-sam3"
#: The preview's colour over black, and how far off it may be drawn.
CYAN, TOLERANCE = (0, 108, 128), 12


class Desk:
    """What tests do with a window, all through Qt and napari's public names.

    Parameters
    ----------
    viewer : napari.Viewer
        Shown.
    tracker : FakeTracker, optional
        That the session asks.
    """

    def __init__(self, viewer: Any, tracker: FakeTracker | None = None) -> None:
        self.viewer = viewer
        self.tracker = tracker
        self.hands = Hands(viewer)
        self.dock: Any = None
        self.panel: Panel | None = None

    @property
    def session(self) -> Session:
        return attach(self.viewer)

    @property
    def image(self) -> Any:
        """The image that is clicked on."""
        return self.session.image

    # The panel

    def open(self, *, wait: bool = True) -> Panel:
        """Open the panel through the manifest, and wait until it is ready."""
        self.dock, self.panel = self.viewer.window.add_plugin_dock_widget(PLUGIN)
        if wait:
            self.settle()
        self.viewer.reset_view()  # the panel has taken some of the canvas
        return self.panel

    def close_dock(self, dock: Any = None) -> None:
        """Push the ✕ of a dock."""
        dock = dock or self.dock
        (cross,) = dock.titleBarWidget().findChildren(
            QAbstractButton, "QTitleBarCloseButton"
        )
        self.push(cross)
        self.tidy()

    def push(self, button: QAbstractButton) -> None:
        """Push a button with the mouse, scrolled to if need be."""
        QApplication.processEvents()  # new ones find their places
        frame = button.parentWidget()
        while frame is not None:
            if isinstance(frame, QScrollArea):
                frame.ensureWidgetVisible(button)
            frame = frame.parentWidget()
        assert button.isEnabled(), button.text()
        assert not button.visibleRegion().isEmpty(), button.text()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def choose(self, combo: Any, text: str) -> None:
        """Open a combo box, go to an entry with the arrows, and take it."""
        QTest.mouseClick(combo, Qt.MouseButton.LeftButton)
        self.until(combo.view().isVisible)
        steps = combo.findText(text) - max(combo.currentIndex(), 0)
        assert combo.findText(text) >= 0, text
        arrow = Qt.Key.Key_Down if steps > 0 else Qt.Key.Key_Up
        for _ in range(abs(steps)):
            QTest.keyClick(combo.view(), arrow)
        QTest.keyClick(combo.view(), Qt.Key.Key_Return)
        self.until(lambda: not combo.view().isVisible())
        assert combo.currentText() == text

    # The canvas

    def click(self, position: Sequence[float], layer: Any = None) -> None:
        """Click where a position of the image is drawn."""
        self.hands.click(layer or self.image, position)

    def drag(self, path: Sequence[Sequence[float]]) -> None:
        self.hands.drag(self.image, path)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.hands.press(key)

    def colours(self, positions: Sequence[Sequence[float]]) -> np.ndarray:
        """Return what is seen where positions of the image are drawn, (N, 3)."""
        picture = self.viewer.screenshot(flash=False)
        size = (self.hands.canvas.height(), self.hands.canvas.width())
        assert picture.shape[:2] == size
        places = [self.hands.where(self.image, position) for position in positions]
        return np.array([picture[place.y(), place.x(), :3] for place in places])

    def sees_preview(self, position: Sequence[float]) -> bool:
        """Tell whether the preview is drawn at a position of a black image."""
        off = self.colours([position])[0].astype(int) - CYAN
        return bool((np.abs(off) <= TOLERANCE).all())

    # Waiting

    def until(self, is_so: Callable[[], bool]) -> None:
        self.hands.wait_until(is_so, SECONDS)

    def settle(self) -> None:
        """Wait until all answers have been delivered, and all layers are loaded."""
        self.until(
            lambda: (
                not self.session.busy
                and all(layer.loaded for layer in self.viewer.layers)
            )
        )

    def tidy(self) -> None:
        """Let Qt delete what is to be deleted."""
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()


def action(menu: QMenu, *path: str) -> Any:
    """Return an entry of a menu, found by how the texts on the way to it begin."""
    for text in path:
        menu.aboutToShow.emit()
        found = [one for one in menu.actions() if plain(one).startswith(text)]
        assert len(found) == 1, (text, [plain(one) for one in menu.actions()])
        entry, menu = found[0], found[0].menu()
    return entry


def plain(entry: Any) -> str:
    return entry.text().replace("&", "")


def messages() -> list[str]:
    """Return what notifications have said since the test began."""
    return [note.message for note in notification_manager.records]
