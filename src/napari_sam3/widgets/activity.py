"""Long jobs in napari's activity dock."""

from __future__ import annotations

from napari.utils import progress
from qtpy.QtCore import QElapsedTimer

from napari_sam3.viewer.session import Session
from napari_sam3.viewer.status import Status
from napari_sam3.widgets.session_timer import SessionTimer

__all__ = ["Activity"]

#: What takes less is not worth a bar.
_PATIENCE_MS = 500
_INTERVAL_MS = 100


class Activity(SessionTimer):
    """Shows a session's progress in napari's activity dock, if it takes its time.

    It looks at the session with a timer of its own: napari handles all waiting
    events whenever a bar moves, and that must not happen amid a delivery.

    Parameters
    ----------
    session : Session
        Held weakly.
    """

    def __init__(self, session: Session) -> None:
        self._bar: progress | None = None
        self._text = ""
        self._is_moving = False
        self._clock = QElapsedTimer()
        super().__init__(session, _INTERVAL_MS)

    def look(self) -> None:
        """Bring the bar up to date."""
        if self._is_moving:
            return
        session = self._session()
        if session is None or not session.busy:
            self._timer.stop()
            self._close_bar()
        elif self._clock.elapsed() >= _PATIENCE_MS:
            self._is_moving = True
            try:
                self._move(session.status)
            finally:
                self._is_moving = False

    def end(self) -> None:
        """Stop for good."""
        self._close_bar()
        super().end()

    def _begin(self) -> None:
        self._clock.start()

    def _move(self, status: Status) -> None:
        text = f"SAM 3: {status.text}"
        if self._bar is None:
            self._text = text
            self._bar = progress(total=status.total, desc=text)
        bar = self._bar
        if bar.total != status.total:
            bar.total = status.total
        if text != self._text:
            self._text = text
            bar.set_description(text)
        # The bar may have been closed in the events that napari just handled.
        if bar is self._bar and status.total and bar.n != status.done:
            bar.update(status.done - bar.n)

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
