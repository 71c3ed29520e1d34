"""Values become colours as napari shows them, and the same in any window."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_sam3.core.errors import ImageError, PromptError
from napari_sam3.core.image import to_rgb
from napari_sam3.core.look import Look, Tint, ramp

MAGENTA, GREEN = ramp((255, 0, 255)), ramp((0, 255, 0))
FALLING = bytes(np.repeat(np.arange(255, -1, -1, np.uint8), 3))
DTYPES = "bool int8 uint8 int16 uint16 >u2 int32 uint32 int64 uint64 f2 f4 >f4 f8"


def grey(rgb: np.ndarray) -> list[list[int]]:
    """Return the values of an RGB image that has the same in all channels."""
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0].tolist()


def seen(look: Look, *planes: object) -> list[list[int]]:
    """Return the colours of planes of one row."""
    return look.render([np.atleast_2d(plane) for plane in planes])[0].tolist()


# ---- one channel ------------------------------------------------------------


def test_8_bit_grey_is_unchanged():
    image = np.arange(256, dtype=np.uint8).reshape(8, 32)
    rgb = Look((Tint((0, 255)),)).render([image])
    np.testing.assert_array_equal(rgb, np.dstack([image] * 3))
    assert rgb.flags.c_contiguous


def test_limits_come_before_gamma_and_gamma_before_colours():
    image = np.array([[0, 100, 150, 200, 900]], np.uint16)
    limits = (100, 200)
    assert grey(Look((Tint(limits),)).render([image])) == [[0, 0, 128, 255, 255]]
    assert grey(Look((Tint(limits, 2),)).render([image])) == [[0, 0, 64, 255, 255]]
    colours = Look((Tint(limits, 2, MAGENTA),)).render([image])
    assert colours[0, 2].tolist() == [64, 0, 64]


def test_extremes_of_16_bits_keep_their_order():
    image = np.array([[0, 1, 32767, 32768, 65534, 65535]], np.uint16)
    look = Look((Tint((0, 65535)),))
    assert grey(look.render([image])) == [[0, 0, 127, 128, 255, 255]]
    narrow = Look((Tint((65534, 65535)),))
    assert grey(narrow.render([image])) == [[0, 0, 0, 0, 0, 255]]
    signed = (image.astype(np.int32) - 32768).astype(np.int16)
    assert grey(Look((Tint((-32768, 32767)),)).render([signed])) == grey(
        look.render([image])
    )


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8"])
def test_what_is_no_number_is_at_the_low_end(dtype):
    image = np.array([[np.nan, -np.inf, 0, 1, np.inf]], dtype)
    assert grey(Look((Tint((0, 1)),)).render([image])) == [[0, 0, 0, 255, 255]]
    falling = Look((Tint((0, 1), 1, FALLING),))
    assert grey(falling.render([image])) == [[255, 255, 255, 0, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "f4"])
def test_equal_limits_divide_nothing_by_zero(dtype):
    image = np.array([[4, 5, 6]], dtype)
    assert grey(Look((Tint((5, 5)),)).render([image])) == [[0, 0, 255]]


@pytest.mark.parametrize(
    "limits", [(-300, 70000), (-1e300, 1e300), (-1.7e308, 1.7e308)]
)
def test_limits_may_be_beyond_the_dtype(limits):
    image = np.array([[0, 255]], np.uint8)
    low, high = limits
    expected = [
        [int((v / 2 - low / 2) / (high / 2 - low / 2) * 255 + 0.5) for v in (0, 255)]
    ]
    assert grey(Look((Tint(limits),)).render([image])) == expected


def test_a_falling_colormap_inverts_and_so_does_inverted():
    image = np.array([[0, 1, 254, 255]], np.uint8)
    falling = Look((Tint((0, 255), 1, FALLING),)).render([image])
    inverted = Look((Tint((0, 255)),), inverted=True).render([image])
    np.testing.assert_array_equal(falling, inverted)
    assert grey(inverted) == [[255, 254, 1, 0]]
    both = Look((Tint((0, 255), 1, FALLING),), inverted=True).render([image])
    assert grey(both) == image.tolist()


# ---- several channels -------------------------------------------------------


def test_three_channels_are_added_up():
    red, green, blue = (ramp(c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    look = Look(
        (Tint((0, 255), 1, red), Tint((0, 10), 1, green), Tint((0, 1), 1, blue))
    )
    planes = np.array([9, 255], np.uint8), np.array([5, 0], np.uint16), [0.2, 9.0]
    assert seen(look, *planes) == [[9, 128, 51], [255, 0, 255]]


def test_what_is_brighter_than_white_is_white():
    look = Look((Tint((0, 255)), Tint((0, 255), 1, MAGENTA), Tint((0, 255), 1, GREEN)))
    planes = [np.array([value], np.uint8) for value in (200, 100, 20)]
    assert seen(look, *planes) == [[255, 220, 255]]
    inverted = Look(look.tints, inverted=True)
    assert seen(inverted, *planes) == [[0, 35, 0]]


def test_the_order_of_channels_makes_no_difference():
    planes = list(np.random.default_rng(0).integers(0, 4000, (3, 9, 8), np.uint16))
    tints = (Tint((0, 900)), Tint((5, 4000), 0.7, MAGENTA), Tint((9, 99), 2, GREEN))
    one = Look(tints).render(planes)
    np.testing.assert_array_equal(one, Look(tints[::-1]).render(planes[::-1]))


# ---- RGB --------------------------------------------------------------------


def test_rgb_is_taken_as_it_is():
    rgb = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    seen = Look(()).render([rgb])
    np.testing.assert_array_equal(seen, rgb)
    assert not np.shares_memory(seen, rgb)
    np.testing.assert_array_equal(Look((), True).render([rgb]), 255 - rgb)


@pytest.mark.parametrize(
    ("dtype", "full"), [("uint16", 65535), ("int32", 2**31 - 1), ("f4", 1), ("bool", 1)]
)
def test_rgb_of_other_dtypes_has_their_full_range(dtype, full):
    rgb = (np.array([[[0, 1, 1], [1, 0, 1]]]) * full).astype(dtype)
    assert Look(()).render([rgb])[0].tolist() == [[0, 255, 255], [255, 0, 255]]


def test_what_is_clear_is_over_black():
    rgba = np.array([[[200, 100, 0, 255], [200, 100, 0, 51]]], np.uint8)
    assert Look(()).render([rgba])[0].tolist() == [[200, 100, 0], [40, 20, 0]]


def test_limits_of_rgb_are_common_to_its_colours():
    rgb = np.array([[[0, 1000, 2000], [4000, 500, 0]]], np.uint16)
    look = Look((Tint((0, 2000)),)).render([rgb])
    assert look[0].tolist() == [[0, 128, 255], [255, 64, 0]]
    assert Look().resolved([rgb]).tints[0].limits == (0, 4000)


def test_opacity_is_no_brightness():
    rgba = np.array([[[10, 20, 30, 65535], [10, 40, 30, 65535]]], np.uint16)
    assert Look().resolved([rgba]).tints[0].limits == (10, 40)


# ---- limits that are found --------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    npst.arrays(
        st.sampled_from(DTYPES.split()).map(np.dtype),
        npst.array_shapes(min_dims=2, max_dims=2, max_side=9),
    )
)
def test_automatic_limits_are_those_of_to_rgb(plane):
    look = Look().resolved([plane])
    assert look.is_resolved
    np.testing.assert_array_equal(look.render([plane]), to_rgb(plane))


def test_limits_that_are_known_stay():
    known = Tint((3, 4))
    look = Look((known, Tint(None, 0.5, GREEN))).resolved([[[9.0]], [[7, 8, 9]]])
    assert look.tints == (known, Tint((7, 9), 0.5, GREEN))


@pytest.mark.parametrize("sample", [[], [np.nan, np.inf], [5, 5], [1e300, 1e300]])
def test_samples_that_say_nothing_give_limits_all_the_same(sample):
    low, high = Look().resolved([np.array(sample, float)]).tints[0].limits
    assert low < high


@pytest.mark.parametrize("shape", [(60,), (3, 20), (3, 4, 5), (3, 4, 5, 1)])
def test_samples_may_have_any_shape(shape):
    sample = np.arange(60.0).reshape(shape)
    assert Look().resolved([sample]).tints[0].limits == (0, 59)


def test_each_channel_needs_a_sample():
    with pytest.raises(ImageError, match="1 samples for 2 channels; give one each"):
        Look((Tint(), Tint())).resolved([np.zeros((2, 2))])


# ---- windows, speed, memory -------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_window_looks_like_that_part_of_the_plane(data):
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "f4"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    planes = [(rng.random((40, 50)) * 250).astype(dtype) for _ in range(2)]
    look = Look((Tint((10, 200), 1.3, MAGENTA), Tint((0, 90), 0.6)), True)
    row, col = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 30))
    window = np.s_[row : row + 10, col : col + 12]
    np.testing.assert_array_equal(
        look.render([plane[window] for plane in planes]), look.render(planes)[window]
    )


@pytest.mark.parametrize("shape", [(3, 40_000), (40_000, 3), (300, 300)])
def test_planes_of_many_tiles_are_filled(shape):
    plane = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape)
    rgb = Look((Tint((0, plane.size - 1)),)).render([plane])
    expected = (plane / (plane.size - 1) * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(rgb[..., 1], expected)


def test_views_of_any_order_and_byte_order_look_the_same():
    plane = np.random.default_rng(0).integers(0, 5000, (30, 40), np.uint16)
    look = Look((Tint((0, 5000), 0.5, GREEN),))
    expected = look.render([plane])
    for other in (plane.astype(">u2"), np.asfortranarray(plane)):
        np.testing.assert_array_equal(look.render([other]), expected)
    turned = look.render([plane.T[::-1]])
    np.testing.assert_array_equal(turned, expected.swapaxes(0, 1)[::-1])


def test_temporary_arrays_stay_small():
    planes = [np.zeros((2000, 2000), np.float32) for _ in range(3)]
    look = Look((Tint((0, 1)), Tint((0, 1), 2, GREEN), Tint((0, 1))))
    tracemalloc.start()
    rgb = look.render(planes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rgb.nbytes + 4 * 2**20


# ---- values -----------------------------------------------------------------


def test_grey_has_no_colours():
    assert Tint((0, 1), 1, ramp((255, 255, 255))) == Tint((0, 1))
    assert hash(Look((Tint((np.float32(0), np.int64(1))),))) == hash(
        Look((Tint((0, 1)),))
    )


LOOKS = st.builds(
    Look,
    st.lists(
        st.builds(
            Tint,
            st.none()
            | st.lists(
                st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2
            )
            .map(sorted)
            .map(tuple),
            st.floats(1e-3, 1e3),
            st.none()
            | st.sampled_from([MAGENTA, FALLING])
            | st.binary(min_size=768, max_size=768),
        ),
        max_size=3,
    ),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_a_look_survives_json(look):
    text = json.dumps(look.to_json(), allow_nan=False)
    assert Look.from_json(json.loads(text)) == look


def test_colours_of_a_ramp_can_be_read():
    assert Tint((0, 1), 1, MAGENTA).to_json()["colors"] == "#ff00ff"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limits": [1]}, r"give \[low, high\], or null"),
        ({"limits": [2, 1]}, "the lower one first"),
        ({"limits": "all"}, "give a list"),
        ({"gamma": -1}, "give a positive number"),
        ({"gamma": None}, "give a finite number"),
        ({"colors": 7}, "give a text"),
        ({"colors": "#nothex"}, "give a colour such as"),
        ({"colors": "ÄÖ"}, "give a colour such as"),
        ({"colors": "AAAA"}, "have 3 bytes; give 256 x 3"),
    ],
)
def test_json_that_is_no_channel_is_refused(change, message):
    data = {"limits": [0, 1], "gamma": 1.0, "colors": None, **change}
    with pytest.raises(PromptError, match=message):
        Look.from_json({"channels": [data], "inverted": False})


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"channels": []},
        {"channels": [3], "inverted": False},
        {"channels": [Tint().to_json()] * 4, "inverted": False},
    ],
)
def test_json_that_is_no_look_is_refused(data):
    with pytest.raises(PromptError):
        Look.from_json(data)


@pytest.mark.parametrize("limits", [(2, 1), (np.nan, 1), (0, np.inf), (-np.inf, 0)])
def test_limits_are_finite_and_rise(limits):
    with pytest.raises(ImageError, match="give two finite numbers"):
        Tint(limits)


@pytest.mark.parametrize("gamma", [0, -1, np.nan, np.inf])
def test_gamma_is_positive(gamma):
    with pytest.raises(ImageError, match="give a positive number"):
        Tint((0, 1), gamma)


def test_more_than_three_channels_are_refused():
    with pytest.raises(ImageError, match="blend up to 3"):
        Look((Tint(),) * 4)


FLAT = np.zeros((4, 5))


@pytest.mark.parametrize(
    ("look", "planes", "message"),
    [
        (Look(), [FLAT], r"call look.resolved\(samples\)"),
        (Look((Tint((0, 1)),)), [], "give 1, one per channel"),
        (Look((Tint((0, 1)),)), [FLAT, FLAT], "give 1, one per channel"),
        (Look((Tint((0, 1)),)), [FLAT[0]], r"the same shape \(rows, columns\)"),
        (Look((Tint((0, 1)),)), [FLAT[..., None]], r"the same shape \(rows, columns\)"),
        (Look((Tint((0, 1)),) * 2), [FLAT, FLAT.T], "the same shape"),
        (Look((Tint((0, 1)),)), [FLAT[:0]], "at least one pixel"),
        (Look((Tint((0, 1)),)), [FLAT * 1j], "bool, integers or floats"),
        (Look(()), [FLAT], r"\(rows, columns, 3\) or \(rows, columns, 4\)"),
        (Look(()), [], r"\(rows, columns, 3\) or \(rows, columns, 4\)"),
        (Look((Tint((0, 1), 1, GREEN),)), [np.zeros((4, 5, 3))], "its own colours"),
    ],
)
def test_planes_that_do_not_fit_are_refused(look, planes, message):
    with pytest.raises(ImageError, match=message):
        look.render(planes)
