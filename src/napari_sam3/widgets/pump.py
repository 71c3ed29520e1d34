"""From the inference thread's outbox into the viewer, on Qt's own thread."""

from __future__ import annotations

import logging

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt

from napari_sam3.viewer.session import Session
from napari_sam3.widgets.session_timer import SessionTimer

__all__ = ["Pump"]

_INTERVAL_MS = 5

_log = logging.getLogger(__name__)


class Pump(SessionTimer):
    """Delivers a session's answers while it waits for some, and rests otherwise.

    Parameters
    ----------
    session : Session
        Held weakly.
    """

    def __init__(self, session: Session) -> None:
        self._told: set[str] = set()
        self._is_delivering = False
        super().__init__(session, _INTERVAL_MS)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)

    def look(self) -> None:
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

    def _begin(self) -> None:
        self._told.clear()

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
