"""One object and many: prompts, previews, labels, undo, refining."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points
from psygnal.testing import assert_emitted

from napari_sam3.core.errors import LayerError, PromptError, StateError
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.labels import Overlap
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import (
    SECONDS,
    Gate,
    disc,
    forget_calls,
    mask_after,
    names,
    pure_mask,
)

SHAPE = (80, 100)
OBJECT, BACKGROUND = (20.0, 30.0), (24.0, 30.0)


def refined(session: Session, label: int) -> None:
    session.refine(label)
    session.wait(SECONDS)
    assert session.refining == label


def told_by(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what the user is told."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.session.show_error", told.append)
    return told


# One object


def test_it_begins_with_an_image_a_loaded_model_and_nothing_else(session, desk):
    assert session.image is desk.layers["cells"]
    assert session.status.text == "ready: click on an object"
    assert not session.busy
    assert session.preview is None
    assert session.labels is None
    assert session.marks == ()
    assert session.refining is None
    assert names(desk.layers) == ["cells"]


def test_after_accepting_and_clearing_the_next_click_is_on_an_object(session):
    session.add_point(OBJECT)
    session.polarity = False
    session.accept()
    assert session.polarity
    session.add_point(OBJECT)
    session.polarity = False
    session.clear()
    assert session.polarity


def test_a_click_gives_a_preview_with_score_and_candidates(session, desk):
    session.add_point(OBJECT)
    mask = mask_after(session)
    np.testing.assert_array_equal(mask, disc(SHAPE, *OBJECT))
    assert mask.dtype == bool
    assert session.preview.score == pytest.approx(0.9)
    assert (session.preview.candidate, session.preview.candidates) == (0, 3)
    assert session.status.text.startswith("0.90 · ")
    assert not session.status.is_error
    assert names(desk.layers) == ["cells", "SAM3 preview", "SAM3 points"]


def test_a_negative_click_corrects_the_mask_that_was_shown(session, fake):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point(BACKGROUND, positive=False)
    expected = disc(SHAPE, *OBJECT) & ~disc(SHAPE, *BACKGROUND)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert session.marks == (PointMark(*OBJECT), PointMark(*BACKGROUND, False))
    # The mask before was fed back, and one prediction was enough.
    assert fake.predict_calls == 2
    assert fake.prompts[-1].mask_logits is not None


def test_clicks_in_the_layer_are_the_same_as_calls(session):
    session.start_clicking()
    session.points.add([OBJECT])
    session.polarity = False
    session.points.add([BACKGROUND])
    expected = disc(SHAPE, *OBJECT) & ~disc(SHAPE, *BACKGROUND)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert session.undo()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))


def test_background_clicks_alone_say_nothing_yet(session, fake):
    session.add_point(BACKGROUND, positive=False)
    session.wait(SECONDS)
    assert session.preview is None
    assert not session.status.is_error
    assert fake.predict_calls == 0


def test_the_next_candidates_are_shown_in_turn(session, fake):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    radii = []
    for _ in range(4):
        session.next_candidate()
        mask = mask_after(session)
        radii.append((session.preview.candidate, int(mask.sum())))
    sizes = [int(disc(SHAPE, *OBJECT, r).sum()) for r in (8, 4, 6, 8)]
    assert radii == list(zip([1, 2, 0, 1], sizes))
    assert fake.predict_calls == 1
    session.next_candidate(-1)
    session.wait(SECONDS)
    assert session.preview.candidate == 0


def test_a_key_pressed_twice_goes_two_candidates_on(session):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.next_candidate()
    session.next_candidate()
    session.wait(SECONDS)
    assert session.preview.candidate == 2


def test_a_click_corrects_the_candidate_that_is_shown(session):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.next_candidate()
    session.wait(SECONDS)
    session.add_point((60, 60))
    expected = disc(SHAPE, *OBJECT, 8) | disc(SHAPE, 60, 60)
    np.testing.assert_array_equal(mask_after(session), expected)
    session.next_candidate()
    session.wait(SECONDS)
    assert session.preview.candidate == 1


def test_without_candidates_there_is_nothing_to_browse(session):
    with pytest.raises(StateError, match="click on an object"):
        session.next_candidate()


def test_accepting_writes_the_mask_and_clears_the_prompts(session, desk):
    session.add_point(OBJECT)
    label = session.accept()
    assert label == 1
    np.testing.assert_array_equal(session.labels.data == 1, disc(SHAPE, *OBJECT))
    assert session.labels.name == "cells objects"
    session.wait(SECONDS)
    assert session.preview is None
    assert session.marks == ()
    assert len(session.points.data) == 0
    assert not desk.layers["SAM3 preview"].visible
    row = session.labels.features.set_index("index").loc[1]
    assert (row["sam3_score"], row["sam3_model"], row["sam3_prompts"]) == (
        0.9,
        "nano",
        1,
    )


def test_the_next_object_gets_the_next_free_number(session):
    numbers = []
    for place in ((20, 30), (50, 30), (50, 70)):
        session.add_point(place)
        numbers.append(session.accept())
    assert numbers == [1, 2, 3]
    session.undo()
    session.undo()
    session.clear()
    session.add_point((20, 80))
    # Number 3 was taken once; redo must not meet another object under it.
    assert session.accept() == 4


def test_the_users_own_labels_are_written_to_and_scanned_for_numbers(session, desk):
    data = np.zeros(SHAPE, np.uint8)
    data[0, 0] = 41
    session.labels = desk.add_labels(data, name="mine")
    session.add_point(OBJECT)
    assert session.accept() == 42
    assert names(desk.layers).count("cells objects") == 0
    np.testing.assert_array_equal(desk.layers["mine"].data == 42, disc(SHAPE, *OBJECT))


def test_nothing_to_accept_is_said(session):
    with pytest.raises(StateError, match="no mask to accept"):
        session.accept()
    assert session.labels is None


def test_undo_and_redo_go_through_prompts_candidates_and_accepted_objects(session):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point(BACKGROUND, positive=False)
    session.wait(SECONDS)
    session.next_candidate()
    session.wait(SECONDS)
    states = []

    def note():
        session.wait(SECONDS)
        mask = None if session.preview is None else session.preview.mask.tobytes()
        labels = None if session.labels is None else session.labels.data.tobytes()
        clicks = None if session.points is None else len(session.points.data)
        states.append((mask, labels, clicks, session.marks))

    session.accept()
    note()
    while session.undo():
        note()
    assert [state[2] for state in states] == [0, 2, 2, 1, 0]
    assert not np.any(session.labels.data)
    assert not session.undo()
    back, states = states[::-1], []
    note()
    while session.redo():
        note()
    assert states == back
    assert not session.redo()


def test_can_undo_and_can_redo_say_so(session):
    assert (session.can_undo, session.can_redo) == (False, False)
    session.add_point(OBJECT)
    assert (session.can_undo, session.can_redo) == (True, False)
    session.undo()
    assert (session.can_undo, session.can_redo) == (False, True)
    session.add_point(OBJECT)
    assert not session.can_redo


def test_what_is_new_after_an_undo_cannot_be_redone_over(session):
    session.add_point(OBJECT)
    session.undo()
    session.add_point((50, 50))
    assert not session.redo()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 50, 50))


def test_the_labels_layers_own_undo_takes_an_object_back_in_one_step(session):
    session.add_point(OBJECT)
    session.accept()
    session.add_point((50, 50))
    session.accept()
    before = session.labels.data.copy()
    session.labels.undo()
    assert not np.any(session.labels.data == 2)
    np.testing.assert_array_equal(session.labels.data == 1, before == 1)
    session.labels.redo()
    np.testing.assert_array_equal(session.labels.data, before)


def test_undo_leaves_alone_what_was_painted_since(session):
    session.add_point(OBJECT)
    session.accept()
    session.labels.data_setitem((np.array([20]), np.array([30])), 7)
    session.undo()
    assert session.labels.data[20, 30] == 7
    assert np.count_nonzero(session.labels.data) == 1


def test_clear_drops_prompts_but_no_objects_and_can_be_undone(session):
    session.add_point(OBJECT)
    session.accept()
    session.add_point((50, 50))
    session.add_box((60, 60, 70, 70))
    session.clear()
    session.wait(SECONDS)
    assert session.preview is None
    assert len(session.points.data) == len(session.shapes.data) == 0
    assert np.any(session.labels.data == 1)
    session.undo()
    assert session.marks == (PointMark(50, 50), BoxMark(60, 60, 70, 70))


def test_flip_turns_the_selected_click_and_the_next_one(session):
    session.add_points([OBJECT, (50, 50)])
    session.points.selected_data = {1}
    session.flip()
    assert session.polarity is False
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    session.undo()
    assert mask_after(session)[50, 50]


# Boxes and outlines


def test_a_box_is_a_box_prompt(session, fake):
    session.add_box((10, 20, 30, 44))
    expected = np.zeros(SHAPE, bool)
    expected[10:30, 20:44] = True
    np.testing.assert_array_equal(mask_after(session), expected)
    assert fake.prompts[-1].box == (10, 20, 30, 44)
    assert session.marks == (BoxMark(10, 20, 30, 44),)


def test_a_rectangle_drawn_by_hand_is_the_same(session):
    session.start_box()
    # Corners of shapes are pixel centres less a half: edges.
    session.shapes.add_rectangles([[[9.5, 19.5], [29.5, 43.5]]])
    assert session.marks == (BoxMark(10, 20, 30, 44),)
    assert mask_after(session).sum() == 20 * 24


TRIANGLE = [(10.0, 10.0), (10.0, 40.0), (50.0, 10.0)]


@pytest.mark.parametrize("kind", ["polygon", "ellipse", "path"])
def test_drawn_areas_are_masks_and_not_their_boxes(session, fake, kind):
    session.start_lasso()
    corners = [(10, 10), (10, 40), (50, 40), (50, 10)]
    vertices = corners if kind == "ellipse" else TRIANGLE
    session.shapes.add([vertices], shape_type=kind)
    (mark,) = session.marks
    assert isinstance(mark, OutlineMark)
    mask = mask_after(session)
    assert fake.prompts[-1].box is None
    assert fake.prompts[-1].mask_logits is not None
    share = np.pi / 4 if kind == "ellipse" else 0.5
    assert mask.sum() == pytest.approx(share * 30 * 40, rel=0.08)


def test_an_outline_from_python_is_a_mask(session, fake):
    session.add_outline(TRIANGLE)
    mask = mask_after(session)
    crop, (row0, col0, row1, col1) = OutlineMark(tuple(TRIANGLE)).rasterize(SHAPE)
    np.testing.assert_array_equal(mask[row0:row1, col0:col1], crop)
    assert mask.sum() == crop.sum()


def test_clicks_boxes_and_outlines_are_one_object_together(session, cells_layer):
    session.add_outline(TRIANGLE)
    session.wait(SECONDS)
    session.add_point((60, 60))
    session.wait(SECONDS)
    session.add_box((60, 60, 70, 80))
    session.wait(SECONDS)
    session.add_point((20, 15), positive=False)
    expected = pure_mask(cells_layer.data, session.marks)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert len(session.marks) == 4


def test_shapes_deleted_by_hand_leave_the_prompts(session):
    session.add_box((10, 20, 30, 44))
    session.add_point((60, 60))
    session.wait(SECONDS)
    session.shapes.selected_data = {0}
    session.shapes.remove_selected()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 60, 60))
    session.undo()
    assert mask_after(session)[20, 30]


def test_points_deleted_and_moved_by_hand_are_noticed(session):
    session.add_points([OBJECT, (50, 50)])
    session.wait(SECONDS)
    session.points.selected_data = {1}
    session.points.remove_selected()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    session.points.data = [(40.0, 60.0)]
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 40, 60))


# The best so far is kept


def test_a_click_that_makes_it_worse_keeps_the_mask_and_says_so(session, fake):
    fake.scores = lambda p: (0.95, 0.7, 0.6) if len(p.points) == 1 else (0.6, 0.5, 0.4)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point((22, 33))
    mask = mask_after(session)
    np.testing.assert_array_equal(mask, disc(SHAPE, *OBJECT))
    assert session.preview.kept
    assert session.preview.score == pytest.approx(0.95)
    assert session.status.text == "kept the earlier mask: 0.95, the new one 0.60"
    # The new ones stand behind it.
    assert session.preview.candidates == 4
    session.next_candidate()
    mask = mask_after(session)
    assert mask[22, 33 + 6]
    assert session.preview.score == pytest.approx(0.6)
    assert not session.status.text.startswith("kept")


def test_what_disagrees_with_a_click_is_not_kept(session, fake):
    fake.scores = lambda p: (0.95, 0.7, 0.6) if len(p.points) == 1 else (0.6, 0.5, 0.4)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point((22, 31), positive=False)
    assert not mask_after(session)[22, 31]
    assert not session.preview.kept


# Overlap


@pytest.mark.parametrize("overlap", list(Overlap))
def test_overlaps_follow_the_policy(session, overlap):
    session.add_point(OBJECT)
    session.accept()
    session.overlap = str(overlap)
    assert session.overlap is overlap
    session.add_point((20, 36))
    assert session.accept() == 2
    both = disc(SHAPE, *OBJECT) & disc(SHAPE, 20, 36)
    wanted = 2 if overlap is Overlap.REPLACE else 1
    assert set(session.labels.data[both]) == {wanted}


def test_unknown_policies_and_modes_are_refused(session):
    with pytest.raises(StateError, match="'keep'"):
        session.overlap = "win"
    with pytest.raises(StateError, match="'one'"):
        session.mode = "all"
    assert (session.overlap, session.mode) == (Overlap.KEEP, "one")


def test_an_object_without_a_free_pixel_is_refused_and_takes_no_number(session):
    session.add_point(OBJECT)
    session.accept()
    before = session.labels.data.copy()
    session.add_point(OBJECT)
    with pytest.raises(LayerError, match="replace"):
        session.accept()
    np.testing.assert_array_equal(session.labels.data, before)
    assert session.marks == (PointMark(*OBJECT),)
    assert list(session.labels.features["index"]) == [1]
    session.overlap = "replace"
    assert session.accept() == 2


# Refining


def test_refining_shows_the_prompts_again_and_keeps_the_number(session, fake):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point(BACKGROUND, positive=False)
    label = session.accept()
    before = session.labels.data == label
    forget_calls(fake)
    refined(session, label)
    np.testing.assert_array_equal(session.preview.mask, before)
    assert fake.predict_calls == 0
    assert session.status.text == "object 1: click to correct it"
    assert len(session.points.data) == 2
    session.add_point((40, 40))
    expected = before | disc(SHAPE, 40, 40)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data == label, expected)
    assert session.refining is None
    assert len(session.points.data) == 0


def test_refining_can_shrink_an_object(session):
    session.add_point(OBJECT)
    label = session.accept()
    refined(session, label)
    session.add_point((20, 33), positive=False)
    expected = disc(SHAPE, *OBJECT) & ~disc(SHAPE, 20, 33)
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data == label, expected)


def test_objects_of_other_tools_can_be_refined(session, desk):
    data = np.zeros(SHAPE, np.int32)
    data[30:40, 50:70] = 9
    session.labels = desk.add_labels(data)
    refined(session, 9)
    assert [type(mark) for mark in session.marks] == [MaskMark]
    session.add_point((30, 50), positive=False)
    assert session.accept() == 9
    expected = np.zeros(SHAPE, bool)
    expected[30:40, 50:70] = True
    expected &= ~disc(SHAPE, 30, 50)
    np.testing.assert_array_equal(session.labels.data == 9, expected)


def test_a_refined_object_accepted_as_it_is_stays_as_it_is(session):
    session.add_point(OBJECT)
    label = session.accept()
    before = session.labels.data.copy()
    refined(session, label)
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data, before)


def test_undoing_and_redoing_a_refinement_restores_both_masks(session):
    session.add_point(OBJECT)
    label = session.accept()
    first = session.labels.data.copy()
    refined(session, label)
    session.add_point((40, 40))
    session.accept()
    second = session.labels.data.copy()
    session.undo()
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.labels.data, first)
    assert session.refining == label
    session.redo()
    np.testing.assert_array_equal(session.labels.data, second)
    session.undo()
    session.undo()
    session.undo()
    session.wait(SECONDS)
    assert session.refining is None
    assert session.preview is None
    np.testing.assert_array_equal(session.labels.data, first)
    # Back again to the corrected draft, and another accept.
    session.redo()
    session.redo()
    session.wait(SECONDS)
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data, second)


def test_clicks_during_the_lookup_are_not_lost(session, fake):
    session.add_point(OBJECT)
    label = session.accept()
    session.wait(SECONDS)
    gate = fake.on_predict = Gate()
    session.add_point((70, 90))
    gate.wait()
    session.clear()
    session.refine(label)  # waits behind the gate
    session.add_point((40, 40))
    session.add_point((40, 44))
    assert session.preview is None
    gate.opened.set()
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, 40, 40) | disc(SHAPE, 40, 44)
    np.testing.assert_array_equal(mask_after(session), expected)
    session.undo()
    expected = disc(SHAPE, *OBJECT) | disc(SHAPE, 40, 40)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data == label, expected)


@pytest.fixture
def behind_gate(session, fake):
    """Hold the thread; what is asked from here on waits until the gate opens."""
    session.add_point(OBJECT)
    session.accept()
    session.wait(SECONDS)
    gate = fake.on_predict = Gate()
    session.add_point((70, 90))
    gate.wait()
    session.clear()
    yield gate
    gate.opened.set()


def test_undone_before_it_was_found_the_refinement_can_be_redone(session, behind_gate):
    session.refine(1)
    session.undo()
    assert session.refining is None
    behind_gate.opened.set()
    session.wait(SECONDS)
    session.redo()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    assert session.refining == 1
    session.add_point((40, 40))
    assert session.accept() == 1
    assert session.labels.data[20, 30] == 1


def test_cancelling_the_lookup_ends_the_refinement(session, behind_gate):
    session.refine(1)
    session.add_point((40, 40))
    session.cancel()
    behind_gate.opened.set()
    session.wait(SECONDS)
    assert session.refining is None
    session.add_point((40, 44))
    expected = disc(SHAPE, 40, 40) | disc(SHAPE, 40, 44)
    np.testing.assert_array_equal(mask_after(session), expected)
    assert session.accept() == 2
    assert session.labels.data[20, 30] == 1
    while session.undo():
        session.wait(SECONDS)
    while session.redo():
        session.wait(SECONDS)
    assert session.labels.data[40, 40] == 2


def test_two_lookups_one_after_the_other_give_the_second_object(session, behind_gate):
    session.labels.data_setitem((np.array([5, 5]), np.array([5, 6])), 3)
    session.refine(1)
    session.refine(3)
    behind_gate.opened.set()
    assert mask_after(session).sum() == 2
    assert session.refining == 3
    session.undo()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))


def test_an_object_that_is_not_there_is_said_and_clicks_make_a_new_one(
    session, monkeypatch
):
    told = told_by(monkeypatch)
    session.add_point(OBJECT)
    session.accept()
    session.refine(7)
    session.add_point((40, 40))
    with pytest.raises(StateError, match="Object 7 has no pixels"):
        session.wait(SECONDS)
    assert session.refining is None
    assert told == []  # who waits gets it raised
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 40, 40))
    session.undo()
    session.redo()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 40, 40))
    assert session.accept() == 2
    assert "refine" not in session.as_python()


def test_prompts_come_back_if_there_is_no_such_object(session):
    session.add_point(OBJECT)
    session.accept()
    session.add_points([(50, 50), (60, 60)])
    session.refine(7)
    session.add_point((40, 40))
    with pytest.raises(StateError):
        session.wait(SECONDS)
    places = [(mark.row, mark.col) for mark in session.marks]
    assert places == [(50, 50), (60, 60), (40, 40)]
    assert len(session.points.data) == 3
    session.undo()
    assert len(session.marks) == 2
    session.undo()
    assert len(session.marks) == 0
    session.undo()
    assert not session.labels.data.any()


@pytest.mark.parametrize("label", [0, -3])
def test_background_cannot_be_refined_and_leaves_no_line(session, label):
    session.add_point(OBJECT)
    session.accept()
    with pytest.raises(StateError, match="background"):
        session.refine(label)
    assert "refine" not in session.as_python()


def test_without_labels_nothing_can_be_refined(session):
    with pytest.raises(StateError, match="no objects yet"):
        session.refine(1)


def test_refining_in_the_mode_many_goes_over_to_one(session):
    session.mode = "many"
    session.add_points([OBJECT, (50, 50)])
    session.accept_all()
    refined(session, 1)
    assert session.mode == "one"
    np.testing.assert_array_equal(session.preview.mask, disc(SHAPE, *OBJECT))
    session.add_point((40, 40))
    assert session.accept() == 1


def test_a_refined_object_belongs_to_its_own_labels_layer(session, desk):
    data = np.zeros(SHAPE, np.uint16)
    data[15:25, 25:35] = 1
    session.add_point(OBJECT)
    label = session.accept()
    refined(session, label)
    session.add_point((40, 40))
    session.wait(SECONDS)
    first = session.labels.data.copy()
    session.labels = desk.add_labels(data.copy(), name="other")
    session.overlap = "replace"
    # There object 1 is something else, so this one is new.
    assert session.accept() == 2
    other = desk.layers["other"].data
    outside = ~(disc(SHAPE, *OBJECT) | disc(SHAPE, 40, 40))
    np.testing.assert_array_equal(other[outside], data[outside])
    np.testing.assert_array_equal(desk.layers["cells objects"].data, first)


# Many objects


@pytest.fixture
def spots(desk: ViewerModel) -> Points:
    """Return another plugin's layer: 100 spots, nothing said about them."""
    places = [(4 + 8 * row, 5 + 10 * col) for row in range(10) for col in range(10)]
    return desk.add_points(np.array(places, float), name="spots", size=3)


