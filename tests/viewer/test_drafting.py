"""What prompt layers say about the shown plane, kept the same as the draft."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.errors import LayerError
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.viewer.drafting import Drafting
from napari_sam3.viewer.follower import ImageFollower
from napari_sam3.viewer.history import Change, Draft, History
from napari_sam3.viewer.used import UsedMarks, without

A, B, C = PointMark(5, 6), PointMark(15, 16), PointMark(25, 26, False)
BOX = BoxMark(1, 2, 11, 12)
MASK = MaskMark.from_mask(np.ones((3, 3), bool), (4, 4, 7, 7))


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((3, 40, 50), np.uint8), name="stack")
    viewer.dims.set_current_step(0, 1)
    return viewer


@pytest.fixture
def drafting(viewer):
    follower = ImageFollower(viewer)
    drafting = Drafting(viewer, follower)
    follower.moved.connect(lambda: drafting.sync(by_user=False))
    yield drafting
    drafting.close()
    follower.close()


@pytest.fixture
def edits(drafting) -> list[tuple[tuple, tuple, bool]]:
    """Note marks before and after of all edits, and whether by the user."""
    seen = []
    drafting.edited.connect(
        lambda key, before, after, by_user: seen.append(
            (before.dialogue.marks, after.dialogue.marks, by_user)
        )
    )
    return seen


def test_one_change_of_several_marks_is_one_edit(drafting, edits):
    drafting.change([A, C, BOX], [])
    assert edits == [((), (A, C, BOX), True)]
    drafting.change([B], [A, BOX])
    assert edits[1:] == [((A, C, BOX), (C, B), True)]
    assert drafting.draft.dialogue == Dialogue((Step((C,)), Step((B,))))


def test_clicks_by_hand_are_edits_by_the_user(drafting, edits):
    layer = drafting.ensure_points()
    layer.add([[1, 5, 6]])
    layer.data = [[1, 15, 16]]
    layer.selected_data = {0}
    layer.remove_selected()
    assert edits == [((), (A,), True), ((A,), (B,), True), ((B,), (), True)]


def test_other_planes_are_seen_when_they_are_shown(drafting, viewer, edits):
    drafting.ensure_points().add([[0, 5, 6], [1, 15, 16]])
    assert edits == [((), (B,), True)]
    viewer.dims.set_current_step(0, 0)
    assert edits[1:] == [((), (A,), False)]
    viewer.dims.set_current_step(0, 2)
    assert drafting.draft == Draft()


def test_putting_a_draft_changes_the_layers_and_tells_nobody(drafting, edits):
    drafting.change([A, BOX], [])
    edits.clear()
    drafting.put(Draft(Dialogue((Step((B,)), Step((C,))))))
    assert edits == []
    np.testing.assert_array_equal(drafting.points.data, [(1, 15, 16), (1, 25, 26)])
    assert len(drafting.shapes.data) == 0
    drafting.sync(by_user=True)
    assert edits == []


def test_putting_only_touches_what_differs(drafting):
    drafting.change([A, B], [])
    layer = drafting.points
    layer.features = layer.features.assign(note=["first", "second"])
    drafting.put(Draft(Dialogue((Step((B,)),))))
    assert list(layer.features["note"]) == ["second"]


def test_drafts_of_other_planes_can_be_put(drafting, viewer):
    drafting.change([A], [])
    here = drafting.key
    viewer.dims.set_current_step(0, 2)
    drafting.put(Draft(Dialogue((Step((B,)),))), here)
    assert drafting.draft == Draft()
    viewer.dims.set_current_step(0, 1)
    assert drafting.draft.dialogue.marks == (B,)
    np.testing.assert_array_equal(drafting.points.data, [(1, 15, 16)])


@pytest.fixture
def spots(viewer, drafting):
    """Return a layer of the user's that is read, with equal spots among them."""
    places = [(1, 5, 6), (1, 15, 16), (1, 15, 16), (0, 5, 6)]
    layer = viewer.add_points(places, name="spots")
    drafting.points = layer
    return layer


def test_the_users_layers_keep_what_was_used(drafting, spots):
    assert Counter(drafting.draft.dialogue.marks) == {A: 1, B: 2}
    drafting.put(Draft())
    assert len(spots.data) == 4
    assert drafting.draft == Draft()
    drafting.sync(by_user=True)
    assert drafting.draft == Draft()


def test_of_equal_spots_a_new_one_counts(drafting, spots):
    drafting.put(Draft())
    spots.add([[1, 15, 16]])
    assert drafting.draft.dialogue.marks == (B,)


def test_used_spots_come_back_and_go_again(drafting, spots):
    before = drafting.draft
    for _ in range(3):
        drafting.put(Draft())
        drafting.put(before)
        drafting.sync(by_user=True)
        assert drafting.draft == before
    assert len(spots.data) == 4


def test_used_spots_that_are_deleted_and_added_again_count(drafting, spots):
    drafting.put(Draft())
    spots.remove([0])
    spots.add([[1, 5, 6]])
    assert drafting.draft.dialogue.marks == (A,)


