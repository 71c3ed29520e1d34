"""Stacks and other images, and layers that come, go and change under our hands."""

from __future__ import annotations

import gc
import threading
import weakref

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.core.image import to_rgb
from napari_sam3.core.marks import PointMark
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.sources import PlaneKey
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


@pytest.fixture
def stack() -> ViewerModel:
    """Return a viewer with a z-stack that shows plane 3; each plane is another."""
    viewer = ViewerModel()
    pixels = np.random.default_rng(1).integers(0, 255, (12, *SHAPE), dtype=np.uint8)
    viewer.add_image(pixels, name="stack")
    viewer.dims.set_current_step(0, 3)
    return viewer


@pytest.fixture
def in_stack(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    forget_calls(fake)
    yield session
    session.close()


def encoded(engine: Engine) -> list[PlaneKey]:
    """Return the planes whose embeddings are kept."""
    keys = engine.cache.keys()
    return [key[0].plane for key in keys]


def showing(data, **how) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(data, **how)
    return viewer


# Planes


def test_prompts_of_another_plane_never_count(in_stack, stack):
    in_stack.add_point((20, 30))
    at_3 = mask_after(in_stack)
    stack.dims.set_current_step(0, 10)
    assert in_stack.marks == ()
    in_stack.wait(SECONDS)
    assert in_stack.preview is None
    in_stack.add_point((50, 60))
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 50, 60))
    np.testing.assert_array_equal(in_stack.points.data, [(3, 20, 30), (10, 50, 60)])
    stack.dims.set_current_step(0, 3)
    assert in_stack.preview is None  # until the answer is there
    assert in_stack.marks == (PointMark(20, 30),)
    np.testing.assert_array_equal(mask_after(in_stack), at_3)


def test_the_shown_plane_is_what_is_encoded_and_written(in_stack, stack, fake):
    stack.dims.set_current_step(0, 7)
    in_stack.add_point((20, 30))
    label = in_stack.accept()
    pixels = stack.layers["stack"].data[7]
    expected = pure_mask(pixels, [PointMark(20, 30)])
    assert in_stack.labels.data.shape == (12, *SHAPE)
    np.testing.assert_array_equal(in_stack.labels.data[7] == label, expected)
    assert np.count_nonzero(in_stack.labels.data) == expected.sum()


def test_going_back_to_a_plane_does_not_encode_it_again(in_stack, stack, fake):
    for plane in (4, 5, 3, 4, 5, 3):
        stack.dims.set_current_step(0, plane)
        in_stack.wait(SECONDS)
    assert fake.embed_calls == 2


def test_each_plane_has_its_own_undo(in_stack, stack):
    in_stack.add_point((20, 30))
    stack.dims.set_current_step(0, 10)
    assert not in_stack.can_undo
    in_stack.add_point((50, 60))
    in_stack.accept()
    stack.dims.set_current_step(0, 3)
    assert in_stack.undo()
    assert in_stack.marks == ()
    assert np.any(in_stack.labels.data[10])
    assert not in_stack.undo()
    stack.dims.set_current_step(0, 10)
    assert in_stack.undo()
    assert not np.any(in_stack.labels.data)


def test_an_accept_is_not_done_on_another_plane(in_stack, stack, fake):
    stack.dims.set_current_step(0, 10)
    in_stack.add_point((50, 60))
    in_stack.wait(SECONDS)
    stack.dims.set_current_step(0, 3)
    in_stack.wait(SECONDS)
    gate = fake.on_predict = Gate()
    in_stack.add_point((20, 30))
    gate.wait()
    in_stack.accept_when_ready()
    stack.dims.set_current_step(0, 10)
    gate.opened.set()
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 50, 60))
    assert in_stack.labels is None
    stack.dims.set_current_step(0, 3)
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    assert in_stack.labels is None