@pytest.fixture
def small(fake: FakeTracker) -> FakeTracker:
    fake.radius = 3
    return fake


def test_one_spot_per_cell_gives_one_label_each(session, spots, small):
    before = spots.data.copy()
    session.mode = "many"
    session.points = spots
    session.wait(SECONDS)
    assert session.preview.is_many
    assert session.status.text.startswith("100 objects · ")
    numbers = session.accept_all()
    assert numbers == list(range(1, 101))
    for number, (row, col) in zip(numbers, before.astype(int)):
        assert session.labels.data[row, col] == number
    assert len(np.unique(session.labels.data)) == 101
    # The user's own layer is as it was.
    np.testing.assert_array_equal(spots.data, before)
    assert list(spots.features.columns) == []
    # Batches, and no candidates.
    assert set(small.multimasks) == {False}
    assert small.predict_calls == 9
    session.wait(SECONDS)
    assert session.preview is None


def test_accepted_spots_do_not_count_again(session, desk, spots, small):
    session.mode = "many"
    session.points = spots
    session.accept_all()
    session.points = None
    session.points = spots
    session.wait(SECONDS)
    assert session.preview is None
    session.undo()
    session.wait(SECONDS)
    assert session.status.text.startswith("100 objects")
    assert not np.any(session.labels.data)
    session.redo()
    session.wait(SECONDS)
    assert session.preview is None
    assert len(np.unique(session.labels.data)) == 101
    # A new spot among the used ones is one object.
    spots.add([(77.0, 98.0)])
    session.wait(SECONDS)
    assert session.status.text.startswith("1 objects")
    assert session.accept_all() == [101]
    desk.layers.remove(spots)
    desk.layers.append(spots)
    session.points = spots
    session.wait(SECONDS)
    assert session.preview is None


