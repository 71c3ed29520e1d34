"""Picking an object with the mouse to refine it."""

from __future__ import annotations

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_sam3.core.errors import StateError
from napari_sam3.viewer.session import Session
from napari_sam3.widgets.telling import told
from napari_sam3.widgets.wiring import Wiring

__all__ = ["Picker"]


class Picker(QObject):  # type: ignore[misc]
    """Takes up the picking tool of the Labels layer, and what it picks.

    Parameters
    ----------
    session : Session
        Whose object is then refined.

    Attributes
    ----------
    ended : Signal
        An object was picked, or the user took up something else.
    """

    ended = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.wiring = Wiring()
        self._labels: Labels | None = None
        self._former = 0

    @property
    def is_picking(self) -> bool:
        """Whether the next click on the image picks an object."""
        return self._labels is not None

    def start(self) -> None:
        """Let the next click pick an object.

        Raises
        ------
        StateError
            If there is no Labels layer.
        """
        labels = self._session.labels
        if labels is None:
            raise StateError("There are no objects yet; choose a Labels layer first.")
        self.stop()
        self._labels, self._former = labels, labels.selected_label
        # Picking the number that is selected already would not be noticed.
        labels.selected_label = 0
        self._session.viewer.layers.selection.active = labels
        labels.mode = "pick"
        self.wiring.connect(labels.events.selected_label, self._on_picked)
        self.wiring.connect(labels.events.mode, self.stop)
        active = self._session.viewer.layers.selection.events.active
        self.wiring.connect(active, self.stop)

    def stop(self, event: object = None) -> None:
        """Pick no more; the layer gets its number back. Idempotent."""
        self.wiring.cut()
        labels, self._labels = self._labels, None
        if labels is None:
            return
        if not labels.selected_label:
            labels.selected_label = self._former
        if str(labels.mode) == "pick":
            labels.mode = "pan_zoom"
        self.ended.emit()

    def _on_picked(self, event: object = None) -> None:
        labels = self._labels
        number = 0 if labels is None else int(labels.selected_label)
        if not number:
            return  # background: the user may try again
        self.stop()
        with told():
            self._session.refine(number)
            self._session.start_clicking()
