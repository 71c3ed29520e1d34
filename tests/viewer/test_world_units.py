"""Clicks land where they are made, in whatever units the layers are."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import BoxMark, PointMark
from napari_sam3.viewer.geometry import check_unmixed, goes_by_numbers, map_points
from napari_sam3.viewer.label_search import label_at
from napari_sam3.viewer.prompt_layers import (
    add_marks,
    create_points,
    create_shapes,
    read_points,
    read_shapes,
)
from napari_sam3.viewer.world_units import set_units

FLAT = Plane((0, 1), (None, None))


def click(viewer: ViewerModel, layer: Points, world: tuple[float, ...]) -> None:
    """Add a point where the cursor is, as napari's own tool does."""
    layer.add(layer.world_to_data(world))


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def image(viewer: ViewerModel) -> Image:
    """Return an image whose units are not the smallest of their kind on each axis."""
    return viewer.add_image(
        np.zeros((40, 60), np.uint8),
        scale=(0.5, 200),
        translate=(3, -70),
        rotate=20,
        units=("um", "nm"),
    )


def world_of(viewer: ViewerModel, image: Image, pixel: tuple[float, float]):
    """Return where napari draws a pixel: the viewer goes by nanometres."""
    assert [str(unit) for unit in viewer.dims.units] == ["nanometer"] * 2
    return np.array(image.data_to_world(pixel)) * (1000, 1)


def test_a_click_lies_where_it_is_made_if_units_of_axes_differ(viewer, image):
    points = create_points(viewer, image)
    click(viewer, points, world_of(viewer, image, (7, 30)))
    assert read_points(points, image, FLAT) == [PointMark(7, 30)]
    shapes = create_shapes(viewer, image)
    corners = [(4.5, 9.5), (4.5, 19.5), (9.5, 19.5), (9.5, 9.5)]
    places = [world_of(viewer, image, corner) for corner in corners]
    shapes.add([shapes.world_to_data(place) for place in places])
    assert read_shapes(shapes, image, FLAT) == [BoxMark(5, 10, 10, 20)]


def test_prompt_layers_follow_when_the_viewers_units_change(viewer):
    image = viewer.add_image(np.zeros((40, 60)), scale=(2, 2), units="um")
    points = create_points(viewer, image)
    points.add([[7, 30]])
    seen = []
    points.events.affine.connect(lambda: seen.append(read_points(points, image, FLAT)))
    points.events.units.connect(lambda: seen.append(read_points(points, image, FLAT)))
    finer = viewer.add_image(np.zeros((40, 60)), units="nm")
    assert points.units == finer.units
    click(viewer, points, (8_000, 10_000))
    assert read_points(points, image, FLAT) == [PointMark(7, 30), PointMark(4, 5)]
    # Nobody saw the units without what goes with them.
    assert seen
    assert all(marks == [PointMark(7, 30)] for marks in seen)
    # Units that don't go together: napari takes all as they are, and so do we.
    viewer.add_image(np.zeros((40, 60)), units="pixel")
    assert goes_by_numbers(viewer)
    assert points.units == image.units
    click(viewer, points, (6, 8))
    marks = read_points(points, image, FLAT, by_numbers=True)
    assert marks == [PointMark(7, 30), PointMark(4, 5), PointMark(3, 4)]


def test_units_of_a_closed_viewer_are_no_concern(viewer, image):
    points = create_points(viewer, image)
    dims = viewer.dims
    viewer.layers.remove(points)
    units = points.units
    viewer.add_image(np.zeros((4, 4)), units="pm")
    assert points.units == units
    del viewer
    gc.collect()
    dims.units = image.units
    assert points.units == units


