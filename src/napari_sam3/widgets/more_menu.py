"""What is not needed with every object: a menu at the panel's end."""

from __future__ import annotations

from qtpy.QtWidgets import QFileDialog, QInputDialog, QMenu, QPushButton, QWidget

from napari_sam3.viewer.replay import Report
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import save_setting
from napari_sam3.widgets.keys import key_table
from napari_sam3.widgets.model_question import is_to_download
from napari_sam3.widgets.replay_dialog import ReplayDialog
from napari_sam3.widgets.telling import told
from napari_sam3.widgets.text_dialog import show_text

__all__ = ["MoreMenu"]

_PROMPTS = "Prompts (*.json)"
_MEGABYTE, _GIGABYTE = 2**20, 2**30


class MoreMenu(QPushButton):  # type: ignore[misc]
    """A button with a menu.

    Parameters
    ----------
    session : Session
        That is driven.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("More")
        self._session = session
        self._awaits_report = False
        self.setToolTip("Replay, prompts and labels on disk, Python, memory, keys")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        entries = (
            (
                "Replay with another model…",
                "Run all remembered prompts again, and see how far the masks agree",
                self.replay,
            ),
            (
                "Export prompts…",
                "Save the prompts of all accepted objects as JSON",
                self.export_prompts,
            ),
            (
                "Load prompts…",
                "Load prompts that were saved, for the objects of the Labels layer",
                self.load_prompts,
            ),
            (
                "Save labels and prompts…",
                "Save the Labels layer as TIFF, with the prompts as JSON beside it",
                self.save_labels,
            ),
            (
                "Show as Python",
                "What you did so far, as a program that does it again",
                self.show_python,
            ),
            (
                "Embedding memory…",
                "How much memory encoded images may take; going back is immediate then",
                self.ask_for_budget,
            ),
            (
                "Embeddings on disk…",
                "How much disk space encoded images may take, so that they are kept",
                self.ask_for_store,
            ),
            ("Keys", "All keys that work while the panel is open", self.show_keys),
        )
        for text, tooltip, slot in entries:
            action = menu.addAction(text)
            action.setToolTip(tooltip)
            action.triggered.connect(slot)
        self.setMenu(menu)

    def replay(self) -> None:
        """Ask for a model, and start."""
        with told():
            answer = ReplayDialog.ask(self._session.model, self)
            if answer is not None:
                model, write = answer
                # Then the dialog has asked.
                is_wanted = model != self._session.model and is_to_download(model)
                self._session.start_replay(model, write=write, may_download=is_wanted)
                self._awaits_report = True

    def on_replayed(self, report: Report) -> None:
        """Show the report of the replay that was started here."""
        if self._awaits_report:
            self._awaits_report = False
            show_text(f"Replay with {report.model}", str(report), self._frame())

    def export_prompts(self) -> None:
        """Ask for a file, and write the prompts."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Export prompts", "prompts.json", _PROMPTS
        )
        if path:
            with told():
                self._session.export_prompts(path)

    def load_prompts(self) -> None:
        """Ask for a file, and read the prompts."""
        path, _ = QFileDialog.getOpenFileName(self, "Load prompts", "", _PROMPTS)
        if path:
            with told():
                self._session.load_prompts(path)

    def save_labels(self) -> None:
        """Ask for a file, and write labels and prompts."""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save labels and prompts", "labels.tif", "Labels (*.tif *.tiff)"
        )
        if path:
            with told():
                self._session.save_labels(path, wait=False)

    def show_python(self) -> None:
        """Show what was done as Python."""
        text = self._session.as_python()
        show_text("What you did, as Python", text, self._frame())

    def ask_for_budget(self) -> None:
        """Ask how much memory embeddings may take."""
        megabytes, is_ok = QInputDialog.getInt(
            self,
            "Embedding memory",
            "Megabytes for encoded images:",
            self._session.cache_budget // _MEGABYTE,
            1,
            2**20,
            256,
        )
        if is_ok:
            with told():
                self._session.cache_budget = megabytes * _MEGABYTE
                save_setting("cache_mb", megabytes)

    def ask_for_store(self) -> None:
        """Ask how much disk space embeddings may take."""
        gigabytes, is_ok = QInputDialog.getDouble(
            self,
            "Embeddings on disk",
            "Gigabytes for encoded images; 0 keeps none:",
            (self._session.store_budget or 0) / _GIGABYTE,
            0,
            2**20,
            1,
        )
        if is_ok:
            with told():
                self._session.store_budget = round(gigabytes * _GIGABYTE)
                save_setting("store_gb", gigabytes)

    def show_keys(self) -> None:
        """List the keys."""
        show_text("Keys", key_table(), self._frame())

    def _frame(self) -> QWidget:
        return self.window()
