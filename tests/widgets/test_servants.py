"""The session ends with the window."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QMainWindow

from napari_sam3.widgets.servants import WindowWatch


class Window(QMainWindow):
    says_no = False

    def closeEvent(self, event) -> None:  # noqa: N802
        event.setAccepted(not self.says_no)


@pytest.fixture
def window(qtbot):
    window = Window()
    qtbot.addWidget(window)
    window.show()
    return window


@pytest.fixture
def ends(session) -> list[str]:
    ends: list[str] = []
    session.closed.connect(lambda: ends.append("closed"))
    return ends


def test_a_window_that_closes_ends_the_session(session, window, ends):
    watch = WindowWatch(session, window)
    window.close()
    assert ends == ["closed"]
    assert watch is not None


def test_a_window_that_stays_open_does_not(session, window, ends):
    watch = WindowWatch(session, window)
    window.says_no = True
    window.close()
    assert window.isVisible()
    assert ends == []
    assert watch is not None


def test_hiding_is_not_closing(session, window, ends):
    watch = WindowWatch(session, window)
    window.hide()
    window.show()
    assert ends == []
    assert watch is not None


def test_a_window_that_is_destroyed_ends_the_session(qtbot, session, ends):
    window = QMainWindow()
    watch = WindowWatch(session, window)
    with qtbot.waitSignal(window.destroyed):
        window.deleteLater()
    assert ends == ["closed"]
    assert watch is not None


def test_the_watch_goes_with_the_session(qtbot, session, window):
    watch = WindowWatch(session, window)
    with qtbot.waitSignal(watch.destroyed):
        session.close()
    window.close()
