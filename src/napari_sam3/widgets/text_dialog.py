"""A window with text to read and to copy."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

__all__ = ["TextDialog", "show_text"]


class TextDialog(QDialog):  # type: ignore[misc]
    """Shows text in a font of fixed width; does not stop the user from working.

    Parameters
    ----------
    title : str
        Of the window.
    text : str
        To show.
    parent : QWidget
        Whose look it takes.
    """

    def __init__(self, title: str, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self.resize(640, 420)
        self.view = QPlainTextEdit(text)
        self.view.setReadOnly(True)
        self.view.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        # Style sheets of napari set sizes, and would override a plain font.
        self.view.setStyleSheet(f"font-family: '{font.family()}', monospace;")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy_button = buttons.addButton(
            "Copy", QDialogButtonBox.ButtonRole.ActionRole
        )
        self.copy_button.setToolTip("Copy all of it to the clipboard")
        self.copy_button.clicked.connect(self.copy)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view)
        layout.addWidget(buttons)

    def copy(self) -> None:
        """Put the text on the clipboard."""
        QGuiApplication.clipboard().setText(self.view.toPlainText())


def show_text(title: str, text: str, parent: QWidget) -> TextDialog:
    """Open a `TextDialog` over a window.

    Parameters
    ----------
    title, text : str
        What it shows.
    parent : QWidget
        The window; it keeps the dialog, and gives it its look.

    Returns
    -------
    TextDialog
        Deletes itself when it is closed.
    """
    dialog = TextDialog(title, text, parent)
    dialog.show()
    return dialog
