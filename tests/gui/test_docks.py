"""Panels: opened in several ways, twice, closed, and opened again."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtWidgets import QDockWidget, QLabel

from napari_sam3.widgets.panel import Panel
from tests.gui.desk import PLUGIN, action, plain

pytestmark = pytest.mark.gui

TITLE = "Segment with SAM 3"


def texts_of(panel: Panel) -> list[str]:
    """Return all that a panel says."""
    buttons = [panel.result.accept, *panel.prompts.tools.values()]
    labels = panel.findChildren(QLabel)
    return [one.text() for one in (*buttons, *labels)]


def states_of(panel: Panel) -> list[object]:
    """Return what can be done in a panel, and what is chosen."""
    result, prompts = panel.result, panel.prompts
    buttons = [result.accept, result.undo, result.redo, result.clear, result.refine]
    choices = [prompts.one, prompts.many, *prompts.tools.values()]
    combos = [panel.model.image, prompts.points, prompts.shapes, result.labels]
    return [
        [button.isEnabled() for button in buttons],
        [button.isChecked() for button in choices],
        [combo.currentText() for combo in combos],
    ]


def open_second(desk) -> tuple[QDockWidget, Panel]:
    """Open another panel, as a script does: with the viewer and not with a proxy."""
    other = Panel(desk.viewer)
    return desk.viewer.window.add_dock_widget(other, name="second"), other


def bound(viewer) -> set[str]:
    return {str(key) for key in viewer.keymap}


def test_two_panels_show_the_same_and_live_on_without_each_other(desk):
    first = desk.open()
    dock, second = open_second(desk)
    assert first.session is second.session
    keys = bound(desk.viewer)
    assert "K" in keys

    def check_same() -> None:
        desk.settle()
        assert texts_of(first) == texts_of(second)
        assert states_of(first) == states_of(second)

    check_same()
    desk.click((20, 20))
    check_same()
    assert "1 / 3   score 0.90" in texts_of(second)
    desk.push(second.candidates.next)
    check_same()
    desk.push(first.result.accept)
    check_same()
    desk.push(second.prompts.many)
    check_same()
    assert second.result.accept.text().startswith("Accept all")
    desk.push(first.prompts.one)
    desk.push(second.prompts.tools["background"])
    check_same()

    desk.close_dock()  # the first one's
    assert bound(desk.viewer) == keys
    desk.press("Q")
    desk.click((40, 40))
    desk.settle()
    assert "1 / 3   score 0.90" in texts_of(second)
    desk.press("K")
    desk.settle()
    assert desk.session.labels.data[40, 40] == 2

    desk.close_dock(dock)
    assert bound(desk.viewer) == set()
    desk.press("U")
    assert desk.session.labels.data[40, 40] == 2


def test_a_panel_is_gone_when_its_cross_is_pushed(desk):
    desk.open()
    desk.click((20, 20))
    desk.settle()
    gone = weakref.ref(desk.panel)
    desk.panel = None
    desk.close_dock()
    desk.dock = None
    gc.collect()
    assert gone() is None


def test_a_panel_that_is_opened_again_goes_on_where_it_was(desk):
    desk.open()
    desk.click((20, 20))
    desk.settle()
    for _ in range(3):
        desk.close_dock()
        assert bound(desk.viewer) == set()
        panel = desk.open()
        assert "K" in bound(desk.viewer)
        assert "1 / 3   score 0.90" in texts_of(panel)
        assert desk.sees_preview((20, 24))
    desk.press("K")
    desk.settle()
    assert desk.session.labels.data[20, 20] == 1
    # Each layer once.
    names = [layer.name for layer in desk.viewer.layers]
    assert len(names) == len(set(names)) == 4


@pytest.mark.parametrize(
    "path",
    [("Segment", TITLE), ("Annotate", TITLE)],
    ids=["segment", "annotate"],
)
def test_the_layers_menu_opens_the_panel(desk, path):
    action(desk.viewer.window.layers_menu, *path).trigger()
    check_opened(desk)


def test_the_plugins_menu_opens_the_panel(desk):
    menu = desk.viewer.window.plugins_menu
    menu.aboutToShow.emit()
    (entry,) = [one for one in menu.actions() if TITLE in plain(one)]
    entry.trigger()
    check_opened(desk)


def check_opened(desk) -> None:
    """A click makes a mask, and no second panel comes through the other door."""
    (panel,) = desk.viewer.window.dock_widgets.values()
    assert isinstance(panel, Panel)
    desk.settle()
    desk.click((20, 20))
    desk.settle()
    assert desk.sees_preview((20, 24))
    dock, same = desk.viewer.window.add_plugin_dock_widget(PLUGIN)
    assert same is panel
    desk.close_dock(dock)
    assert bound(desk.viewer) == set()


def test_a_panel_without_an_image_waits_for_one(desk):
    desk.viewer.layers.clear()
    panel = desk.open()
    assert "There is no image" in panel.status.text.text()
    desk.viewer.add_image(np.zeros((32, 32), np.uint8), name="late")
    desk.settle()
    desk.until(lambda: desk.session.points is not None)
    desk.viewer.reset_view()
    desk.click((5, 5))
    desk.settle()
    assert desk.session.preview is not None


def test_the_panel_fits_a_small_screen(desk):
    panel = desk.open()
    window = panel.window()
    window.resize(1366, 768)
    desk.tidy()
    assert (window.width(), window.height()) == (1366, 768)
    for button in (panel.result.accept, panel.prompts.one, panel.more):
        assert panel.rect().contains(button.mapTo(panel, button.rect().topRight())), (
            button.text()
        )