def test_refining_goes_on_where_it_was_asked_for(in_stack, stack, fake):
    in_stack.add_point((20, 30))
    label = in_stack.accept()
    in_stack.wait(SECONDS)
    gate = fake.on_predict = Gate()
    in_stack.add_point((70, 90))
    gate.wait()
    in_stack.clear()
    in_stack.refine(label)
    stack.dims.set_current_step(0, 10)
    gate.opened.set()
    in_stack.wait(SECONDS)
    assert in_stack.refining is None
    assert in_stack.marks == ()
    stack.dims.set_current_step(0, 3)
    assert in_stack.refining == label
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    assert in_stack.marks[0] == PointMark(20, 30)
    in_stack.add_point((40, 40))
    assert in_stack.accept() == label
    expected = disc(SHAPE, 20, 30) | disc(SHAPE, 40, 40)
    np.testing.assert_array_equal(in_stack.labels.data[3] == label, expected)


def test_a_full_position_moves_the_viewer(in_stack, stack):
    in_stack.add_point((8, 20, 30))
    assert stack.dims.current_step[0] == 8
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    in_stack.add_outline([(2, 10, 10), (2, 10, 40), (2, 40, 10)])
    assert stack.dims.current_step[0] == 2
    assert len(in_stack.marks) == 1


def test_transposed_axes_are_followed(in_stack, stack, fake):
    in_stack.add_point((20, 30))
    stack.dims.order = (1, 0, 2)
    stack.dims.set_current_step(1, 33)
    in_stack.wait(SECONDS)
    assert fake.images[-1].shape == (12, 100, 3)
    in_stack.add_point((6, 50))
    expected = disc((12, 100), 6, 50)
    np.testing.assert_array_equal(mask_after(in_stack), expected)
    label = in_stack.accept()
    np.testing.assert_array_equal(in_stack.labels.data[:, 33, :] == label, expected)
    stack.dims.order = (0, 1, 2)
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))


def test_turned_axes_of_a_plain_image_are_followed(session, desk):
    desk.dims.order = (1, 0)
    session.add_point((90, 10))  # as shown: 100 rows, 80 columns
    mask = mask_after(session)
    np.testing.assert_array_equal(mask, disc((100, 80), 90, 10))
    label = session.accept()
    written = session.labels.data.T
    np.testing.assert_array_equal(written == label, mask)


def test_what_is_shown_in_3d_cannot_be_clicked_and_says_so(in_stack, stack):
    in_stack.add_point((20, 30))
    in_stack.wait(SECONDS)
    stack.dims.ndisplay = 3
    assert in_stack.preview is None
    assert in_stack.status.is_error
    assert "2D" in in_stack.status.text
    with pytest.raises(LayerError, match="2D"):
        in_stack.add_point((20, 30))
    stack.dims.ndisplay = 2
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    assert not in_stack.status.is_error


def test_a_new_plane_cancels_the_encoding_of_the_old_one(in_stack, stack, fake, engine):
    gate = fake.on_block = Gate()
    stack.dims.set_current_step(0, 5)
    gate.wait()
    stack.dims.set_current_step(0, 6)
    gate.opened.set()
    in_stack.wait(SECONDS)
    assert fake.embed_calls == 2
    # Planes 3 and 6.
    assert sorted(key.plane.index[0] for key in encoded(engine)) == [3, 6]


@pytest.mark.parametrize("mode", ["one", "many"])
def test_clicks_during_encoding_do_not_start_it_again(in_stack, stack, fake, mode):
    gate = fake.on_block = Gate()
    stack.dims.set_current_step(0, 5)
    gate.wait()
    in_stack.mode = "many"
    in_stack.add_point((20, 30))
    in_stack.add_point((50, 60))
    in_stack.mode = mode
    gate.opened.set()
    in_stack.wait(SECONDS)
    expected = disc(SHAPE, 20, 30) | disc(SHAPE, 50, 60)
    np.testing.assert_array_equal(in_stack.preview.mask, expected)
    assert fake.embed_calls == 1


def test_new_clicks_make_a_batch_give_way(session, fake):
    session.mode = "many"
    gate = Gate()
    fake.on_predict = lambda prompts: gate() if fake.predict_calls == 1 else None
    places = [(4 + 8 * row, 5 + 10 * col) for row in range(10) for col in range(10)]
    session.add_points(places)
    gate.wait()
    session.change(remove=[PointMark(r, c) for r, c in places[24:]])
    gate.opened.set()
    session.wait(SECONDS)
    # The first batch is kept, the second is the rest of what is wanted now.
    assert len(fake.prompts) == 24
    assert session.status.text.startswith("24 objects")


