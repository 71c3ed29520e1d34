"""Keeping masks: accept, correct, take back, and where they go."""

from __future__ import annotations

from collections.abc import Callable

from napari.layers import Labels
from qtpy.QtWidgets import QPushButton, QWidget

from napari_sam3.viewer.labels import Overlap
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.widgets import commands
from napari_sam3.widgets.keys import Command, Keys
from napari_sam3.widgets.layer_combo import LayerCombo
from napari_sam3.widgets.parts import Combo, button, column, form, keyed, row
from napari_sam3.widgets.picker import Picker
from napari_sam3.widgets.telling import told

__all__ = ["ResultBox"]

_POLICIES = [
    ("keep the other object", Overlap.KEEP),
    ("replace the other object", Overlap.REPLACE),
    ("write on background only", Overlap.BACKGROUND),
]


class ResultBox(QWidget):  # type: ignore[misc]
    """Buttons for what becomes of the mask, and the layer that it is written to.

    Parameters
    ----------
    session : Session
        That is driven.
    keys : Keys
        That stand on the buttons.
    """

    def __init__(self, session: Session, keys: Keys) -> None:
        super().__init__()
        self._session = session
        self._keys = keys
        self.picker = Picker(session)
        self.picker.ended.connect(self.refresh)
        self._make_buttons()
        self.labels = LayerCombo(
            session,
            "labels",
            Labels,
            "The Labels layer that accepted objects are written to",
            none="new layer",
        )
        self.overlap = Combo(
            "What happens where a mask covers pixels of other objects\n"
            "keep: they keep them\n"
            "replace: the new object takes them\n"
            "background only: no label ever changes; a refined object can only grow"
        )
        self.overlap.put(_POLICIES, session.overlap)
        self.overlap.activated.connect(self._choose_overlap)
        self.setLayout(
            column(
                self.accept,
                row(self.undo, self.redo),
                row(self.clear, self.refine),
                form(("Labels", self.labels), ("Overlap", self.overlap)),
            )
        )

    def refresh(self) -> None:
        """Show what the session has."""
        session = self._session
        name = "Accept"
        if session.mode == "many":
            name = "Accept all"
        elif session.refining is not None:
            name = f"Accept as object {session.refining}"
        self.accept.setText(keyed(name, self._keys.of(commands.accept)))
        self.accept.setEnabled(session.preview is not None or bool(session.marks))
        self.undo.setEnabled(session.can_undo)
        self.redo.setEnabled(session.can_redo)
        self.clear.setEnabled(bool(session.marks) or session.refining is not None)
        self.refine.setEnabled(session.labels is not None)
        is_picking = self.picker.is_picking
        self.refine.setChecked(is_picking)
        refine = keyed("Refine", self._keys.of(commands.refine))
        self.refine.setText("Click on it…" if is_picking else refine)
        self.labels.refresh()
        self.overlap.put(_POLICIES, session.overlap)

    def _make_buttons(self) -> None:
        def made(
            text: str, command: Command, tooltip: str, slot: Callable[[], None]
        ) -> QPushButton:
            return button(keyed(text, self._keys.of(command)), tooltip, slot)

        self.accept = made(
            "Accept",
            commands.accept,
            "Write the mask into the labels, with a number of its own",
            self._accept,
        )
        self.accept.setMinimumHeight(34)
        self.accept.setStyleSheet("font-weight: bold;")
        self.undo = made(
            "Undo",
            commands.undo,
            "Take back the last step: a prompt, a choice, an accepted object",
            self._undo,
        )
        self.redo = made(
            "Redo", commands.redo, "Take the step again that was taken back", self._redo
        )
        self.clear = made(
            "Clear",
            commands.clear,
            "Wipe the prompts of this object; accepted objects stay",
            self._clear,
        )
        key = self._keys.of(commands.refine)
        self.refine = button(
            "Refine",
            "Correct an object that was accepted: press, then click on it in the image"
            + (f"; or point at it and press {key}" if key else ""),
            self._refine,
            is_checkable=True,
        )

    def _choose_overlap(self, index: int) -> None:
        with told():
            self._session.overlap = self.overlap.itemData(index)
            save_setting("overlap", self._session.overlap)

    def _accept(self) -> None:
        commands.accept(self._session.viewer)

    def _undo(self) -> None:
        commands.undo(self._session.viewer)

    def _redo(self) -> None:
        commands.redo(self._session.viewer)

    def _clear(self) -> None:
        commands.clear(self._session.viewer)

    def _refine(self) -> None:
        if self.picker.is_picking:
            self.picker.stop()
        else:
            with told():
                self.picker.start()
        self.refresh()
