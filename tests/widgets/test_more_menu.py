"""What is behind "More"."""

from __future__ import annotations

import json

import pytest
from qtpy.QtGui import QGuiApplication

from napari_sam3.core.store import EmbeddingStore
from napari_sam3.models.catalog import CATALOG
from napari_sam3.viewer.settings import read_settings
from napari_sam3.widgets.keys import KEYS
from napari_sam3.widgets.replay_dialog import ReplayDialog
from napari_sam3.widgets.text_dialog import TextDialog

MODULE = "napari_sam3.widgets.more_menu"


@pytest.fixture
def object_1(session, panel, settle):
    session.add_point((20, 20))
    settle()
    return session.accept()


def run(panel, text: str) -> None:
    (action,) = [one for one in panel.more.menu().actions() if one.text() == text]
    assert action.toolTip() not in ("", text)
    action.trigger()


def dialog(panel) -> TextDialog:
    (found,) = panel.findChildren(TextDialog)
    return found


def test_python_can_be_read_and_copied(panel, session, object_1):
    run(panel, "Show as Python")
    shown = dialog(panel)
    assert shown.view.toPlainText() == session.as_python()
    assert "s.accept()" in session.as_python()
    shown.copy_button.click()
    assert QGuiApplication.clipboard().text() == session.as_python()


def test_keys_can_be_read(panel):
    run(panel, "Keys")
    text = dialog(panel).view.toPlainText()
    assert len(text.splitlines()) == len(KEYS)


def test_a_dialog_goes_when_it_is_closed(qtbot, panel):
    run(panel, "Keys")
    shown = dialog(panel)
    with qtbot.waitSignal(shown.destroyed):
        shown.close()


def test_prompts_are_written_and_read(panel, session, object_1, tmp_path, monkeypatch):
    path = tmp_path / "prompts.json"
    monkeypatch.setattr(f"{MODULE}.QFileDialog.getSaveFileName", lambda *_: (path, ""))
    monkeypatch.setattr(f"{MODULE}.QFileDialog.getOpenFileName", lambda *_: (path, ""))
    run(panel, "Export prompts…")
    assert json.loads(path.read_text())
    run(panel, "Load prompts…")


def test_labels_are_written(panel, object_1, tmp_path, monkeypatch):
    path = tmp_path / "labels.tif"
    monkeypatch.setattr(
        f"{MODULE}.QFileDialog.getSaveFileName", lambda *_: (str(path), "")
    )
    run(panel, "Save labels and prompts…")
    panel.session.wait(30)  # the window does not wait
    assert path.exists()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_user_who_cancels_gets_nothing(panel, object_1, notes, monkeypatch):
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(f"{MODULE}.QFileDialog.{name}", lambda *_: ("", ""))
    monkeypatch.setattr(f"{MODULE}.QInputDialog.getInt", lambda *_: (1, False))
    monkeypatch.setattr(f"{MODULE}.QInputDialog.getDouble", lambda *_: (1, False))
    monkeypatch.setattr(f"{MODULE}.ReplayDialog.ask", lambda *_: None)
    for text in (
        "Export prompts…",
        "Load prompts…",
        "Save labels and prompts…",
        "Embedding memory…",
        "Embeddings on disk…",
        "Replay with another model…",
    ):
        run(panel, text)
    assert notes == []
    assert read_settings().cache_mb == 2048


def test_what_cannot_be_read_is_told(panel, notes, tmp_path, monkeypatch):
    path = tmp_path / "prompts.json"
    path.write_text("nonsense")
    monkeypatch.setattr(
        f"{MODULE}.QFileDialog.getOpenFileName", lambda *_: (str(path), "")
    )
    run(panel, "Load prompts…")
    assert len(notes) == 1


def test_the_memory_is_set_and_remembered(panel, session, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.QInputDialog.getInt", lambda *_: (300, True))
    run(panel, "Embedding memory…")
    assert session.cache_budget == 300 * 2**20
    assert read_settings().cache_mb == 300


def test_the_disk_space_is_set_and_remembered(
    panel, session, engine, tmp_path, monkeypatch
):
    engine.store = EmbeddingStore(tmp_path / "store")
    monkeypatch.setattr(f"{MODULE}.QInputDialog.getDouble", lambda *_: (1.5, True))
    run(panel, "Embeddings on disk…")
    assert session.store_budget == engine.store.cap == 3 * 2**29
    assert read_settings().store_gb == 1.5


def test_a_replay_ends_with_its_report(qtbot, panel, session, object_1, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.ReplayDialog.ask", lambda *_: ("nano", False))
    run(panel, "Replay with another model…")
    qtbot.waitUntil(lambda: bool(panel.findChildren(TextDialog)))
    assert "mean IoU 1.000" in dialog(panel).view.toPlainText()


def test_a_replay_without_objects_is_told(panel, notes, monkeypatch):
    monkeypatch.setattr(f"{MODULE}.ReplayDialog.ask", lambda *_: ("nano", False))
    run(panel, "Replay with another model…")
    assert len(notes) == 1


def test_a_replay_of_the_console_opens_nothing(panel, session, object_1):
    session.replay()
    assert not panel.findChildren(TextDialog)


def test_the_replay_dialog_offers_models(qtbot, monkeypatch):
    asked = ReplayDialog("my.safetensors")
    qtbot.addWidget(asked)
    names = [asked.models.itemText(i) for i in range(asked.models.count())]
    assert names == [*CATALOG, "my.safetensors", "weights file…"]
    assert asked.answer == ("my.safetensors", False)
    asked.models.activated.emit(0)
    asked.write.click()
    assert asked.answer == ("nano", True)
    picked = "napari_sam3.widgets.replay_dialog.ask_for_weights"
    monkeypatch.setattr(picked, lambda _: "")
    file = asked.models.findText("weights file…")
    asked.models.activated.emit(file)
    assert asked.answer == ("nano", True)
    monkeypatch.setattr(picked, lambda _: "other.safetensors")
    asked.models.activated.emit(asked.models.findText("weights file…"))
    assert asked.answer == ("other.safetensors", True)