# Layers that go away and change


def test_the_points_layer_deleted_mid_way_takes_its_prompts_along(session, desk):
    session.add_point((20, 30))
    session.add_box((40, 40, 60, 70))
    session.wait(SECONDS)
    desk.layers.remove(session.points)
    assert session.points is None
    mask = mask_after(session)
    assert mask.sum() == 20 * 30
    assert not mask[20, 30]
    session.add_point((20, 80))
    assert session.points in desk.layers
    desk.layers.remove(session.shapes)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 80))


def test_the_points_layer_deleted_while_the_model_runs(session, desk, fake):
    gate = fake.on_predict = Gate()
    session.add_point((20, 30))
    gate.wait()
    desk.layers.remove(session.points)
    gate.opened.set()
    session.wait(SECONDS)
    assert session.preview is None
    assert session.marks == ()


def test_the_image_deleted_mid_encode(session, desk, fake, engine):
    gate = fake.on_block = Gate()
    other = desk.add_image(np.ones(SHAPE, np.uint8), name="other")
    session.image = other
    gate.wait()
    session.add_point((20, 30))
    desk.layers.remove(other)
    assert session.image is desk.layers["cells"]
    gate.opened.set()
    session.wait(SECONDS)
    assert not session.status.is_error
    assert other.unique_id not in {key.layer_id for key in encoded(engine)}
    gone = weakref.ref(other.data)
    del other, gate
    desk.layers.selection.clear()
    fake.images.clear()
    gc.collect()
    assert gone() is None


def test_the_only_image_deleted_mid_encode_is_not_kept(session, desk, fake, engine):
    gate = fake.on_block = Gate()
    session.image.data = np.ones(SHAPE, np.uint8)
    gate.wait()
    desk.layers.remove("cells")
    assert session.image is None
    assert session.preview is None
    gate.opened.set()
    session.wait(SECONDS)
    assert len(engine.cache) == 0
    assert not session.busy


def test_answers_are_for_the_new_pixels_when_the_data_is_replaced(session, fake):
    fake.tolerance = 0
    gate = fake.on_block = Gate()
    first = np.zeros(SHAPE, np.uint8)
    first[:, :30] = 99
    session.image.data = first
    gate.wait()
    session.add_point((20, 30))
    second = np.zeros(SHAPE, np.uint8)
    second[:, 33:] = 99
    session.image.data = second
    gate.opened.set()
    expected = disc(SHAPE, 20, 30) & (second == 0)
    np.testing.assert_array_equal(mask_after(session), expected)
    # And never again the old ones.
    session.image.data = first
    expected = disc(SHAPE, 20, 30) & (first == 0)
    np.testing.assert_array_equal(mask_after(session), expected)


def test_the_preview_goes_when_the_pixels_do(session):
    session.add_point((20, 30))
    session.wait(SECONDS)
    session.image.data = np.zeros(SHAPE, np.uint8)
    assert session.preview is None
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))


def test_data_of_another_size_is_followed(session):
    session.add_point((20, 30))
    session.wait(SECONDS)
    session.image.data = np.zeros((200, 150), np.uint8)
    np.testing.assert_array_equal(mask_after(session), disc((200, 150), 20, 30))


def test_edits_in_place_are_noticed_with_the_next_click(session, fake):
    fake.tolerance = 0
    session.image.data[:] = 0
    session.image.refresh()
    session.add_point((20, 30))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    session.clear()
    session.image.data[:, 33:] = 77
    session.image.refresh()
    session.add_point((20, 30))
    assert not mask_after(session)[:, 33:].any()


def test_another_contrast_is_seen_with_the_next_click(session, fake):
    session.add_point((20, 30))
    session.wait(SECONDS)
    session.image.contrast_limits = (3, 99)
    session.wait(SECONDS)
    assert fake.embed_calls == 0
    session.add_point((22, 30))
    session.wait(SECONDS)
    (seen,) = fake.images
    expected = to_rgb(session.image.data, contrast_limits=(3, 99))
    np.testing.assert_array_equal(seen, expected)