def test_what_is_used_on_one_plane_is_new_on_another(drafting, spots, viewer):
    drafting.put(Draft())
    viewer.dims.set_current_step(0, 0)
    assert drafting.draft.dialogue.marks == (A,)


def test_our_own_prompts_leave_their_layer(drafting):
    drafting.change([A, BOX], [])
    drafting.put(Draft())
    assert len(drafting.points.data) == len(drafting.shapes.data) == 0


def test_unfinished_drags_are_not_read(drafting, edits):
    drafting.change([A], [])
    edits.clear()
    layer = drafting.points
    event = layer.events.data
    event(value=layer.data, action="changing", data_indices=(0,), vertex_indices=((),))
    assert edits == []


def test_an_unreadable_layer_is_trouble_until_it_can_be_read(drafting, viewer, edits):
    troubles = []
    drafting.trouble_changed.connect(lambda: troubles.append(1))
    layer = viewer.add_points([[1, 5, 6]], features={"polarity": ["positive"]})
    drafting.points = layer
    drafting.check()
    layer.features = {"polarity": ["perhaps"]}
    with pytest.raises(LayerError, match="perhaps"):
        drafting.check()
    # The draft is what it was.
    assert drafting.draft.dialogue.marks == (A,)
    layer.features = {"polarity": ["negative"]}
    drafting.check()
    assert drafting.draft.dialogue.marks == (PointMark(5, 6, False),)
    assert len(troubles) == 2


def test_marks_that_cannot_be_added_leave_all_as_it_was(drafting, viewer, edits):
    drafting.change([A], [])
    drafting.shapes = viewer.add_shapes(ndim=4)
    edits.clear()
    with pytest.raises(LayerError):
        drafting.change([BOX, B], [A])
    assert drafting.draft.dialogue.marks == (A,)
    np.testing.assert_array_equal(drafting.points.data, [(1, 5, 6)])
    assert edits == []


def test_without_an_image_there_is_no_place_for_prompts():
    viewer = ViewerModel()
    follower = ImageFollower(viewer)
    drafting = Drafting(viewer, follower)
    assert drafting.key is None
    assert drafting.draft == Draft()
    for make in (drafting.ensure_points, drafting.ensure_shapes):
        with pytest.raises(LayerError, match="no image"):
            make()
    with pytest.raises(LayerError):
        drafting.change([A], [])
    drafting.close()


def test_a_gone_image_is_forgotten(drafting, viewer):
    drafting.change([A], [])
    layer = viewer.layers["stack"]
    drafting.points = None
    drafting.forget(layer.unique_id)
    assert drafting.draft == Draft()


# What was used


def test_used_marks_are_known_by_plane_and_layer(viewer):
    layers = (viewer.add_points(), viewer.add_shapes())
    key = ImageFollower(viewer).key()
    used = UsedMarks()
    used.set(key, layers, Counter([A, A, BOX]))
    assert used.of(key, layers) == {A: 2, BOX: 1}
    assert used.of(key, (layers[0], None)) == {A: 2}
    used.forget(key.layer_id)
    assert used.of(key, layers) == {}
    assert without([A, B, A, BOX], Counter([A])) == [B, A, BOX]


# Drafts and their history


def refining(*marks) -> Draft:
    return Draft(Dialogue(tuple(Step((mark,)) for mark in marks)), label=7)


def test_a_draft_waits_for_the_mask_it_refines():
    assert not Draft().is_incomplete
    assert refining().is_incomplete
    assert refining(A).is_incomplete
    assert not refining(MASK, A).is_incomplete


def test_it_is_completed_once_and_for_its_own_object():
    base = refining(B, MASK)
    assert refining(A).completed(7, base) == refining(B, MASK, A)
    assert refining(MASK, A).completed(7, base) == refining(MASK, A)
    assert refining(A).completed(8, base) == refining(A)
    before = Draft(Dialogue((Step((OutlineMark(((1, 1), (1, 9), (9, 1))),)),)))
    merged = refining(A).completed(7, before)
    assert merged.label is None
    assert merged.dialogue.marks == (*before.dialogue.marks, A)


def test_completing_reaches_all_steps_and_drops_those_that_were_none(viewer):
    key = ImageFollower(viewer).key()
    for base in (refining(MASK), Draft()):
        history = History()
        history.push(key, Change(Draft(), refining()))
        history.push(key, Change(refining(), refining(A)))
        history.back(key, None)
        history.complete(key, 7, base)
        later = history.next(key)
        assert later.before == base
        assert later.after.dialogue.marks[-1] == A
        first = history.last(key)
        assert (first is None) is (base == Draft())


def test_only_the_last_steps_are_kept(viewer):
    key = ImageFollower(viewer).key()
    history = History()
    for number in range(600):
        mark = PointMark(number, 0)
        history.push(key, Change(Draft(), Draft(Dialogue((Step((mark,)),)))))
    count = 0
    while history.last(key) is not None:
        history.back(key, None)
        count += 1
    assert count == 500
    assert history.next(key).after.dialogue.marks == (PointMark(100, 0),)
    history.forget(key.layer_id)
    assert history.next(key) is None
