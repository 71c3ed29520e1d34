"""New objects are told of the view and of those accepted before, and stay so."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.errors import StateError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.journal import Journal
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.field import view_side
from napari_sam3.viewer.planes import shown_plane
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, disc, forget_calls

SHAPE = (80, 100)
PLACES = [(20.0, 20.0), (20.0, 50.0), (55.0, 20.0), (55.0, 75.0)]


class Expectant(FakeTracker):
    """Its discs grow with the number of sizes that it is told, and with the view."""

    def draw(self, prompt, image, growth=0, window=None):
        hint = prompt.size_hint or SizeHint()
        radius = 4 + len(hint.sizes_px) + (3 if (hint.view_px or 80) < 50 else 0)
        return FakeTracker(radius).draw(prompt, image, growth, window)


@pytest.fixture
def fake() -> FakeTracker:
    return Expectant()


def look_at(viewer: ViewerModel, length: float, row: float = 40, col: float = 50):
    """Show a square of the world, centred on a place."""
    viewer.canvas.size = (600, 600)
    viewer.scene.camera.center = (0, row, col)
    viewer.scene.camera.zoom = 600 / length


def told(fake: FakeTracker) -> SizeHint | None:
    """Return the hint of the prompt that came last."""
    return fake.prompts[-1].size_hint


def click(session: Session, place=PLACES[0]) -> None:
    session.add_point(place)
    session.wait(SECONDS)


def accepted(session: Session, place) -> float:
    """Accept an object; return its size."""
    click(session, place)
    label = session.accept()
    return round(math.sqrt((session.labels.data == label).sum()), 1)


# ---- the view ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "side"), [(60, 60), (30.4, 30), (1e4, 80), (1e-3, 1)]
)
def test_the_first_object_is_told_of_the_view(session, desk, fake, length, side):
    look_at(desk, length)
    click(session)
    assert told(fake) == SizeHint((), side)


def test_it_is_the_zoom_that_counts_and_not_the_place(session, desk, cells_layer):
    plane = shown_plane(desk, cells_layer)
    look_at(desk, 60)
    here = view_side(desk, cells_layer, plane)
    look_at(desk, 60, 0, 105)  # the image's corner is just to be seen
    assert view_side(desk, cells_layer, plane) == here == 60
    desk.canvas.size = (300, 600)
    assert view_side(desk, cells_layer, plane) == 30


def test_it_is_measured_in_pixels_of_the_image(desk):
    image = desk.add_image(np.zeros((400, 400)), scale=(0.5, 0.25))
    look_at(desk, 50)
    assert view_side(desk, image, shown_plane(desk, image)) == 100


def test_the_hint_stays_while_the_camera_moves(session, desk, fake):
    look_at(desk, 60)
    click(session)
    before = session.preview.mask.copy()
    look_at(desk, 20)
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.preview.mask, before)
    click(session, PLACES[1])
    assert [prompt.size_hint for prompt in fake.prompts] == [SizeHint((), 60)] * 2
    session.clear()
    click(session)
    assert told(fake) == SizeHint((), 20)


# ---- what was accepted ------------------------------------------------------


def test_sizes_come_in_the_order_of_accepting(session, fake):
    sizes = [accepted(session, place) for place in PLACES[:3]]
    assert len(set(sizes)) == 3
    click(session, PLACES[3])
    assert told(fake).sizes_px == tuple(sizes)


def test_an_object_that_is_taken_back_has_no_size(session, fake):
    sizes = [accepted(session, place) for place in PLACES[:2]]
    session.undo()  # the object
    session.wait(SECONDS)
    # What is unfinished again is as it was.
    assert told(fake).sizes_px == tuple(sizes[:1])
    mask = session.preview.mask.copy()
    session.undo()  # its prompt
    session.redo()
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.preview.mask, mask)
    session.clear()
    click(session, PLACES[2])
    assert told(fake).sizes_px == tuple(sizes[:1])


def test_many_objects_at_once_share_a_hint_and_leave_their_sizes(session, fake):
    first = accepted(session, PLACES[0])
    session.mode = "many"
    session.add_points(PLACES[1:3])
    session.accept_all()
    assert [p.size_hint.sizes_px for p in fake.prompts[-2:]] == [(first,)] * 2
    session.mode = "one"
    click(session, PLACES[3])
    second = round(math.sqrt(disc(SHAPE, *PLACES[1], 5).sum()), 1)
    assert told(fake).sizes_px == (first, second, second)


def test_only_objects_of_the_same_plane_count(desk, engine, fake):
    image = desk.add_image(np.zeros((3, *SHAPE), np.uint8), name="stack")
    session = Session(desk, engine=engine)
    session.image = image
    size = accepted_on_plane(session, desk, 0)
    desk.dims.set_current_step(0, 1)
    click(session, PLACES[1])
    assert told(fake).sizes_px == ()
    session.clear()
    desk.dims.set_current_step(0, 0)
    click(session, PLACES[1])
    assert told(fake).sizes_px == (size,)
    session.close()


def accepted_on_plane(session: Session, viewer: ViewerModel, step: int) -> float:
    viewer.dims.set_current_step(0, step)
    session.wait(SECONDS)
    click(session)
    label = session.accept()
    return round(math.sqrt((np.asarray(session.labels.data) == label).sum()), 1)


def test_only_objects_of_the_same_image_labels_and_channels_count(session, desk):
    size = accepted(session, PLACES[0])
    labels, image = session.labels, session.image
    other = desk.add_image(np.zeros(SHAPE, np.uint8), name="other")

    def known() -> tuple[float, ...]:
        click(session, PLACES[1])
        hint = session._bench.drafting.draft.dialogue.size_hint
        session.clear()
        return hint.sizes_px

    assert known() == (size,)
    session.image, session.labels = other, labels
    assert known() == ()
    session.image, session.labels = image, labels
    session.channels = [image, other]
    assert known() == ()
    session.channels = None
    session.labels = desk.add_labels(np.zeros(SHAPE, np.uint16))
    assert known() == ()
    session.labels = labels
    assert known() == (size,)


def test_damaged_notes_stop_no_click(session, fake):
    accepted(session, PLACES[0])
    session.labels.metadata["napari_sam3"] = "scribble"
    click(session, PLACES[1])
    assert told(fake).sizes_px == ()
    assert session.preview is not None


# ---- records ----------------------------------------------------------------


@pytest.fixture
def worked(session, desk, fake, tmp_path):
    """Accept objects in views of their own; return the file of their prompts."""
    for place, length in zip(PLACES, (60, 40, 70, 45), strict=True):
        look_at(desk, length)
        accepted(session, place)
    path = tmp_path / "prompts.json"
    session.export_prompts(path)
    forget_calls(fake)
    return path


def test_a_replay_gives_the_same_masks(session, desk, fake, worked):
    sizes = [int((session.labels.data == label).sum()) for label in (1, 2, 3, 4)]
    assert len(set(sizes)) == 4  # else this would show nothing
    look_at(desk, 10)
    session.use_hints = False
    assert [one.iou for one in session.replay().objects] == [1.0] * 4


def test_what_was_loaded_knows_its_hint_and_its_size(desk, fake, worked):
    records = list(Journal.load(worked).values())
    sizes = [round(math.sqrt(record.area), 1) for record in records]
    views = [record.dialogue.size_hint.view_px for record in records]
    assert views == [60, 40, 70, 45]
    assert records[3].dialogue.size_hint.sizes_px == tuple(sizes[:3])
    with_engine = Engine(build=lambda model, **_: fake)
    session = Session(desk, engine=with_engine)
    session.load_prompts(worked)
    click(session, (40.0, 90.0))
    assert told(fake).sizes_px == tuple(sizes)
    session.close()
    with_engine.thread.stop()


def test_records_without_sizes_are_read_and_run_as_before(session, fake, worked):
    data = json.loads(worked.read_text())
    for record in data["objects"]:
        del record["area"], record["size_hint"]
    worked.write_text(json.dumps(data))
    session.labels = None
    session.load_prompts(worked)
    report = session.replay(write=True)
    assert [prompt.size_hint for prompt in fake.prompts] == [None] * 4
    found = report.labels.data
    np.testing.assert_array_equal(found == 2, disc(SHAPE, *PLACES[1], 4))
    click(session, (40.0, 90.0))
    assert told(fake).sizes_px == ()


def test_a_refined_object_keeps_its_hint(session, desk, fake, worked):
    before = session._bench.results.journal()
    hint = {record.label: record.dialogue.size_hint for record in before.values()}[2]
    look_at(desk, 10)
    session.refine(2)
    session.add_point((30.0, 50.0))  # perhaps before its mask is found
    session.wait(SECONDS)
    assert told(fake) == hint
    session.accept()
    after = session._bench.results.journal()
    (record,) = [one for one in after.values() if one.label == 2]
    assert record.dialogue.size_hint == hint


# ---- the switch -------------------------------------------------------------


def test_it_can_be_switched_off_for_the_objects_that_follow(session, fake):
    assert session.use_hints
    click(session)
    session.use_hints = False
    click(session, PLACES[1])
    assert told(fake) is not None  # an object that has begun stays as it is
    session.accept()
    click(session, PLACES[2])
    assert told(fake) is None
    assert not session.use_hints
    assert session.as_python().count("s.use_hints = False") == 1


def test_setting_what_is_set_says_nothing(session):
    session.use_hints = True
    assert "use_hints" not in session.as_python()


@pytest.mark.parametrize("bad", [1, None, "yes"])
def test_it_is_on_or_off(session, bad):
    with pytest.raises(StateError, match="give True or False"):
        session.use_hints = bad