def test_redrawing_without_a_change_encodes_nothing(session, fake):
    session.image.refresh()
    session.image.opacity = 0.5
    session.add_point((20, 30))
    session.wait(SECONDS)
    assert fake.embed_calls == 0


def test_going_back_to_another_image_encodes_nothing(session, desk, fake):
    session.add_point((20, 30))
    mask = mask_after(session)
    session.image = desk.add_image(np.zeros(SHAPE, np.uint8), name="other")
    session.wait(SECONDS)
    assert fake.embed_calls == 1
    session.image = desk.layers["cells"]
    np.testing.assert_array_equal(mask_after(session), mask)
    assert fake.embed_calls == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_changes_while_another_image_was_chosen_are_noticed(session, desk, fake, lazy):
    def data(column):
        pixels = np.zeros(SHAPE, np.uint8)
        pixels[:, column:] = 99
        return da.from_array(pixels, chunks=40) if lazy else pixels

    fake.tolerance = 0
    layer = desk.add_image(data(33), name="other")
    session.image = layer
    session.add_point((20, 30))
    assert not mask_after(session)[:, 33:].any()
    session.image = desk.layers["cells"]
    layer.data = data(32)
    session.image = layer
    mask = mask_after(session)
    assert not mask[:, 32:].any()
    assert mask[20, 31]


@pytest.mark.parametrize("lazy", [False, True])
def test_changes_while_no_session_was_there_are_noticed(engine, fake, lazy):
    def data(column):
        pixels = np.zeros(SHAPE, np.uint8)
        pixels[:, column:] = 99
        return da.from_array(pixels, chunks=40) if lazy else pixels

    fake.tolerance = 0
    viewer = ViewerModel()
    layer = viewer.add_image(data(33))
    for column in (33, 32):
        layer.data = data(column)
        session = Session(viewer, engine=engine)
        session.add_point((20, 30))
        mask = mask_after(session)
        assert mask[20, column - 1]
        assert not mask[:, column:].any()
        session.clear()
        session.close()


def test_an_image_that_goes_frees_its_embeddings_also_if_another_is_chosen(
    session, desk, engine
):
    other = desk.add_image(np.zeros(SHAPE, np.uint8), name="other")
    session.image = other
    session.wait(SECONDS)
    assert len(engine.cache) == 2
    desk.layers.remove("cells")
    assert {key.layer_id for key in encoded(engine)} == {other.unique_id}
    session.wait(SECONDS)


def test_the_labels_layer_deleted_gives_a_new_one(session, desk):
    session.add_point((20, 30))
    session.accept()
    desk.layers.remove(session.labels)
    assert session.labels is None
    session.add_point((20, 30))
    assert session.accept() == 1
    assert session.labels in desk.layers


def test_undo_without_the_labels_layer_says_so_and_goes_on(session, desk, monkeypatch):
    told = []
    monkeypatch.setattr("napari_sam3.viewer.bench.show_warning", told.append)
    session.add_point((20, 30))
    session.accept()
    desk.layers.remove(session.labels)
    assert session.undo()
    assert len(told) == 1
    assert "gone" in told[0]
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    assert session.undo()
    assert not session.undo()
    assert session.marks == ()


def test_labels_removed_while_one_of_them_is_refined(session, desk):
    session.add_point((20, 30))
    label = session.accept()
    session.refine(label)
    session.wait(SECONDS)
    desk.layers.remove(session.labels)
    session.add_point((40, 40))
    assert session.accept() == 1
    expected = disc(SHAPE, 20, 30) | disc(SHAPE, 40, 40)
    np.testing.assert_array_equal(session.labels.data == 1, expected)


def test_unreadable_prompts_are_said_and_nothing_breaks(session, desk):
    layer = desk.add_points([(20, 30)], features={"polarity": ["positive"]})
    session.points = layer
    session.wait(SECONDS)
    layer.features = {"polarity": ["perhaps"]}
    assert session.status.is_error
    assert "perhaps" in session.status.text
    assert session.preview is None
    layer.features = {"polarity": ["positive"]}
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    assert not session.status.is_error


