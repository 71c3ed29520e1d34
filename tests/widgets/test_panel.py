"""What the panel shows, what it calls, and how it goes."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import suppress

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QMainWindow,
    QProgressBar,
)
from wrapt import ObjectProxy

from napari_sam3 import attach
from napari_sam3.models.catalog import CATALOG
from napari_sam3.viewer.settings import read_settings
from napari_sam3.widgets.panel import Panel


def choose(combo: QComboBox, text: str) -> None:
    """Choose an entry as a user does."""
    index = combo.findText(text)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def texts(combo: QComboBox) -> list[str]:
    return [combo.itemText(i) for i in range(combo.count())]


def tool(panel: Panel) -> list[str]:
    return [name for name, one in panel.prompts.tools.items() if one.isChecked()]


# First run


def test_the_next_click_on_the_image_is_a_prompt(viewer, session, panel):
    assert viewer.layers.selection.active is session.points
    assert session.points.mode == "add"
    assert session.polarity
    assert tool(panel) == ["object"]


def test_it_starts_when_an_image_comes(qtbot):
    viewer = ViewerModel()
    panel = Panel(viewer)
    qtbot.addWidget(panel)
    assert "image" in panel.status.text.text()
    assert not panel.prompts.tools["object"].isEnabled()
    viewer.add_image(np.zeros((32, 32), np.uint8))
    qtbot.waitUntil(lambda: panel.session.points is not None)
    assert viewer.layers.selection.active.mode == "add"
    # After that, a points layer that the user deletes stays deleted.
    viewer.layers.remove(panel.session.points)
    qtbot.wait(20)
    assert panel.session.points is None
    # With another image it begins anew.
    viewer.layers.clear()
    viewer.add_image(np.zeros((32, 32), np.uint8))
    qtbot.waitUntil(lambda: panel.session.points is not None)
    panel.session.close()


def test_layers_of_the_user_are_left_alone(qtbot, viewer):
    session = attach(viewer)
    session.points = viewer.add_points([[20, 20]])
    session.points.mode = "select"
    panel = Panel(viewer)
    qtbot.addWidget(panel)
    assert session.points.mode == "select"
    assert len(viewer.layers) == 2 + (session.preview is not None)
    session.close()


# What it shows and does


def test_tools_take_up_layer_and_mode(viewer, session, panel):
    for name, kind, mode in (
        ("box", "shapes", "add_rectangle"),
        ("lasso", "shapes", "add_polygon_lasso"),
        ("background", "points", "add"),
        ("object", "points", "add"),
    ):
        panel.prompts.tools[name].click()
        layer = viewer.layers.selection.active
        assert layer is getattr(session, kind)
        assert str(layer.mode) == mode
        assert tool(panel) == [name]
    panel.prompts.tools["background"].click()
    assert not session.polarity


def test_tools_follow_naparis_own_controls(viewer, session, panel):
    session.points.mode = "pan_zoom"
    assert tool(panel) == []
    session.points.mode = "add"
    assert tool(panel) == ["object"]
    viewer.layers.selection.active = session.image
    assert tool(panel) == []
    viewer.layers.selection.active = session.points
    session.points.feature_defaults = {"polarity": "negative"}
    assert tool(panel) == ["background"]


def test_the_key_for_flipping_stands_on_the_side_it_leads_to(session, panel):
    tools = panel.prompts.tools
    assert [tools[name].text() for name in ("object", "background")] == [
        "+ Object",
        "− Background  Q",
    ]
    tools["background"].click()
    assert [tools[name].text() for name in ("object", "background")] == [
        "+ Object  Q",
        "− Background",
    ]


def test_from_click_to_label(session, panel, settle):
    assert not panel.result.accept.isEnabled()
    assert panel.candidates.label.text() == "no mask yet"
    session.add_point((20, 20))
    assert panel.result.accept.isEnabled()  # it waits for the mask
    settle()
    assert panel.candidates.label.text() == "1 / 3   score 0.90"
    panel.candidates.next.click()
    settle()
    assert panel.candidates.label.text() == "2 / 3   score 0.80"
    panel.candidates.previous.click()
    panel.result.accept.click()
    settle()
    assert session.labels.data[20, 20] == 1
    assert panel.result.labels.currentText() == session.labels.name
    assert not panel.result.accept.isEnabled()


def test_undo_redo_and_clear(session, panel, settle):
    settle()
    assert not panel.result.undo.isEnabled()
    assert not panel.result.clear.isEnabled()
    session.add_point((20, 20))
    panel.result.undo.click()
    assert not session.marks
    assert panel.result.redo.isEnabled()
    panel.result.redo.click()
    assert len(session.marks) == 1
    panel.result.clear.click()
    assert not session.marks


def test_many_objects(session, panel, settle):
    panel.prompts.many.click()
    assert session.mode == "many"
    assert panel.result.accept.text() == "Accept all  K"
    session.add_points([(20, 20), (50, 50)])
    settle()
    assert panel.candidates.label.text() == "mean score 0.90"
    assert not panel.candidates.next.isEnabled()
    panel.result.accept.click()
    assert set(np.unique(session.labels.data)) == {0, 1, 2}
    panel.prompts.one.click()
    assert session.mode == "one"
    assert (panel.prompts.one.isChecked(), panel.prompts.many.isChecked()) == (
        True,
        False,
    )


def test_what_the_console_does_is_seen(session, panel):
    session.mode = "many"
    session.overlap = "replace"
    session.device = "cpu"
    assert panel.prompts.many.isChecked()
    assert panel.result.overlap.currentText() == "replace the other object"
    assert panel.model.device.currentText() == "CPU"


def test_layers_can_be_chosen(viewer, session, panel):
    viewer.add_image(np.zeros((64, 64), np.uint8), name="other")
    viewer.add_points([[1, 1]], name="spots")
    viewer.add_shapes([[[1, 1], [9, 9]]], shape_type="rectangle", name="detections")
    viewer.add_labels(np.zeros((64, 64), np.uint8), name="mine")
    for combo, role, name in (
        (panel.model.image, "image", "other"),
        (panel.prompts.points, "points", "spots"),
        (panel.prompts.shapes, "shapes", "detections"),
        (panel.result.labels, "labels", "mine"),
    ):
        choose(combo, name)
        assert getattr(session, role) is viewer.layers[name]
    choose(panel.result.labels, "new layer")
    assert session.labels is None


def test_choices_follow_the_layer_list(viewer, session, panel, settle):
    combo = panel.result.labels
    assert texts(combo) == ["new layer"]
    mine = viewer.add_labels(np.zeros((64, 64), np.uint8), name="mine")
    assert texts(combo) == ["new layer", "mine"]
    mine.name = "yours"
    assert texts(combo) == ["new layer", "yours"]
    session.add_point((20, 20))
    settle()
    assert "SAM3 preview" in viewer.layers
    assert texts(combo) == ["new layer", "yours"]
    viewer.layers.remove(mine)
    assert texts(combo) == ["new layer"]


def test_choices_are_remembered(panel, settle):
    choose(panel.model.device, "CPU")
    settle()
    choose(panel.result.overlap, "write on background only")
    panel.cleanup.holes.setValue(12)
    panel.cleanup.keep_clicked.click()
    found = read_settings()
    assert found.device == "cpu"
    assert found.overlap == "background"
    assert found.max_hole_area == 12
    assert found.keep_clicked


def test_a_weights_file_can_be_chosen(panel, session, settle, tmp_path, monkeypatch):
    path = tmp_path / "mine.safetensors"
    path.touch()
    asked = "napari_sam3.widgets.model_box.QFileDialog.getOpenFileName"
    monkeypatch.setattr(asked, lambda *_: ("", ""))
    choose(panel.model.model, "weights file…")
    assert session.model == "nano"
    assert panel.model.model.currentText() == "nano"
    monkeypatch.setattr(asked, lambda *_: (str(path), ""))
    choose(panel.model.model, "weights file…")
    assert session.model == str(path)
    names = [*CATALOG, "mine.safetensors", "weights file…"]
    assert texts(panel.model.model) == names
    assert panel.model.model.currentText() == "mine.safetensors"
    settle()
    assert read_settings().model == str(path)


# Looks


def test_everything_says_what_it_is_for(panel):
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QProgressBar)
    silent = [
        widget
        for kind in kinds
        for widget in panel.findChildren(kind)
        if not widget.toolTip()
    ]
    assert silent == []


def test_it_fits_a_small_screen(qtbot, viewer, session, panel):
    viewer.layers[0].name = "a very long name of a layer " * 5
    session.accept_when_ready()
    assert panel.sizeHint().height() <= 620
    assert panel.minimumSizeHint().width() <= 320
    assert panel.minimumSizeHint().height() <= 300  # it scrolls


def test_refreshing_costs_little(panel):
    import time

    panel.refresh()
    spans = []
    for _ in range(20):
        start = time.perf_counter()
        panel.refresh()
        spans.append(time.perf_counter() - start)
    assert min(spans) < 0.01


# Goodbye


@pytest.fixture
def docked(qtbot, viewer, session):
    """Return a panel in a dock of a window, as napari does it."""
    window = QMainWindow()
    panel = Panel(viewer)
    dock = QDockWidget(window)
    dock.setWidget(panel)
    yield panel, dock, window
    with suppress(RuntimeError):  # some tests destroy it
        window.deleteLater()


def leave(panel: Panel) -> None:
    """Do what napari does when ✕ is pressed: no event but a new parent."""
    panel.hide()
    panel.setParent(None)


def is_deaf(session) -> bool:
    """Tell whether no panel listens to the session any more."""
    return not len(session.changed) and not len(session.status_changed)


def test_leaving_the_dock_ends_it(qtbot, viewer, session, docked):
    panel, _, _ = docked
    assert len(session.changed)
    session.add_point((20, 20))
    with qtbot.waitSignal(panel.destroyed):
        leave(panel)
        assert is_deaf(session)
        assert not viewer.keymap
    session.add_point((30, 30))  # the session lives on
    qtbot.waitUntil(lambda: not session.busy)
    assert session.preview.mask[30, 30]


def test_what_runs_is_cancelled_with_the_last_panel(
    qtbot, viewer, session, docked, tracker
):
    panel, _, _ = docked
    gate = threading.Event()
    reached = threading.Event()

    def block(done: int, total: int) -> None:
        reached.set()
        gate.wait(10)

    tracker.on_block = block
    session.image.data = np.ones((64, 64), np.uint8)
    session.add_point((20, 20))
    qtbot.waitUntil(reached.is_set)
    leave(panel)
    assert session.status.text == "cancelled"
    gate.set()
    qtbot.waitUntil(lambda: not session.busy)
    assert session.preview is None


def test_hiding_the_dock_ends_nothing(session, docked, viewer):
    _, dock, _ = docked
    dock.show()
    dock.hide()
    assert viewer.keymap
    assert len(session.changed)


def test_the_window_going_ends_it(qtbot, viewer, session, docked):
    panel, _, window = docked
    with qtbot.waitSignal(panel.destroyed):
        window.deleteLater()
    assert is_deaf(session)
    assert not viewer.keymap
    viewer.add_labels(np.zeros((8, 8), np.uint8))  # nobody is called any more
    session.mode = "many"


def test_two_panels_work_side_by_side(qtbot, viewer, session, docked, settle):
    first, _, _ = docked
    second = Panel(ObjectProxy(viewer))
    qtbot.addWidget(second)
    assert second.session is first.session
    first.prompts.many.click()
    assert second.prompts.many.isChecked()
    second.prompts.one.click()
    assert first.prompts.one.isChecked()
    session.add_point((20, 20))
    leave(first)
    settle()
    assert second.candidates.label.text() == "1 / 3   score 0.90"
    second.result.accept.click()
    assert session.labels.data[20, 20] == 1
    assert viewer.keymap
    second.end()
    assert is_deaf(session)


def test_a_session_that_ends_says_so(session, panel, viewer):
    session.close()
    assert not panel.isEnabled()
    assert "close this panel and open it again" in panel.status.text.text()
    assert not viewer.keymap


def open_and_close(qtbot) -> list[weakref.ref]:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((32, 32), np.uint8))
    panel = Panel(viewer)
    qtbot.waitUntil(lambda: not panel.session.busy)
    with qtbot.waitSignal(panel.destroyed):
        panel.deleteLater()
    return [weakref.ref(viewer), weakref.ref(panel), weakref.ref(panel.session)]


def test_a_panel_keeps_nothing_alive(qtbot):
    ends = open_and_close(qtbot)
    gc.collect()
    gc.collect()  # the session only goes after its viewer
    assert [end() for end in ends] == [None, None, None]