def test_a_layer_in_other_units_lies_at_the_same_place(viewer):
    layer = Image(np.zeros((4, 4)), scale=(2, 3), translate=(5, 6), rotate=30)
    layer.units = ("um", "mm")
    nm = Image(np.zeros((4, 4)), units="nm").units
    before = np.array(layer.data_to_world((1, 2)))
    set_units(layer, nm)
    np.testing.assert_allclose(layer.data_to_world((1, 2)), before * (1e3, 1e6))
    assert (layer.scale.tolist(), layer.translate.tolist()) == ([2, 3], [5, 6])
    set_units(layer, Image(np.zeros((4, 4)), units="s").units)
    assert layer.units == nm


def test_units_do_not_count_where_napari_goes_by_numbers():
    image = Image(np.zeros((40, 60)), units="nm")
    points = Points([[7, 30]], units="um")
    assert read_points(points, image, FLAT) == [PointMark(7000, 30_000)]
    assert read_points(points, image, FLAT, by_numbers=True) == [PointMark(7, 30)]
    assert map_points(points, [[7, 30]], image, by_numbers=True).tolist() == [[7, 30]]
    add_marks(points, None, image, FLAT, [PointMark(1, 2)], by_numbers=True)
    assert points.data.tolist() == [[7, 30], [1, 2]]


@pytest.mark.parametrize("slider", [10.0, 13.0, 15.0, 5.0])
def test_a_click_counts_on_the_plane_that_is_shown_however_fine_the_layer(slider):
    # The slider goes in steps of the finest layer, the image in its own.
    image = Image(np.zeros((4, 40, 60)), scale=(10, 1, 1))
    points = Points(ndim=3)
    points.add([slider, 7, 30])
    plane = Plane((1, 2), (1, None, None))
    assert read_points(points, image, plane) == [PointMark(7, 30)]
    next_one = Plane((1, 2), (3, None, None))
    assert read_points(points, image, next_one) == []


def test_a_click_just_between_planes_far_away_hangs_on_no_digit():
    image = Image(np.zeros((4, 40, 60)), scale=(1e-3, 1, 1), translate=(1e5, 0, 0))
    points = Points(ndim=3, scale=(3e-3, 1, 1), translate=(1e5, 0, 0))
    points.add(points.world_to_data(image.data_to_world((1.5, 7, 30))))
    for index in (1, 2):
        plane = Plane((1, 2), (index, None, None))
        assert read_points(points, image, plane) == [PointMark(7, 30)]


def test_shapes_that_napari_cannot_keep_are_refused_in_words():
    image = Image(np.zeros((40, 60)), scale=(1e-3, 1e-3))
    shapes = Shapes(ndim=2, translate=(1e6, 1e6), name="far")
    points = Points(ndim=2)
    marks = [PointMark(1, 2), BoxMark(5, 10, 10, 20)]
    with pytest.raises(LayerError, match=r"far.*cannot keep the shape.*new layer"):
        add_marks(points, shapes, image, FLAT, marks)
    assert len(points.data) == len(shapes.data) == 0


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize(("drift", "refused"), [(1e-4, True), (1e-13, False)])
def test_a_slant_is_measured_by_the_axis_that_it_moves(drift, refused):
    # Thick planes of tiny pixels: a little of z is much of x.
    affine = np.diag([1000, 1e-3, 1e-3, 1])
    affine[2, 0] = drift
    image = Image(np.zeros((2, 4, 4)), affine=affine, name="slanted")
    if refused:
        with pytest.raises(LayerError, match="slanted"):
            check_unmixed(image, (1, 2))
    else:
        check_unmixed(image, (1, 2))


def test_the_object_under_the_mouse_is_found_whatever_the_units(viewer):
    pixels = np.zeros((40, 60), np.uint16)
    pixels[10:20, 30:40] = 7
    labels = viewer.add_labels(pixels, scale=(0.5, 0.5), units=("um", "um"))
    viewer.add_points(np.zeros((1, 2)), units=("nm", "nm"))
    assert [str(unit) for unit in viewer.dims.units] == ["nanometer"] * 2
    assert label_at(labels, (7_500.0, 17_500.0), viewer.dims.units) == 7
    assert label_at(labels, (500.0, 500.0), viewer.dims.units) == 0
    assert label_at(labels, (7.5, 17.5)) == 7