def test_a_detectors_rectangles_are_boxes_one_object_each(session, desk):
    corners = [[[5, 5], [15, 25]], [[40, 50], [60, 90]]]
    boxes = desk.add_shapes(
        [np.array(c) - 0.5 for c in corners], shape_type="rectangle", name="found"
    )
    session.mode = "many"
    session.shapes = boxes
    assert session.marks == (BoxMark(5, 5, 15, 25), BoxMark(40, 50, 60, 90))
    assert session.accept_all() == [1, 2]
    assert (session.labels.data[5:15, 5:25] == 1).all()
    assert (session.labels.data[40:60, 50:90] == 2).all()
    assert len(boxes.data) == 2


def test_overlaps_go_to_the_better_score(session, fake):
    fake.scores = lambda prompt: (0.9 if prompt.points[0, 1] > 33 else 0.6,)
    session.mode = "many"
    session.add_points([(20, 30), (20, 36)])
    assert session.accept_all() == [1, 2]
    both = disc(SHAPE, 20, 30) & disc(SHAPE, 20, 36)
    assert set(session.labels.data[both]) == {2}
    scores = session.labels.features.set_index("index")["sam3_score"]
    assert (scores[1], scores[2]) == (0.6, 0.9)


def test_objects_wholly_under_others_are_left_out(session, fake):
    fake.scores = lambda prompt: (0.9 if prompt.points[0, 1] > 50 else 0.5,)
    session.mode = "many"
    session.add_points([(20, 60), (20, 60), (50, 30)])
    assert session.accept_all() == [1, 2]
    assert session.labels.data[50, 30] == 2


