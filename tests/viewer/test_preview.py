"""The preview lies on the object, and nobody notices how it gets there."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels
from napari.settings import get_settings

from napari_sam3.core.journal import Plane
from napari_sam3.viewer.labels import create_labels
from napari_sam3.viewer.preview import PREVIEW_NAME, Preview, PreviewLayer

FLAT = Plane((0, 1), (None, None))
CROP = np.array([[1, 0], [1, 0], [1, 1]], bool)
PREVIEW = Preview(CROP, (2, 3, 5, 5), (8, 10), score=0.5)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def image(viewer):
    return viewer.add_image(np.zeros((8, 10), np.uint8), name="cells")


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_preview_knows_the_mask_of_the_plane():
    expected = np.zeros((8, 10), bool)
    expected[2:5, 3:5] = CROP

    np.testing.assert_array_equal(PREVIEW.mask, expected)
    assert not PREVIEW.is_many
    many = Preview(CROP * np.uint16(700), (2, 3, 5, 5), (8, 10))
    np.testing.assert_array_equal(many.mask, expected)
    assert many.is_many


def test_the_layer_holds_the_crop_only(viewer, image):
    layer = PreviewLayer()

    layer.show(viewer, image, FLAT, PREVIEW)

    assert layer.layer == viewer.layers[PREVIEW_NAME]
    np.testing.assert_array_equal(layer.layer.data, CROP)
    assert layer.layer.data.dtype == np.uint8
    assert layer.layer.visible
    assert not layer.layer.editable


PLACES = [
    {},
    {"scale": (3, 0.5, 0.25), "translate": (-7, 100, 3)},
    {"rotate": 30, "translate": (0, 5, 6), "scale": (1, 2, 0.7)},
    {"shear": (0, 0, 0.3), "scale": (1, 2, 1)},
    {
        "affine": [[1, 0, 0, 3], [0, 1.2, 0.3, 4], [0, -0.4, 0.9, 5], [0, 0, 0, 1]],
        "scale": (2, 3, 4),
        "translate": (1, 2, 3),
        "rotate": 10,
    },
    {"scale": (500, 100, 100), "units": ("nm", "um", "um"), "translate": (1, 2, 3)},
]


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("axes", [(1, 2), (2, 1), (0, 2), (1, 0)])
@pytest.mark.parametrize("place", PLACES)
def test_pixels_lie_where_those_of_the_image_do(viewer, place, axes):
    image = viewer.add_image(np.zeros((6, 8, 10), np.uint8), **place)
    (hidden,) = {0, 1, 2} - set(axes)
    index = [None, None, None]
    index[hidden] = 4
    layer = PreviewLayer()

    layer.show(viewer, image, Plane(axes, tuple(index)), PREVIEW)

    shown = layer.layer
    assert shown.units == image.units
    assert shown.data.shape[hidden] == 1
    for row, col in np.ndindex(CROP.shape):
        in_crop, in_image = np.zeros(3, int), np.full(3, 4)
        in_crop[list(axes)] = row, col
        in_image[list(axes)] = row + 2, col + 3
        assert shown.data[tuple(in_crop)] == CROP[row, col]
        assert shown.data_to_world(in_crop) == pytest.approx(
            image.data_to_world(in_image)
        )


def test_colours_and_pyramids_have_no_axis_of_their_own(viewer):
    image = viewer.add_image(
        [np.zeros((3, 64, 80, 3), np.uint8), np.zeros((3, 32, 40, 3), np.uint8)],
        rgb=True,
        multiscale=True,
        scale=(2, 0.5, 0.5),
    )
    layer = PreviewLayer()

    layer.show(viewer, image, Plane((1, 2), (1, None, None)), PREVIEW)

    assert layer.layer.data.shape == (1, 3, 2)
    assert layer.layer.data_to_world((0, 0, 0)) == pytest.approx((2, 1, 1.5))


def test_it_is_seen_on_its_plane_only(viewer):
    image = viewer.add_image(np.zeros((6, 8, 10), np.uint8), scale=(2, 1, 1))
    layer = PreviewLayer()
    viewer.dims.set_point(0, 8)

    layer.show(viewer, image, Plane((1, 2), (4, None, None)), PREVIEW)

    assert layer.layer.get_value((8, 2, 3), world=True) == 1
    viewer.dims.set_point(0, 6)
    assert not layer.layer.get_value((6, 2, 3), world=True)
    viewer.dims.set_point(0, 8)
    assert layer.layer.get_value((8, 2, 3), world=True) == 1


def test_updates_are_shown(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)

    layer.show(viewer, image, FLAT, Preview(CROP.T, (5, 6, 7, 9), (8, 10)))

    assert len(viewer.layers) == 2
    assert layer.layer.get_value((5, 8), world=True) == 1
    assert layer.layer.get_value((6, 6), world=True) == 0
    assert layer.layer.get_value((2, 3), world=True) is None


class Witness:
    """Notes all that a user could notice."""

    def __init__(self, viewer):
        self.seen = []
        events = viewer.dims.events
        for name in ("current_step", "point", "range", "ndim", "order", "axis_labels"):
            getattr(events, name).connect(self.note)
        viewer.layers.selection.events.active.connect(self.note)
        viewer.layers.selection.events.changed.connect(self.note)
        viewer.scene.camera.events.connect(self.note)

    def note(self, event):
        self.seen.append(event.type)


def test_nothing_else_moves(viewer):
    image = viewer.add_image(
        np.zeros((6, 80, 100), np.uint8), scale=(2, 0.5, 0.5), units=("um",) * 3
    )
    points = viewer.add_points(np.zeros((1, 3)), scale=(2, 0.5, 0.5), units=("um",) * 3)
    shapes = viewer.add_shapes(ndim=3, scale=(2, 0.5, 0.5), units=("um",) * 3)
    viewer.layers.selection = {points, shapes}
    viewer.layers.selection.active = points
    viewer.layers.selection.add(shapes)
    selected, active = set(viewer.layers.selection), viewer.layers.selection.active
    viewer.dims.set_point(0, 8)
    witness, layer = Witness(viewer), PreviewLayer()
    plane = Plane((1, 2), (4, None, None))

    for size in (3, 70, 5):
        crop = np.ones((size, size), bool)
        bbox = (9, 20, 9 + size, 20 + size)
        layer.show(viewer, image, plane, Preview(crop, bbox, (80, 100)))
    many = Preview(CROP.astype(np.uint16), (77, 98, 80, 100), (80, 100))
    layer.show(viewer, image, plane, many)
    layer.hide()
    layer.show(viewer, image, plane, PREVIEW)

    assert witness.seen == []
    layer.remove()
    assert set(viewer.layers.selection) == selected
    assert viewer.layers.selection.active == active


def test_an_update_is_drawn_once_and_complete(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)
    drawn = []

    def draw(event):
        shown = event.source
        drawn.append((shown.data.shape, shown.translate.tolist(), shown.editable))

    layer.layer.events.connect(draw)
    layer.show(viewer, image, FLAT, Preview(CROP.T, (5, 6, 7, 9), (8, 10)))

    assert drawn == [((2, 3), [5, 6], False)]


def test_hiding_leaves_an_empty_layer(viewer, image):
    layer = PreviewLayer()
    layer.hide()  # nothing to hide
    layer.show(viewer, image, FLAT, PREVIEW)

    layer.hide()

    assert not layer.layer.visible
    layer.layer.visible = True  # the user opens its eye
    assert not layer.layer.data.any()
    layer.show(viewer, image, FLAT, PREVIEW)
    assert layer.layer.visible
    assert layer.layer.get_value((2, 3), world=True) == 1


def test_a_preview_without_pixels_hides(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, Preview(CROP & False, (2, 3, 5, 5), (8, 10)))
    assert names(viewer) == ["cells"]
    layer.show(viewer, image, FLAT, PREVIEW)

    layer.show(viewer, image, FLAT, Preview(CROP[:0], (2, 3, 2, 5), (8, 10)))

    assert not layer.layer.visible


def test_a_layer_that_the_user_deleted_comes_again(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)

    viewer.layers.remove(PREVIEW_NAME)
    assert layer.layer is None
    layer.hide()
    layer.show(viewer, image, FLAT, PREVIEW)

    assert names(viewer) == ["cells", PREVIEW_NAME]


def test_remove_leaves_nothing(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)

    layer.remove()
    layer.remove()

    assert names(viewer) == ["cells"]


def test_it_lies_above_pictures_and_below_prompts(viewer, image):
    viewer.add_labels(np.zeros((8, 10), np.uint16), name="objects")
    viewer.add_points(name="clicks")
    viewer.add_shapes(name="boxes")

    PreviewLayer().show(viewer, image, FLAT, PREVIEW)

    assert names(viewer) == ["cells", "objects", PREVIEW_NAME, "clicks", "boxes"]


def test_the_order_that_the_user_made_stays(viewer, image):
    viewer.add_points(name="clicks")
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)
    viewer.layers.move(1, 3)

    layer.show(viewer, image, FLAT, PREVIEW)

    assert names(viewer) == ["cells", "clicks", PREVIEW_NAME]


def test_another_image_on_top_gets_the_preview_above_it(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)
    layer.layer.opacity = 0.25
    other = viewer.add_image(np.zeros((8, 10), np.uint8), name="nuclei")

    layer.show(viewer, other, FLAT, PREVIEW)

    assert names(viewer) == ["cells", "nuclei", PREVIEW_NAME]
    assert layer.layer.opacity == 0.25


def test_an_image_that_was_moved_takes_it_along(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)

    for name, value in (("translate", (50, 60)), ("scale", (2, 3)), ("rotate", 20)):
        setattr(image, name, value)
        layer.show(viewer, image, FLAT, PREVIEW)
        assert layer.layer.data_to_world((1, 1)) == pytest.approx(
            image.data_to_world((3, 4))
        )
    assert len(viewer.layers) == 2


def test_many_objects_have_many_colours(viewer, image):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)
    one = layer.layer.get_color(1)
    ids = np.array([[1, 2, 700]], np.uint32)

    layer.show(viewer, image, FLAT, Preview(ids, (2, 3, 3, 6), (8, 10)))

    shown = layer.layer
    np.testing.assert_array_equal(shown.data, ids)
    assert shown.data.dtype == np.uint16
    colours = [tuple(shown.get_color(number)) for number in (1, 2, 700)]
    assert len(set(colours)) == 3
    layer.show(viewer, image, FLAT, PREVIEW)
    assert layer.layer.get_color(1) == pytest.approx(one)
    assert layer.layer.data.dtype == np.uint8


@pytest.mark.parametrize("value", [0, 1])
def test_background_is_clear_and_the_object_is_not(viewer, image, value):
    layer = PreviewLayer()
    layer.show(viewer, image, FLAT, PREVIEW)

    color = layer.layer.get_color(value)

    assert (color is None or color[3] == 0) == (value == 0)


def test_loading_in_the_background_draws_at_once():
    get_settings().experimental.async_ = True
    try:
        viewer = ViewerModel()
        image = viewer.add_image(np.zeros((8, 10), np.uint8))
        layer = PreviewLayer()
        for row in (2, 5):
            preview = Preview(CROP[: row + 1], (row, 3, min(row + 3, 8), 5), (8, 10))
            layer.show(viewer, image, FLAT, preview)
            assert layer.layer.get_value((row + 2, 4), world=True) == 1
            assert layer.layer.loaded
    finally:
        get_settings().experimental.async_ = False


def test_two_panels_have_two_previews(viewer, image):
    layers = PreviewLayer(), PreviewLayer()
    for layer in layers:
        layer.show(viewer, image, FLAT, PREVIEW)

    assert len(viewer.layers) == 3
    layers[0].remove()
    assert layers[1].layer in viewer.layers


def test_new_labels_come_below_the_preview(viewer, image):
    PreviewLayer().show(viewer, image, FLAT, PREVIEW)

    labels = create_labels(viewer, image)

    assert names(viewer) == ["cells", labels.name, PREVIEW_NAME]
    assert isinstance(viewer.layers[1], Labels)
