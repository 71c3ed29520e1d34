"""What is going on, and when it can be cancelled."""

from __future__ import annotations

import threading

import numpy as np

from napari_sam3.viewer.status import Status


def test_errors_stand_out(panel):
    panel.status.refresh(Status("no plane is shown", is_error=True))
    assert panel.status.text.text() == "⚠ no plane is shown"


def test_what_is_over_soon_shows_no_bar(panel, qtbot):
    panel.status.refresh(Status("predicting…", busy=True))
    assert panel.status.bar.isHidden()
    panel.status.refresh(Status("0.93 · 31 ms"))
    qtbot.wait(200)
    assert panel.status.bar.isHidden()
    assert panel.status.cancel.isHidden()


def test_what_takes_long_can_be_cancelled(qtbot, panel, session, tracker, settle):
    settle()
    gate = threading.Event()
    tracker.on_block = lambda done, total: done > 2 and gate.wait(10)
    session.image.data = np.ones((64, 64), np.uint8)
    status = panel.status
    qtbot.waitUntil(lambda: not status.cancel.isHidden())
    qtbot.waitUntil(lambda: status.bar.value() == 2)
    assert status.bar.maximum() == 4
    assert status.text.text() == "encoding…"
    status.cancel.click()
    assert status.text.text() == "cancelled"
    assert status.cancel.isHidden()
    gate.set()
    settle()
