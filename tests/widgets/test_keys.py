"""Keys that collide with nothing, and go when the last panel goes."""

from __future__ import annotations

import inspect

import napari.layers
import pytest
from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.shortcuts import default_shortcuts

from napari_sam3.widgets import commands
from napari_sam3.widgets.keys import KEYS, Keys, key_table, keys_of
from napari_sam3.widgets.panel import Panel


def bound(viewer) -> set[str]:
    return {str(key) for key in viewer.keymap}


def test_no_key_is_one_of_naparis():
    theirs = {str(key) for keys in default_shortcuts.values() for key in keys}
    owners = [ViewerModel, napari.Viewer]
    owners += [kind for _, kind in inspect.getmembers(napari.layers, inspect.isclass)]
    for owner in owners:
        for kind in owner.__mro__:
            theirs |= {str(key) for key in getattr(kind, "class_keymap", ())}
    assert len(theirs) > 50  # it is really looked at them
    assert not theirs & set(KEYS)


def test_keys_are_bound_while_a_panel_is_open(viewer, panel):
    assert bound(viewer) == set(KEYS)
    panel.end()
    assert bound(viewer) == set()


def test_the_last_panel_takes_the_keys_along(qtbot, viewer, panel):
    other = Panel(viewer)
    qtbot.addWidget(other)
    panel.end()
    assert bound(viewer) == set(KEYS)
    other.end()
    other.end()
    assert bound(viewer) == set()


def test_a_viewer_has_one_set_of_keys(viewer):
    assert keys_of(viewer) is keys_of(viewer)
    assert keys_of(viewer) is not keys_of(ViewerModel())


def test_a_key_that_is_taken_stays_what_it_was(viewer, notes):
    def theirs(viewer) -> None: ...

    viewer.bind_key("K", theirs)
    keys = Keys(viewer)
    keys.hold()
    assert keys.of(commands.accept) == ""
    assert keys.of(commands.next_candidate) == "N"
    assert notes == [
        "Other functions have the keys K here; use the panel's buttons instead."
    ]
    keys.release()
    assert list(viewer.keymap.values()) == [theirs]


def test_a_shortcut_of_the_user_stays_what_it_was(viewer, monkeypatch, notes):
    mine = dict(get_settings().shortcuts.shortcuts)
    mine["napari:reset_view"] = [*mine["napari:reset_view"], "Shift+N"]
    monkeypatch.setattr(get_settings().shortcuts, "shortcuts", mine)
    keys = Keys(viewer)
    keys.hold()
    assert keys.of(commands.previous_candidate) == ""
    assert "Shift+N" not in bound(viewer)
    assert len(notes) == 1
    keys.release()


def test_a_key_that_somebody_took_over_is_left_to_them(viewer):
    def theirs(viewer) -> None: ...

    keys = Keys(viewer)
    keys.hold()
    viewer.bind_key("K", theirs, overwrite=True)
    keys.release()
    assert list(viewer.keymap.values()) == [theirs]


def test_keys_are_shown_with_an_arrow_for_shift(viewer):
    keys = Keys(viewer)
    keys.hold()
    assert keys.of(commands.redo) == "⇧U"
    keys.release()


@pytest.mark.parametrize("key", KEYS)
def test_the_list_of_keys_says_what_each_does(key):
    (line,) = [line for line in key_table().splitlines() if line.split()[0] == key]
    assert len(line.split()) > 3


def press(viewer, key: str) -> None:
    (command,) = [c for bound, c in viewer.keymap.items() if str(bound) == key]
    command(viewer)


def test_from_click_to_label_with_keys_alone(viewer, session, panel, settle):
    settle()
    session.add_point((20, 20))
    settle()
    press(viewer, "N")
    assert session.marks
    settle()
    assert session.preview.candidate == 1
    press(viewer, "Shift+N")
    press(viewer, "K")
    settle()
    assert session.labels.data[20, 20] == 1
    press(viewer, "U")
    assert session.labels.data[20, 20] == 0
    press(viewer, "Shift+U")
    assert session.labels.data[20, 20] == 1
    press(viewer, "J")
    assert session.mode == "many"
    press(viewer, "J")
    session.add_point((50, 50))
    press(viewer, "W")
    assert not session.marks


def test_flipping_while_clicking_turns_the_next_click_only(session, panel, viewer):
    session.add_point((20, 20))
    session.points.selected_data = {0}  # as napari does after a click
    press(viewer, "Q")
    assert not session.polarity
    assert [mark.positive for mark in session.marks] == [True]


def test_flipping_while_selecting_turns_the_selected_points(session, panel, viewer):
    session.add_points([(20, 20), (40, 40)])
    session.points.mode = "select"
    session.points.selected_data = {1}
    press(viewer, "Q")
    assert [mark.positive for mark in session.marks] == [True, False]


def test_refining_takes_the_object_under_the_mouse(session, panel, viewer, settle):
    for place in (20, 50):
        session.add_point((place, place))
        session.accept()
    session.labels.selected_label = 1
    viewer.cursor.position = (50, 50)
    press(viewer, "G")
    settle()
    assert session.refining == 2
    session.clear()
    viewer.cursor.position = (5, 60)
    press(viewer, "G")
    settle()
    assert session.refining == 1
    assert viewer.layers.selection.active is session.points


def test_what_cannot_be_done_is_told(panel, viewer, notes, settle):
    settle()
    for key in ("K", "N", "G"):
        press(viewer, key)
    assert len(notes) == 3
    assert all("; " in note for note in notes)  # with a remedy
