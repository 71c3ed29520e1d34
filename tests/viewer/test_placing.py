"""Positions of a script, brought to pixels of the shown plane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_sam3.core.errors import PromptError
from napari_sam3.core.marks import BoxMark, PointMark
from napari_sam3.viewer.placing import (
    box_mark,
    outline_mark,
    point_marks,
    positions_px,
    show_plane_of,
)
from napari_sam3.viewer.planes import shown_plane


def stack(ndim: int = 3, **how) -> tuple:
    viewer = ViewerModel()
    shape = (4, 5, 20, 30)[-ndim:]
    image = viewer.add_image(np.zeros(shape, np.uint8), name="image", **how)
    return viewer, image


def px(viewer, image, positions, *, world=False):
    plane = shown_plane(viewer, image)
    return positions_px(viewer, image, plane, positions, world=world)


@pytest.mark.parametrize("ndim", [2, 3, 4])
def test_two_coordinates_are_of_the_shown_plane(ndim):
    viewer, image = stack(ndim)
    np.testing.assert_array_equal(px(viewer, image, [(3, 4), (5, 6)]), [(3, 4), (5, 6)])


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("world", [False, True])
def test_rows_are_what_is_shown_as_rows(ndim, world):
    viewer, image = stack(ndim)
    viewer.dims.order = (1, 0) if ndim == 2 else (0, 2, 1)
    np.testing.assert_array_equal(px(viewer, image, [(3, 4)], world=world), [(3, 4)])


def test_full_positions_follow_the_axes():
    viewer, image = stack(3)
    viewer.dims.order = (1, 2, 0)
    viewer.dims.set_current_step(1, 7)
    np.testing.assert_array_equal(px(viewer, image, [(2, 7, 9)]), [(9, 2)])


def test_an_image_with_fewer_axes_than_the_viewer_has_the_last_ones():
    viewer, image = stack(2, scale=(2, 2))
    viewer.add_points(np.zeros((1, 4)))
    np.testing.assert_array_equal(
        px(viewer, image, [(0, 0, 6, 8)], world=True), [(3, 4)]
    )
    np.testing.assert_array_equal(px(viewer, image, [(6, 8)], world=True), [(3, 4)])


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.tuples(*[st.floats(-100, 100)] * 3),
    st.floats(0, 19),
    st.floats(0, 29),
    st.integers(0, 4),
)
def test_world_positions_come_back_to_where_the_data_is(
    scale, translate, row, col, plane
):
    viewer, image = stack(3, scale=scale, translate=translate)
    world = image.data_to_world((plane, row, col))
    show_plane_of(viewer, image, [world], world=True)
    assert shown_plane(viewer, image).index[0] == plane
    np.testing.assert_allclose(
        px(viewer, image, [world], world=True), [(row, col)], atol=1e-6
    )


def test_positions_on_other_planes_are_refused():
    viewer, image = stack(3)
    viewer.dims.set_current_step(0, 1)
    with pytest.raises(PromptError, match="one plane at a time"):
        px(viewer, image, [(1, 3, 4), (2, 3, 4)])


@pytest.mark.parametrize(
    "positions", [[(1,)], [(1, 2, 3, 4, 5)], [[(1, 2)]], [(1, np.nan)], "here", [{}]]
)
def test_what_is_no_position_is_refused(positions):
    viewer, image = stack(3)
    with pytest.raises(PromptError):
        px(viewer, image, positions)


def test_the_viewer_moves_to_full_positions_only():
    viewer, image = stack(4)
    viewer.dims.set_current_step((0, 1), (1, 1))
    show_plane_of(viewer, image, [(3, 4)], world=False)
    assert viewer.dims.current_step[:2] == (1, 1)
    show_plane_of(viewer, image, [(2, 3, 4, 5)], world=False)
    assert viewer.dims.current_step[:2] == (2, 3)
    # What is no position is left to those who say so.
    show_plane_of(viewer, image, [(1, 2, 3, 4, 5)], world=False)
    assert viewer.dims.current_step[:2] == (2, 3)


def test_it_comes_back_from_where_no_plane_is_shown():
    viewer, image = stack(3)
    viewer.add_points([(40.0, 0, 0)])
    viewer.dims.set_point(0, 40)
    show_plane_of(viewer, image, [(2, 3, 4)], world=False)
    assert shown_plane(viewer, image).index[0] == 2


def test_points_are_rounded_as_layers_give_them_back():
    viewer, image = stack(3, scale=(1, 1 / 3, 1 / 3))
    plane = shown_plane(viewer, image)
    (mark,) = point_marks(viewer, image, plane, [(1, 2)], positive=False, world=True)
    assert mark == PointMark(3, 6, False)


def test_boxes_have_edges_and_world_boxes_corners():
    viewer, image = stack(2, scale=(2, 2))
    plane = shown_plane(viewer, image)

    def box(edges, world=False):
        return box_mark(viewer, image, plane, edges, world=world)

    assert box((1, 2, 5, 9)) == BoxMark(1, 2, 5, 9)
    # From the middle of pixel (1, 2) to the middle of (5, 9).
    for corners in ((2, 4, 10, 18), (10, 18, 2, 4), (2, 18, 10, 4)):
        assert box(corners, world=True) == BoxMark(1.5, 2.5, 5.5, 9.5)
    with pytest.raises(PromptError, match="four edges"):
        box((1, 2, 3))
    with pytest.raises(PromptError, match="empty"):
        box((5, 9, 1, 2))


def test_outlines_need_three_vertices():
    viewer, image = stack(2)
    plane = shown_plane(viewer, image)
    with pytest.raises(PromptError, match="three vertices"):
        outline_mark(viewer, image, plane, [(1, 1), (2, 2)], world=False)