def test_objects_wholly_under_accepted_ones_are_left_out(session):
    session.add_point(OBJECT)
    session.accept()
    session.mode = "many"
    session.add_points([OBJECT, (50, 50)])
    (number,) = session.accept_all()
    assert session.labels.data[50, 50] == number
    assert sorted(np.unique(session.labels.data)) == [0, 1, number]
    assert sorted(session.labels.features["index"]) == [1, number]


def test_negative_clicks_are_background_for_all(session):
    session.mode = "many"
    session.add_points([(20, 30), (20, 50)])
    session.add_point((20, 40), positive=False)
    expected = disc(SHAPE, 20, 30) | disc(SHAPE, 20, 50)
    expected &= ~disc(SHAPE, 20, 40)
    np.testing.assert_array_equal(mask_after(session), expected)


def test_cancelling_keeps_what_is_known(session, spots, fake):
    fake.radius = 3
    session.mode = "many"
    gate = Gate()

    def pause(prompts):
        if fake.predict_calls == 3:
            gate()

    fake.on_predict = pause
    session.points = spots
    gate.wait()
    session.cancel()
    gate.opened.set()
    session.wait(SECONDS)
    assert session.status.text == "cancelled"
    assert not session.busy
    assert session.preview is None
    asked = {tuple(prompt.points[0]) for prompt in fake.prompts}
    assert len(asked) == 36
    forget_calls(fake)
    spots.add([(77.0, 98.0)])
    session.wait(SECONDS)
    assert session.status.text.startswith("101 objects")
    # Twelve at a time: three batches are known, the last one came too late.
    assert len(fake.prompts) == 101 - 36


