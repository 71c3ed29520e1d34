"""Planes of all kinds come out as uint8 RGB, or are refused with a remedy."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from napari_sam3.core.errors import ImageError
from napari_sam3.core.image import check_rgb, to_rgb

RED, GREEN, BLUE = 0, 1, 2
RAMP = np.arange(12).reshape(3, 4)


def grey(rgb: np.ndarray) -> list[list[int]]:
    """Return the values of an RGB image that has the same in all channels."""
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0].tolist()


# ---- layout -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "channel_axis", "expected"),
    [
        ((5, 6), None, (5, 6)),
        ((5, 6, 1), None, (5, 6)),
        ((5, 6, 2), None, (5, 6)),
        ((5, 6, 3), None, (5, 6)),
        ((5, 6, 4), None, (5, 6)),
        ((1, 5, 6), None, (5, 6)),
        ((2, 5, 6), None, (5, 6)),
        ((3, 5, 6), None, (5, 6)),
        ((4, 5, 6), None, (5, 6)),
        ((3, 5, 4), None, (3, 5)),  # the last axis wins
        ((3, 5, 4), 0, (5, 4)),
        ((5, 3, 6), 1, (5, 6)),
        ((5, 3, 6), -2, (5, 6)),
        ((1, 1), None, (1, 1)),
        ((1, 7), None, (1, 7)),
    ],
)
def test_rows_and_columns_are_found(shape, channel_axis, expected):
    rgb = to_rgb(np.zeros(shape, np.uint16), channel_axis=channel_axis)
    assert rgb.shape == (*expected, 3)


def test_channels_first_keeps_red_green_blue_apart():
    image = np.zeros((3, 5, 6), np.uint8)
    image[GREEN, 1, 2] = 200
    assert to_rgb(image)[1, 2].tolist() == [0, 200, 0]


def test_two_channels_are_magenta_and_green():
    image = np.array([[[255, 0], [0, 255], [10, 20]]], np.uint8)
    assert to_rgb(image)[0].tolist() == [[255, 0, 255], [0, 255, 0], [10, 20, 10]]


def test_two_channels_are_stretched_one_by_one():
    image = np.array([[[0, 0], [50, 30000], [100, 60000]]], np.uint16)
    for swapped in (image, image[..., ::-1]):
        assert grey(to_rgb(swapped)) == [[0, 128, 255]]


@pytest.mark.parametrize(
    ("dtype", "full"),
    [("uint8", 255), ("uint16", 65535), ("float32", 1.0), ("int16", 32767)],
)
def test_transparent_pixels_are_black(dtype, full):
    image = np.array([[[full] * 3 + [0], [full] * 3 + [full]]], dtype)
    limits = (0, full)
    assert grey(to_rgb(image, contrast_limits=limits)) == [[0, 255]]


def test_half_transparent_pixels_are_half_as_bright():
    image = np.array([[[200, 100, 0, 51]]], np.uint8)
    assert to_rgb(image)[0, 0].tolist() == [40, 20, 0]


def test_opaque_rgba_is_rgb_bit_for_bit():
    rgb = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    rgba = np.dstack([rgb, np.full((9, 8), 255, np.uint8)])
    np.testing.assert_array_equal(to_rgb(rgba), rgb)


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4, 3), (5, 6, 7), (5, 0), (0, 5)])
def test_what_is_no_plane_is_refused(shape):
    with pytest.raises(ImageError):
        to_rgb(np.zeros(shape))


def test_a_stack_is_refused_with_how_to_pick_a_plane():
    with pytest.raises(ImageError, match=r"pick one plane, such as image\[0\]"):
        to_rgb(np.zeros((9, 20, 30)))


@pytest.mark.parametrize("channel_axis", [3, -4])
def test_channel_axis_must_exist(channel_axis):
    with pytest.raises(ImageError, match="channel_axis"):
        to_rgb(np.zeros((3, 5, 6)), channel_axis=channel_axis)


def test_channel_axis_needs_channels():
    with pytest.raises(ImageError, match="channel_axis"):
        to_rgb(np.zeros((5, 6)), channel_axis=0)


# ---- scaling ----------------------------------------------------------------


def test_uint8_rgb_is_unchanged():
    image = np.array([[[10, 11, 12], [13, 14, 15]]], np.uint8)
    np.testing.assert_array_equal(to_rgb(image), image)


def test_uint8_grey_is_replicated_unchanged():
    assert grey(to_rgb(np.array([[100, 101]], np.uint8))) == [[100, 101]]


def test_uint8_is_scaled_when_limits_are_given():
    image = np.array([[50, 100, 150, 200]], np.uint8)
    assert grey(to_rgb(image, contrast_limits=(100, 151))) == [[0, 0, 250, 255]]


@pytest.mark.parametrize(
    ("image", "expected"), [([[False, True]], [[0, 255]]), ([[True]], [[255]])]
)
def test_bool_is_black_and_white(image, expected):
    assert grey(to_rgb(np.array(image))) == expected


@pytest.mark.parametrize(
    "dtype",
    [
        "int8",
        "uint16",
        ">u2",
        "int16",
        "int32",
        ">i4",
        "uint64",
        "int64",
        "float16",
        "float32",
        ">f4",
        "float64",
        "longdouble",
    ],
)
def test_other_dtypes_are_stretched(dtype):
    assert grey(to_rgb(np.array([[20, 71, 122]], dtype))) == [[0, 128, 255]]


def test_negative_values_are_stretched():
    assert grey(to_rgb(np.array([[-10.0, 0.0, 10.0]]))) == [[0, 128, 255]]


def test_colour_balance_is_kept():
    image = np.array([[[0, 500, 1000], [0, 250, 500]]], np.uint16)
    assert to_rgb(image)[0].tolist() == [[0, 128, 255], [0, 64, 128]]


def test_contrast_limits_clip():
    image = np.array([[-5.0, 0.0, 1.0, 2.0, 50.0]])
    assert grey(to_rgb(image, contrast_limits=(0, 2))) == [[0, 0, 128, 255, 255]]


def test_hot_pixels_do_not_darken_the_rest():
    image = np.tile(np.arange(1000, dtype=np.uint16), (10, 1))
    image[3, 4] = 65535
    image[0, 999] = 999
    rgb = to_rgb(image)
    assert rgb[0, 500, 0] in range(126, 130)
    assert rgb[0, 999, 0] == 255


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_few_bright_pixels_on_a_constant_background_are_seen(dtype):
    image = np.full((200, 200), 7, dtype)
    image[50, 60] = 900
    rgb = to_rgb(image)
    assert rgb[50, 60].tolist() == [255, 255, 255]
    assert rgb.sum() == 3 * 255


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_bright_pixel_that_the_sample_misses_is_seen(dtype):
    image = np.zeros((2048, 2048), dtype)
    image[1001, 1003] = 1
    assert to_rgb(image)[1001, 1003].tolist() == [255, 255, 255]


@pytest.mark.parametrize("shape", [(1300, 1300), (1, 3_000_000), (3_000_000, 1)])
def test_large_planes_are_sampled_faithfully(shape):
    count = shape[0] * shape[1]
    image = np.linspace(0, 1, count, dtype=np.float32).reshape(shape)
    expected = np.clip(np.linspace(-0.255, 255.255, count), 0, 255)
    assert np.abs(to_rgb(image)[..., 0].ravel() - expected).max() < 1


def test_the_same_plane_gives_the_same_result():
    image = np.random.default_rng(0).normal(size=(1500, 1100))
    np.testing.assert_array_equal(to_rgb(image), to_rgb(image))


def test_a_constant_plane_is_black():
    assert grey(to_rgb(np.array([[5.5, 5.5]]))) == [[0, 0]]


def test_values_that_are_not_finite():
    image = np.array([[np.nan, -np.inf, np.inf, 2.0, 4.0]], np.float32)
    assert grey(to_rgb(image)) == [[0, 0, 255, 0, 255]]


@pytest.mark.parametrize(("value", "expected"), [(np.nan, 0), (np.inf, 255)])
def test_nothing_is_finite(value, expected):
    assert grey(to_rgb(np.full((1, 2), value))) == [[expected, expected]]


def test_the_whole_range_of_float64():
    top = np.finfo(np.float64).max
    assert grey(to_rgb(np.array([[-top, 0, top]]))) == [[0, 128, 255]]


@pytest.mark.parametrize(
    "limits",
    [
        (1, 1),
        (2, 1),
        (0, np.nan),
        (0, np.inf),
        (1,),
        (1, 2, 3),
        5,
        "ab",
        ("1", "2"),
        (None, 1),
        (0j, 1),
        ((0, 1), 2),
    ],
)
def test_contrast_limits_must_be_two_increasing_numbers(limits):
    with pytest.raises(ImageError, match="two finite numbers"):
        to_rgb(RAMP, contrast_limits=limits)


# ---- what can be given ------------------------------------------------------


@pytest.mark.parametrize(
    "image",
    [
        RAMP * 1j,
        RAMP.astype(object),
        RAMP.astype(str),
        RAMP.astype("datetime64[s]"),
        [[1, 2], [3]],
        None,
    ],
)
def test_what_is_no_number_is_refused(image):
    with pytest.raises(ImageError):
        to_rgb(image)


def test_lists_are_taken():
    assert grey(to_rgb([[0, 1], [1, 0]])) == [[0, 255], [255, 0]]


class Lazy:
    """What dask and zarr arrays have in common."""

    ndim = 2

    def __init__(self, *shape: int) -> None:
        self.shape = shape
        self.reads = 0

    def __array__(self, dtype=None, copy=None):
        self.reads += 1
        return np.ones(self.shape, np.uint8)


def test_lazy_arrays_are_taken():
    assert grey(to_rgb(Lazy(1, 2))) == [[1, 1]]


def test_lazy_stacks_are_refused_before_they_are_read():
    stack = Lazy(9, 20, 30)
    with pytest.raises(ImageError):
        to_rgb(stack)
    assert stack.reads == 0


def test_memory_maps_are_taken(tmp_path):
    mapped = np.memmap(tmp_path / "plane", np.uint8, "w+", shape=(2, 3))
    mapped[1, 2] = 9
    assert grey(to_rgb(mapped)) == [[0, 0, 0], [0, 0, 9]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255, 255, 255]),
        ("L", 9, [9, 9, 9]),
        ("LA", (200, 51), [40, 40, 40]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (200, 100, 0, 51), [40, 20, 0]),
        ("RGBX", (1, 2, 3, 4), [1, 2, 3]),
        ("CMYK", (255, 0, 0, 0), [0, 255, 255]),
        ("HSV", (0, 255, 200), [200, 0, 0]),
        ("YCbCr", (77, 128, 128), [77, 77, 77]),
    ],
)
@pytest.mark.parametrize("function", [to_rgb, check_rgb])
def test_pillow_modes_of_8_bits(function, mode, colour, expected):
    assert function(Image.new(mode, (2, 1), colour))[0, 1].tolist() == expected


@pytest.mark.parametrize("function", [to_rgb, check_rgb])
def test_pillow_palettes(function):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    assert function(image)[0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize("function", [to_rgb, check_rgb])
def test_pillow_palettes_with_a_transparent_colour(function):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((1, 0), 0)
    image.info["transparency"] = 1
    assert function(image)[0].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("mode", ["I", "F", "I;16", "I;16B"])
def test_pillow_modes_of_more_bits_are_stretched(mode):
    image = Image.new(mode, (3, 1))
    for col, value in enumerate((300, 401, 502)):
        image.putpixel((col, 0), value)
    assert grey(to_rgb(image)) == [[0, 128, 255]]


def test_a_cut_off_file_is_refused():
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    Image.fromarray(noise).save(file, "png")
    with pytest.raises(ImageError, match="cannot be read"):
        to_rgb(Image.open(io.BytesIO(file.getvalue()[:2000])))


def test_the_result_is_contiguous_and_no_view():
    image = np.zeros((4, 5, 3), np.uint8)[::-1]
    for rgb in (to_rgb(image), check_rgb(image)):
        assert rgb.flags.c_contiguous
        assert not np.shares_memory(rgb, image)


def test_memory_is_the_result_and_little_more():
    image = np.random.default_rng(0).integers(0, 60000, (3000, 3000), np.uint16)
    tracemalloc.start()
    to_rgb(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A float64 copy would need 69 MiB beside the result's 26.
    assert peak < 45 * 2**20


# ---- check_rgb --------------------------------------------------------------


def test_check_takes_rgb_as_it_is():
    image = np.array([[[10, 11, 12], [13, 14, 15]]], np.uint8)
    np.testing.assert_array_equal(check_rgb(image), image)


def test_check_replicates_grey():
    assert grey(check_rgb(np.array([[100, 101]], np.uint8))) == [[100, 101]]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float32", "int64"])
def test_check_refuses_other_dtypes_and_names_the_normaliser(dtype):
    with pytest.raises(ImageError, match=rf"{dtype}.*napari_sam3\.to_rgb"):
        check_rgb(np.zeros((4, 5, 3), dtype))


@pytest.mark.parametrize("shape", [(4, 5, 4), (3, 4, 5), (4, 5, 1), (6,), (1, 4, 5, 3)])
def test_check_refuses_other_shapes_and_names_the_normaliser(shape):
    with pytest.raises(ImageError, match=r"napari_sam3\.to_rgb"):
        check_rgb(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_check_refuses_pillow_modes_of_more_bits(mode):
    with pytest.raises(ImageError, match=r"napari_sam3\.to_rgb"):
        check_rgb(Image.new(mode, (3, 2)))


@pytest.mark.parametrize(
    "image", [np.zeros((0, 5, 3), np.uint8), Image.new("RGB", (0, 5))]
)
def test_check_refuses_empty_images(image):
    with pytest.raises(ImageError, match="empty"):
        check_rgb(image)


# ---- properties -------------------------------------------------------------

DTYPES = st.one_of(
    npst.boolean_dtypes(),
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?"),
    npst.complex_number_dtypes(),
    npst.byte_string_dtypes(),
    npst.datetime64_dtypes(),
)
ARRAYS = npst.arrays(DTYPES, npst.array_shapes(min_dims=0, max_dims=4, min_side=0))
LIMITS = st.none() | st.tuples(st.floats(), st.floats())


def is_rgb(array: np.ndarray) -> bool:
    return (
        array.dtype == np.uint8
        and array.ndim == 3
        and array.shape[2] == 3
        and array.size > 0
        and array.flags.c_contiguous
    )


@settings(max_examples=300, deadline=None)
@given(ARRAYS, LIMITS, st.none() | st.integers(-4, 4))
def test_any_array_becomes_rgb_or_is_refused(image, limits, channel_axis):
    try:
        rgb = to_rgb(image, contrast_limits=limits, channel_axis=channel_axis)
    except ImageError:
        return
    assert is_rgb(rgb)


@settings(max_examples=100, deadline=None)
@given(ARRAYS | npst.arrays(np.uint8, npst.array_shapes(min_dims=2, max_dims=3)))
def test_what_passes_the_check_is_what_to_rgb_leaves_alone(image):
    try:
        rgb = check_rgb(image)
    except ImageError:
        return
    assert is_rgb(rgb)
    np.testing.assert_array_equal(rgb, to_rgb(image, channel_axis=_last(image)))


def _last(image: np.ndarray) -> int | None:
    return None if image.ndim == 2 else -1


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.float64, (3, 4), elements=st.floats(-1e9, 1e9)))
def test_brighter_pixels_never_become_darker(image):
    order = np.argsort(image, axis=None, kind="stable")
    values = to_rgb(image)[..., 0].ravel()[order].astype(int)
    assert (np.diff(values) >= 0).all()


@settings(max_examples=100, deadline=None)
@given(npst.arrays(np.int32, (3, 4), elements=st.integers(-(2**20), 2**20)))
def test_byte_order_does_not_matter(image):
    np.testing.assert_array_equal(to_rgb(image), to_rgb(image.astype(">i4")))


@pytest.mark.parametrize("path", ["cells.png", Path("folder/cells.png")])
def test_a_path_is_no_image_yet(path):
    with pytest.raises(ImageError, match=r"is a path, '.*cells.png'; read the file"):
        to_rgb(path)
    with pytest.raises(ImageError, match="read the file"):
        check_rgb(path)