def test_a_points_layer_that_cannot_lie_there_is_said(in_stack, stack):
    deep = stack.add_points(np.zeros((1, 4)))
    in_stack.points = deep
    assert in_stack.status.is_error
    in_stack.points = None
    in_stack.add_point((20, 30))
    assert mask_after(in_stack).any()


# Ending


def test_close_mid_encode_is_clean_and_final(desk, engine, fake):
    gate = fake.on_block = Gate()
    session = Session(desk, engine=engine)
    gate.wait()
    session.close()
    session.close()
    gate.opened.set()
    session.wait(SECONDS)
    assert not session.busy
    assert session.preview is None
    assert len(engine.cache) == 0
    assert names(desk.layers) == ["cells"]


def test_close_leaves_the_users_work_and_takes_the_preview(session, desk):
    session.add_point((20, 30))
    session.accept()
    session.add_point((50, 60))
    session.wait(SECONDS)
    session.close()
    assert names(desk.layers) == ["cells", "cells objects", "SAM3 points"]
    # Nothing listens any more.
    desk.layers["SAM3 points"].add([(1, 1)])
    desk.layers["cells"].data = np.zeros(SHAPE, np.uint8)
    assert session.marks == ()
    with pytest.raises(LayerError):
        session.add_point((1, 1))


def test_a_closed_session_follows_no_layer_and_asks_nothing(session, desk, fake):
    session.close()
    for name in ("image", "points", "shapes", "labels"):
        with pytest.raises(StateError, match="attach"):
            setattr(session, name, desk.layers["cells"])
    session.mode, session.model = "many", "large"
    session.wait(SECONDS)
    assert (fake.embed_calls, fake.predict_calls) == (0, 0)


def test_a_viewer_dies_while_the_engine_runs(engine, fake):
    viewer = ViewerModel()
    # Looking for a name napari would keep this function's variables.
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells")
    gate = fake.on_block = Gate()
    session = Session(viewer, engine=engine)
    gate.wait()
    session.add_point((20, 30))
    refs = [weakref.ref(viewer), weakref.ref(session), weakref.ref(session.image)]
    del viewer, session
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3
    gate.opened.set()


def test_a_session_outlives_its_viewer_and_says_so(engine, fake):
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="cells")
    session = Session(viewer, engine=engine)
    session.add_point((20, 30))
    session.wait(SECONDS)
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None
    session.wait(SECONDS)
    with pytest.raises(Exception, match=r"gone|no image"):
        session.add_point((30, 30))
    session.close()


# Images of all kinds


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8),
        np.where(np.eye(80, 100) > 0, np.nan, np.linspace(-1e3, 1e3, 100)),
        np.zeros((1, 5000), np.uint16),
        np.random.default_rng(0).random((80, 100)) > 0.5,
        np.full((80, 100), np.inf),
    ],
    ids=["rgb", "float with nan", "1 x 5000", "bool", "inf"],
)
def test_images_of_all_kinds(engine, data):
    viewer = showing(data, contrast_limits=(0, 1))
    session = Session(viewer, engine=engine)
    shape = data.shape[:2]
    session.add_point((0, 30))
    np.testing.assert_array_equal(mask_after(session), disc(shape, 0, 30))
    label = session.accept()
    assert session.labels.data.shape == shape
    np.testing.assert_array_equal(session.labels.data == label, disc(shape, 0, 30))
    session.close()


def test_lazy_stacks_are_read_on_the_thread_and_one_plane_only(engine):
    read: list[tuple[int, int]] = []

    def block(block_info=None):
        place = block_info[None]["array-location"]
        read.append((threading.get_ident(), place[1][0]))
        return np.full((1, 1, 80, 100), place[1][0], np.uint8)

    chunks = ((1,) * 3, (1,) * 12, (80,), (100,))
    data = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.zeros(0, "u1"))
    viewer = ViewerModel()
    viewer.add_image(data, contrast_limits=(0, 12))
    viewer.dims.set_current_step(1, 4)
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    # napari itself reads the planes that it shows, here.
    here = threading.get_ident()
    read.clear()
    session.add_point((20, 30))
    session.wait(SECONDS)
    session.add_point((2, 7, 20, 30))
    session.wait(SECONDS)
    session.accept()
    planes = {at for ident, at in read if ident != here}
    assert planes <= {7}
    session.close()


