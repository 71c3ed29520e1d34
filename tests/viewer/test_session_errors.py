"""What goes wrong is said with a remedy, and nothing of the user's is lost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.errors import (
    FileError,
    LayerError,
    MemoryFullError,
    ModelError,
    PromptError,
    StateError,
)
from napari_sam3.core.marks import PointMark
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, Gate, disc, mask_after, names

SHAPE = (80, 100)
OBJECT = (20.0, 30.0)


class Failing:
    """Raises the first times that the model calls it."""

    def __init__(self, error: Exception, times: int = 1000) -> None:
        self.error = error
        self.times = times

    def __call__(self, *_: object) -> None:
        if self.times:
            self.times -= 1
            raise self.error


def everything(viewer: ViewerModel) -> dict[str, list[bytes]]:
    """Return what the user's layers hold: all but the preview."""
    return {
        layer.name: [np.asarray(part).tobytes() for part in np.atleast_1d(layer.data)]
        for layer in viewer.layers
        if layer.name != "SAM3 preview"
    }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the notifications."""
    texts: list[str] = []
    monkeypatch.setattr("napari_sam3.viewer.session.show_error", texts.append)
    return texts


def delivered(session: Session) -> None:
    """Deliver as a window does, until nothing is to come; nobody waits."""
    deadline = time.monotonic() + SECONDS
    while session.busy:
        session.deliver()
        assert time.monotonic() < deadline


# Models


def test_a_model_that_cannot_be_loaded_is_said_and_another_works(desk, fake, told):
    def build(model: str, **_: object) -> FakeTracker:
        if model == "broken":
            raise ModelError("There is no such model; choose nano.")
        return fake

    engine = Engine(build=build)
    session = Session(desk, engine=engine)
    session.add_point(OBJECT)
    session.wait(SECONDS)
    before = everything(desk)
    session.model = "broken"
    with pytest.raises(ModelError, match="choose nano"):
        session.wait(SECONDS)
    assert session.status.is_error
    assert session.status.text == "broken could not be loaded; nano stays"
    assert not session.status.busy
    assert told == []
    # The earlier one is back.
    assert session.model == "nano"
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    assert everything(desk) == before
    session.close()
    engine.thread.stop()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory.")])
def test_full_memory_frees_the_cache_and_tries_once_more(session, fake, engine, error):
    session.add_point(OBJECT)
    session.wait(SECONDS)
    seen = []
    session.status_changed.connect(lambda status: seen.append(status.text))
    fake.on_predict = Failing(error, times=1)
    session.add_point((50, 50))
    mask = mask_after(session)
    assert mask[50, 50]
    assert mask[20, 30]
    assert any(text.startswith("memory was full: freed") for text in seen)
    assert not session.status.is_error
    # What is worked on is not encoded again for the next click.
    encoded = fake.embed_calls
    session.add_point((60, 80))
    session.wait(SECONDS)
    assert fake.embed_calls == encoded


def test_full_memory_while_encoding_frees_the_other_planes(engine, fake, desk):
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    fake.on_block = Failing(MemoryError(), times=1)
    session.image = desk.add_image(np.zeros(SHAPE, np.uint8), name="other")
    session.add_point(OBJECT)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, *OBJECT))
    assert len(engine.cache) == 1
    session.close()


@pytest.mark.parametrize("hook", ["on_block", "on_predict"])
@pytest.mark.parametrize("mode", ["one", "many"])
def test_memory_that_stays_full_has_a_remedy_and_later_clicks_work(
    session, desk, fake, engine, told, hook, mode
):
    session.mode = mode
    session.labels = desk.add_labels(np.ones((4, 4), np.uint8), name="mine")
    session.wait(SECONDS)
    if hook == "on_block":
        session.image = desk.add_image(np.ones(SHAPE, np.uint8), name="other")
        session.wait(SECONDS)
        engine.cache.clear()
    setattr(fake, hook, Failing(MemoryError()))
    session.add_point(OBJECT)
    with pytest.raises(MemoryFullError, match="smaller model"):
        session.wait(SECONDS)
    assert session.status.is_error
    assert "smaller model" in session.status.text
    assert session.preview is None
    assert len(engine.cache) == 0
    assert session.marks == (PointMark(*OBJECT),)
    before = everything(desk)
    with pytest.raises(MemoryFullError):
        session.accept_all()
    assert everything(desk) == before
    setattr(fake, hook, None)
    session.add_point((50, 50))
    mask = mask_after(session)
    assert mask[20, 30]
    assert mask[50, 50]
    assert not session.status.is_error


def test_a_bug_in_a_model_is_told_as_one(session, fake, told):
    fake.on_predict = Failing(ZeroDivisionError("hm"), times=1)
    session.add_point(OBJECT)
    delivered(session)
    (text,) = told
    assert text == session.status.text
    assert "ZeroDivisionError: hm" in text
    assert "report" in text
    session.wait(SECONDS)  # it was told already
    session.add_point((50, 50))
    assert mask_after(session).any()


def test_the_failed_request_can_be_tried_again_as_it_is(session, fake):
    fake.on_predict = Failing(ZeroDivisionError("hm"), times=1)
    session.add_point(OBJECT)
    with pytest.raises(ZeroDivisionError):
        session.wait(SECONDS)
    assert session.accept() == 1
    np.testing.assert_array_equal(session.labels.data == 1, disc(SHAPE, *OBJECT))


# Prompts


def test_prompts_outside_the_image_are_said_and_can_be_undone(session):
    session.add_point(OBJECT)
    mask = mask_after(session)
    session.add_point((200, 30))
    with pytest.raises(PromptError, match="outside the image"):
        session.wait(SECONDS)
    assert session.status.is_error
    assert session.preview is None
    session.undo()
    np.testing.assert_array_equal(mask_after(session), mask)
    session.add_outline([(500, 500), (500, 510), (510, 500)])
    with pytest.raises(PromptError):
        session.accept_all()
    assert session.labels is None


def test_of_many_spots_those_outside_the_image_are_left_out(session, desk):
    spots = desk.add_points([(200, 30), OBJECT, (50, 60)])
    session.mode = "many"
    session.points = spots
    mask = mask_after(session)
    np.testing.assert_array_equal(mask, disc(SHAPE, *OBJECT) | disc(SHAPE, 50, 60))
    assert "1 outside the image" in session.status.text
    assert len(session.accept_all()) == 2
    assert len(spots.data) == 3


def test_an_error_about_an_earlier_prompt_is_not_told_any_more(session, fake, told):
    gate = fake.on_predict = Gate()
    session.add_point((200, 30))
    session.undo()
    session.add_point(OBJECT)
    gate.opened.set()
    delivered(session)
    assert told == []
    assert session.preview.mask[20, 30]


# Labels


def test_a_full_labels_layer_is_said_and_nothing_is_lost(session, desk):
    data = np.zeros(SHAPE, np.uint8)
    data[0, 0] = 255
    full = session.labels = desk.add_labels(data, name="full")
    session.add_point(OBJECT)
    mask = mask_after(session)
    before = everything(desk)
    with pytest.raises(LayerError, match=r"uint8.*wider type"):
        session.accept()
    assert everything(desk) == before
    assert full.metadata == {}
    np.testing.assert_array_equal(session.preview.mask, mask)
    assert not session.can_redo
    # Refining needs no new number; another layer has room.
    session.labels = None
    assert session.accept() == 1
    session.labels = full
    session.refine(255)
    session.add_point((0, 6))
    assert session.accept() == 255
    assert full.data[0, 3] == 255


def test_many_objects_that_do_not_fit_are_refused_all_together(session, desk):
    data = np.zeros(SHAPE, np.uint8)
    data[0, 0] = 253
    session.labels = desk.add_labels(data)
    session.mode = "many"
    session.add_points([(20, 20), (20, 50), (50, 50)])
    session.wait(SECONDS)
    before = everything(desk)
    with pytest.raises(LayerError, match="uint8"):
        session.accept_all()
    assert everything(desk) == before
    session.undo()
    session.add_points([(20, 20), (20, 50)])
    assert session.accept_all() == [254, 255]


def unwritable_labels(viewer: ViewerModel, kind: str):
    data = np.zeros(SHAPE, np.uint16)
    if kind == "read-only":
        data.flags.writeable = False
    layer = viewer.add_labels(data, name="mine")
    layer.editable = kind != "locked"
    return layer


@pytest.mark.parametrize("kind", ["read-only", "locked"])
def test_labels_that_cannot_be_written_are_said_and_nothing_is_lost(
    session, desk, kind
):
    session.labels = unwritable_labels(desk, kind)
    session.add_point(OBJECT)
    mask = mask_after(session)
    with pytest.raises(LayerError, match=r"'mine' is .*; "):
        session.accept()
    np.testing.assert_array_equal(session.preview.mask, mask)
    assert session.marks == (PointMark(*OBJECT),)
    assert len(session.points.data) == 1
    session.labels = None
    assert session.accept() == 1


def test_labels_elsewhere_in_the_world_are_refused(session, desk):
    session.labels = desk.add_labels(
        np.zeros((5, 5), np.uint8), translate=(500, 500), name="far"
    )
    session.add_point(OBJECT)
    session.wait(SECONDS)
    with pytest.raises(LayerError, match="far"):
        session.accept()
    assert session.preview.mask[20, 30]
    assert not desk.layers["far"].data.any()


def test_damaged_notes_are_not_overwritten(session, desk):
    notes = {"napari_sam3": "by hand"}
    session.labels = desk.add_labels(
        np.zeros(SHAPE, np.uint8), metadata=dict(notes), name="mine"
    )
    session.add_point(OBJECT)
    session.wait(SECONDS)
    before = everything(desk)
    with pytest.raises(LayerError, match="notes"):
        session.accept()
    assert session.labels.metadata == notes
    assert everything(desk) == before
    assert session.marks == (PointMark(*OBJECT),)


def test_accept_when_ready_tells_what_is_in_the_way(session, desk, told):
    session.labels = unwritable_labels(desk, "locked")
    session.add_point(OBJECT)
    session.accept_when_ready()
    delivered(session)
    assert len(told) == 1
    assert "editable" in told[0]
    assert session.status.text == told[0]
    assert session.status.is_error
    assert session.preview.mask[20, 30]


# Files


def test_files_that_hold_no_prompts_change_nothing(session, tmp_path):
    session.add_point(OBJECT)
    session.accept()
    kept = session.labels.metadata.copy()
    for text in ("", "{}", '{"format": "else"}'):
        path = tmp_path / "prompts.json"
        path.write_text(text)
        with pytest.raises(FileError):
            session.load_prompts(path)
    with pytest.raises(FileError):
        session.load_prompts(tmp_path / "none.json")
    assert session.labels.metadata == kept
    assert "load" not in session.as_python()


def test_places_that_cannot_be_written_to_are_said(session, tmp_path):
    session.add_point(OBJECT)
    session.accept()
    with pytest.raises(FileError):
        session.export_prompts(tmp_path / "no" / "folder" / "x.json")
    with pytest.raises(FileError):
        session.save_labels(tmp_path / "no" / "folder" / "x.tif")


def test_nothing_to_save_or_replay_is_said(session, tmp_path):
    with pytest.raises(StateError, match="no labels"):
        session.save_labels(tmp_path / "x.tif")
    with pytest.raises(StateError, match="prompts"):
        session.replay()
    assert names(session.viewer.layers) == ["cells"]
    assert list(tmp_path.iterdir()) == []
