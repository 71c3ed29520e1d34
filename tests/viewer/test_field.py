"""A pixel is in the field of view just if napari draws it on the canvas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_sam3.viewer.field import visible_field
from napari_sam3.viewer.planes import shown_plane, to_data


def on_canvas(viewer: ViewerModel, image, plane, pixels: np.ndarray) -> np.ndarray:
    """Return canvas positions (row, col) of pixel places, by napari's numbers."""
    world = np.array([image.data_to_world(one) for one in to_data(plane, pixels)])
    if viewer.dims.units is not None:
        ratio = [
            (1 * own).to(shown).magnitude
            for own, shown in zip(image.units, viewer.dims.units[-image.ndim :])
        ]
        world = world * ratio
    shown = world[:, list(plane.axes)]
    camera, size = viewer.scene.camera, np.array(viewer.canvas.size)
    return (shown - np.array(camera.center)[-2:]) * camera.zoom + size / 2


def view(viewer: ViewerModel, center, zoom: float, size=(600, 800)) -> None:
    viewer.canvas.size = size
    viewer.scene.camera.center = (0, *center)
    viewer.scene.camera.zoom = zoom


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_what_is_in_the_field_is_on_the_canvas_and_nothing_else_is(data):
    draw = data.draw
    scale = [draw(st.floats(0.05, 20)) for _ in range(3)]
    translate = [draw(st.floats(-100, 100)) for _ in range(3)]
    order = draw(st.permutations(range(3)))
    unit = draw(st.sampled_from(["pixel", "um", "nm"]))
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros((20, 30, 40), np.uint8),
        scale=scale,
        translate=translate,
        units=[unit] * 3,
    )
    if unit == "nm":  # the world is in micrometres then
        viewer.add_points(np.zeros((1, 3)), units=["um"] * 3)
    viewer.dims.order = order
    plane = shown_plane(viewer, image)
    shape = [image.data.shape[axis] for axis in plane.axes]
    world = np.array(image.extent.world)[:, list(plane.axes)]
    factor = 1.0
    if unit == "nm" and viewer.dims.units is not None:
        factor = (1 * image.units[0]).to(viewer.dims.units[0]).magnitude
    middle = [draw(st.floats(-0.3, 1.3)) for _ in range(2)]
    center = (world[0] + (world[1] - world[0]) * middle) * factor
    extent = float((world[1] - world[0]).max()) * factor
    view(viewer, center, draw(st.floats(0.2, 30)) * 600 / extent)
    field = visible_field(viewer, image, plane)
    size = np.array(viewer.canvas.size)
    for axis in range(2):
        # Along each axis by itself, as the canvas is upright.
        ends = np.zeros((shape[axis] + 1, 2))
        ends[:, axis] = np.arange(shape[axis] + 1) - 0.5
        at = np.sort(on_canvas(viewer, image, plane, ends)[:, axis])
        touches = (at[1:] > 1e-6) & (at[:-1] < size[axis] - 1e-6)
        if field is None:
            continue
        inside = np.arange(shape[axis])
        inside = (inside >= field[axis]) & (inside < field[axis + 2])
        clear = (np.abs(at[1:]) > 1e-3) & (np.abs(at[:-1] - size[axis]) > 1e-3)
        np.testing.assert_array_equal(inside[clear], touches[clear])
    if field is None:
        corners = on_canvas(
            viewer, image, plane, np.array([(-0.5, -0.5), np.array(shape) - 0.5])
        )
        beside = (corners.max(0) < 1e-3) | (corners.min(0) > size - 1e-3)
        assert beside.any()


@pytest.mark.parametrize("angle", [30, 45, 200])
def test_a_turned_image_is_seen_through_the_box_around_what_is_seen(angle):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((300, 400), np.uint8), rotate=angle)
    plane = shown_plane(viewer, image)
    view(viewer, image.data_to_world((150, 200)), 6)
    field = visible_field(viewer, image, plane)
    rows, cols = np.indices((300, 400)).reshape(2, -1)
    at = on_canvas(viewer, image, plane, np.stack([rows, cols], 1).astype(float))
    seen = ((at > 0) & (at < viewer.canvas.size)).all(axis=1)
    assert rows[seen].min() == pytest.approx(field[0], abs=1)
    assert cols[seen].min() == pytest.approx(field[1], abs=1)
    assert rows[seen].max() + 1 == pytest.approx(field[2], abs=1)
    assert cols[seen].max() + 1 == pytest.approx(field[3], abs=1)


def test_of_a_pyramid_the_pixels_are_those_of_full_resolution():
    viewer = ViewerModel()
    levels = [np.zeros((800 >> n, 1000 >> n), np.uint8) for n in range(3)]
    image = viewer.add_image(levels, multiscale=True)
    plane = shown_plane(viewer, image)
    view(viewer, (400, 500), 4, (400, 400))
    assert visible_field(viewer, image, plane) == (350, 450, 451, 551)


def test_a_layer_with_fewer_axes_than_the_viewer_has_its_own():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 100, 100), np.uint8))
    image = viewer.add_image(np.zeros((100, 100), np.uint8), scale=(2, 1))
    plane = shown_plane(viewer, image)
    view(viewer, (100, 50), 10, (100, 100))
    assert visible_field(viewer, image, plane) == (48, 45, 53, 56)


def test_beside_the_image_nothing_is_seen():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((100, 100), np.uint8))
    view(viewer, (1000, 50), 10, (100, 100))
    assert visible_field(viewer, image, shown_plane(viewer, image)) is None
