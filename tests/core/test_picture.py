"""Windows of planes are what all pixels would show, and no pixel more is read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_sam3.core import picture
from napari_sam3.core.picture import ArrayPicture, Pyramid, read_window
from napari_sam3.core.tiles import TILE_SIZE, Tiled
from napari_sam3.core.windows import PADDING_VALUE, Window

quick = settings(deadline=None, max_examples=40)


class Counting:
    """Pixels that note what was read of them."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.boxes: list[tuple[int, int, int, int]] = []

    @property
    def shape(self) -> tuple[int, int]:
        return self.image.shape[0], self.image.shape[1]

    def read(self, box: tuple[int, int, int, int]) -> np.ndarray:
        row0, col0, row1, col1 = box
        assert 0 <= row0 < row1 <= self.shape[0]
        assert 0 <= col0 < col1 <= self.shape[1]
        self.boxes.append(box)
        return self.image[row0:row1, col0:col1].copy()

    @property
    def areas(self) -> list[int]:
        return [(b[2] - b[0]) * (b[3] - b[1]) for b in self.boxes]


class Grey:
    """A plane of any size that needs no memory: a pixel says its place."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.areas: list[int] = []

    def read(self, box: tuple[int, int, int, int]) -> np.ndarray:
        row0, col0, row1, col1 = box
        self.areas.append((row1 - row0) * (col1 - col0))
        rows = (np.arange(row0, row1) * 255 // self.shape[0]).astype(np.uint8)
        cols = (np.arange(col0, col1) * 255 // self.shape[1]).astype(np.uint8)
        part = np.zeros((len(rows), len(cols), 3), np.uint8)
        part[..., 0], part[..., 1] = rows[:, None], cols
        return part


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, cols, 3), np.uint8)


def halved(image: np.ndarray, factor: int = 2) -> np.ndarray:
    """Return means of blocks, as pyramids are made; an odd rest is a smaller block."""
    return np.asarray(Image.fromarray(image).reduce(factor))


def by_hand(image: np.ndarray, window: Window, rows: int, cols: int) -> np.ndarray:
    """Return each pixel of the result as a weighted mean of all pixels around it.

    That is the definition of a triangle filter, on the plane with grey around it.
    """
    out = image.astype(np.float64)
    sizes = ((window.row0, window.height, rows), (window.col0, window.width, cols))
    for axis, (start, extent, count) in enumerate(sizes):
        length = out.shape[axis]
        ratio = extent / count
        reach = max(1.0, ratio)
        low, high = start, start + extent  # what lies beyond the window has no part
        places = np.arange(low, high)
        weights = np.zeros((count, len(places)))
        for one in range(count):
            centre = start + (one + 0.5) * ratio
            weights[one] = np.clip(1 - np.abs(places + 0.5 - centre) / reach, 0, None)
        weights /= weights.sum(axis=1, keepdims=True)
        is_inside = (places >= 0) & (places < length)
        padded = np.full(
            (len(places), *np.delete(out.shape, axis)), PADDING_VALUE, float
        )
        moved = np.moveaxis(out, axis, 0)
        padded[is_inside] = moved[places[is_inside]]
        out = np.moveaxis(np.tensordot(weights, padded, axes=(1, 0)), 0, axis)
    return out


# ---- what is shown ----------------------------------------------------------


@quick
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(-30, 45),
    st.integers(-30, 45),
    st.integers(1, 40),
    st.integers(1, 40),
    st.tuples(st.integers(20, 40), st.integers(20, 40)),
)
def test_a_window_is_the_weighted_mean_of_its_pixels(
    shape, row0, col0, height, width, size
):
    image = noise(*shape)
    window = Window(row0, col0, height, width)
    shown = ArrayPicture(image).read(window, *size)
    # Up to twice the size nothing is reduced beforehand, so only rounding differs.
    expected = by_hand(image, window, *size)
    assert shown.shape == (*size, 3)
    assert np.abs(shown - expected).max() <= 1.01


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (1, 1), (3, 4000), (997, 7)])
@pytest.mark.parametrize("size", [(16, 16), (1, 40), (40, 1)])
def test_planes_of_odd_shapes_are_shown_without_a_border(shape, size):
    image = np.full((*shape, 3), 80, np.uint8)
    for window in (Window(0, 0, *shape), Window(0, 0, max(1, shape[0] // 3), shape[1])):
        shown = read_window(Counting(image), window, *size)
        assert shown.shape == (*size, 3)
        assert (shown == 80).all()


@quick
@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(-200, 700),
    st.integers(-200, 700),
    st.integers(1, 1200),
    st.integers(1, 1200),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_cutting_a_window_into_parts_makes_no_difference(
    height, width, row0, col0, window_height, window_width, rows, cols
):
    image = noise(height, width)
    window = Window(row0, col0, window_height, window_width)
    at_once = read_window(Counting(image), window, rows, cols)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "_READING_SIZE", 7000)
        patch.setattr(picture, "_READING_ROWS", 64)
        in_parts = read_window(Counting(image), window, rows, cols)
    np.testing.assert_array_equal(at_once, in_parts)


# ---- what is read -----------------------------------------------------------


@quick
@given(
    st.integers(-300, 900),
    st.integers(-300, 900),
    st.integers(1, 1500),
    st.integers(1, 1500),
    st.sampled_from([8, 64, 200]),
)
def test_each_pixel_of_the_window_is_read_once_and_no_other(
    row0, col0, height, width, size
):
    pixels = Counting(noise(700, 600))
    window = Window(row0, col0, height, width)
    read_window(pixels, window, size, size)
    inside = window.inside(pixels.shape)
    seen = np.zeros(pixels.shape, int)
    for box in pixels.boxes:
        seen[box[0] : box[2], box[1] : box[3]] += 1
    expected = np.zeros(pixels.shape, int)
    if inside is not None:
        expected[inside[0] : inside[2], inside[1] : inside[3]] = 1
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("shape", [(9_000, 9_000), (300, 400_000), (400_000, 300)])
def test_huge_windows_are_read_in_parts(shape):
    pixels = Grey(shape)
    shown = read_window(pixels, Window(0, 0, *shape), 64, 64)
    assert sum(pixels.areas) == shape[0] * shape[1]
    assert max(pixels.areas) <= 1.01 * 2**23
    # Means of what is rounded down are half a step too low.
    ramp = (np.arange(64) + 0.5) / 64 * 255
    np.testing.assert_allclose(shown[:, 5, 0], ramp, atol=3)
    np.testing.assert_allclose(shown[5, :, 1], ramp, atol=3)


# ---- pyramids ---------------------------------------------------------------


def pyramid(image: np.ndarray, factors=(1, 2, 4, 8)) -> tuple[Pyramid, list[Counting]]:
    levels = [Counting(image if f == 1 else halved(image, f)) for f in factors]
    return Pyramid(levels), levels


@pytest.mark.parametrize(
    ("side", "level"),
    [(64, 0), (127, 0), (128, 0), (256, 1), (511, 1), (512, 2), (1024, 3)],
)
def test_the_coarsest_level_that_will_do_is_read_and_nothing_else(side, level):
    picture, levels = pyramid(noise(1024, 1024))
    picture.read(Window(0, 0, side, side), 64, 64)
    read = [sum(one.areas) for one in levels]
    assert [n for n, pixels in enumerate(read) if pixels] == [level]
    assert read[level] == np.ceil(side / 2**level) ** 2


def test_the_finer_need_of_two_axes_counts():
    picture, levels = pyramid(noise(1024, 1024))
    picture.read(Window(0, 0, 1024, 128), 64, 64)
    assert [bool(one.boxes) for one in levels] == [True, False, False, False]


def test_a_window_costs_the_same_in_a_plane_of_any_size():
    costs = []
    for side in (2**12, 2**17):
        levels = [Grey((side >> n, side >> n)) for n in range(8)]
        Pyramid(levels).read(Window(side // 3, side // 5, 1500, 1500), 500, 500)
        costs.append([sum(one.areas) for one in levels])
    assert costs[0] == pytest.approx(costs[1], rel=0.01)
    assert sum(costs[1]) <= 1502**2


@pytest.mark.parametrize("corner", [(0, 0), (301, 77), (-200, 500), (900, 700)])
@pytest.mark.parametrize("shape", [(1024, 1024), (1023, 1025), (1001, 777)])
def test_a_coarser_level_shows_what_the_finest_one_does(corner, shape):
    rows, cols = np.indices(shape)
    smooth = 127 + 60 * np.sin(rows / 60) + 60 * np.cos(cols / 45)
    image = np.repeat(smooth.astype(np.uint8)[..., None], 3, axis=2)
    coarse, levels = pyramid(image)
    window = Window(*corner, 700, 600)
    shown = coarse.read(window, 70, 60).astype(int)
    expected = ArrayPicture(image).read(window, 70, 60).astype(int)
    assert levels[2].boxes
    # The border lies elsewhere in a level whose last pixels are not whole.
    assert np.abs(shown - expected)[1:-1, 1:-1].mean() < 2.5


@pytest.mark.parametrize("coarse_shape", [(334, 334), (300, 500), (143, 77)])
def test_levels_may_be_coarser_by_any_factor(coarse_shape):
    # A vertical edge, two thirds to the right, must stay there.
    fine = np.zeros((1001, 1001, 3), np.uint8)
    fine[:, 667:] = 200
    level = np.asarray(Image.fromarray(fine).resize(coarse_shape[::-1], Image.BOX))
    coarse = Counting(level)
    shown = Pyramid([Counting(fine), coarse]).read(Window(0, 0, 1001, 1001), 30, 30)
    assert coarse.boxes
    edge = 30 - shown[15, :, 0].astype(float).sum() / 200
    assert edge == pytest.approx(30 * 667 / 1001, abs=0.1)


def test_windows_beyond_the_border_of_a_coarser_level_are_padded():
    image = np.full((1024, 1024, 3), 30, np.uint8)
    shown = pyramid(image)[0].read(Window(-512, 0, 1024, 1024), 64, 64)
    assert (shown[:31] == PADDING_VALUE).all()
    assert (shown[33:] == 30).all()


# ---- tiles ------------------------------------------------------------------


def test_tiles_are_read_once_and_remembered():
    pixels = Counting(noise(1300, 2100))
    tiled = Tiled(pixels, {}, "a")
    for box in [
        (0, 0, 10, 10),
        (500, 500, 530, 1600),
        (5, 5, 1300, 2100),
        (3, 3, 4, 4),
    ]:
        row0, col0, row1, col1 = box
        np.testing.assert_array_equal(
            tiled.read(box), pixels.image[row0:row1, col0:col1]
        )
    assert sum(pixels.areas) == 1300 * 2100


@quick
@given(st.data())
def test_whatever_is_known_the_pixels_are_the_same_and_none_is_read_twice(data):
    shape = (1400, 1900)
    pixels = Counting(noise(*shape))
    tiled = Tiled(pixels, {}, "a")
    for _ in range(3):
        row0 = data.draw(st.integers(0, shape[0] - 1))
        col0 = data.draw(st.integers(0, shape[1] - 1))
        row1 = data.draw(st.integers(row0 + 1, shape[0]))
        col1 = data.draw(st.integers(col0 + 1, shape[1]))
        np.testing.assert_array_equal(
            tiled.read((row0, col0, row1, col1)), pixels.image[row0:row1, col0:col1]
        )
    seen = np.zeros(shape, int)
    for box in pixels.boxes:
        seen[box[0] : box[2], box[1] : box[3]] += 1
    assert seen.max() <= 1


def test_tiles_that_lie_together_are_read_together():
    # A zarr's chunk of 2048 pixels would be unpacked for each of its 16 tiles.
    pixels = Counting(noise(2048, 2048))
    Tiled(pixels, {}, "a").read((0, 0, 2048, 2048))
    assert pixels.boxes == [(0, 0, 2048, 2048)]


def test_around_a_known_tile_each_other_one_is_read_once():
    pixels = Counting(noise(1536, 1536))
    tiled = Tiled(pixels, {}, "a")
    tiled.read((600, 600, 601, 601))
    tiled.read((0, 0, 1536, 1536))
    assert sum(pixels.areas) == 1536**2
    assert len(pixels.boxes) <= 5


def test_a_forgotten_tile_is_read_again_and_a_small_memo_does_no_harm():
    class Forgetful(dict):
        def __setitem__(self, key, value):
            self.clear()
            super().__setitem__(key, value)

    pixels = Counting(noise(1100, 1100))
    tiled = Tiled(pixels, Forgetful(), "a")
    for _ in range(2):
        np.testing.assert_array_equal(tiled.read((0, 0, 1100, 1100)), pixels.image)


def test_a_tile_holds_no_more_than_its_own_pixels():
    memo: dict[object, np.ndarray] = {}
    Tiled(Counting(noise(1100, 1100)), memo, "a").read((0, 0, 1100, 1100))
    assert all(tile.base is None for tile in memo.values())
    assert sum(tile.nbytes for tile in memo.values()) == 1100**2 * 3
    assert max(tile.nbytes for tile in memo.values()) == TILE_SIZE**2 * 3


def test_planes_that_share_a_memo_are_told_apart():
    memo: dict[object, np.ndarray] = {}
    first, second = noise(20, 20), noise(20, 20) // 2
    for key, image in (("a", first), ("b", second), ("a", first)):
        shown = Tiled(Counting(image), memo, key).read((2, 3, 9, 9))
        np.testing.assert_array_equal(shown, image[2:9, 3:9])


@quick
@given(st.integers(-100, 1500), st.integers(-100, 1500), st.integers(1, 1800))
def test_a_window_is_the_same_read_by_tiles(row0, col0, side):
    image = noise(1300, 1400)
    window = Window(row0, col0, side, side)
    np.testing.assert_array_equal(
        read_window(Tiled(Counting(image), {}, "a"), window, 48, 48),
        ArrayPicture(image).read(window, 48, 48),
    )