def test_progress_counts_objects(session, spots, small):
    seen = []
    session.status_changed.connect(seen.append)
    session.mode = "many"
    session.points = spots
    session.wait(SECONDS)
    done = [status.done for status in seen if status.total == 100]
    assert done == [0, 12, 24, 36, 48, 60, 72, 84, 96, 100]
    assert all(status.busy for status in seen[:-1])


def test_accept_wants_the_mode_one(session):
    session.mode = "many"
    session.add_point(OBJECT)
    with pytest.raises(StateError, match="accept_all"):
        session.accept()


def test_changing_the_mode_asks_anew(session):
    session.add_points([(20, 30), (50, 60)])
    session.wait(SECONDS)
    assert not session.preview.is_many
    session.mode = "many"
    session.wait(SECONDS)
    assert session.preview.is_many
    session.mode = "one"
    session.wait(SECONDS)
    assert not session.preview.is_many
    assert session.accept() == 1


# Clean-up


@pytest.mark.parametrize("mode", ["one", "many"])
def test_cleanup_acts_without_asking_the_model(session, fake, mode):
    fake.tolerance = 0
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[30:32, 33:35] = 255
    session.image.data = pixels
    session.mode = mode
    session.add_points([(30, 30)])
    assert mask_after(session)[30, 33]
    calls = (fake.predict_calls, fake.embed_calls)
    session.cleanup = Cleanup(max_hole_area=0)
    expected = disc(SHAPE, 30, 30) & (pixels == 0)
    np.testing.assert_array_equal(mask_after(session), expected)
    session.cleanup = Cleanup(max_hole_area=4)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 30, 30))
    assert (fake.predict_calls, fake.embed_calls) == calls


