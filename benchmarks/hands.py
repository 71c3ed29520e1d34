"""A user's hands on a real napari window: mouse and keys through Qt's own events.

Only public ways into the window are used: Qt finds the canvas, and the camera says
where a pixel of an image is drawn on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Hands"]

#: Class of the widget that vispy draws on, whichever binding of Qt it is.
_CANVAS_CLASSES = ("CanvasBackendDesktop",)


class Hands:
    """Clicks, drags and types in a viewer's window.

    Parameters
    ----------
    viewer : napari.Viewer
        Shown.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer

    @property
    def canvas(self) -> Any:
        """The widget that images are drawn on."""
        from qtpy.QtWidgets import QApplication, QWidget

        for window in filter(self._is_mine, QApplication.topLevelWidgets()):
            for widget in window.findChildren(QWidget):
                if type(widget).__name__ in _CANVAS_CLASSES and widget.isVisible():
                    return widget
        raise LookupError("no canvas is shown")

    @property
    def window(self) -> Any:
        """The main window."""
        return self.canvas.window()

    def where(self, layer: Any, position: Sequence[float]) -> Any:
        """Return the canvas' point, a QPoint, at which a layer's position is drawn.

        Parameters
        ----------
        layer : napari.layers.Layer
            In whose data coordinates the position is.
        position : sequence of float
            All coordinates; 2D display.

        Raises
        ------
        LookupError
            If it is not in view.
        """
        from qtpy.QtCore import QPoint

        world = np.asarray(layer.data_to_world(position))
        lacking = self.viewer.dims.ndim - len(world)
        shown = world[[axis - lacking for axis in self.viewer.dims.displayed]]
        camera = self.viewer.scene.camera
        canvas = self.canvas
        size = np.array([canvas.height(), canvas.width()])
        row, col = (shown - camera.center[-2:]) * camera.zoom + size / 2
        point = QPoint(round(col), round(row))
        if not canvas.rect().contains(point):
            raise LookupError(f"{tuple(position)} is outside the canvas")
        return point

    def hover(self, layer: Any, position: Sequence[float]) -> None:
        """Move the mouse to where a layer's position is drawn."""
        self._hover(self.where(layer, position))

    def button(self, layer: Any, position: Sequence[float], *, down: bool) -> None:
        """Press or release the left button where a layer's position is drawn."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        act = QTest.mousePress if down else QTest.mouseRelease
        no_key = Qt.KeyboardModifier.NoModifier
        place = self.where(layer, position)
        act(self.canvas, Qt.MouseButton.LeftButton, no_key, place)

    def click(self, layer: Any, position: Sequence[float]) -> None:
        """Press and release the left button where a layer's position is drawn."""
        self.hover(layer, position)
        self.button(layer, position, down=True)
        self.button(layer, position, down=False)

    def drag(self, layer: Any, path: Sequence[Sequence[float]]) -> None:
        """Press at the first position, move through the others, release."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        points = [self.where(layer, position) for position in path]
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        self._hover(points[0])
        QTest.mousePress(self.canvas, left, none, points[0])
        for point in points[1:]:
            # QTest.mouseMove says nothing about the button that is held.
            event = QMouseEvent(
                QEvent.Type.MouseMove,
                QPointF(point),
                QPointF(self.canvas.mapToGlobal(point)),
                Qt.MouseButton.NoButton,
                left,
                none,
            )
            QApplication.sendEvent(self.canvas, event)
            QApplication.processEvents()
        QTest.mouseRelease(self.canvas, left, none, points[-1])

    def press(self, key: str) -> None:
        """Type a key on the canvas, such as "K" or "Shift+N"."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        *modifiers, letter = key.split("+")
        held = Qt.KeyboardModifier.NoModifier
        for name in modifiers:
            held |= getattr(Qt.KeyboardModifier, f"{name}Modifier")
        QTest.keyClick(self.canvas, getattr(Qt.Key, f"Key_{letter}"), held)

    def wait_until(self, is_so: Callable[[], bool], seconds: float = 20.0) -> None:
        """Let the window work until something is so.

        Raises
        ------
        TimeoutError
            If it does not become so.
        """
        from qtpy.QtWidgets import QApplication

        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so after {seconds:g} s")
            QApplication.processEvents()
            time.sleep(0.001)

    def _hover(self, point: Any) -> None:
        from qtpy.QtTest import QTest

        QTest.mouseMove(self.canvas, point)

    def _is_mine(self, window: Any) -> bool:
        return bool(window.windowTitle().startswith(self.viewer.title))
