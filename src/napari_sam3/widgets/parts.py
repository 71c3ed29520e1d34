"""Small widgets that the boxes of the panel are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

__all__ = [
    "AreaBox",
    "Combo",
    "Section",
    "button",
    "column",
    "form",
    "heading",
    "keyed",
    "row",
]

_GAP = 4


class Combo(QComboBox):  # type: ignore[misc]
    """A combo box that neither the wheel nor the panel's keys change by mistake."""

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self.setToolTip(tooltip)
        # Long layer names must not make the panel wide.
        self.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.setMinimumContentsLength(4)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.activated.connect(self._let_go)

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the panel, which scrolls."""
        event.ignore()

    def put(self, items: list[tuple[str, Any]], current: Any) -> None:
        """Show items of text and data, and choose one by its data, silently."""
        shown = [(self.itemText(i), self.itemData(i)) for i in range(self.count())]
        if shown != items:
            self.clear()
            for text, data in items:
                self.addItem(text, data)
        places = [i for i, (_, data) in enumerate(items) if data == current]
        self.setCurrentIndex(places[0] if places else -1)

    def _let_go(self) -> None:
        # A box with the focus takes letters for itself. `clearFocus`, connected
        # directly, would keep it alive: it is no slot of Qt's.
        self.clearFocus()


class AreaBox(QDoubleSpinBox):  # type: ignore[misc]
    """A number of pixels or µm²; the wheel does not change it by mistake."""

    def __init__(self, tooltip: str) -> None:
        super().__init__()
        self.setToolTip(tooltip)
        self.setRange(0, 1e9)
        self.setKeyboardTracking(False)
        self.setSpecialValueText("off")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to the panel, which scrolls."""
        event.ignore()


class Section(QWidget):  # type: ignore[misc]
    """Something that is folded away until it is wanted.

    Parameters
    ----------
    title, tooltip : str
        Of the line to click on.
    content : QWidget
        What it shows.
    """

    def __init__(self, title: str, tooltip: str, content: QWidget) -> None:
        super().__init__()
        self._title = title
        self.content = content
        self.header = QPushButton()
        self.header.setCheckable(True)
        self.header.setToolTip(tooltip)
        self.header.setStyleSheet(
            "QPushButton, QPushButton:checked {text-align: left; background: none;}"
        )
        self.header.toggled.connect(self._unfold)
        layout = column(self.header, content)
        self.setLayout(layout)
        self._unfold(False)

    def _unfold(self, is_open: bool) -> None:
        self.header.setText(f"{'▾' if is_open else '▸'}  {self._title}")
        self.content.setVisible(is_open)


def column(*widgets: QWidget) -> QVBoxLayout:
    """Return a layout of widgets below each other."""
    layout = QVBoxLayout()
    _tighten(layout)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def row(*widgets: QWidget) -> QWidget:
    """Return widgets beside each other."""
    box = QWidget()
    layout = QHBoxLayout(box)
    _tighten(layout)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def form(*lines: tuple[str, QWidget]) -> QWidget:
    """Return widgets with their names before them."""
    box = QWidget()
    layout = QFormLayout(box)
    _tighten(layout)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    for name, widget in lines:
        label = QLabel(name)
        label.setToolTip(widget.toolTip())
        label.setMinimumWidth(52)
        layout.addRow(label, widget)
    return box


def heading(text: str) -> QWidget:
    """Return a title with a line after it."""
    label = QLabel(text)
    label.setStyleSheet("font-weight: bold;")
    line = QFrame()
    line.setObjectName("QtCustomTitleBarLine")  # napari's look for such lines
    line.setFixedHeight(1)
    line.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return row(label, line)


def button(
    text: str,
    tooltip: str,
    on_click: Callable[..., object],
    *,
    is_checkable: bool = False,
) -> QPushButton:
    """Return a button that does not need more room than its text."""
    made = QPushButton(text)
    made.setToolTip(tooltip)
    made.setCheckable(is_checkable)
    made.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    # Else the space bar, which pans in napari, would press it again.
    made.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    made.clicked.connect(on_click)
    return made


def keyed(text: str, key: str) -> str:
    """Return a button's text with its key, if it has one."""
    return f"{text}  {key}" if key else text


def _tighten(layout: QLayout) -> None:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(_GAP)