def test_a_lazy_array_is_never_computed_on_the_main_thread(engine, fake):
    class Lazy:
        """An array that says who reads it."""

        shape, dtype, ndim = (5, *SHAPE), np.dtype(np.uint8), 3

        def __init__(self):
            self.readers = []

        def __getitem__(self, index):
            self.readers.append(threading.get_ident())
            return np.zeros(self.shape, self.dtype)[index]

    data = Lazy()
    viewer = ViewerModel()
    viewer.add_image(data, contrast_limits=(0, 1), multiscale=False, visible=False)
    data.readers.clear()
    session = Session(viewer, engine=engine)
    session.add_point((20, 30))
    session.wait(SECONDS)
    session.cleanup = type(session.cleanup)(max_hole_area=3)
    session.wait(SECONDS)
    assert data.readers
    assert set(data.readers) == {fake.threads[-1]}
    assert len(data.readers) == 1
    session.close()


def test_multiscale_images_are_segmented_in_full_resolution(engine):
    data = np.random.default_rng(0).integers(0, 255, (80, 100), dtype=np.uint8)
    viewer = ViewerModel()
    viewer.add_image([data, data[::2, ::2]], multiscale=True)
    session = Session(viewer, engine=engine)
    session.add_point((20, 30))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    label = session.accept()
    assert session.labels.data.shape == SHAPE
    assert (session.labels.data == label).sum() == disc(SHAPE, 20, 30).sum()
    session.close()


PLACES = {
    "anisotropic": {"scale": (2.0, 0.5, 0.25), "units": ("um", "um", "um")},
    "moved": {"translate": (5, -7, 11), "scale": (1, 3, 3)},
    "rotated": {"rotate": np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])},
    "affine": {
        "affine": np.array(
            [[1, 0, 0, 2], [0, 2, 0.5, 9], [0, 0, 2, -3], [0, 0, 0, 1]], float
        )
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_wherever_an_image_lies_pixels_are_pixels(engine, place):
    data = np.zeros((5, *SHAPE), np.uint8)
    viewer = showing(data, **PLACES[place])
    session = Session(viewer, engine=engine)
    viewer.dims.set_current_step(0, 2)
    session.add_point((20, 30))
    mask = mask_after(session)
    np.testing.assert_array_equal(mask, disc(SHAPE, 20, 30))
    label = session.accept()
    np.testing.assert_array_equal(session.labels.data[2] == label, mask)
    assert np.count_nonzero(session.labels.data) == mask.sum()
    layers = (session.labels, viewer.layers["SAM3 points"])
    for layer in layers:
        np.testing.assert_allclose(
            layer.data_to_world((2, 20, 30)),
            session.image.data_to_world((2, 20, 30)),
        )
        assert layer.units == session.image.units
    # The prompt lies in the world where the pixel does.
    session.add_point(session.image.data_to_world((2, 50, 60)), world=True)
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 50, 60))
    session.close()


def test_spots_in_other_units_and_places_lie_where_they_are_seen(engine):
    viewer = ViewerModel()
    viewer.add_image(
        np.zeros(SHAPE, np.uint8), scale=(0.5, 0.5), units=("um", "um"), name="cells"
    )
    # 10 µm and 15 µm are the pixel (20, 30); the spots count in tenths of a µm.
    spots = viewer.add_points(
        [(100, 50)], units=("nm", "nm"), scale=(100, 100), translate=(0, 10_000)
    )
    viewer.layers.selection.active = viewer.layers["cells"]
    session = Session(viewer, engine=engine)
    session.points = spots
    (mark,) = session.marks
    assert (mark.row, mark.col) == pytest.approx((20, 30))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    session.add_point((50, 60))
    np.testing.assert_allclose(spots.data[-1], (250, 200))
    session.close()


