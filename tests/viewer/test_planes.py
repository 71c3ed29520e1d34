"""The plane that the viewer shows, and its pixels only when they are asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Points
from wrapt import ObjectProxy

from napari_sam3.core.errors import LayerError
from napari_sam3.core.image import to_rgb
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.planes import shown_plane, to_data, to_plane_px
from napari_sam3.viewer.sources import PlaneKey, plane_source


class Lazy:
    """An array that counts how often somebody looks at its pixels."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.looks = array, 0
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __getitem__(self, index: object) -> Lazy:
        self.looks += 1
        return Lazy(self.array[index])

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        self.looks += 1
        return self.array


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def stack(*shape: int) -> np.ndarray:
    """Return an array whose values are all different."""
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


def test_a_flat_image_is_one_plane(viewer):
    image = viewer.add_image(stack(4, 5))
    plane = shown_plane(viewer, image)
    assert plane == Plane((0, 1), (None, None))
    assert plane_source(image, plane, 0).shape == (4, 5)


def test_the_slider_chooses_the_plane(viewer):
    image = viewer.add_image(stack(3, 4, 5, 6), scale=(2, 0.5, 1, 1))
    viewer.dims.set_current_step((0, 1), (2, 3))
    assert shown_plane(viewer, image) == Plane((2, 3), (2, 3, None, None))


def shown(image, pixels):
    return to_rgb(pixels, contrast_limits=image.contrast_limits)


@pytest.mark.parametrize(
    "order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0), (1, 2, 0)]
)
def test_transposed_views_are_read_as_they_are_shown(viewer, order):
    data = stack(3, 4, 5)
    image = viewer.add_image(data)
    viewer.dims.order = order
    viewer.dims.set_current_step(order[0], 2)
    plane = shown_plane(viewer, image)
    assert plane.axes == order[1:]
    source = plane_source(image, plane, 0)
    expected = shown(image, np.transpose(data, order)[2])
    assert source.shape == expected.shape[:2]
    np.testing.assert_array_equal(source.read(), expected)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_colours_are_no_axis(viewer, channels, dtype):
    data = np.random.default_rng(0).integers(0, 255, (2, 4, 5, channels)).astype(dtype)
    if dtype is np.float32:
        data /= 255
    image = viewer.add_image(data, rgb=True)
    viewer.dims.order = (0, 2, 1)
    viewer.dims.set_current_step(0, 1)
    source = plane_source(image, shown_plane(viewer, image), 0)
    assert source.shape == (5, 4)
    expected = source.look.render([data[1].swapaxes(0, 1)])
    np.testing.assert_array_equal(source.read(), expected)


def test_few_columns_are_not_taken_for_colours(viewer):
    data = stack(2, 6, 3)
    image = viewer.add_image(data, rgb=False)
    source = plane_source(image, shown_plane(viewer, image), 0)
    at = viewer.dims.current_step[0]
    np.testing.assert_array_equal(source.read(), shown(image, data[at]))


def test_of_pyramids_the_full_resolution_is_read(viewer):
    data = stack(3, 64, 48)
    image = viewer.add_image([data, data[:, ::2, ::2], data[:, ::4, ::4]])
    assert image.multiscale
    source = plane_source(image, shown_plane(viewer, image), 0)
    assert source.shape == (64, 48)
    np.testing.assert_array_equal(source.read(), shown(image, data[1]))


def test_a_layer_with_fewer_axes_has_the_last_ones(viewer):
    image = viewer.add_image(stack(4, 5))
    viewer.add_image(stack(2, 3, 7, 7))
    assert shown_plane(viewer, image) == Plane((0, 1), (None, None))
    viewer.dims.order = (0, 1, 3, 2)
    assert shown_plane(viewer, image) == Plane((1, 0), (None, None))


def test_an_axis_that_the_layer_lacks_cannot_be_shown(viewer):
    image = viewer.add_image(stack(4, 5), name="flat")
    viewer.add_image(stack(3, 7, 7))
    viewer.dims.order = (2, 0, 1)
    with pytest.raises(LayerError, match=r"'flat' lacks.*order = \(0, 1, 2\)"):
        shown_plane(viewer, image)


def test_the_view_in_3d_has_no_plane(viewer):
    image = viewer.add_image(stack(3, 4, 5))
    viewer.dims.ndisplay = 3
    with pytest.raises(LayerError, match="switch to 2D"):
        shown_plane(viewer, image)


