"""Windows show the right pixels, and points fall where they are shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.windows import (
    PADDING_VALUE,
    Window,
    fit_window,
    ladder_windows,
)

quick = settings(deadline=None, max_examples=60)


def grey(array: object) -> np.ndarray:
    return np.repeat(np.asarray(array, np.uint8)[..., None], 3, axis=2)


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, cols, 3), np.uint8)


def read(window: Window, image: np.ndarray, size: int) -> np.ndarray:
    return ArrayPicture(image).read(window, size, size)


# ---- reading ----------------------------------------------------------------


def test_a_window_of_the_wanted_size_is_a_copy():
    image = noise(9, 12)
    assert np.array_equal(read(Window(2, 3, 5, 5), image, 5), image[2:7, 3:8])


def test_beyond_the_border_is_padding():
    image = grey([[10, 20], [30, 40]])
    assert read(Window(-1, -1, 4, 4), image, 4)[..., 0].tolist() == [
        [127, 127, 127, 127],
        [127, 10, 20, 127],
        [127, 30, 40, 127],
        [127, 127, 127, 127],
    ]


def test_a_window_beside_the_image_is_all_padding():
    assert (read(Window(50, 0, 8, 8), noise(9, 9), 16) == PADDING_VALUE).all()


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (40, 40, 64),
        (64, 64, 64),
        (71, 53, 64),
        (127, 127, 32),  # the last factor without reduction
        (128, 128, 32),  # the first with one
        (199, 133, 32),
        (300, 200, 16),
    ],
)
def test_inside_the_image_it_is_what_pillow_shows(height, width, size):
    image = noise(320, 240)
    crop = image[7 : 7 + height, 11 : 11 + width]
    expected = Image.fromarray(crop).resize(
        (size, size), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    shown = read(Window(7, 11, height, width), image, size)
    assert np.array_equal(shown, np.asarray(expected))


@pytest.mark.parametrize(("rows", "cols"), [(801, 1100), (2600, 330), (9, 300_000)])
def test_a_large_plane_is_reduced_in_parts_as_if_at_once(rows, cols):
    image = noise(rows, cols)
    expected = Image.fromarray(image).resize(
        (16, 16), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    shown = read(Window(0, 0, rows, cols), image, 16)
    assert np.array_equal(shown, np.asarray(expected))


@pytest.mark.parametrize("corner", [(-130, -90), (-3, 200), (250, -17), (-500, -500)])
@pytest.mark.parametrize("side", [150, 611, 1201])
def test_across_the_border_it_is_what_pillow_shows_of_a_padded_image(corner, side):
    image = noise(320, 240)
    padded = np.full((3000, 3000, 3), PADDING_VALUE, np.uint8)
    padded[1000:1320, 1000:1240] = image
    row, col = 1000 + corner[0], 1000 + corner[1]
    expected = Image.fromarray(padded[row : row + side, col : col + side]).resize(
        (32, 32), Image.Resampling.BILINEAR, reducing_gap=2.0
    )
    shown = read(Window(*corner, side, side), image, 32)
    assert np.array_equal(shown, np.asarray(expected))


def test_a_thin_image_costs_no_square():
    # A square of this side would be 30 GB.
    image = np.full((1, 100_000, 3), 255, np.uint8)
    shown = read(Window(-50_000, 0, 100_000, 100_000), image, 128)
    assert shown.shape == (128, 128, 3)
    assert (shown[:60] == PADDING_VALUE).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (1, 300)])
def test_thin_images_can_be_read_whole(shape):
    shown = read(Window(0, 0, *shape), np.full((*shape, 3), 80, np.uint8), 32)
    assert shown.shape == (32, 32, 3)
    assert (shown == 80).all()


def test_the_image_is_left_alone():
    image = noise(8, 8)
    before = image.copy()
    read(Window(-2, -2, 8, 8), image, 16)
    assert np.array_equal(image, before)


def test_colours_keep_their_order():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:] = (10, 20, 30)
    assert (read(Window(0, 0, 4, 4), image, 8) == (10, 20, 30)).all()


# ---- inside -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "part"),
    [
        (Window(1, 2, 3, 4), (1, 2, 4, 6)),
        (Window(-1, -2, 3, 4), (0, 0, 2, 2)),
        (Window(8, 8, 5, 5), (8, 8, 10, 10)),
        (Window(-9, -9, 99, 99), (0, 0, 10, 10)),
        (Window(10, 0, 5, 5), None),
        (Window(0, -5, 5, 5), None),
    ],
)
def test_the_part_within_the_image(window, part):
    assert window.inside((10, 10)) == part


# ---- points and cells -------------------------------------------------------


def test_points_are_measured_from_the_windows_corner():
    window = Window(10, 20, 40, 80)
    points = np.array([[10.0, 20.0], [49.0, 99.0], [9.5, 19.5]])
    assert window.to_window(points, 80).tolist() == [[1, 0.5], [79, 79.5], [0, 0]]


def test_the_grid_covers_the_window():
    assert Window(-3, 5, 40, 72).grid(8, 16) == (-3, 5, 40, 72, 8, 16)


@quick
@given(
    st.integers(8, 64),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 62),
    st.integers(1, 62),
)
def test_a_click_lands_where_its_pixel_is_shown(side, row0, col0, row, col):
    # Twice a pixel's row and column, so that the window says what it shows.
    rows, cols = 2 * np.indices((128, 128))
    image = np.stack([rows, cols, 0 * rows], -1).astype(np.uint8)
    window = Window(row0, col0, side, side)
    pixel = np.array([row0 + 1 + row % (side - 2), col0 + 1 + col % (side - 2)])
    at_row, at_col = np.floor(window.to_window(pixel[None] * 1.0, 64)[0]).astype(int)
    shown = read(window, image, 64)[at_row, at_col, :2] / 2
    # Half of a window pixel, and rounding.
    assert (np.abs(shown - pixel) <= side / 64 / 2 + 0.25).all()


# ---- fitted windows ---------------------------------------------------------


def test_a_fitted_window_leaves_room_around_the_object():
    assert fit_window((100, 200, 140, 220)) == Window(86, 176, 68, 68)


def test_a_speck_gets_the_smallest_window():
    assert fit_window((10, 10, 12, 12)) == Window(-5, -5, 32, 32)


edges = st.floats(-300, 300)
sides = st.floats(0.1, 500)


@quick
@given(edges, edges, sides, sides)
def test_a_fitted_window_holds_its_object(row0, col0, height, width):
    window = fit_window((row0, col0, row0 + height, col0 + width))
    assert window.height == window.width
    assert window.row0 <= row0
    assert window.col0 <= col0
    assert window.row0 + window.height >= row0 + height
    assert window.col0 + window.width >= col0 + width


@quick
@given(edges, edges, sides, sides)
def test_a_fitted_window_is_centred(row0, col0, height, width):
    window = fit_window((row0, col0, row0 + height, col0 + width))
    assert abs(window.row0 + window.height / 2 - (row0 + height / 2)) <= 0.51
    assert abs(window.col0 + window.width / 2 - (col0 + width / 2)) <= 0.51


# ---- ladders ----------------------------------------------------------------

clicks = st.lists(
    st.tuples(st.floats(-0.5, 699.5), st.floats(-0.5, 999.5)), min_size=1, max_size=5
)


def test_a_ladder_around_one_click():
    windows = ladder_windows(np.array([[50.0, 60.0]]), (200, 100))
    assert [window.height for window in windows] == [40, 80, 160, 320]
    assert windows[0] == Window(31, 41, 40, 40)


def test_clicks_far_apart_leave_out_the_small_windows():
    windows = ladder_windows(np.array([[50.0, 60.0], [50.0, 160.0]]), (400, 400))
    assert [window.height for window in windows] == [160, 320, 640]


@quick
@given(clicks, st.just((700, 1000)))
def test_all_windows_of_a_ladder_hold_all_clicks(points, shape):
    for window in ladder_windows(np.array(points), shape):
        inside = window.to_window(np.array(points), 1)
        assert (inside >= 0).all()
        assert (inside <= 1).all()


@quick
@given(clicks, st.just((700, 1000)))
def test_windows_of_a_ladder_rise_and_are_two_at_least(points, shape):
    heights = [window.height for window in ladder_windows(np.array(points), shape)]
    assert len(heights) >= 2
    assert heights == sorted(set(heights))


@quick
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_the_largest_window_could_show_the_whole_image_or_is_the_last(rows, cols):
    windows = ladder_windows(np.zeros((1, 2)), (rows, cols))
    assert windows[-1].height >= min(max(rows, cols), 2560)


@pytest.mark.parametrize("side", [1, 100, 10**4, 10**6, 10**8])
def test_a_click_costs_the_same_in_larger_images(side):
    windows = ladder_windows(np.array([[0.0, 0.0]]), (side, side))
    assert len(windows) <= 7
    assert windows[-1].height <= 2560


@quick
@given(clicks, st.integers(-500, 500), st.integers(-500, 500))
def test_ladders_move_with_their_clicks(points, down, across):
    whole = np.round(np.array(points))
    windows = ladder_windows(whole, (700, 1000))
    moved = ladder_windows(whole + [down, across], (700, 1000))
    assert moved == [
        Window(w.row0 + down, w.col0 + across, w.height, w.width) for w in windows
    ]
