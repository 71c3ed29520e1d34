"""The panel's model menu: what it shows, what it asks, and what it remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QDialog, QMessageBox

from napari_sam3 import attach
from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.machine import Machine
from napari_sam3.models.spec import ModelSpec
from napari_sam3.viewer import offers
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.settings import read_settings, save_setting
from napari_sam3.widgets.model_menu import ModelMenu
from napari_sam3.widgets.model_question import DownloadQuestion
from napari_sam3.widgets.replay_dialog import ReplayDialog
from tests.big_model import BIG, MACHINE, catalog_of_two, put_weights
from tests.fakes import FakeTracker
from tests.viewer.studio import Gate

REFUSAL = (
    "The weights of 'big' are given only to those who accepted their licence. Accept "
    "it at https://huggingface.co/lab/big, then log in with: hf auth login."
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have two models, of which one is not here."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with catalog_of_two():
        yield tmp_path / "hub"


@pytest.fixture
def failures() -> dict[str, Exception]:
    """Say which models cannot be loaded, and why."""
    return {}


@pytest.fixture
def allowed() -> list[bool]:
    """Note each time "big" is got whether it might be downloaded."""
    return []


@pytest.fixture(autouse=True)
def engine(
    tracker: FakeTracker,
    failures: dict[str, Exception],
    allowed: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Engine]:
    models = {"nano": tracker, "big": FakeTracker(9, model_id="big")}

    def build(*, model: str, **_: object) -> FakeTracker:
        if model in failures:
            raise failures[model]
        return models[model]

    def get_weights(spec: ModelSpec, *, may_download: bool, **_: object) -> None:
        allowed.append(may_download)

    engine = Engine(build=build, get_weights=get_weights)
    monkeypatch.setattr("napari_sam3.viewer.session.shared_engine", lambda: engine)
    yield engine
    engine.thread.stop()


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Measure no machine; note what was asked."""
    devices: list[str] = []

    def measure(device: str, *, seconds: float) -> Machine:
        devices.append(device)
        return MACHINE

    monkeypatch.setattr("napari_sam3.viewer.offers.measure", measure)
    return devices


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Answer questions about downloads; fails if more are asked."""
    given: list[bool] = []

    def ask(spec: ModelSpec, parent: object, speed: str = "") -> bool:
        assert spec is BIG
        return given.pop(0)

    monkeypatch.setattr(DownloadQuestion, "ask", ask)
    return given


def choose(menu: ModelMenu, text: str) -> None:
    """Choose an entry as a user does."""
    index = menu.findText(text)
    assert index >= 0
    menu.setCurrentIndex(index)
    menu.activated.emit(index)


def rows(menu: ModelMenu) -> list[list[str]]:
    """Return the texts of the list."""
    table = menu.model()
    return [
        [table.index(row, column).data() or "" for column in range(5)]
        for row in range(table.rowCount())
    ]


# The list


def test_the_list_says_what_each_model_costs(
    panel, settle, measured, cache, monkeypatch
):
    menu = panel.model.model
    settle()
    assert measured == []  # nobody has looked yet
    gate = Gate()
    measure = offers.measure
    monkeypatch.setattr(
        offers, "measure", lambda *a, **k: (gate(), measure(*a, **k))[1]
    )
    menu.opened.emit()
    assert rows(menu) == [
        ["nano", "here", "", "", "BSD-3-Clause"],
        ["big", "3.4 GB", "", "", "SAM License, gated"],
        ["weights file…", "", "", "", ""],
    ]
    gate.opened.set()
    settle()
    assert measured == ["auto"]
    assert rows(menu)[1] == ["big", "3.4 GB", "20", "0.2", "SAM License, gated"]
    put_weights(cache)
    menu.opened.emit()
    assert rows(menu)[1] == ["big", "here", "20", "0.2", "SAM License"]
    assert measured == ["auto"]
    assert menu.currentText() == "nano"


def test_the_popup_has_room_for_its_columns(qtbot, panel, settle):
    panel.show()
    menu = panel.model.model
    menu.opened.emit()
    settle()
    menu.showPopup()
    view = menu.view()
    assert view.isVisible()
    assert view.viewport().width() >= view.header().length()
    # All rows can be seen, and no more.
    last = view.visualRect(view.model().index(view.model().rowCount() - 1, 0))
    assert 0 <= view.viewport().height() - last.bottom() - 1 < last.height()
    menu.hidePopup()


def test_the_closed_box_explains_what_is_chosen(panel):
    tooltip = panel.model.model.toolTip()
    assert CATALOG["nano"].summary in tooltip
    assert "BSD-3-Clause" in tooltip


def test_all_formats_of_weights_can_be_picked(panel, monkeypatch):
    asked = []
    dialog = "napari_sam3.widgets.model_box.QFileDialog.getOpenFileName"
    monkeypatch.setattr(dialog, lambda *args: asked.append(args[-1]) or ("", ""))
    choose(panel.model.model, "weights file…")
    (filters,) = asked
    for suffix in (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".index.json"):
        assert f"*{suffix}" in filters


# Choosing


def test_a_download_that_is_not_wanted_changes_nothing(panel, session, answers):
    answers.append(False)
    choose(panel.model.model, "big")
    assert (session.model, session.busy) == ("nano", session.busy)
    assert panel.model.model.currentText() == "nano"
    assert read_settings().model == "nano"
    assert answers == []


def test_a_model_is_remembered_once_it_is_loaded(
    panel, session, settle, answers, allowed
):
    session.add_point((20, 20))
    settle()
    area = session.preview.mask.sum()
    answers.append(True)
    choose(panel.model.model, "big")
    assert session.is_switching
    assert panel.model.model.currentText() == "big"
    assert read_settings().model == "nano"
    settle()
    assert read_settings().model == "big"
    assert session.preview.mask.sum() > area  # the same click, asked again
    assert allowed == [True]
    choose(panel.model.device, "CPU")
    settle()
    assert (session.model, session.device) == ("big", "cpu")
    assert read_settings().device == "cpu"


def test_a_model_that_is_here_is_taken_without_a_question(
    panel, session, settle, answers, cache, allowed
):
    put_weights(cache)
    choose(panel.model.model, "big")
    settle()
    assert session.model == "big"
    assert allowed == [False]  # nobody has been asked
    answers.append(False)
    choose(panel.model.model, "nano")
    settle()
    assert read_settings().model == "nano"


def test_the_console_is_not_asked(session, settle, answers):
    session.model = "big"
    session.wait()
    assert session.model == "big"
    assert read_settings().model == "nano"  # of this session only


def test_what_is_missing_is_said_before_any_download(
    qtbot, panel, session, answers, monkeypatch
):
    monkeypatch.setattr("napari_sam3.viewer.offers.find_spec", lambda _: None)
    texts = []

    def close() -> None:
        (box,) = [
            w
            for w in QApplication.topLevelWidgets()
            if w.isVisible() and isinstance(w, QMessageBox)
        ]
        texts.append(box.informativeText())
        box.reject()

    QTimer.singleShot(0, close)
    choose(panel.model.model, "big")
    assert 'pip install "napari-sam3[families,hub]"' in texts[0]
    assert session.model == "nano"
    assert panel.model.model.currentText() == "nano"


def test_the_replay_asks_before_a_download_too(qtbot, answers):
    dialog = ReplayDialog("nano")
    qtbot.addWidget(dialog)
    answers += [False, True]
    place = dialog.models.findText("big")
    dialog.models.activated.emit(place)
    assert dialog.answer[0] == "nano"
    dialog.models.activated.emit(place)
    assert dialog.answer[0] == "big"


def test_a_replay_downloads_only_what_the_dialog_asked_about(
    panel, session, settle, monkeypatch, allowed, cache
):
    session.add_point((20, 20))
    session.accept()
    monkeypatch.setattr(ReplayDialog, "ask", lambda *_: ("big", False))
    shown = "napari_sam3.widgets.more_menu.show_text"
    monkeypatch.setattr(shown, lambda *_: None)
    for is_here in (False, True):
        if is_here:
            put_weights(cache)
        panel.more.replay()
        settle()
    assert allowed == [True, False]


# When it cannot be loaded


def test_a_failure_is_shown_until_it_is_mended(
    panel, session, settle, answers, failures, notes
):
    panel.show()
    trouble = panel.model.trouble
    assert not trouble.isVisible()
    failures["big"] = CheckpointError(REFUSAL)
    answers.append(True)
    choose(panel.model.model, "big")
    settle()
    assert panel.model.model.currentText() == "nano"
    assert read_settings().model == "nano"
    assert notes == [REFUSAL]
    assert trouble.isVisible()
    text = trouble.text.toPlainText()
    assert text == f"⚠ big could not be loaded; nano stays. {REFUSAL}"
    assert 'href="https://huggingface.co/lab/big"' in trouble.text.toHtml()
    session.add_point((20, 20))
    settle()
    assert trouble.isVisible()
    failures.clear()
    answers.append(True)
    trouble.again.click()
    settle()
    assert not trouble.isVisible()
    assert session.model == "big"
    assert read_settings().model == "big"
    panel.hide()


def test_weights_that_turn_out_damaged_are_downloaded_again_when_that_is_wanted(
    panel, session, settle, answers, failures, cache, allowed
):
    put_weights(cache)
    failures["big"] = CheckpointError("The weights are not whole; get them.")
    choose(panel.model.model, "big")
    settle()
    assert allowed == [False]
    failures.clear()
    answers += [False, True, True]
    panel.model.trouble.again.click()
    settle()
    assert session.model == "nano"
    panel.model.trouble.again.click()
    settle()
    assert allowed == [False, True]
    assert session.model == "big"
    assert answers == [True]


def test_a_failure_can_be_dismissed_and_comes_back_with_the_next(
    panel, session, settle, answers, failures
):
    panel.show()
    trouble = panel.model.trouble
    failures["big"] = CheckpointError(REFUSAL)
    answers += [True, True]
    choose(panel.model.model, "big")
    settle()
    trouble.dismiss.click()
    assert not trouble.isVisible()
    session.add_point((20, 20))
    settle()
    assert not trouble.isVisible()
    choose(panel.model.model, "big")
    settle()
    assert trouble.isVisible()
    choose(panel.model.model, "nano")
    assert not trouble.isVisible()
    panel.hide()


def test_a_device_that_is_not_there_is_not_remembered(panel, session, settle, failures):
    failures["nano"] = CheckpointError("There is no such device; use another.")
    choose(panel.model.device, panel.model.device.itemText(2))
    settle()
    assert session.device == "auto"
    assert panel.model.device.currentText() == "auto"
    assert read_settings().device == "auto"


def test_a_cancelled_download_leaves_what_was_remembered(
    panel, session, settle, answers
):
    answers.append(True)
    choose(panel.model.model, "big")
    session.cancel()
    settle()
    assert session.model == panel.model.model.currentText() == "nano"
    assert read_settings().model == "nano"


# The next start


@pytest.fixture
def fresh_viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((64, 64), np.uint8), name="cells")
    return viewer


def test_weights_that_are_gone_are_told_once_and_not_downloaded(
    qapp, fresh_viewer, notes
):
    save_setting("model", "big")
    session = attach(fresh_viewer)
    session.wait()
    attach(fresh_viewer)
    assert session.model == "nano"
    assert len(notes) == 1
    assert "The weights of big, the model of the last time, are not on" in notes[0]
    session.close()


def test_a_weights_file_that_is_gone_is_told(qapp, fresh_viewer, notes, tmp_path):
    path = tmp_path / "mine.pt"
    path.touch()
    save_setting("model", str(path))
    path.unlink()
    session = attach(fresh_viewer)
    session.wait()
    assert session.model == "nano"
    assert len(notes) == 1
    assert f"{path}, is not there any more" in notes[0]
    session.close()


def test_remembered_weights_that_are_damaged_give_way_to_nano(
    qapp, fresh_viewer, notes, cache, failures, allowed
):
    put_weights(cache)
    save_setting("model", "big")
    failures["big"] = CheckpointError("The file is damaged; get it again.")
    session = attach(fresh_viewer)
    session.add_point((20, 20))
    session.wait()
    assert session.model == "nano"
    assert session.preview is not None
    assert len(notes) == 1
    assert notes[0].endswith("so nano is used. The file is damaged; get it again.")
    assert allowed == [False]
    session.close()


# The question


def texts_of(question: DownloadQuestion) -> str:
    from qtpy.QtWidgets import QLabel

    return "\n".join(label.text() for label in question.findChildren(QLabel))


def test_the_question_says_what_from_where_to_where_and_under_which_licence(
    qtbot, cache, monkeypatch
):
    question = DownloadQuestion(BIG, None, "about 20 s an image")
    qtbot.addWidget(question)
    facts = {name: label.text() for name, label in question.facts.items()}
    assert facts["What"] == "big.safetensors, 3.4 GB"
    assert 'href="https://huggingface.co/lab/big"' in facts["From"]
    assert facts["To"].startswith(f"{cache} (")
    assert facts["To"].endswith("GB free)")
    assert 'href="https://example.org/licence"' in facts["Licence"]
    assert facts["Speed here"] == "about 20 s an image"
    assert "hf auth login" in texts_of(question)
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org")
    question = DownloadQuestion(BIG)
    qtbot.addWidget(question)
    assert "by way of https://mirror.example.org" in question.facts["From"].text()
    assert "is not on this machine yet" in texts_of(question)
    put_weights(cache)
    question = DownloadQuestion(BIG)
    qtbot.addWidget(question)
    assert "is here, but not whole" in texts_of(question)


def test_the_question_takes_yes_and_no(qtbot):
    def press(name: str) -> None:
        (dialog,) = [
            w
            for w in QApplication.topLevelWidgets()
            if w.isVisible() and isinstance(w, QDialog)
        ]
        (button,) = [b for b in dialog.buttons.buttons() if b.text().strip("&") == name]
        button.click()

    for name, wanted in (("Download", True), ("Cancel", False)):
        QTimer.singleShot(0, lambda name=name: press(name))
        assert DownloadQuestion.ask(BIG, None) is wanted
