"""Layers lie where napari draws them, whatever their transforms and units."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from napari.layers import Image, Points

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.geometry import (
    Affine,
    check_unmixed,
    data_to_world,
    map_points,
    unit_factors,
)

#: napari says of tilted layers that it draws them wrongly; hence `check_unmixed`.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")


def numbers(low: float, high: float, size: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, size, elements=st.floats(low, high))


@st.composite
def transforms(draw: st.DrawFn, ndim: int = 3) -> dict[str, np.ndarray]:
    """Draw the keywords of a layer that lies anywhere, turned and sheared."""
    size = draw(numbers(0.05, 20, ndim)) * draw(
        hnp.arrays(np.int8, ndim, elements=st.sampled_from([-1, 1]))
    )
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] += draw(numbers(-0.3, 0.3, ndim**2)).reshape(ndim, ndim)
    affine[:ndim, ndim] = draw(numbers(-1e4, 1e4, ndim))
    return {
        "scale": size,
        "translate": draw(numbers(-1e5, 1e5, ndim)),
        "shear": draw(numbers(-0.5, 0.5, ndim * (ndim - 1) // 2)),
        "rotate": draw(st.tuples(*[st.floats(-180, 180)] * 3)) if ndim == 3 else 30,
        "affine": affine,
    }


@settings(deadline=None, max_examples=30)
@given(transform=transforms(), pixel=numbers(0, 4096, 3))
def test_the_affine_says_what_the_layer_says(transform, pixel):
    layer = Image(np.zeros((2, 2, 2)), **transform)
    expected = np.array(layer.data_to_world(pixel))
    np.testing.assert_allclose(data_to_world(layer)(pixel), expected, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(there=transforms(), here=transforms(), pixel=numbers(0, 4096, 3))
def test_a_click_on_a_pixels_centre_maps_to_that_pixel(there, here, pixel):
    image = Image(np.zeros((2, 2, 2)), **here)
    points = Points(ndim=3, **there)
    centre = np.round(pixel)
    click = points.world_to_data(image.data_to_world(centre))
    mapped = map_points(points, [click], image)
    np.testing.assert_allclose(mapped, [centre], atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(transform=transforms(), pixel=numbers(0, 4096, 3))
def test_there_and_back_is_where_one_was(transform, pixel):
    affine = data_to_world(Image(np.zeros((2, 2, 2)), **transform))
    np.testing.assert_allclose(affine.inverse()(affine(pixel)), pixel, atol=1e-6)
    both = affine.then(affine.inverse())
    np.testing.assert_allclose(both(pixel), pixel, atol=1e-6)


def test_a_layer_far_away_loses_no_digits():
    layer = Image(np.zeros((2, 2)), scale=(1e-3, 1e-3), translate=(1e6, -1e6))
    matrix = data_to_world(layer).matrix
    np.testing.assert_allclose(matrix, np.eye(2) * 1e-3, rtol=1e-9, atol=1e-15)


def test_micrometres_lie_over_nanometres():
    image = Image(np.zeros((9, 9)), scale=(100, 100), units=("nm", "nm"))
    points = Points(ndim=2, units=("um", "um"))
    np.testing.assert_allclose(map_points(points, [[0.3, 0.5]], image), [[3, 5]])
    np.testing.assert_allclose(map_points(image, [[3, 5]], points), [[0.3, 0.5]])


def test_the_world_can_have_other_units_than_the_layer():
    layer = Image(np.zeros((9, 9)), scale=(2, 3), translate=(1, 0), units=("um", "mm"))
    nm = Image(np.zeros((9, 9, 9)), units=("nm", "nm", "nm")).units
    np.testing.assert_allclose(data_to_world(layer, nm)([1, 1]), [3e3, 3e6])


@pytest.mark.parametrize("units", [("pixel", "um"), ("um", "pixel"), ("s", "um")])
def test_numbers_stay_as_they_are_where_units_do_not_go_together(units):
    # As in napari, which then takes none of the units into account.
    image = Image(np.zeros((9, 9)), units=units)
    points = Points(ndim=2, units=("nm", "nm"))
    assert map_points(points, [[3, 5]], image).tolist() == [[3, 5]]


def test_factors_belong_to_the_last_axes():
    um, nm, second = Image(np.zeros((1, 1, 1)), units=("um", "nm", "s")).units
    np.testing.assert_allclose(unit_factors([second, um], [nm]), [1, 1000])
    np.testing.assert_allclose(unit_factors([um], [second, nm]), [1000])


def test_layers_share_the_last_axes():
    image = Image(np.zeros((4, 9, 9)), scale=(5, 2, 2))
    points = Points(ndim=2)
    assert map_points(points, [[4, 6]], image).tolist() == [[0, 2, 3]]
    assert map_points(image, [[3, 2, 3]], points).tolist() == [[4, 6]]


def test_no_points_map_to_no_points():
    image, points = Image(np.zeros((4, 9, 9))), Points(ndim=3)
    assert map_points(points, np.empty((0, 3)), image).shape == (0, 3)


def test_the_axis_of_colours_is_no_axis():
    image = Image(np.zeros((9, 9, 3), np.uint8), rgb=True, scale=(2, 3))
    assert data_to_world(image)([1, 1]).tolist() == [2, 3]


def test_axes_can_be_taken_alone():
    affine = Affine(np.arange(9.0).reshape(3, 3), np.array([1.0, 2.0, 3.0]))
    assert affine.on((2, 0))([1, 1]).tolist() == [8 + 6 + 3, 2 + 0 + 1]


def turned(first: int, second: int, degrees: float) -> np.ndarray:
    """Return a rotation of three axes in the plane of two of them."""
    matrix = np.eye(3)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[np.ix_((first, second), (first, second))] = [[cos, -sin], [sin, cos]]
    return matrix


@pytest.mark.parametrize(
    ("place", "shown", "refused"),
    [
        ({"rotate": turned(1, 2, 30)}, (1, 2), False),
        ({"rotate": turned(1, 2, 30)}, (0, 1), True),
        ({"rotate": turned(0, 2, 0.01)}, (1, 2), True),
        ({"rotate": turned(0, 2, 90)}, (1, 2), True),
        ({"rotate": turned(0, 2, 180)}, (1, 2), False),
        ({"rotate": turned(0, 1, 90)}, (1, 0), False),
        ({"shear": [0, 0, 0.5]}, (1, 2), False),
        ({"shear": [0.5, 0, 0]}, (1, 2), True),
        ({"shear": [0.5, 0, 0]}, (0, 1), False),
        ({"scale": [100, 0.01, -0.01]}, (1, 2), False),
    ],
)
def test_only_what_stays_in_the_plane_is_taken(place, shown, refused):
    layer = Image(np.zeros((2, 2, 2)), name="tilted", **place)
    if refused:
        with pytest.raises(LayerError, match=r"tilted.*reset rotate"):
            check_unmixed(layer, shown)
    else:
        check_unmixed(layer, shown)
