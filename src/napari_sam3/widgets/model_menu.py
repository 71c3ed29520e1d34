"""The models to choose from, with what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QStandardItem, QStandardItemModel
from qtpy.QtWidgets import QHeaderView, QTreeView

from napari_sam3.viewer.offers import ModelOffer, in_bytes, rounded
from napari_sam3.widgets.parts import Combo

__all__ = ["FILE", "ModelMenu"]

#: Stands for a weights file that is still to be picked.
FILE = ""
_HEADINGS = {
    "model": "What the network is called",
    "download": "How much has to be downloaded first",
    "s / image": "Seconds to encode an image on this machine, roughly",
    "s / click": "Seconds to answer a click on this machine, roughly",
    "licence": "Of the weights; gated: to be accepted on the model's page first",
}
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_NUMBERS = (1, 2, 3)


class ModelMenu(Combo):
    """A combo box whose list has columns: model, download, speed and licence.

    The closed box shows the model's name alone, as the panel is narrow.

    Attributes
    ----------
    opened : Signal
        The list is about to be shown.
    """

    opened = Signal()

    def __init__(self) -> None:
        super().__init__("The network that finds the masks")
        self._table = QStandardItemModel(0, len(_HEADINGS), self)
        self._table.setHorizontalHeaderLabels(list(_HEADINGS))
        for column, tooltip in enumerate(_HEADINGS.values()):
            self._table.horizontalHeaderItem(column).setToolTip(tooltip)
        self.setModel(self._table)
        self._tree = _list_of_rows()
        self.setView(self._tree)
        self.setMaxVisibleItems(20)

    def show_offers(self, offers: Sequence[ModelOffer], current: str) -> None:
        """Show what there is, and choose one, silently.

        Parameters
        ----------
        offers : sequence of ModelOffer
            In their order.
        current : str
            Id or weights file; a file becomes an entry of its own.
        """
        rows = [(offer.model, _cells(offer), _tooltip(offer)) for offer in offers]
        if all(offer.model != current for offer in offers):
            rows.append((current, [Path(current).name, "here"], current))
        rows.append((FILE, ["weights file…"], "Weights that you have as a file"))
        shown = [self.itemData(row) for row in range(self.count())]
        if shown != [model for model, _, _ in rows]:
            self._table.removeRows(0, self._table.rowCount())
            for _ in rows:
                self._table.appendRow([QStandardItem() for _ in _HEADINGS])
        for row, (model, cells, tooltip) in enumerate(rows):
            self._fill(row, model, cells, tooltip)
        place = self.findData(current)
        self.setCurrentIndex(place)
        self.setToolTip(f"The network that finds the masks\n{rows[place][2]}")
        if self._tree.isVisible():
            self.fit()

    def showPopup(self) -> None:  # noqa: N802 - Qt's name
        """Show the list, as wide as its columns."""
        self.opened.emit()
        self.fit()
        super().showPopup()
        popup = self._tree.window()
        # Qt does not count the headings, and leaves room for what is not there.
        popup.resize(popup.width(), popup.height() + self._lacking_height())
        over = popup.geometry().bottom() - self.screen().availableGeometry().bottom()
        popup.move(popup.x(), popup.y() - max(0, over))

    def fit(self) -> None:
        """Make the list as wide as its columns are now."""
        header = self._tree.header()
        header.resizeSections(QHeaderView.ResizeMode.ResizeToContents)
        self._tree.setMinimumWidth(header.length() + 2 * self._tree.frameWidth() + 8)

    def _lacking_height(self) -> int:
        rows = sum(
            self._tree.visualRect(self._table.index(row, 0)).height()
            for row in range(self._table.rowCount())
        )
        needed = rows + self._tree.header().height()
        return int(needed - self._tree.contentsRect().height())

    def _fill(self, row: int, model: str, cells: list[str], tooltip: str) -> None:
        for column in range(len(_HEADINGS)):
            item = self._table.item(row, column)
            text = cells[column] if column < len(cells) else ""
            if item.text() != text:
                item.setText(text)
            item.setToolTip(tooltip)
            if column in _NUMBERS:
                item.setTextAlignment(_RIGHT)
        first = self._table.item(row, 0)
        if first.data(Qt.ItemDataRole.UserRole) != model:
            first.setData(model, Qt.ItemDataRole.UserRole)


def _list_of_rows() -> QTreeView:
    """Return a view that looks like a list, but has columns and their headings."""
    tree = QTreeView()
    tree.setRootIsDecorated(False)
    tree.setItemsExpandable(False)
    tree.setAllColumnsShowFocus(True)
    tree.setUniformRowHeights(True)
    tree.setTextElideMode(Qt.TextElideMode.ElideNone)
    tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    header = tree.header()
    header.setStretchLastSection(True)
    header.setSectionsMovable(False)
    header.setSectionsClickable(False)
    header.setMinimumSectionSize(20)
    return tree


def _cells(offer: ModelOffer) -> list[str]:
    image, click = offer.seconds_per_image, offer.seconds_per_click
    download = "?" if offer.size is None else in_bytes(offer.size)
    return [
        offer.model,
        "here" if offer.is_here else download,
        "" if image is None else rounded(image),
        "" if click is None else rounded(click),
        offer.licence + ", gated" * offer.is_gated,
    ]


def _tooltip(offer: ModelOffer) -> str:
    lines = [offer.summary, offer.size_in_words]
    if offer.speed:
        lines.append(f"{offer.speed} on this machine")
    if offer.fits_memory is False:
        lines.append("needs more memory than is free")
    lines.append(f"licence: {offer.licence_in_words}")
    if offer.install:
        lines.append(f"lacks: {offer.install}")
    return "\n".join(lines)