def test_clicked_parts_alone_can_be_kept(session):
    session.add_box((10, 10, 30, 30))
    session.add_point((60, 60))
    session.wait(SECONDS)
    session.cleanup = Cleanup(keep_clicked=True)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 60, 60))


def test_areas_in_square_micrometres_follow_the_scale(desk, engine):
    desk.layers.clear()
    desk.add_image(np.zeros((80, 100), np.uint8), scale=(0.5, 0.25), units=("um", "um"))
    session = Session(desk, engine=engine)
    # 113 pixels of 0.125 µm².
    session.add_point((20, 30))
    session.add_box((50, 50, 60, 60))
    session.cleanup = Cleanup(max_sprinkle_area=13.0, unit="µm²")
    assert mask_after(session)[20, 30 + 5]
    session.cleanup = Cleanup(max_sprinkle_area=12.6, unit="µm²")
    mask = mask_after(session)
    assert not mask[50, 50]
    session.close()


def test_square_micrometres_without_units_are_refused_in_words(session):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.cleanup = Cleanup(max_hole_area=1, unit="µm²")
    assert session.status.is_error
    assert "units" in session.status.text
    session.cleanup = Cleanup()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))


# Waiting


def test_waiting_too_long_raises(session, fake):
    gate = fake.on_predict = Gate()
    session.add_point(OBJECT)
    gate.wait()
    with pytest.raises(TimeoutError, match="0 s"):
        session.wait(timeout=0)
    with pytest.raises(TimeoutError):
        session.wait(timeout=0.01)
    gate.opened.set()
    assert mask_after(session).any()


