"""Why a model could not be loaded, for as long as it takes to mend that."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from qtpy.QtCore import Qt
from qtpy.QtGui import QTextOption
from qtpy.QtWidgets import QTextBrowser, QWidget

from napari_sam3.viewer.switching import ModelProblem
from napari_sam3.widgets.parts import button, column, row

__all__ = ["ModelTrouble"]

_LINES = 7
_ADDRESS = re.compile(r"https?://[^\s,;)]+[^\s,;).]")


class ModelTrouble(QWidget):  # type: ignore[misc]
    """The error with its remedy, to read and to copy, and another try.

    A notification goes away before anybody has accepted a licence.

    Parameters
    ----------
    try_again : callable
        Called with the `ModelProblem`.
    """

    def __init__(self, try_again: Callable[[ModelProblem], object]) -> None:
        super().__init__()
        self._try_again = try_again
        self._problem: ModelProblem | None = None
        self._dismissed: ModelProblem | None = None
        self.text = QTextBrowser()
        self.text.setOpenExternalLinks(True)
        self.text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.text.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.text.setFixedHeight((_LINES + 1) * self.text.fontMetrics().lineSpacing())
        self.again = button("Try again", "Load that model once more", self._on_again)
        self.dismiss = button(
            "Dismiss", "Hide this, and stay with the model that is there", self._hide
        )
        self.setLayout(column(self.text, row(self.again, self.dismiss)))
        self.hide()

    def refresh(self, problem: ModelProblem | None, name: str) -> None:
        """Show a problem, and the name of the model that answers instead."""
        if problem is not None and problem is self._dismissed:
            problem = None
        if problem is not None and problem is not self._problem:
            self.text.setHtml(_in_html(problem, name))
        self._problem = problem
        self.setVisible(problem is not None)

    def _on_again(self) -> None:
        if self._problem is not None:
            self._try_again(self._problem)

    def _hide(self) -> None:
        self._dismissed, self._problem = self._problem, None
        self.hide()


def _in_html(problem: ModelProblem, name: str) -> str:
    def link(match: re.Match[str]) -> str:
        return f'<a href="{match[0]}" style="color: #3d9be0">{match[0]}</a>'

    text = _ADDRESS.sub(link, html.escape(problem.text, quote=False))
    what = html.escape(problem.model.replace("\\", "/").rpartition("/")[2])
    return f"⚠ <b>{what} could not be loaded; {html.escape(name)} stays.</b> {text}"
