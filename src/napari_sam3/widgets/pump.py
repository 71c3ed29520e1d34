"""From the inference thread's outbox into the viewer, on Qt's own thread."""

from __future__ import annotations

import logging
import weakref

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Qt, QTimer

from napari_sam3.viewer.session import Session

__all__ = ["Pump"]

_INTERVAL_MS = 5

_log = logging.getLogger(__name__)


class Pump(QObject):  # type: ignore[misc]
    """Delivers a session's answers while it waits for some, and rests otherwise.

    It looks for them with a timer. A signal from the inference thread could reach
    an object that Qt has destroyed meanwhile, which ends the process.

    Parameters
    ----------
    session : Session
        Held weakly.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = weakref.ref(session)
        self._told: set[str] = set()
        self._is_delivering = False
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self.deliver)
        session.started.connect(self.start)
        session.closed.connect(self.end)
        if session.busy:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether it looks for answers."""
        return bool(self._timer.isActive())

    def start(self) -> None:
        """Look for answers until there are none to come."""
        if not self._timer.isActive():
            self._told.clear()
            self._timer.start()

    def deliver(self) -> None:
        """Deliver what is there."""
        if self._is_delivering:
            return  # Qt's events are handled while something is shown
        session = self._session()
        self._is_delivering = True
        try:
            if session is not None:
                session.deliver()
        except Exception as error:  # noqa: BLE001 - later answers have to come through
            self._tell(error)
        finally:
            self._is_delivering = False
        if session is None or not session.busy:
            self._timer.stop()

    def end(self) -> None:
        """Stop for good."""
        session = self._session()
        if session is not None:
            session.started.disconnect(self.start)
            session.closed.disconnect(self.end)
        self._timer.stop()
        self.deleteLater()

    def _tell(self, error: Exception) -> None:
        # psygnal wraps what its listeners raise.
        cause = error.__cause__ or error
        text = (
            f"{type(cause).__name__}: {cause}. An answer could not be shown; please "
            "report it with what you did."
        )
        if text not in self._told:
            self._told.add(text)
            _log.error("an answer could not be shown", exc_info=error)
            show_error(text)
