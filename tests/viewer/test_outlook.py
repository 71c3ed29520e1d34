"""The window follows the view, stays for the draft, and is shown to the user."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.window_outline import OUTLINE_NAME
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, Gate, disc, forget_calls, mask_after, names

SHAPE = (400, 500)


@pytest.fixture
def fake() -> FakeTracker:
    """Return a model that sees 128 x 128 pixels, in which its discs are large."""
    return FakeTracker(radius=20, view_size=128)


def big(viewer: ViewerModel | None = None, shape=SHAPE, **how) -> ViewerModel:
    viewer = viewer or ViewerModel()
    pixels = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    viewer.add_image(pixels, name="big", **how)
    return viewer


def look_at(viewer: ViewerModel, row: float, col: float, length: float) -> None:
    """Show a square of the world, centred on a place."""
    viewer.canvas.size = (600, 600)
    viewer.scene.camera.center = (0, row, col)
    viewer.scene.camera.zoom = 600 / length


@pytest.fixture
def desk() -> ViewerModel:
    viewer = big()
    look_at(viewer, 200, 250, 120)
    return viewer


@pytest.fixture
def session(desk: ViewerModel, engine: Engine, fake: FakeTracker) -> Iterator[Session]:
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    forget_calls(fake)
    yield session
    session.close()


def outline(viewer: ViewerModel):
    return viewer.layers[OUTLINE_NAME]


def framed(viewer: ViewerModel) -> list[list[float]]:
    """Return the corners of the frame in data coordinates, half a pixel added."""
    return (outline(viewer).data[:, 0] + 0.5).tolist()


def window(session: Session) -> tuple[int, int, int, int] | None:
    return session._bench.outlook.window


def test_the_window_follows_the_view(session, desk):
    session.add_point((200, 250))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 200, 250, 20))
    assert window(session) == (128, 192, 256, 320)
    session.clear()
    look_at(desk, 80, 90, 240)
    session.add_point((80, 90))
    session.wait(SECONDS)
    row0, col0, row1, col1 = window(session)
    assert (row1 - row0, col1 - col0) == (256, 256)
    assert row0 <= 60
    assert row1 >= 100
    assert col0 <= 70
    assert col1 >= 110


def test_the_window_stays_while_the_draft_does(session, desk, fake):
    session.add_point((200, 250))
    session.wait(SECONDS)
    before, embedded = window(session), fake.embed_calls
    look_at(desk, 20, 30, 1000)
    session.add_point((205, 255))
    session.wait(SECONDS)
    assert window(session) == before
    assert fake.embed_calls == embedded
    session.accept()
    session.add_point((200, 250))
    session.wait(SECONDS)
    assert window(session) != before  # the next one begins in the view of its own


def test_a_click_in_the_view_needs_no_encoding_that_was_not_done(session, desk, fake):
    session.add_point((160, 220))
    session.wait(SECONDS)
    assert fake.embed_calls == 0


def test_the_window_is_told_and_framed(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    assert "· window 128 × 128 px" in session.status.text
    assert framed(desk) == [[128, 192], [128, 320], [256, 320], [256, 192]]
    layer = outline(desk)
    ends = layer.data[:, 0] + layer.data[:, 1]
    np.testing.assert_array_equal(ends, np.roll(layer.data[:, 0], -1, axis=0))


def test_the_frame_goes_with_the_mask_and_the_layer_with_the_session(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    session.clear()
    session.wait(SECONDS)
    assert len(outline(desk).data) == 0
    session.add_point((200, 250))
    session.accept()
    assert len(outline(desk).data) == 0
    session.add_point((90, 250))
    session.wait(SECONDS)
    assert len(outline(desk).data) == 4
    session.close()
    assert OUTLINE_NAME not in names(desk.layers)


def test_the_frame_leaves_selection_camera_and_sliders_alone(session, desk):
    session.add_point((200, 250))
    desk.layers.selection.active = desk.layers["big"]
    before = desk.scene.camera.center, desk.scene.camera.zoom, desk.dims.range
    session.wait(SECONDS)
    assert desk.layers.selection.active is desk.layers["big"]
    assert set(desk.layers.selection) == {desk.layers["big"]}
    assert (desk.scene.camera.center, desk.scene.camera.zoom, desk.dims.range) == before


def test_a_frame_that_the_user_deletes_stays_away(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    desk.layers.remove(OUTLINE_NAME)
    session.clear()
    session.add_point((90, 100))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 90, 100, 20))
    assert OUTLINE_NAME not in names(desk.layers)


def test_a_frame_that_the_user_hides_stays_hidden(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    outline(desk).visible = False
    session.clear()
    session.add_point((90, 100))
    session.wait(SECONDS)
    assert not outline(desk).visible


def test_small_planes_have_no_frame(engine):
    viewer = big(shape=(100, 120))
    session = Session(viewer, engine=engine)
    session.add_point((50, 60))
    session.wait(SECONDS)
    assert "window" not in session.status.text
    assert OUTLINE_NAME not in names(viewer.layers)
    session.close()


@pytest.mark.parametrize("angle", [0, 30])
def test_the_frame_lies_on_the_image_whatever_its_place(engine, angle):
    how = {
        "scale": (0.5, 2),
        "rotate": angle,
        "translate": (9, -4),
        "units": ("um", "um"),
    }
    viewer = big(**how)
    image = viewer.layers["big"]
    look_at(viewer, *image.data_to_world((200, 250)), 60)
    session = Session(viewer, engine=engine)
    session.add_point((200, 250))
    session.wait(SECONDS)
    corners = np.array(framed(viewer)) - 0.5
    row0, col0, row1, col1 = window(session)
    expected = [(row0, col0), (row0, col1), (row1, col1), (row1, col0)]
    np.testing.assert_allclose(corners + 0.5, expected)
    for corner in corners:
        np.testing.assert_allclose(
            outline(viewer).data_to_world(corner), image.data_to_world(corner)
        )
    assert outline(viewer).units == image.units
    session.close()


def test_the_frame_moves_with_the_image(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    desk.layers["big"].scale = (2, 3)
    session.points.scale = (2, 3)
    session.wait(SECONDS)
    np.testing.assert_allclose(outline(desk).scale, (2, 3))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_in_stacks_the_frame_is_in_the_plane_of_the_mask(engine, order):
    viewer = big(shape=(300, 310, 320))
    viewer.dims.order = order
    hidden = order[0]
    viewer.dims.set_current_step(hidden, 77)
    look_at(viewer, 150, 150, 100)
    session = Session(viewer, engine=engine)
    session.add_point((150, 150))
    session.wait(SECONDS)
    layer = outline(viewer)
    assert (layer.data[:, 0, hidden] == 77).all()
    assert (layer.data[:, 1, hidden] == 0).all()
    row0, col0, row1, col1 = window(session)
    starts = layer.data[:, 0][:, list(order[1:])] + 0.5
    np.testing.assert_array_equal(starts.min(axis=0), (row0, col0))
    np.testing.assert_array_equal(starts.max(axis=0), (row1, col1))
    session.close()


# ---- the first answer -------------------------------------------------------


def test_the_first_answer_is_shown_and_cannot_be_accepted_before_the_last(
    desk, engine, fake
):
    fake.radius = 5  # small in its window, so a closer look follows
    look_at(desk, 200, 250, 500)
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    forget_calls(fake)
    gate = fake.on_block = Gate()
    previews: list[object] = []
    session.preview_changed.connect(previews.append)
    session.add_point((200, 250))
    gate.wait()
    session.deliver()
    assert len(previews) == 1
    np.testing.assert_array_equal(session.preview.mask, disc(SHAPE, 200, 250, 5))
    assert session.status.text == "encoding…" or "closely" in session.status.text
    assert session.status.busy
    session.accept_when_ready()
    session.deliver()
    assert session.labels is None or not session.labels.data.any()
    fake.on_block = None
    gate.opened.set()
    session.wait(SECONDS)
    np.testing.assert_array_equal(session.labels.data > 0, disc(SHAPE, 200, 250, 5))
    session.close()


def test_cancelling_the_closer_look_takes_the_first_answer_away(desk, engine, fake):
    fake.radius = 5
    look_at(desk, 200, 250, 500)
    session = Session(desk, engine=engine)
    session.wait(SECONDS)
    gate = fake.on_block = Gate()
    session.add_point((200, 250))
    gate.wait()
    session.deliver()
    session.cancel()
    fake.on_block = None
    gate.opened.set()
    session.wait(SECONDS)
    assert session.preview is None
    assert len(session.marks) == 1
    session.close()


# ---- the whole plane --------------------------------------------------------


def test_the_whole_plane_can_be_seen_instead(session, desk, fake):
    session._bench.whole = True
    session.wait(SECONDS)
    session.add_point((200, 250))
    session.wait(SECONDS)
    assert window(session) == (0, 0, *SHAPE)
    assert {image.shape[:2] for image in fake.images} == {SHAPE}
    assert "window" not in session.status.text
    session._bench.whole = False
    session.wait(SECONDS)
    assert window(session) == (128, 192, 256, 320)


def test_sessions_have_views_of_their_own(engine, fake):
    viewers = [big(), big()]
    look_at(viewers[0], 100, 100, 120)
    look_at(viewers[1], 300, 400, 120)
    sessions = [Session(viewer, engine=engine) for viewer in viewers]
    for session, place in zip(sessions, [(100, 100), (300, 400)]):
        session.add_point(place)
        session.wait(SECONDS)
    assert window(sessions[0]) == (64, 64, 192, 192)
    assert window(sessions[1]) == (256, 320, 384, 448)
    sessions[0].close()
    assert OUTLINE_NAME not in names(viewers[0].layers)
    assert OUTLINE_NAME in names(viewers[1].layers)
    sessions[1].close()


def test_an_image_that_goes_takes_the_frame_along(session, desk):
    session.add_point((200, 250))
    session.wait(SECONDS)
    desk.layers.remove("big")
    session.wait(SECONDS)
    assert len(outline(desk).data) == 0