def test_deliver_takes_what_is_there_and_does_not_wait(session, fake):
    gate = fake.on_predict = Gate()
    with assert_emitted(session.started):
        session.add_point(OBJECT)
    gate.wait()
    session.deliver()
    assert session.preview is None
    assert session.status.busy
    assert session.status.text == "predicting…"
    done = Gate()
    gate.opened.set()
    session.add_point((50, 50))
    fake.on_predict = done
    done.opened.set()
    session.wait(SECONDS)
    session.deliver()
    assert session.preview.mask[50, 50]


def test_all_work_happens_on_one_other_thread(session, fake):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.mode = "many"
    session.wait(SECONDS)
    assert len(set(fake.threads)) == 1
    assert threading.get_ident() not in fake.threads


def test_accept_when_ready_waits_for_the_mask(session, fake):
    gate = fake.on_predict = Gate()
    session.add_point(OBJECT)
    gate.wait()
    session.accept_when_ready()
    session.deliver()
    assert session.labels is None
    gate.opened.set()
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.labels.data == 1, disc(SHAPE, *OBJECT))
    assert session.marks == ()


def test_who_waits_hears_why_it_could_not_be_accepted(session, desk, fake):
    session.labels = desk.add_labels(np.full(SHAPE, 255, np.uint8))
    session.wait(SECONDS)
    gate = fake.on_predict = Gate()
    session.add_point(OBJECT)
    gate.wait()
    session.accept_when_ready()
    gate.opened.set()
    with pytest.raises(LayerError, match="uint8"):
        session.wait(SECONDS)
    assert session.status.is_error
    assert session.preview.mask[20, 30]


def test_accept_when_ready_of_a_ready_mask_is_at_once(session):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.accept_when_ready()
    assert session.labels.data[20, 30] == 1


