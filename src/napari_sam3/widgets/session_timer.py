"""What looks at a session again and again, as long as the session is busy."""

from __future__ import annotations

import weakref

from qtpy.QtCore import QObject, QTimer

from napari_sam3.viewer.session import Session

__all__ = ["SessionTimer"]


class SessionTimer(QObject):  # type: ignore[misc]
    """Runs from a session's first question until it rests, and ends with it.

    A timer needs no signal from the inference thread: that could reach an object
    which Qt has destroyed meanwhile, and end the process.

    Parameters
    ----------
    session : Session
        Held weakly.
    interval_ms : int
        Milliseconds between two looks.
    """

    def __init__(self, session: Session, interval_ms: int) -> None:
        super().__init__()
        self._session = weakref.ref(session)
        self._timer = QTimer(self)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self.look)
        session.started.connect(self.start)
        session.closed.connect(self.end)
        if session.busy:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether it looks."""
        return bool(self._timer.isActive())

    def start(self) -> None:
        """Look until the session is idle."""
        if not self.is_running:
            self._begin()
            self._timer.start()

    def look(self) -> None:
        """Do what is to be done, and stop once there is nothing to come."""
        raise NotImplementedError

    def end(self) -> None:
        """Stop for good."""
        session = self._session()
        if session is not None:
            session.started.disconnect(self.start)
            session.closed.disconnect(self.end)
        self._timer.stop()
        self.deleteLater()

    def _begin(self) -> None:
        """Prepare for a new run."""
