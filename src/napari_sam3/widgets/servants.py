"""The Qt objects that serve a session, with a panel or without one."""

from __future__ import annotations

import weakref
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QObject

from napari_sam3.viewer.session import Session
from napari_sam3.widgets.activity import Activity
from napari_sam3.widgets.pump import Pump

__all__ = ["WindowWatch", "servants_of"]


class WindowWatch(QObject):  # type: ignore[misc]
    """Ends the session when the viewer's window closes.

    Afterwards the layers are still there, but what draws them is not, and an
    answer that comes late must not be painted.

    Parameters
    ----------
    session : Session
        Held weakly.
    window : QMainWindow
        Of the viewer.
    """

    def __init__(self, session: Session, window: Any) -> None:
        super().__init__()
        self._session = weakref.ref(session)
        self._was_asked = False
        window.installEventFilter(self)
        window.destroyed.connect(self.end)
        session.closed.connect(self.leave)

    def eventFilter(self, window: Any, event: Any) -> bool:  # noqa: N802 - Qt's name
        """See the window close: asked to, it hides unless the user says no."""
        if event.type() == QEvent.Type.Close:
            self._was_asked = True
        elif event.type() == QEvent.Type.Hide and self._was_asked:
            self.end()
        return False

    def end(self) -> None:
        """End the session."""
        session = self._session()
        if session is not None:
            session.close()

    def leave(self) -> None:
        """Watch no more."""
        self.deleteLater()


def servants_of(session: Session, viewer: ViewerModel) -> list[Any]:
    """Make what a session needs where Qt runs.

    Parameters
    ----------
    session : Session
        Of the viewer.
    viewer : napari.Viewer or napari.components.ViewerModel
        Without a window it gets answers only.

    Returns
    -------
    list
        To be kept as long as the session.
    """
    servants: list[Any] = [Pump(session)]
    window = getattr(viewer, "window", None)
    if window is not None:
        servants.append(Activity(session))
        # The menu bar is public, the window that it belongs to is not.
        servants.append(WindowWatch(session, window.main_menu.window()))
    return servants