def test_accept_when_ready_without_prompts_tells_and_does_not_lurk(
    desk, engine, fake, monkeypatch
):
    gate = fake.on_block = Gate()
    session = Session(desk, engine=engine)
    told = told_by(monkeypatch)
    gate.wait()
    session.accept_when_ready()
    gate.opened.set()
    assert any("no mask to accept" in text for text in told)
    session.add_point(OBJECT)
    assert mask_after(session).any()
    assert session.labels is None
    session.close()


@pytest.mark.parametrize("way_out", ["cancel", "undo", "clear"])
def test_an_accept_that_was_given_up_does_not_come_later(session, fake, way_out):
    gate = fake.on_predict = Gate()
    session.add_point(OBJECT)
    gate.wait()
    session.accept_when_ready()
    getattr(session, way_out)()
    gate.opened.set()
    session.wait(SECONDS)
    session.add_point((50, 50))
    session.wait(SECONDS)
    assert session.labels is None


def test_after_cancel_no_older_mask_passes_for_the_new_prompts(session, fake):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    gate = fake.on_predict = Gate()
    session.add_point((50, 50))
    gate.wait()
    session.cancel()
    gate.opened.set()
    assert session.accept() == 1
    assert session.labels.data[50, 50] == 1


def test_cancelled_is_the_last_word(session, fake):
    gate = fake.on_predict = Gate()
    session.add_point(OBJECT)
    gate.wait()
    session.cancel()
    gate.opened.set()
    session.wait(SECONDS)
    assert session.status.text == "cancelled"
    assert session.marks == (PointMark(*OBJECT),)


# Settings


def test_another_model_answers_the_same_prompts(desk, engine):
    models = {"nano": FakeTracker(), "large": FakeTracker(9, model_id="large")}
    other = Engine(build=lambda model, **_: models[model])
    session = Session(desk, engine=other)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.model = "large"
    assert session.model == "large"
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT, 9))
    session.model = "nano"
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    # Loaded, warmed up and encoded once each; the first is still there.
    assert [model.embed_calls for model in models.values()] == [2, 2]
    session.close()
    other.thread.stop()


def test_layers_of_the_wrong_kind_or_viewer_are_refused(session, desk):
    stranger = ViewerModel()
    stranger.add_points([(1, 1)])
    for name, layer in (
        ("points", desk.layers["cells"]),
        ("shapes", desk.layers["cells"]),
        ("labels", desk.layers["cells"]),
        ("image", desk.add_labels(np.zeros(SHAPE, int))),
        ("points", stranger.layers[0]),
    ):
        with pytest.raises(LayerError, match=r"choose|add it"):
            setattr(session, name, layer)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    with pytest.raises(LayerError):
        session.labels = desk.layers["SAM3 preview"]


@pytest.mark.parametrize(
    "box", [(1, 2, 3), (5, 5, 5, 9), (0, 0, np.nan, 4), "box", (9, 9, 4, 4)]
)
def test_boxes_that_are_none_are_refused(session, box):
    with pytest.raises(PromptError):
        session.add_box(box)
    assert session.shapes is None or len(session.shapes.data) == 0


@pytest.mark.parametrize("point", [(1,), (1, 2, 3), (np.inf, 2), "ab", ()])
def test_points_that_are_none_are_refused(session, point):
    with pytest.raises(PromptError):
        session.add_point(point)
    assert session.marks == ()


def test_the_preview_is_painted_where_the_mask_is(session, desk):
    session.add_point(OBJECT)
    mask = mask_after(session)
    layer = desk.layers["SAM3 preview"]
    painted = np.zeros(SHAPE, bool)
    row, col = (int(at) for at in layer.translate)
    rows, cols = layer.data.shape
    painted[row : row + rows, col : col + cols] = layer.data
    np.testing.assert_array_equal(painted, mask)
    assert desk.layers.selection.active is not layer


def test_a_deleted_preview_layer_comes_again(session, desk):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    desk.layers.remove("SAM3 preview")
    session.add_point((50, 50))
    session.wait(SECONDS)
    assert "SAM3 preview" in names(desk.layers)


def test_an_image_added_later_is_taken(engine):
    viewer = ViewerModel()
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    assert session.image is None
    assert not session.status.is_error
    assert "open one" in session.status.text
    with pytest.raises(LayerError, match="open one"):
        session.add_point(OBJECT)
    layer = viewer.add_image(np.zeros(SHAPE, np.uint8))
    assert session.image is layer
    session.add_point(OBJECT)
    assert mask_after(session).any()
    assert isinstance(session.image, Image)
    session.close()
