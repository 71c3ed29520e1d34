"""Long jobs have a bar in napari's activity dock, short ones have none."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from napari_sam3.widgets import activity
from napari_sam3.widgets.activity import Activity


class Bar:
    """Stands for `napari.utils.progress`, which would write to the terminal here."""

    def __init__(self, total: int, desc: str) -> None:
        self.total, self.desc, self.n, self.is_closed = total, desc, 0, False

    def set_description(self, desc: str) -> None:
        self.desc = desc

    def update(self, n: int) -> None:
        self.n += n

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def bars(monkeypatch):
    bars: list[Bar] = []

    def progress(**about) -> Bar:
        bars.append(Bar(**about))
        return bars[-1]

    monkeypatch.setattr(activity, "progress", progress)
    return bars


@pytest.fixture
def gate(qtbot, session, tracker) -> Iterator[threading.Event]:
    """Have the session encode, up to the third of four blocks, until it is set."""
    qtbot.waitUntil(lambda: not session.busy)
    gate = threading.Event()
    tracker.on_block = lambda done, total: done > 2 and gate.wait(10)
    session.image.data = np.ones((64, 64), np.uint8)
    yield gate
    gate.set()


def test_a_long_job_has_a_bar(qtbot, session, gate, bars):
    watcher = Activity(session)
    qtbot.waitUntil(lambda: bool(bars) and bars[0].n == 2)
    (bar,) = bars
    assert bar.total == 4
    assert bar.desc == "SAM 3: encoding…"
    assert not bar.is_closed
    gate.set()
    qtbot.waitUntil(lambda: bar.is_closed)
    assert not session.busy
    assert watcher is not None


def test_a_short_job_has_none(qtbot, session, bars):
    watcher = Activity(session)
    qtbot.waitUntil(lambda: not session.busy)
    watcher.look()
    qtbot.wait(150)
    assert bars == []


def test_it_goes_with_the_session(qtbot, session, gate, bars):
    watcher = Activity(session)
    qtbot.waitUntil(lambda: bool(bars))
    with qtbot.waitSignal(watcher.destroyed):
        session.close()
    assert bars[0].is_closed
