"""Asks with which model prompts are run again."""

from __future__ import annotations

from qtpy.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from napari_sam3.widgets.model_box import ask_for_weights, model_entries
from napari_sam3.widgets.model_question import may_be_used
from napari_sam3.widgets.parts import Combo, form

__all__ = ["ReplayDialog"]

_FILE = ""


class ReplayDialog(QDialog):  # type: ignore[misc]
    """A model, and whether the new masks are written.

    Parameters
    ----------
    model : str
        The one that is chosen at first.
    parent : QWidget, optional
        Whose look it takes.
    """

    def __init__(self, model: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Replay with another model")
        self._model = model
        self.models = Combo("The network that answers all prompts again")
        self._fill()
        self.models.activated.connect(self._choose)
        self.write = QCheckBox("Write the new masks into a new layer")
        self.write.setToolTip("Else they are only compared with the labels")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(form(("Model", self.models)))
        layout.addWidget(self.write)
        layout.addWidget(self.buttons)

    @classmethod
    def ask(cls, model: str, parent: QWidget) -> tuple[str, bool] | None:
        """Return the model and whether to write; None if the user would rather not."""
        dialog = cls(model, parent)
        is_ok = dialog.exec() == QDialog.DialogCode.Accepted
        answer = dialog.answer
        dialog.deleteLater()
        return answer if is_ok else None

    @property
    def answer(self) -> tuple[str, bool]:
        """The model, and whether the masks are written."""
        return self._model, bool(self.write.isChecked())

    def _fill(self) -> None:
        entries = [*model_entries(self._model), ("weights file…", _FILE)]
        self.models.put(entries, self._model)

    def _choose(self, index: int) -> None:
        model = self.models.itemData(index) or ask_for_weights(self)
        if model and may_be_used(model, self):
            self._model = model
        self._fill()
