"""The masks to choose from."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

from napari_sam3.viewer.session import Session
from napari_sam3.widgets import commands
from napari_sam3.widgets.keys import Keys
from napari_sam3.widgets.parts import button, column, keyed, row

__all__ = ["CandidateBox"]


class CandidateBox(QWidget):  # type: ignore[misc]
    """Two arrows, and which candidate is seen with which score.

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
        before, after = commands.previous_candidate, commands.next_candidate
        key = keys.of(before)
        self.previous = button(
            f"◀  {key}" if key else "◀", "Show the previous candidate", self._go_back
        )
        self.next = button(
            keyed("▶", keys.of(after)),
            "Show the next candidate: what else you may have meant",
            self._go_on,
        )
        self.label = QLabel()
        self.label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.label.setToolTip(
            "Which of the candidates is shown, and how good the model thinks it is: "
            "1 is perfect"
        )
        box = row(self.previous, self.label, self.next)
        box.layout().setStretch(1, 1)
        self.setLayout(column(box))

    def refresh(self) -> None:
        """Show what the session has."""
        preview = self._session.preview
        has_choice = preview is not None and preview.candidates > 1
        self.previous.setEnabled(has_choice)
        self.next.setEnabled(has_choice)
        if preview is None:
            text = "no mask yet"
        elif preview.is_many:
            text = f"mean score {preview.score:.2f}"
        else:
            place = f"{preview.candidate + 1} / {preview.candidates}"
            # What other programs made has no score.
            score = f"score {preview.score:.2f}" if preview.score else "given mask"
            text = f"{place}   {score}"
        self.label.setText(text)

    def _go_back(self) -> None:
        commands.previous_candidate(self._session.viewer)

    def _go_on(self) -> None:
        commands.next_candidate(self._session.viewer)
