"""From the first click to a corrected label, with mouse and keys alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.viewer.studio import disc

pytestmark = pytest.mark.gui

both_slicings = pytest.mark.parametrize("slicing", ["at once", "async"], indirect=True)


def drawn(desk, *signs: int, radius: float = 6) -> np.ndarray:
    """Return the mask that the fake model draws for the clicks so far."""
    mask = np.zeros((64, 64), bool)
    for mark, sign in zip(desk.session.marks, signs, strict=True):
        assert mark.positive == (sign > 0)
        mask[disc(mask.shape, mark.row, mark.col, radius)] = sign > 0
    return mask


def test_a_click_is_a_prompt_where_it_was_made(desk):
    desk.open()
    places = [(0, 0), (20, 33.5), (63, 63), (62.5, 0)]
    for place in places:
        desk.click(place)
    desk.settle()
    found = [(mark.row, mark.col) for mark in desk.session.marks]
    # One pixel of the canvas is a tenth of one of the image.
    np.testing.assert_allclose(found, places, atol=0.1)


@both_slicings
def test_a_click_paints_a_preview_that_a_background_click_corrects(desk):
    desk.open()
    assert not desk.sees_preview((20, 44))
    desk.click((20, 40))
    desk.settle()
    assert desk.sees_preview((20, 44))
    assert not desk.sees_preview((20, 48))
    desk.press("Q")
    desk.click((20, 47))
    desk.settle()
    assert not desk.sees_preview((20, 44))
    assert desk.sees_preview((20, 36))
    np.testing.assert_array_equal(desk.session.preview.mask, drawn(desk, +1, -1))


def test_the_panels_buttons_do_the_same(desk):
    panel = desk.open()
    desk.push(panel.prompts.tools["background"])
    desk.push(panel.prompts.tools["object"])
    desk.click((20, 40))
    desk.push(panel.prompts.tools["background"])
    desk.click((20, 47))
    desk.settle()
    np.testing.assert_array_equal(desk.session.preview.mask, drawn(desk, +1, -1))
    desk.push(panel.candidates.next)
    desk.settle()
    assert panel.candidates.label.text() == "2 / 3   score 0.80"
    desk.push(panel.candidates.previous)
    desk.settle()
    desk.push(panel.result.accept)
    desk.settle()
    labels = desk.session.labels
    assert labels.data[20, 36] == 1
    desk.push(panel.result.undo)
    assert not labels.data.any()
    desk.push(panel.result.redo)
    assert labels.data[20, 36] == 1
    desk.push(panel.result.refine)
    desk.click((20, 36))  # picks it
    desk.settle()
    assert desk.session.refining == 1
    desk.push(panel.result.clear)
    desk.settle()
    assert desk.session.refining is None
    assert labels.data[20, 36] == 1


@both_slicings
def test_an_object_from_the_first_click_to_its_correction(desk):
    desk.open()
    desk.click((20, 40))
    desk.settle()
    desk.press("N")
    desk.settle()
    assert desk.session.preview.candidate == 1
    assert desk.sees_preview((20, 47))
    first = drawn(desk, +1, radius=8)
    desk.press("K")
    desk.settle()
    labels = desk.session.labels
    np.testing.assert_array_equal(labels.data, first)
    assert not desk.sees_preview((20, 44))
    assert desk.colours([(20, 44)]).any()  # the label's colour, over black

    desk.press("U")
    desk.settle()
    assert not labels.data.any()
    assert desk.sees_preview((20, 44))
    desk.press("Shift+U")
    desk.settle()
    np.testing.assert_array_equal(labels.data, first)

    desk.hands.hover(desk.image, (20, 44))
    label_alone = desk.colours([(20, 44)])
    desk.press("G")
    desk.settle()
    assert desk.session.refining == 1
    assert (desk.colours([(20, 44)]) != label_alone).any()
    desk.click((20, 52))
    desk.settle()
    added = desk.session.marks[-1]
    desk.press("K")
    desk.settle()
    both = first | disc((64, 64), added.row, added.col)
    assert both.sum() > first.sum() + 20
    np.testing.assert_array_equal(labels.data, both)

    # napari's own undo takes all of that back, and nothing else.
    desk.viewer.layers.selection.active = labels
    desk.press("Control+Z")
    np.testing.assert_array_equal(labels.data, first)
    desk.press("Control+Z")
    assert not labels.data.any()


@both_slicings
def test_a_click_is_taken_back_in_every_way(desk):
    def select_and_delete() -> None:
        points = desk.session.points
        points.mode = "select"
        points.selected_data = {0}
        desk.press("Delete")
        points.mode = "add"

    desk.open()
    for take_back in (
        select_and_delete,
        lambda: desk.press("U"),
        lambda: desk.press("W"),
    ):
        desk.click((20, 40))
        desk.settle()
        assert desk.sees_preview((20, 44))
        desk.viewer.scene.camera.zoom *= 0.95  # so that all is drawn anew
        take_back()
        desk.settle()
        assert len(desk.session.points.data) == 0
        assert desk.session.preview is None
        assert not desk.sees_preview((20, 44))


def test_objects_get_numbers_of_their_own(desk):
    desk.open()
    for place in ((12, 12), (12, 50), (50, 30)):
        desk.click(place)
        desk.press("K")  # does not wait for the mask
    desk.settle()
    labels = desk.session.labels.data
    assert [labels[place] for place in ((12, 12), (12, 50), (50, 30))] == [1, 2, 3]
    assert desk.session.preview is None
