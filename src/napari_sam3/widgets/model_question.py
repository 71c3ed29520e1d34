"""What is asked before a model is downloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.hub_cache import cache_folder
from napari_sam3.models.spec import ModelSpec
from napari_sam3.models.verified import is_known
from napari_sam3.viewer.offers import in_bytes, install_command

__all__ = ["DownloadQuestion", "is_to_download", "may_be_used"]

_WIDTH = 460
#: Readable on napari's dark and light ground alike, unlike Qt's own.
_LINK_STYLE = "color: #3d9be0"


def is_to_download(model: str, *, has_failed: bool = False) -> bool:
    """Tell whether a model cannot be loaded without a download.

    Parameters
    ----------
    model : str
        Catalog id or weights file.
    has_failed : bool, optional
        Whether it could not be loaded before: then weights that are here have to be
        known to be whole.
    """
    spec = CATALOG.get(model)
    if spec is None or spec.repo is None:
        return False
    return not spec.is_here or (has_failed and not all(map(is_known, spec.here)))


def may_be_used(
    model: str, parent: QWidget, speed: str = "", *, has_failed: bool = False
) -> bool:
    """Tell whether a model can be loaded, after asking the user if it needs that.

    Parameters
    ----------
    model : str
        Catalog id or weights file.
    parent : QWidget
        Whose look the question takes.
    speed : str, optional
        How long the model takes here, in words.
    has_failed : bool, optional
        As for `is_to_download`.

    Returns
    -------
    bool
        False if something has to be installed first, which was said then, or if the
        user does not want the download.
    """
    spec = CATALOG.get(model)
    if spec is None:
        return True
    command = install_command(spec)
    if command:
        _say_what_lacks(spec, command, parent)
        return False
    is_ready = not is_to_download(model, has_failed=has_failed)
    return is_ready or DownloadQuestion.ask(spec, parent, speed)


class DownloadQuestion(QDialog):  # type: ignore[misc]
    """Says what would be downloaded, from where to where, and under which licence.

    Parameters
    ----------
    spec : ModelSpec
        Of the catalog; not on this machine, or not whole.
    parent : QWidget, optional
        Whose look it takes.
    speed : str, optional
        How long the model takes here, in words.
    """

    def __init__(
        self, spec: ModelSpec, parent: QWidget | None = None, speed: str = ""
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Download {spec.id}?")
        self.facts = {name: _label(text) for name, text in _facts(spec, speed).items()}
        rows = QFormLayout()
        for name, label in self.facts.items():
            rows.addRow(name, label)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        download = self.buttons.addButton(
            "Download", QDialogButtonBox.ButtonRole.AcceptRole
        )
        download.setDefault(True)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        what = (
            "is here, but not whole" if spec.is_here else "is not on this machine yet"
        )
        layout.addWidget(_label(f"<b>{spec.id}</b> {what}."))
        layout.addLayout(rows)
        if spec.gated:
            layout.addWidget(_label(_steps(spec)))
        layout.addWidget(
            _label(
                "You can go on clicking: the earlier model answers until this one is "
                "here. A download that is cancelled goes on from there the next time."
            )
        )
        layout.addWidget(self.buttons)
        self.setFixedWidth(_WIDTH)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Take no more height than the text has at this width."""
        super().showEvent(event)
        self.resize(_WIDTH, self.layout().totalHeightForWidth(_WIDTH))

    @classmethod
    def ask(cls, spec: ModelSpec, parent: QWidget, speed: str = "") -> bool:
        """Return whether the user wants the download."""
        question = cls(spec, parent, speed)
        is_ok = bool(question.exec() == QDialog.DialogCode.Accepted)
        question.deleteLater()
        return is_ok


def _facts(spec: ModelSpec, speed: str) -> dict[str, str]:
    names = " and ".join(file.name for file in spec.files)
    size = "size not known" if spec.size is None else in_bytes(spec.size)
    mirror = os.environ.get("HF_ENDPOINT")
    source = _link(spec.page_url, spec.source)
    facts = {
        "What": f"{names}, {size}",
        "From": f"{source}, by way of {mirror}" if mirror else source,
        "To": f"{_short(cache_folder())}{_free(cache_folder())}",
        "Licence": _link(spec.licence_url, spec.licence),
    }
    if speed:
        facts["Speed here"] = speed
    return facts


def _steps(spec: ModelSpec) -> str:
    page = _link(spec.page_url, "the model's page")
    return (
        "Its publisher gives it only to those who accepted the licence. Once:"
        f"<ol><li>Accept it on {page}.</li>"
        "<li>Log in, in a terminal: <code>hf auth login</code> "
        "(or set <code>HF_TOKEN</code>).</li></ol>"
        "If you have the file already, take <i>weights file…</i> in the menu instead."
    )


def _say_what_lacks(spec: ModelSpec, command: str, parent: QWidget) -> None:
    box = QMessageBox(parent)
    box.setWindowTitle(f"{spec.id} needs more")
    box.setText(f"<b>{spec.id}</b> needs packages that are not installed.")
    box.setInformativeText(
        "Install them in napari's environment, then choose the model again:"
        f"<p><code>{command}</code></p>"
    )
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.setStandardButtons(QMessageBox.StandardButton.Close)
    box.exec()
    box.deleteLater()


def _label(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.RichText)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
    label.setOpenExternalLinks(True)
    return label


def _link(address: str | None, text: str) -> str:
    if address is None:
        return text
    return f'<a href="{address}" style="{_LINK_STYLE}">{text}</a>'


def _short(folder: Path) -> str:
    home = Path.home()
    return (
        f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else f"{folder}"
    )


def _free(folder: Path) -> str:
    """Return what is free there; the folder itself may be still to be made."""
    there = next(one for one in (folder, *folder.parents) if one.is_dir())
    return f" ({in_bytes(shutil.disk_usage(there).free)} free)"