def test_a_row_of_points_has_no_plane(viewer):
    layer = Points(ndim=1)
    with pytest.raises(LayerError, match="has 1 axis; choose an image"):
        shown_plane(viewer, layer)


def test_a_layer_of_another_viewer_is_refused(viewer):
    viewer.add_image(stack(4, 5))
    image = ViewerModel().add_image(stack(2, 4, 5))
    with pytest.raises(LayerError, match="add it to the viewer"):
        shown_plane(viewer, image)


def test_beside_the_layer_there_is_no_plane(viewer):
    image = viewer.add_image(stack(3, 4, 5), name="short")
    viewer.add_image(stack(9, 4, 5))
    viewer.dims.set_current_step(0, 2)
    assert shown_plane(viewer, image).index[0] == 2
    viewer.dims.set_current_step(0, 3)
    with pytest.raises(LayerError, match=r"no plane of 'short'.*move the slider"):
        shown_plane(viewer, image)


def test_a_turn_within_the_plane_is_fine(viewer):
    turn = np.eye(3)
    turn[1:, 1:] = [[0.6, -0.8], [0.8, 0.6]]
    image = viewer.add_image(stack(5, 8, 8), rotate=turn, scale=(3, 1, 1))
    viewer.dims.set_current_step(0, 4)
    assert shown_plane(viewer, image).index == (4, None, None)


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_a_turn_out_of_the_plane_is_refused(viewer):
    turn = np.eye(3)
    turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    image = viewer.add_image(stack(5, 8, 8), rotate=turn, name="tilted")
    with pytest.raises(LayerError, match=r"'tilted' is rotated.*reset rotate"):
        shown_plane(viewer, image)


def test_hidden_axes_may_mix_among_themselves(viewer):
    affine = np.eye(5)
    affine[0, 1] = 1.0
    image = viewer.add_image(stack(3, 4, 5, 6), affine=affine)
    viewer.dims.set_point((0, 1), (2, 1))
    # World (2, 1) is data (1, 1), as 1 + 1 = 2.
    assert shown_plane(viewer, image).index == (1, 1, None, None)


def value_shown(viewer: ViewerModel, image: object) -> int:
    """Return what napari shows in the first pixel of the slice."""
    corner = np.array(viewer.dims.point)
    corner[list(viewer.dims.displayed)] = 0
    if viewer.dims.units is not None:
        factor = [
            float((1 * world).to(own).magnitude)
            for world, own in zip(viewer.dims.units, image.units)
        ]
        corner = corner * factor
    return int(image.get_value(corner, world=True))


@settings(deadline=None, max_examples=25)
@given(
    steps=st.sampled_from([0.25, 0.5, 1, 2, 3]),
    other=st.sampled_from([0.25, 0.5, 1, 2, 3]),
    at=st.integers(0, 20),
    start=st.sampled_from([0, 0.5, -1]),
)
def test_the_plane_is_the_one_that_napari_slices(steps, other, at, start):
    viewer = ViewerModel()
    data = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None], (8, 4, 4))
    image = viewer.add_image(data, scale=(steps, 1, 1), translate=(start, 0, 0))
    viewer.add_image(np.zeros((30, 4, 4), np.uint8), scale=(other, 1, 1))
    viewer.dims.set_current_step(0, at)
    try:
        plane = shown_plane(viewer, image)
    except LayerError:
        outside = (viewer.dims.point[0] - start) / steps
        assert np.round(outside) < 0 or np.round(outside) > 7
    else:
        assert plane.index[0] == value_shown(viewer, image)


def test_sliders_have_the_units_of_the_viewer(viewer):
    image = viewer.add_image(
        np.broadcast_to(np.arange(6, dtype=np.uint8)[:, None, None], (6, 4, 4)),
        scale=(0.5, 1, 1),
        units=("um", "um", "um"),
    )
    viewer.add_points(np.zeros((1, 3)), units=("nm", "nm", "nm"))
    assert [str(unit) for unit in viewer.dims.units] == ["nanometer"] * 3
    viewer.dims.set_point(0, 1500)
    assert value_shown(viewer, image) == 3
    assert shown_plane(viewer, image).index == (3, None, None)


