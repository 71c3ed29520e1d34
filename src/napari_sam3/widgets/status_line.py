"""What is going on, and a way to end it."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QProgressBar, QSizePolicy, QWidget

from napari_sam3.viewer.session import Session
from napari_sam3.viewer.status import Status
from napari_sam3.widgets.parts import button, column, row

__all__ = ["StatusLine"]

#: What takes less is over before anybody could cancel it.
_PATIENCE_MS = 150
_LINES = 2


class StatusLine(QWidget):  # type: ignore[misc]
    """Words, a thin bar, and "Cancel" while something takes its time.

    Parameters
    ----------
    session : Session
        That is watched.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setMinimumHeight(_LINES * self.text.fontMetrics().lineSpacing())
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.bar.setToolTip("How far it is")
        self.cancel = button(
            "Cancel", "Give up what is being computed; your prompts stay", self._cancel
        )
        self.cancel.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        # So that nothing jumps when they come and go.
        for widget in (self.bar, self.cancel):
            policy = widget.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            widget.setSizePolicy(policy)
        self.setLayout(column(self.text, row(self.bar, self.cancel)))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MS)
        self._timer.timeout.connect(self._show_bar)
        self.refresh(session.status)

    def refresh(self, status: Status) -> None:
        """Show a status."""
        text = f"⚠ {status.text}" if status.is_error else status.text
        self.text.setText(text)
        self.text.setToolTip(text or "What the model is doing")
        self.bar.setRange(0, status.total)
        self.bar.setValue(status.done)
        if not status.busy:
            self._timer.stop()
            self._set_bar_visible(False)
        elif not self._timer.isActive() and self.bar.isHidden():
            self._timer.start()

    def _show_bar(self) -> None:
        self._set_bar_visible(self._session.busy)

    def _set_bar_visible(self, is_visible: bool) -> None:
        self.bar.setVisible(is_visible)
        self.cancel.setVisible(is_visible)

    def _cancel(self) -> None:
        self._session.cancel()
