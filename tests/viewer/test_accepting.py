"""Labels are neither lost nor mixed up, whatever happens between the steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, disc

OBJECT = (20.0, 30.0)


def refined(session: Session, label: int) -> None:
    session.refine(label)
    session.wait(SECONDS)


def test_an_undo_that_fails_leaves_the_step_where_it_was(session):
    session.add_point(OBJECT)
    label = session.accept()
    written = session.labels.data.copy()
    session.labels.editable = False
    with pytest.raises(LayerError):
        session.undo()
    session.labels.editable = True
    assert session.can_undo
    assert not session.redo()
    np.testing.assert_array_equal(session.labels.data, written)
    assert session.undo()
    assert not (session.labels.data == label).any()


def test_undoing_without_the_labels_layer_brings_the_prompts_back(
    session, desk, monkeypatch
):
    told: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.bench.show_warning", told.append)
    session.add_point(OBJECT)
    session.accept()
    desk.layers.remove(session.labels)
    assert session.undo()
    assert len(session.marks) == 1
    assert "is gone" in told[0]
    session.wait(SECONDS)
    assert session.preview is not None


def test_a_refined_object_is_only_written_to_its_own_layer(session, desk):
    shape = desk.layers["cells"].data.shape
    first, second = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    first[10:30, 10:30] = 1
    second[50:70, 60:80] = 1
    one, two = desk.add_labels(first, name="one"), desk.add_labels(second, name="two")
    session.labels = one
    refined(session, 1)
    session.labels = two
    refined(session, 1)
    session.undo()
    session.wait(SECONDS)
    label = session.accept()
    assert label != 1
    assert (two.data[50:70, 60:80] == 1).all()


def test_no_pixels_stay_of_the_mask_that_was_refined(session):
    session.add_points([(20, 30), (20, 40)])
    label = session.accept()
    refined(session, label)
    session.add_point((20, 42), positive=False)
    session.accept()
    refined(session, label)
    for _ in range(3):  # to the first refinement, with its click
        session.undo()
    session.wait(SECONDS)
    session.add_point((20, 26), positive=False)
    session.wait(SECONDS)
    mask = session.preview.mask
    assert session.accept() == label
    np.testing.assert_array_equal(session.labels.data == label, mask)


@pytest.mark.parametrize(
    "change",
    [
        lambda points: setattr(points, "translate", (30, 20)),
        lambda points: setattr(points, "scale", (1.5, 1.5)),
        lambda points: setattr(points, "shown", [True, False]),
    ],
)
def test_prompts_that_are_moved_or_hidden_count_where_they_are(session, change):
    session.add_points([OBJECT, (40, 50)])
    session.wait(SECONDS)
    before = session.preview.mask
    change(session.points)
    session.wait(SECONDS)
    marks = [(mark.row, mark.col) for mark in session.marks]
    assert marks not in ([], [OBJECT, (40.0, 50.0)])
    expected = np.any([disc(before.shape, *mark) for mark in marks], axis=0)
    np.testing.assert_array_equal(session.preview.mask, expected)


def test_a_stray_spot_does_not_stop_the_others(session, desk):
    session.points = desk.add_points([(20, 30), (50, 60), (200, 60)], name="spots")
    session.mode = "many"
    session.wait(SECONDS)
    assert "2 objects" in session.status.text
    assert "1 outside" in session.status.text
    assert session.accept_all() == [1, 2]
    assert (session.labels.data[50, 60], session.labels.data[20, 30]) == (2, 1)


def test_prompts_of_an_image_of_another_size_are_not_shown_on_this_one(session, desk):
    session.add_point((60, 80))
    session.add_point(OBJECT)
    label = session.accept()
    session.image = desk.add_image(np.zeros((50, 50), np.uint8), name="small")
    session.labels = desk.layers["cells objects"]
    refined(session, label)
    assert len(session.marks) == 1  # the mask alone
    session.add_point((22, 30))
    session.wait(SECONDS)
    assert session.preview is not None
    report = session.replay()
    assert "image of" in report.objects[0].problem


def test_a_mask_without_pixels_is_told_in_words(session):
    session.add_point(OBJECT, positive=False)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.add_point(OBJECT, positive=False)
    session.wait(SECONDS)
    assert not session.status.is_error


def test_the_remedy_of_a_refusal_works(session, desk):
    full = np.full(desk.layers["cells"].data.shape, 7, np.uint16)
    session.labels = desk.add_labels(full, name="full")
    session.add_point(OBJECT)
    session.wait(SECONDS)
    session.accept_when_ready()
    assert "replace" in session.status.text
    session.overlap = "replace"
    assert session.accept() == 8


def test_columns_of_the_user_keep_their_values(session, desk):
    data = np.zeros(desk.layers["cells"].data.shape, np.uint16)
    data[10:30, 20:40] = 1
    table = pd.DataFrame({"index": [1], "score": [0.87], "prompts": ["by eye"]})
    session.labels = desk.add_labels(data, name="detected", features=table)
    refined(session, 1)
    session.add_point((35, 30))
    session.accept()
    session.undo()
    found = session.labels.features
    assert found[["score", "prompts"]].to_numpy().tolist() == [[0.87, "by eye"]]


def test_an_accept_that_waits_tells_when_its_plane_is_left(
    fake: FakeTracker, engine, monkeypatch
):
    told: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.session.show_error", told.append)
    viewer = ViewerModel()
    viewer.add_image(np.zeros((4, 80, 100), np.uint8))
    session = Session(viewer, engine=engine)
    session.add_point((1, 20, 30))
    session.accept_when_ready()
    viewer.dims.set_current_step(0, 3)
    session.wait(SECONDS)
    assert "not accepted" in told[0]
    assert session.labels is None
    session.close()


def test_after_naparis_own_undo_no_record_comes_back(session):
    session.add_point(OBJECT)
    label = session.accept()
    session.labels.undo()
    session.undo()
    session.redo()
    assert not (session.labels.data == label).any()
    with pytest.raises(StateError, match="remembers"):
        session.replay()


def test_another_image_gets_labels_of_its_own(session, desk):
    session.add_point(OBJECT)
    session.accept()
    first = session.labels
    cells = session.image
    session.image = desk.add_image(np.zeros((200, 150), np.uint8), name="others")
    assert session.labels is None
    session.add_point((180, 140))
    session.accept()
    assert session.labels.data.shape == (200, 150)
    session.image = cells
    assert session.labels is first


def test_labels_that_the_user_chose_stay_for_another_image(session, desk):
    chosen = desk.add_labels(np.zeros((200, 150), np.uint16), name="chosen")
    session.labels = chosen
    session.image = desk.add_image(np.zeros((200, 150), np.uint8), name="others")
    assert isinstance(session.labels, Labels)
    assert session.labels is chosen


def test_numbers_are_looked_for_beside_the_window(session, desk, fake):
    data = np.zeros(desk.layers["cells"].data.shape, np.uint16)
    session.labels = desk.add_labels(data, name="edited")
    session.add_point(OBJECT)
    session.wait(SECONDS)
    other = data.copy()
    other[60:70, 60:70] = 41
    session.labels.data = other
    session.accept_when_ready()
    assert session.busy  # the numbers are being looked for
    session.wait(SECONDS)
    assert session.labels.data[20, 30] == 42


def test_who_gets_a_speck_only_is_told(session, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.results.show_warning", told.append)
    session.add_point(OBJECT)
    session.accept()
    assert told == []
    session.add_point((21, 31))
    session.accept()
    assert "Object 2 got" in told[0]


def test_after_accepting_the_session_is_ready_at_once(session, fake):
    session.add_point(OBJECT)
    session.accept()
    assert session.status.text == "ready: click on an object"
    assert not session.busy


def test_why_prompts_cannot_be_read_stays_said(session, desk):
    spots = desk.add_points([OBJECT], features={"polarity": ["bogus"]}, name="spots")
    session.points = spots
    session.wait(SECONDS)
    assert "bogus" in session.status.text
