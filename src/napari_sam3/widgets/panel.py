"""The dock widget."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_sam3.core.errors import Sam3Error
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.status import Status
from napari_sam3.widgets.attach import attach
from napari_sam3.widgets.candidate_box import CandidateBox
from napari_sam3.widgets.cleanup_box import CleanupBox
from napari_sam3.widgets.keys import Keys, keys_of
from napari_sam3.widgets.look_box import LookBox
from napari_sam3.widgets.model_box import ModelBox
from napari_sam3.widgets.more_menu import MoreMenu
from napari_sam3.widgets.parts import column, heading
from napari_sam3.widgets.prompt_box import PromptBox
from napari_sam3.widgets.result_box import ResultBox
from napari_sam3.widgets.status_line import StatusLine
from napari_sam3.widgets.wiring import Wiring

__all__ = ["Panel"]

_MARGIN = 6
#: The title of the dock is not cut, and some of the panel can be seen.
_LEAST_WIDTH, _LEAST_HEIGHT = 320, 160


class Panel(QWidget):  # type: ignore[misc]
    """Segments the objects that the user points at.

    Any number of panels of a viewer show the same session. Closing one ends
    nothing for the others; the session itself stays, for the console.

    Parameters
    ----------
    napari_viewer : napari.Viewer or napari.components.ViewerModel
        Also as a proxy.
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        viewer = real(napari_viewer)
        self.session = attach(viewer)
        self._keys = keys_of(viewer)
        self._keys.hold()
        self._was_docked = False
        self._has_started = self.session.points is not None
        # Layers must not be added while napari is still adding one.
        self._starter = QTimer(self)
        self._starter.setSingleShot(True)
        self._starter.timeout.connect(self._start)
        self._make_boxes()
        self._ties = _Ties(self.session, self._keys, self.prompts.wiring)
        self._ties.wirings.append(self.result.picker.wiring)
        # Not a method of the panel: those are not called any more by then.
        self.destroyed.connect(self._ties.cut)
        self._connect(viewer)
        self.refresh()
        if self._starter.isActive():
            self._start()

    def refresh(self, event: object = None) -> None:
        """Show what the session has."""
        for box in self._boxes:
            box.refresh()
        has_image = self.session.image is not None
        if not has_image:
            self._has_started = False
        elif not self._has_started:
            self._starter.start(0)

    def end(self) -> None:
        """Let go of session, layers and keys. Idempotent."""
        self._starter.stop()
        self.result.picker.stop()
        self._ties.cut()
        self.setEnabled(False)

    def changeEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Notice the dock's ✕: it closes nothing, but takes the panel out."""
        super().changeEvent(event)
        if event.type() != QEvent.Type.ParentChange:
            return
        if self.parent() is not None:
            self._was_docked = True
        elif self._was_docked:
            self.end()
            self.deleteLater()

    def _make_boxes(self) -> None:
        session, keys = self.session, self._keys
        self.model = ModelBox(session)
        self.look = LookBox(session)
        self.prompts = PromptBox(session, keys)
        self.candidates = CandidateBox(session, keys)
        self.status = StatusLine(session)
        self.result = ResultBox(session, keys)
        self.cleanup = CleanupBox(session)
        self.more = MoreMenu(session)
        self._boxes = (
            self.model,
            self.look,
            self.prompts,
            self.candidates,
            self.result,
            self.cleanup,
        )
        content = QWidget()
        layout = column(
            self.model,
            self.look,
            heading("Prompts"),
            self.prompts,
            heading("Mask"),
            self.candidates,
            self.status,
            heading("Labels"),
            self.result,
            self.cleanup,
            self.more,
        )
        layout.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        layout.addStretch(1)
        content.setLayout(layout)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(_Scroller(content))

    def _connect(self, viewer: ViewerModel) -> None:
        wiring = Wiring()
        self._ties.wirings.append(wiring)
        session, layers = self.session, viewer.layers
        wiring.connect(session.changed, self.refresh)
        wiring.connect(session.preview_changed, self.refresh)
        wiring.connect(session.status_changed, self.status.refresh)
        wiring.connect(session.replayed, self.more.on_replayed)
        wiring.connect(session.closed, self._on_closed)
        for name in ("inserted", "removed", "reordered", "renamed"):
            wiring.connect(getattr(layers.events, name), self.refresh)
        wiring.connect(layers.selection.events.active, self.prompts.refresh_tools)

    def _start(self) -> None:
        """Have the next click on the image be a prompt, without a choice before."""
        self._starter.stop()
        if self._has_started or self.session.image is None:
            return
        self._has_started = True
        if self.session.points is None:
            # If it cannot be, the status says why.
            with suppress(Sam3Error):
                self.session.start_clicking()
            self.refresh()

    def _on_closed(self) -> None:
        self.end()
        self.status.refresh(
            Status("This session has ended; close this panel and open it again.")
        )


class _Ties:
    """What binds a panel to viewer and session; outlives the panel's destruction."""

    def __init__(self, session: Session, keys: Keys, *wirings: Wiring) -> None:
        self.wirings = list(wirings)
        self._session: Session | None = session
        self._keys = keys

    def cut(self, *_: object) -> None:
        """Let go. Idempotent."""
        for wiring in self.wirings:
            wiring.cut()
        session, self._session = self._session, None
        if session is not None and self._keys.release():
            # Nobody is looking any more.
            session.cancel()


class _Scroller(QScrollArea):  # type: ignore[misc]
    """Shows all of its content where there is room, and scrolls where there is not."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(content)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the size of the content; Qt would say less."""
        return self.widget().sizeHint()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return the content's width: it only scrolls up and down."""
        content = self.widget().minimumSizeHint().width()
        width = content + self.verticalScrollBar().sizeHint().width()
        return QSize(max(width, _LEAST_WIDTH), _LEAST_HEIGHT)
