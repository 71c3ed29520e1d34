"""One session per viewer, kept neither too long nor too short."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest
from napari.components import ViewerModel
from wrapt import ObjectProxy  # what napari's proxies are made of

from napari_sam3 import StateError, attach
from napari_sam3.viewer.settings import save_setting


def test_a_viewer_has_one_session(viewer, session):
    assert attach(viewer) is session
    assert attach(ViewerModel()) is not session


def test_a_proxy_of_the_viewer_has_the_same_session(viewer, session):
    assert attach(ObjectProxy(viewer)) is session


def test_model_and_device_are_applied_to_the_session_that_is_there(viewer, session):
    attach(viewer, model="other.safetensors", device="cpu")
    assert (session.model, session.device) == ("other.safetensors", "cpu")
    attach(viewer)
    assert (session.model, session.device) == ("other.safetensors", "cpu")


def test_a_session_begins_with_the_settings(viewer):
    save_setting("device", "cpu")
    save_setting("cache_mb", 77)
    save_setting("max_hole_area", 5)
    save_setting("keep_clicked", True)
    save_setting("overlap", "replace")
    session = attach(viewer)
    assert session.device == "cpu"
    assert session.cache_budget == 77 * 2**20
    assert session.cleanup.max_hole_area == 5
    assert session.cleanup.keep_clicked
    assert session.overlap == "replace"
    session.close()


def test_a_closed_session_makes_way_for_a_new_one(viewer, session):
    session.close()
    assert attach(viewer) is not session


def test_a_viewer_is_not_kept_alive(qapp):
    viewer = ViewerModel()
    session = attach(viewer)
    ends = [weakref.ref(viewer), weakref.ref(session)]
    del viewer, session
    gc.collect()
    assert [end() for end in ends] == [None, None]


def test_something_else_is_no_viewer():
    with pytest.raises(StateError, match="is no viewer; give napari's"):
        attach("viewer")


def test_without_a_window_qt_is_not_loaded():
    code = (
        "import sys, napari_sam3\n"
        "from napari.components import ViewerModel\n"
        "viewer = ViewerModel()\n"
        "napari_sam3.attach(viewer).close()\n"
        "print([m for m in ('qtpy', 'PyQt6', 'PySide6', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_session_from_before_qt_is_served_once_qt_runs(
    qtbot, viewer, monkeypatch, tracker
):
    qt = sys.modules["qtpy.QtWidgets"]
    monkeypatch.delitem(sys.modules, "qtpy.QtWidgets")
    session = attach(viewer)
    session.add_point((20, 20))
    monkeypatch.setitem(sys.modules, "qtpy.QtWidgets", qt)
    attach(viewer)
    qtbot.waitUntil(lambda: session.preview is not None)
    session.close()
