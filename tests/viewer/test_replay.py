"""Prompts of accepted objects run again, with this model and with others."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from psygnal.testing import assert_emitted_once

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.core.image import to_rgb
from napari_sam3.core.marks import PointMark
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, Gate, disc, forget_calls, mask_after

SHAPE = (80, 100)
PLACES = [(20.0, 30.0), (20.0, 60.0), (60.0, 30.0)]


class Mute(FakeTracker):
    """Finds nothing."""

    def draw(self, *args, **kwargs):
        return np.zeros_like(super().draw(*args, **kwargs))


@pytest.fixture
def models() -> dict[str, FakeTracker]:
    return {
        "nano": FakeTracker(),
        "wide": FakeTracker(9, model_id="wide"),
        "mute": Mute(model_id="mute"),
    }


@pytest.fixture
def session(desk, models):
    engine = Engine(build=lambda model, **_: models[model])
    session = Session(desk, engine=engine)
    for place in PLACES:
        session.add_point(place)
        session.accept()
    session.wait(SECONDS)
    yield session
    session.close()
    engine.thread.stop()


def test_another_model_gives_other_masks_and_their_agreement(session, models):
    report = session.replay("wide")
    inner, outer = disc(SHAPE, *PLACES[0]).sum(), disc(SHAPE, *PLACES[0], 9).sum()
    assert [one.iou for one in report.objects] == pytest.approx([inner / outer] * 3)
    assert report.mean_iou == pytest.approx(inner / outer)
    assert report.model == "wide"
    # The session's own model and objects are as they were.
    assert session.model == "nano"
    assert (session.labels.data == 1).sum() == inner
    text = str(report)
    assert "3 objects with wide, mean IoU 0.4" in text
    assert len(text.splitlines()) == 5


def test_new_masks_go_to_a_layer_of_their_own(session, desk):
    before = session.labels.data.copy()
    report = session.replay("wide", write=True)
    assert report.labels in desk.layers
    assert report.labels is not session.labels
    assert report.labels.name == "cells replayed with wide"
    for label, place in enumerate(PLACES, 1):
        np.testing.assert_array_equal(
            report.labels.data == label, disc(SHAPE, *place, 9)
        )
    np.testing.assert_array_equal(session.labels.data, before)


def test_masks_without_pixels_count_as_nothing_alike(session):
    report = session.replay("mute", write=True)
    assert [one.iou for one in report.objects] == [0.0] * 3
    assert not report.labels.data.any()


def test_objects_that_were_erased_are_gone(session):
    session.labels.data_setitem(np.nonzero(session.labels.data == 2), 0)
    report = session.replay()
    assert [one.iou for one in report.objects] == [1.0, None, 1.0]
    assert report.mean_iou == 1.0


def test_painted_objects_agree_less(session):
    session.labels.data_setitem((np.array([20]), np.array([30])), 0)
    report = session.replay()
    size = disc(SHAPE, *PLACES[0]).sum()
    assert report.objects[0].iou == pytest.approx((size - 1) / size)


def test_it_starts_without_waiting_and_tells_when_it_is_done(session, models):
    gate = models["wide"].on_predict = Gate()
    with assert_emitted_once(session.replayed):
        session.start_replay("wide")
        gate.wait()
        session.deliver()
        assert session.status.busy
        gate.opened.set()
        session.wait(SECONDS)
    assert session.status.text.startswith("replayed 3 objects")


def test_clicks_in_between_are_answered_first(session, models):
    gate = models["nano"].on_predict = Gate()
    session.start_replay()
    # The objects' answers are known: make it ask again.
    session.cancel()
    session.wait(SECONDS)
    session.start_replay("wide")
    seen = []
    session.preview_changed.connect(lambda preview: seen.append("preview"))
    session.replayed.connect(lambda report: seen.append("report"))
    session.add_point((60, 60))
    gate.wait()
    gate.opened.set()
    session.wait(SECONDS)
    assert seen == ["preview", "report"]
    np.testing.assert_array_equal(session.preview.mask, disc(SHAPE, 60, 60))


def test_a_second_run_does_not_take_the_first_ones_answers(session, models):
    gate = models["wide"].on_predict = Gate()
    session.start_replay("wide")
    gate.wait()
    session.start_replay("nano")
    gate.opened.set()
    session.wait(SECONDS)
    report = session.replay("nano")
    assert [one.iou for one in report.objects] == [1.0] * 3
    gate = models["wide"].on_predict = Gate()
    session.start_replay("wide")
    reports = []
    session.replayed.connect(reports.append)
    session.start_replay("nano")
    gate.opened.set()
    session.wait(SECONDS)
    assert [report.model for report in reports] == ["nano"]
    assert [one.iou for one in reports[0].objects] == [1.0] * 3


def test_it_stays_with_its_image(session, desk, models):
    gate = models["wide"].on_predict = Gate()
    session.start_replay("wide", write=True)
    gate.wait()
    reports = []
    session.replayed.connect(reports.append)
    session.image = desk.add_image(np.zeros((9, 9), np.uint8), name="tiny")
    gate.opened.set()
    session.wait(SECONDS)
    (report,) = reports
    assert report.labels.data.shape == SHAPE
    assert (report.labels.data == 3).any()


def test_the_image_removed_in_the_middle_ends_it_in_words(session, desk, models):
    gate = models["wide"].on_predict = Gate()
    session.start_replay("wide", write=True)
    gate.wait()
    desk.layers.remove("cells")
    gate.opened.set()
    with pytest.raises(LayerError, match="image"):
        session.wait(SECONDS)
    assert not session.busy


def test_a_target_removed_in_the_middle_does_no_harm(session, desk, models):
    gate = models["wide"].on_predict = Gate()
    session.start_replay("wide", write=True)
    gate.wait()
    desk.layers.remove("cells replayed with wide")
    gate.opened.set()
    session.wait(SECONDS)
    assert session.status.text.startswith("replayed 3 objects")


def test_a_model_that_fails_ends_it_and_the_next_run_works(session, models):
    def fail(prompts):
        raise MemoryError

    models["wide"].on_predict = fail
    with pytest.raises(Exception, match="smaller model"):
        session.replay("wide")
    models["wide"].on_predict = None
    assert session.replay("wide").mean_iou < 1


def test_cancelled_it_says_so(session, models):
    gate = models["wide"].on_predict = Gate()
    models["wide"].on_block = lambda done, total: session.cancel() or gate()
    gate.opened.set()
    with pytest.raises(StateError, match="cancelled"):
        session.replay("wide")


def test_objects_of_all_planes_run_and_the_view_stays(models):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, *SHAPE), np.uint8), name="stack")
    engine = Engine(build=lambda model, **_: models[model])
    session = Session(viewer, engine=engine)
    for plane in (1, 4):
        session.add_point((plane, 20, 30))
        session.accept()
    # One object in two planes has two records.
    session.refine(2)
    session.wait(SECONDS)
    viewer.dims.set_current_step(0, 5)
    forget_calls(models["nano"])
    report = session.replay(write=True)
    assert [one.record.plane.index[0] for one in report.objects] == [1, 4]
    assert [one.iou for one in report.objects] == [1.0, 1.0]
    assert viewer.dims.current_step[0] == 5
    np.testing.assert_array_equal(report.labels.data, session.labels.data)
    session.close()
    engine.thread.stop()


def test_the_clean_up_of_then_counts(session, models):
    session.cleanup = Cleanup(keep_clicked=True)
    session.add_box((40, 60, 50, 70))
    session.add_point((70, 90))
    session.accept()
    session.cleanup = Cleanup()
    report = session.replay()
    assert report.objects[-1].iou == 1.0
    assert mask_of(session, 4)[70, 90]
    assert not mask_of(session, 4)[45, 65]


def mask_of(session: Session, label: int):
    return session.labels.data == label


def test_prompts_of_the_moment_are_left_alone(session):
    session.add_point((60, 60))
    mask = mask_after(session)
    session.replay("wide")
    assert session.marks == (PointMark(60, 60),)
    np.testing.assert_array_equal(session.preview.mask, mask)
    assert session.accept() == 4


def test_the_image_is_seen_as_it_was_when_the_object_was_made(session, models):
    fake = models["nano"]
    forget_calls(fake)
    limits = session.image.contrast_limits
    session.image.contrast_limits = (0, 100)
    session.add_point((60, 80))
    session.wait(SECONDS)
    session.accept()
    (before,) = {one.tobytes() for one in fake.images}
    session.image.contrast_limits = (0, 10)
    session.replay("wide")
    # The other objects were made with the contrast that the image had at first.
    first = to_rgb(session.image.data, contrast_limits=limits).tobytes()
    seen = [one.tobytes() for one in models["wide"].images if one.shape[:2] == SHAPE]
    assert set(seen) == {before, first}


def test_the_field_of_view_and_the_whole_plane_are_remembered(session):
    session.add_point((70, 20))
    session.accept()
    session.whole_plane = True
    session.add_point((60, 80))
    session.accept()
    *_, windowed, whole = session._bench.results.journal().values()
    assert windowed.field is not None
    assert not windowed.whole
    assert whole.whole
    row0, col0, row1, col1 = windowed.field
    assert 0 <= row0 < row1 <= 80
    assert 0 <= col0 < col1 <= 100


def test_objects_of_other_channels_are_not_compared(session, desk):
    other = desk.add_image(desk.layers["cells"].data.copy(), name="other")
    session.image = desk.layers["cells"]
    session.channels = [desk.layers["cells"], other]
    session.add_point((70, 20))
    session.accept()
    session.channels = None
    *_, last = session.replay().objects
    assert last.iou is None
    assert "cells + other, not of the image alone" in last.problem
    session.channels = [desk.layers["cells"], other]
    *_, last = session.replay().objects
    assert last.iou == 1
