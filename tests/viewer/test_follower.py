"""Which image is segmented, which plane is shown, and when either changes."""

from __future__ import annotations

import gc
import weakref

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from wrapt import ObjectProxy

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.follower import ImageFollower, real

SHAPE = (3, 20, 30)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(np.zeros(SHAPE, np.uint8), name="lower")
    viewer.add_image(np.ones(SHAPE, np.uint8), name="upper")
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="labels")
    viewer.dims.set_current_step(0, 1)
    return viewer


@pytest.fixture
def follower(viewer):
    follower = ImageFollower(viewer)
    yield follower
    follower.close()


def count(signal) -> list[tuple]:
    seen: list[tuple] = []
    signal.connect(lambda *args: seen.append(args))
    return seen


def test_the_selected_image_is_followed_else_the_topmost_that_is_seen(viewer):
    def first() -> str:
        follower = ImageFollower(viewer)
        follower.close()
        return follower_name

    for active, hidden, expected in (
        ("lower", (), "lower"),
        ("labels", (), "upper"),
        ("labels", ("upper",), "lower"),
        ("labels", ("upper", "lower"), "upper"),
    ):
        for layer in viewer.layers:
            layer.visible = layer.name not in hidden
        viewer.layers.selection.active = viewer.layers[active]
        follower = ImageFollower(viewer)
        follower_name = follower.image.name
        assert first() == expected
        follower.close()


def test_the_key_says_which_plane(follower, viewer):
    key = follower.key()
    assert key.layer_id == viewer.layers["upper"].unique_id
    assert key.plane == Plane((1, 2), (1, None, None))
    viewer.dims.order = (1, 2, 0)
    assert follower.key().plane.axes == (2, 0)
    viewer.dims.ndisplay = 3
    assert follower.key() is None
    with pytest.raises(LayerError, match="2D"):
        follower.source()


def test_moves_are_told(follower, viewer):
    moves = count(follower.moved)
    viewer.dims.set_current_step(0, 2)
    assert len(moves) >= 1
    for change in (
        lambda: setattr(viewer.dims, "order", (1, 0, 2)),
        lambda: setattr(viewer.dims, "ndisplay", 3),
        lambda: setattr(follower.image, "scale", (1, 2, 2)),
        lambda: setattr(follower.image, "translate", (0, 5, 5)),
        lambda: setattr(follower.image, "units", ("um", "um", "um")),
        lambda: setattr(follower, "image", viewer.layers["lower"]),
    ):
        moves.clear()
        change()
        assert moves


def test_new_data_has_a_new_stamp_and_the_old_is_lost(follower, viewer):
    moves, lost = count(follower.moved), count(follower.lost)
    stamp = follower.stamp
    follower.image.data = np.zeros((3, 9, 9), np.uint8)
    assert follower.stamp != stamp
    assert lost == [(follower.image.unique_id,)]
    assert moves
    assert follower.source().shape == (9, 9)


def test_what_is_drawn_anew_may_have_changed_unless_it_is_lazy(viewer, follower):
    stamp = follower.stamp
    follower.image.refresh()
    assert follower.stamp != stamp
    lazy = viewer.add_image(da.zeros(SHAPE, dtype=np.uint8), contrast_limits=(0, 1))
    follower.image = lazy
    stamp = follower.stamp
    lazy.refresh()
    assert follower.stamp == stamp


def test_no_stamp_is_used_twice(viewer):
    stamps = []
    for _ in range(3):
        follower = ImageFollower(viewer)
        stamps.append(follower.stamp)
        follower.image.refresh()
        stamps.append(follower.stamp)
        follower.image = viewer.layers["lower"]
        stamps.append(follower.stamp)
        follower.close()
    assert len(set(stamps)) == len(stamps)


def test_an_image_that_leaves_is_lost_and_another_is_taken(follower, viewer):
    lost = count(follower.lost)
    upper = viewer.layers["upper"]
    viewer.layers.remove(upper)
    assert follower.image is viewer.layers["lower"]
    assert lost == [(upper.unique_id,)]
    lower = viewer.layers["lower"]
    viewer.layers.clear()
    assert follower.image is None
    assert (lower.unique_id,) in lost
    with pytest.raises(LayerError, match="open one"):
        follower.source()
    again = viewer.add_image(np.zeros((5, 5)))
    assert follower.image is again


def test_other_images_that_leave_are_lost_too(follower, viewer):
    lost = count(follower.lost)
    lower = viewer.layers["lower"]
    viewer.layers.remove(lower)
    assert lost == [(lower.unique_id,)]
    assert follower.image is viewer.layers["upper"]


def test_choosing_another_image_loses_none(follower, viewer):
    lost = count(follower.lost)
    follower.image = viewer.layers["lower"]
    follower.image = None
    assert lost == []
    follower.image = viewer.layers["lower"]
    follower.close()
    assert lost == [(viewer.layers["lower"].unique_id,)]


def test_napari_s_proxies_stand_for_what_they_are_of(follower, viewer):
    # What plugins are given is such a one.
    proxy = ObjectProxy(viewer.layers["lower"])
    follower.image = proxy
    assert follower.image is viewer.layers["lower"]
    assert real(proxy) is viewer.layers["lower"]
    moves = count(follower.moved)
    follower.image = proxy
    assert moves == []


def test_layers_that_are_no_images_of_this_viewer_are_refused(follower, viewer):
    with pytest.raises(LayerError, match="no image layer"):
        follower.image = viewer.layers["labels"]
    stranger = ViewerModel().add_image(np.zeros((5, 5)), name="stranger")
    with pytest.raises(LayerError, match="'stranger'"):
        follower.image = stranger
    assert follower.image.name == "upper"


def test_it_keeps_no_viewer_alive():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 5)), name="cells")
    follower = ImageFollower(viewer)
    gone = weakref.ref(viewer)
    del viewer
    gc.collect()
    assert gone() is None
    assert follower.key() is None
    follower.close()


def test_closed_it_hears_nothing(viewer):
    follower = ImageFollower(viewer)
    layer = follower.image
    moves = count(follower.moved)
    follower.close()
    follower.close()
    viewer.dims.set_current_step(0, 2)
    layer.data = np.zeros((4, 4), np.uint8)
    viewer.layers.clear()
    assert moves == []
    assert follower.image is None
