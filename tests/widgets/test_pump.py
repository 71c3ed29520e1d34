"""Answers come by themselves, and only while there are any to come."""

from __future__ import annotations

import gc
import threading

import pytest

from napari_sam3 import Session
from napari_sam3.widgets.pump import Pump


@pytest.fixture
def bare(viewer, engine):
    """Return a session that nobody delivers to."""
    session = Session(viewer, engine=engine)
    session.wait()
    yield session
    session.close()


def test_it_delivers_and_then_rests(qtbot, bare):
    pump = Pump(bare)
    assert not pump.is_running
    bare.add_point((20, 20))
    assert pump.is_running
    qtbot.waitUntil(lambda: not pump.is_running)
    assert not bare.busy
    assert bare.preview.mask[20, 20]


def test_it_starts_at_once_if_the_session_waits_already(qtbot, bare):
    bare.add_point((20, 20))
    pump = Pump(bare)
    assert pump.is_running
    qtbot.waitUntil(lambda: not pump.is_running)


def test_it_goes_when_the_session_closes(qtbot, bare):
    pump = Pump(bare)
    bare.add_point((20, 20))
    with qtbot.waitSignal(pump.destroyed):
        bare.close()


def test_it_keeps_no_session_alive(qtbot, viewer, engine, tracker):
    gate = threading.Event()
    tracker.on_block = lambda done, total: gate.wait(10)
    session = Session(viewer, engine=engine)
    pump = Pump(session)
    assert pump.is_running
    del session
    gc.collect()
    qtbot.waitUntil(lambda: not pump.is_running)
    gate.set()


def test_an_error_is_told_once_and_later_answers_come(qtbot, bare, notes):
    def fail(preview):
        raise RuntimeError("no canvas")

    pump = Pump(bare)
    bare.preview_changed.connect(fail)
    for place in (20, 30):
        bare.add_point((place, place))
        qtbot.waitUntil(lambda: not pump.is_running)
    told = [note for note in notes if "no canvas" in note]
    assert len(told) == 2  # once for each question
    bare.preview_changed.disconnect(fail)
    bare.add_point((40, 40))
    qtbot.waitUntil(lambda: not pump.is_running)
    assert bare.preview.mask[40, 40]


def test_the_same_error_over_and_over_is_told_once(qtbot, bare, notes):
    def fail(status):
        raise RuntimeError("no line")

    pump = Pump(bare)
    bare.add_point((20, 20))  # before, or the asking itself would fail
    bare.status_changed.connect(fail)
    qtbot.waitUntil(lambda: not pump.is_running)
    bare.status_changed.disconnect(fail)
    assert len([note for note in notes if "no line" in note]) == 1


def test_events_that_are_handled_amid_a_delivery_do_not_deliver(qtbot, bare, qapp):
    depth, deepest = 0, 0

    def nest(preview):
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        pump.look()
        depth -= 1

    pump = Pump(bare)
    bare.preview_changed.connect(nest)
    for place in (20, 30, 40):
        bare.add_point((place, place))
    qtbot.waitUntil(lambda: not pump.is_running)
    assert deepest == 1