def test_nothing_is_read_before_it_is_asked_for(viewer):
    lazy = Lazy(stack(3, 4, 5))
    image = viewer.add_image(lazy, contrast_limits=(0, 9))
    lazy.looks = 0
    source = plane_source(image, shown_plane(viewer, image), 0)
    assert source.checksum() is None
    assert lazy.looks == 0
    np.testing.assert_array_equal(source.read(), shown(image, lazy.array[1]))
    assert lazy.looks == 1


def test_dask_is_read_plane_by_plane(viewer):
    dask = pytest.importorskip("dask.array")
    data = stack(3, 4, 5)
    image = viewer.add_image(dask.from_array(data, chunks=(1, 4, 5)))
    source = plane_source(image, shown_plane(viewer, image), 0)
    np.testing.assert_array_equal(source.read(), shown(image, data[1]))
    assert source.checksum() is None


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 1, 0)])
def test_the_checksum_changes_with_the_pixels_of_the_plane(viewer, order):
    data = stack(3, 4, 5)
    image = viewer.add_image(data)
    viewer.dims.order = order
    source = plane_source(image, shown_plane(viewer, image), 0)
    before = source.checksum()
    assert before == source.checksum()
    planes = np.moveaxis(data, order[0], 0)
    at = source.key.plane.index[order[0]]
    planes[at - 1] += 1
    assert source.checksum() == before
    planes[at, -1, 0] += 1
    assert source.checksum() != before


def test_the_checksum_of_colours_sees_every_channel(viewer):
    data = np.zeros((4, 5, 3), np.uint8)
    image = viewer.add_image(data, rgb=True)
    source = plane_source(image, shown_plane(viewer, image), 0)
    before = source.checksum()
    data[3, 4, 2] = 1
    assert source.checksum() != before


def test_what_was_read_is_a_copy(viewer):
    data = np.zeros((4, 5), np.uint8)
    image = viewer.add_image(data)
    pixels = plane_source(image, shown_plane(viewer, image), 0).read()
    data[:] = 9
    assert not pixels.any()


def test_a_source_knows_its_layer_and_its_state(viewer):
    image = viewer.add_image(stack(3, 4, 5))
    plane = shown_plane(viewer, image)
    source = plane_source(image, plane, 7)
    assert source.key == PlaneKey(image.unique_id, plane)
    assert hash(source.key) == hash(plane_source(image, plane, 8).key)
    assert source.stamp == 7
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.stamp = 8


def test_proxies_are_the_same_layers(viewer):
    image = viewer.add_image([stack(3, 64, 64), stack(3, 32, 32)])
    proxy = ObjectProxy(viewer)  # as napari hands viewers and layers to plugins
    there = ObjectProxy(viewer.layers[0])
    assert there is not image
    source = plane_source(there, shown_plane(proxy, there), 0)
    assert source.key == plane_source(image, shown_plane(viewer, image), 0).key
    assert type(source.channels[0].levels[0]) is np.ndarray


@pytest.mark.parametrize(
    "plane", [Plane((0, 1), (None, None)), Plane((1, 2), (3, None, None))]
)
def test_a_plane_that_the_layer_lacks_is_refused(viewer, plane):
    image = viewer.add_image(stack(3, 4, 5), name="cells")
    with pytest.raises(LayerError, match="'cells' has the shape"):
        plane_source(image, plane, 0)


def test_data_coordinates_become_rows_and_columns():
    plane = Plane((2, 0), (None, 4, None))
    points, on_plane = to_plane_px(plane, [[1, 4, 2], [3, 5, 6], [0, 4.4, 0.5]])
    assert points.tolist() == [[2, 1], [6, 3], [0.5, 0]]
    assert on_plane.tolist() == [True, False, True]


def test_between_two_planes_is_on_both():
    for index in (2, 3):
        _, on_plane = to_plane_px(Plane((1, 2), (index, None, None)), [[2.5, 0, 0]])
        assert on_plane.tolist() == [True]


def test_rows_and_columns_become_data_coordinates():
    plane = Plane((2, 0), (None, 4, None))
    assert to_data(plane, [[2, 1], [0.5, 0]]).tolist() == [[1, 4, 2], [0, 4, 0.5]]
    assert to_data(plane, []).shape == (0, 3)
    assert to_plane_px(plane, [])[0].shape == (0, 2)