def test_a_flat_points_layer_counts_on_all_planes_of_a_stack(in_stack, stack):
    flat = stack.add_points([(20.0, 30.0)], ndim=2)
    in_stack.points = flat
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    in_stack.accept()
    stack.dims.set_current_step(0, 9)
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))
    stack.dims.set_current_step(0, 3)
    in_stack.wait(SECONDS)
    assert in_stack.preview is None


def test_two_sessions_share_an_engine_and_know_only_their_own(engine, fake):
    viewers = [ViewerModel(), ViewerModel()]
    sessions = []
    for number, viewer in enumerate(viewers):
        viewer.add_image(np.full(SHAPE, number, np.uint8))
        sessions.append(Session(viewer, engine=engine))
    for number, session in enumerate(sessions):
        session.add_point((20, 30 + 20 * number))
    for number, session in enumerate(sessions):
        expected = disc(SHAPE, 20, 30 + 20 * number)
        np.testing.assert_array_equal(mask_after(session), expected)
    assert len(set(fake.threads)) == 1
    sessions[0].close()
    sessions[1].add_point((50, 50))
    assert mask_after(sessions[1])[50, 50]
    sessions[1].close()


def test_engines_load_each_model_once(engine, fake):
    loaded: list[str] = []

    def build(model: str, **_: object) -> FakeTracker:
        loaded.append(model)
        return fake

    own = Engine(build=build)
    for _ in range(2):
        viewer = showing(np.zeros(SHAPE, np.uint8))
        session = Session(viewer, engine=own)
        session.add_point((20, 30))
        session.wait(SECONDS)
        session.close()
    assert loaded == ["nano"]
    own.thread.stop()


def test_each_kind_of_image_has_prompt_layers_of_its_own(in_stack, stack):
    in_stack.add_point((20, 30))
    in_stack.add_box((40, 40, 60, 70))
    mask = mask_after(in_stack)
    deep = in_stack.points
    in_stack.image = stack.add_image(np.zeros(SHAPE, np.uint8), name="flat")
    assert in_stack.marks == ()
    assert not in_stack.status.is_error
    in_stack.add_point((50, 60))
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 50, 60))
    assert in_stack.points.ndim == 2
    in_stack.image = stack.layers["stack"]
    assert in_stack.points is deep
    np.testing.assert_array_equal(mask_after(in_stack), mask)
    in_stack.image = stack.layers["flat"]
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 50, 60))


def test_a_layer_that_was_left_for_none_is_not_taken_up_again(in_stack, stack):
    in_stack.add_point((20, 30))
    old = in_stack.points
    in_stack.points = None
    in_stack.image = stack.add_image(np.zeros(SHAPE, np.uint8), name="flat")
    in_stack.image = stack.layers["stack"]
    assert in_stack.points is None
    assert in_stack.marks == ()
    in_stack.points = old
    in_stack.image = stack.layers["flat"]
    in_stack.image = stack.layers["stack"]
    assert in_stack.points is old


def test_a_layer_that_the_user_chose_stays_chosen(in_stack, stack):
    spots = stack.add_points([(20.0, 30.0)], ndim=2, name="spots")
    in_stack.points = spots
    in_stack.image = stack.add_image(np.zeros(SHAPE, np.uint8), name="flat")
    assert in_stack.points is spots
    np.testing.assert_array_equal(mask_after(in_stack), disc(SHAPE, 20, 30))


def test_the_status_says_what_goes_on(desk, engine, fake):
    seen = []
    session = Session(desk, engine=engine)
    session.status_changed.connect(seen.append)
    session.add_point((20, 30))
    session.wait(SECONDS)
    texts = list(dict.fromkeys(status.text for status in seen))
    assert texts[:5] == [
        "loading nano…",
        "warming up nano…",
        "reading…",
        "encoding…",
        "predicting…",
    ]
    assert texts[5].startswith("0.90 · ")
    assert texts[5].endswith(" ms")
    encoding = [status for status in seen if status.text == "encoding…"]
    assert [one.done for one in encoding if one.total == 4] == [0, 1, 2, 3, 4]
    assert all(status.busy for status in seen[:-1])
    assert not seen[-1].busy
    session.close()
