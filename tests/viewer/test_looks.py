"""What the model sees is what napari shows, and what cannot be blended is refused."""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.core.image import to_rgb
from napari_sam3.core.look import Look, Tint, ramp
from napari_sam3.core.record import Plane
from napari_sam3.viewer.looks import Sight, channel_planes, look_of
from napari_sam3.viewer.session import Session
from tests.viewer.studio import SECONDS

FLAT = Plane((0, 1), (None, None))
RED, GREEN, BLUE = (ramp(c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
MAGENTA = ramp((255, 0, 255))


def shown_by_napari(layer: Image, pixels: np.ndarray) -> np.ndarray:
    """Return what napari draws, as floats of 0 to 255: limits, gamma, colormap."""
    low, high = layer.contrast_limits
    values = np.nan_to_num(pixels.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled = (np.clip(values, low, high) - low) / (high - low)
    return layer.colormap.map(scaled**layer.gamma)[..., :3] * 255


def seen(layer: Image, pixels: np.ndarray, sight: Sight | None = None) -> np.ndarray:
    """Return what the model sees of a layer with two axes."""
    look = look_of(((layer, FLAT),), sight or Sight())
    return look.resolved([pixels]).render([pixels])


# ---- one layer --------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_model_sees_what_napari_shows(data):
    dtype = data.draw(
        st.sampled_from(["bool", "i1", "u1", "i2", "u2", ">u2", "i4", "u4", "f4", "f8"])
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    span = 2 if dtype == "bool" else 10 ** data.draw(st.floats(0.5, 2))
    pixels = (rng.random((7, 9)) * span).astype(dtype)
    if np.dtype(dtype).kind == "f":
        pixels[0, :3] = np.nan, np.inf, -np.inf
    low = data.draw(st.floats(-50, 90))
    high = low + data.draw(st.floats(0.01, 200))
    colormap = data.draw(
        st.sampled_from(["gray", "gray_r", "green", "magenta", "viridis", "inferno"])
    )
    layer = Image(
        pixels,
        rgb=False,
        contrast_limits=(low, high),
        gamma=data.draw(st.floats(0.2, 3)),
        colormap=colormap,
    )
    away = np.abs(seen(layer, pixels) - shown_by_napari(layer, pixels))
    # Half a level of 256, times how steeply the colormap climbs there.
    steepest = np.abs(
        np.diff(layer.colormap.map(np.linspace(0, 1, 257))[:, :3] * 255, axis=0)
    ).max()
    assert away.max() <= 0.5 * max(steepest, 1) + 0.5 + 1e-3


def test_8_bit_grey_is_unchanged():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    layer = Image(pixels)
    assert look_of(((layer, FLAT),), Sight()) == Look((Tint((0, 255)),))
    np.testing.assert_array_equal(seen(layer, pixels)[..., 0], pixels)


def test_a_reversed_colormap_inverts_by_itself():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    falling = Image(pixels, colormap="gray_r")
    np.testing.assert_array_equal(seen(falling, pixels)[..., 1], 255 - pixels)
    np.testing.assert_array_equal(
        seen(Image(pixels), pixels, Sight(inverted=True)), seen(falling, pixels)
    )


def test_a_coloured_layer_is_seen_in_colour():
    pixels = np.array([[0, 100], [200, 255]], np.uint8)
    rgb = seen(Image(pixels, colormap="green"), pixels)
    np.testing.assert_array_equal(rgb[..., 1], pixels)
    assert not rgb[..., [0, 2]].any()


def test_clear_colours_are_over_black():
    pixels = np.array([[0, 255]], np.uint8)
    clear = np.array([[1, 1, 1, 0], [1, 0, 0, 0.5]])
    layer = Image(np.zeros((2, 2), np.uint8), colormap=clear)
    assert seen(layer, pixels)[0].tolist() == [[0, 0, 0], [128, 0, 0]]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16", "int32", "f4"])
def test_percentiles_leave_limits_and_gamma_of_the_layer_aside(dtype):
    pixels = (np.random.default_rng(0).random((40, 40)) * 300).astype(dtype)
    layer = Image(pixels, contrast_limits=(20, 30), gamma=2)
    rgb = seen(layer, pixels, Sight("percentiles"))
    np.testing.assert_array_equal(rgb, to_rgb(pixels))


def test_limits_that_are_no_numbers_are_found_anew():
    pixels = np.array([[0.0, 1.0], [2.0, np.inf]])
    with np.errstate(invalid="ignore"):  # napari's own
        layer = Image(pixels, contrast_limits=(0, np.inf))
    assert seen(layer, pixels)[..., 0].tolist() == [[0, 128], [255, 255]]


def test_a_constant_image_is_dark_and_divides_nothing_by_zero():
    for pixels in (np.zeros((4, 4), np.uint16), np.full((4, 4), np.nan)):
        assert not seen(Image(pixels), pixels).any()


def test_no_pixel_is_read():
    class Closed:
        shape, ndim, dtype = (8, 9), 2, np.dtype(np.uint16)

        def __getitem__(self, index):
            raise AssertionError("pixels were read")

    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((8, 9), np.uint16), contrast_limits=(0, 9))
    layer._data = Closed()
    channels = channel_planes(viewer, layer, FLAT, Sight())
    assert look_of(channels, Sight()) == Look((Tint((0, 9)),))


# ---- RGB --------------------------------------------------------------------


@pytest.mark.parametrize("contrast", ["shown", "percentiles"])
def test_8_bit_rgb_is_taken_as_it_is(contrast):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    layer = Image(pixels, rgb=True)
    sight = Sight(contrast)
    assert look_of(((layer, FLAT),), sight) == Look(())
    np.testing.assert_array_equal(seen(layer, pixels, sight), pixels)
    inverted = seen(layer, pixels, Sight(contrast, inverted=True))
    np.testing.assert_array_equal(inverted, 255 - pixels)


def test_other_rgb_has_the_layers_limits():
    pixels = np.random.default_rng(0).integers(0, 4096, (40, 40, 3), np.uint16)
    layer = Image(pixels, rgb=True, contrast_limits=(0, 4095))
    expected = to_rgb(pixels, contrast_limits=(0, 4095))
    np.testing.assert_array_equal(seen(layer, pixels), expected)
    robust = seen(layer, pixels, Sight("percentiles"))
    np.testing.assert_array_equal(robust, to_rgb(pixels))


# ---- several layers ---------------------------------------------------------


def with_channels(*layers: dict) -> tuple[ViewerModel, list[Image]]:
    """Return a viewer with images of random 8 x 9 pixels."""
    viewer = ViewerModel()
    rng = np.random.default_rng(0)
    added = []
    for about in layers:
        shape = about.pop("shape", (8, 9))
        pixels = rng.integers(0, 4000, shape, np.uint16)
        added.append(viewer.add_image(pixels, **about))
    return viewer, added


def test_layers_are_added_up_in_their_colours():
    viewer, layers = with_channels(
        {"colormap": "red", "contrast_limits": (0, 4000)},
        {"colormap": "green", "contrast_limits": (500, 3000), "gamma": 0.5},
        {"colormap": "gray_r", "contrast_limits": (0, 9000)},
    )
    sight = Sight(channels=tuple(layer.unique_id for layer in layers[1:]))
    channels = channel_planes(viewer, layers[0], FLAT, sight)
    assert channels == tuple((layer, FLAT) for layer in layers)
    rgb = look_of(channels, sight).render([layer.data for layer in layers])
    added = sum(shown_by_napari(layer, layer.data) for layer in layers)
    assert np.abs(rgb - np.minimum(added, 255)).max() < 3


def test_the_image_may_be_named_among_its_channels():
    viewer, (one, two) = with_channels({}, {})
    sight = Sight(channels=(one.unique_id, two.unique_id))
    assert channel_planes(viewer, one, FLAT, sight) == ((one, FLAT), (two, FLAT))
    assert channel_planes(viewer, two, FLAT, sight) == ((two, FLAT), (one, FLAT))


def test_a_layer_of_a_stack_gives_the_plane_at_the_same_depth():
    viewer, (stack, other, flat) = with_channels(
        {"shape": (5, 8, 9), "scale": (2, 1, 1)},
        {"shape": (9, 8, 9), "translate": (2, 0, 0)},
        {},
    )
    plane = Plane((1, 2), (3, None, None))  # 6 from the origin
    sight = Sight(channels=(other.unique_id, flat.unique_id))
    planes = channel_planes(viewer, stack, plane, sight)
    assert planes[1] == (other, Plane((1, 2), (4, None, None)))
    assert planes[2] == (flat, FLAT)


def test_transposed_planes_are_transposed_in_all_channels():
    viewer, (one, two) = with_channels({"shape": (5, 8, 9)}, {"shape": (5, 8, 9)})
    plane = Plane((2, 0), (None, 3, None))
    sight = Sight(channels=(two.unique_id,))
    assert channel_planes(viewer, one, plane, sight) == ((one, plane), (two, plane))


def test_units_count():
    nm = {"units": ("nm", "nm"), "scale": (500, 500)}
    viewer, (one, same, other) = with_channels(
        {"units": ("µm", "µm"), "scale": (0.5, 0.5)}, nm, {**nm, "scale": (0.5, 0.5)}
    )
    sight = Sight(channels=(same.unique_id,))
    assert len(channel_planes(viewer, one, FLAT, sight)) == 2
    with pytest.raises(LayerError, match="scale, place or units differ"):
        channel_planes(viewer, one, FLAT, Sight(channels=(other.unique_id,)))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"shape": (8, 10)}, "8 x 10 pixels and 'image' 8 x 9, so .* take it out"),
        ({"shape": (9, 8)}, "9 x 8 pixels"),
        ({"scale": (2, 2)}, "does not lie pixel upon pixel .* give both the same"),
        ({"translate": (0, 1)}, "does not lie pixel upon pixel"),
        ({"rotate": 3}, "does not lie pixel upon pixel"),
        ({"shape": (4, 8, 9)}, "more axes than 'image'; segment the one with more"),
        ({"shape": (8, 9, 3), "rgb": True}, "is RGB .* choose grey layers"),
    ],
)
def test_what_cannot_be_blended_is_refused(about, message):
    viewer, (image, other) = with_channels({"name": "image"}, about)
    sight = Sight(channels=(other.unique_id,))
    with pytest.raises(LayerError, match=message):
        channel_planes(viewer, image, FLAT, sight)


def test_rgb_is_blended_with_nothing():
    viewer, (image, other) = with_channels({"shape": (8, 9, 3), "rgb": True}, {})
    with pytest.raises(LayerError, match="is RGB and has its own colours"):
        channel_planes(viewer, image, FLAT, Sight(channels=(other.unique_id,)))
    with pytest.raises(LayerError, match="is RGB and has its own colours"):
        channel_planes(viewer, image, FLAT, Sight(channel_axis=0))


def test_where_another_layer_has_no_plane_it_is_refused():
    viewer, (stack, other) = with_channels({"shape": (5, 8, 9)}, {"shape": (3, 8, 9)})
    plane = Plane((1, 2), (4, None, None))
    with pytest.raises(LayerError, match="is shown; move the slider, or take"):
        channel_planes(viewer, stack, plane, Sight(channels=(other.unique_id,)))


def test_a_channel_that_is_gone_is_refused():
    viewer, (image,) = with_channels({})
    with pytest.raises(LayerError, match=r"is gone; choose .* session.channels = None"):
        channel_planes(viewer, image, FLAT, Sight(channels=(uuid4(),)))


def test_four_channels_are_refused():
    viewer, (image, *others) = with_channels({}, {}, {}, {})
    sight = Sight(channels=tuple(layer.unique_id for layer in others))
    with pytest.raises(LayerError, match="more than 3 channels; choose fewer"):
        channel_planes(viewer, image, FLAT, sight)


# ---- an axis ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "indices", "expected", "colours"),
    [
        (1, (), [0], [None]),
        (2, (), [0, 1], [MAGENTA, GREEN]),
        (3, (), [0, 1, 2], [RED, GREEN, BLUE]),
        (5, (), [0, 1, 2], [RED, GREEN, BLUE]),
        (5, (4, 1), [4, 1], [MAGENTA, GREEN]),
        (5, (4,), [4], [None]),
    ],
)
def test_planes_of_an_axis_are_channels(size, indices, expected, colours):
    viewer, (image,) = with_channels({"shape": (6, size, 8, 9), "gamma": 0.5})
    image.contrast_limits = (7, 77)
    plane = Plane((2, 3), (5, 0, None, None))
    for axis in (1, -3):
        sight = Sight(channel_axis=axis, channel_indices=indices)
        channels = channel_planes(viewer, image, plane, sight)
        planes = [Plane((2, 3), (5, i, None, None)) for i in expected]
        assert channels == tuple((image, one) for one in planes)
        tints = tuple(Tint((7, 77), 0.5, colour) for colour in colours)
        assert look_of(channels, sight) == Look(tints)


def test_planes_of_an_axis_have_percentiles_of_their_own():
    viewer, (image,) = with_channels({"shape": (2, 8, 9)})
    sight = Sight("percentiles", channel_axis=0)
    channels = channel_planes(viewer, image, Plane((1, 2), (0, None, None)), sight)
    look = look_of(channels, sight)
    assert not look.is_resolved
    limits = [tint.limits for tint in look.resolved([[0.0, 9.0], [50.0, 99.0]]).tints]
    assert limits == [(0, 9), (50, 99)]


@pytest.mark.parametrize(
    ("sight", "message"),
    [
        (Sight(channel_axis=3), "has 3 axes and no axis 3; choose another"),
        (Sight(channel_axis=-4), "no axis -4"),
        (Sight(channel_axis=1), "is shown as rows or columns"),
        (Sight(channel_axis=-1), "is shown as rows or columns"),
        (Sight(channel_axis=0, channel_indices=(2,)), r"planes 0 to 1, not all of"),
        (Sight(channel_axis=0, channel_indices=(-1,)), r"planes 0 to 1, not all of"),
    ],
)
def test_an_axis_that_has_no_such_planes_is_refused(sight, message):
    viewer, (image,) = with_channels({"shape": (2, 8, 9)})
    with pytest.raises(LayerError, match=message):
        channel_planes(viewer, image, Plane((1, 2), (0, None, None)), sight)


# ---- the choice itself ------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"contrast": "loud"}, "give 'shown' or 'percentiles'"),
        ({"channels": (uuid4(),), "channel_axis": 0}, "give one of them"),
        ({"channel_indices": (0,)}, "give the axis, too"),
        ({"channels": tuple(uuid4() for _ in range(4))}, "choose up to 3"),
        ({"channel_axis": 0, "channel_indices": (0, 1, 2, 3)}, "choose up to 3"),
    ],
)
def test_contradictions_are_refused(about, message):
    with pytest.raises(StateError, match=message):
        Sight(**about)


def test_equal_choices_are_equal():
    one = uuid4()
    sight = Sight(channels=[one, one], inverted=np.bool_(True))
    assert sight == Sight(channels=(one,), inverted=True)
    assert hash(sight) == hash(Sight(channels=(one,), inverted=True))


# ---- the session ------------------------------------------------------------


@pytest.fixture
def other(desk: ViewerModel, session: Session) -> Image:
    """Return a second image beside the desk's."""
    pixels = np.random.default_rng(1).integers(0, 4000, (80, 100), np.uint16)
    image = session.image
    layer = desk.add_image(pixels, name="stain", colormap="green")
    session.image = image
    return layer


def test_a_session_is_told_what_the_model_sees(session, cells_layer, other):
    assert (session.contrast, session.inverted, session.channels) == (
        "shown",
        False,
        None,
    )
    session.contrast = "percentiles"
    session.inverted = True
    session.channels = [cells_layer, other]
    assert session.contrast == "percentiles"
    assert session.inverted is True
    assert session.channels == [cells_layer, other]
    session.channels = other
    assert session.channels == [other]
    session.channels = None
    assert session.channels is None
    assert session._bench.sight == Sight("percentiles", inverted=True)


def test_the_model_gets_to_see_it(session, cells_layer, other, fake):
    pixels = cells_layer.data
    session.inverted = True
    session.add_point((40, 50))
    session.wait(SECONDS)
    np.testing.assert_array_equal(fake.images[-1][..., 0], 255 - pixels)
    session.inverted = False
    session.channels = [other]
    session.wait(SECONDS)
    limits = other.contrast_limits
    green = to_rgb(other.data, contrast_limits=limits)[..., 1].astype(int)
    both = np.minimum(pixels + green, 255)
    np.testing.assert_array_equal(fake.images[-1][..., 0], pixels)
    np.testing.assert_array_equal(fake.images[-1][..., 1], both)


def test_another_contrast_asks_nothing_until_the_next_prompt(
    session, cells_layer, fake
):
    session.add_point((40, 50))
    session.wait(SECONDS)
    calls = fake.embed_calls, fake.predict_calls
    cells_layer.contrast_limits = (50, 100)
    cells_layer.gamma = 0.5
    cells_layer.colormap = "green"
    session.wait(SECONDS)
    assert (fake.embed_calls, fake.predict_calls) == calls
    session.add_point((42, 50))
    session.wait(SECONDS)
    expected = seen(cells_layer, cells_layer.data)
    np.testing.assert_array_equal(fake.images[-1], expected)


def test_an_axis_may_be_given_with_its_planes(desk, session):
    session.image = desk.add_image(np.zeros((4, 20, 30), np.uint16))
    session.channels = np.int64(0)
    assert session.channels == 0
    session.channels = (0, [3, 1])
    assert session.channels == (0, (3, 1))


def test_what_is_set_can_be_had_as_python(session, other):
    session.contrast = "percentiles"
    session.inverted = True
    session.channels = [other]
    lines = session.as_python().splitlines()
    assert "s.contrast = 'percentiles'" in lines
    assert "s.inverted = True" in lines
    assert "s.channels = [viewer.layers['stain']]" in lines
    session.channels = None
    assert "s.channels = None" in session.as_python().splitlines()


@pytest.mark.parametrize("value", ["stain", 1.5, [3], object(), (0, 1, 2), (0, "ab")])
def test_what_is_no_channel_is_refused(session, value):
    with pytest.raises(LayerError, match=r"\(axis, indices\), or None"):
        session.channels = value
    assert session.channels is None


def test_layers_that_do_not_fit_are_refused_at_once(desk, session, cells_layer):
    small = desk.add_image(np.zeros((5, 6), np.uint8), name="small")
    session.image = cells_layer
    with pytest.raises(LayerError, match="cannot be blended"):
        session.channels = [small]
    with pytest.raises(LayerError, match="is not in this viewer"):
        session.channels = [Image(np.zeros((80, 100), np.uint8))]
    with pytest.raises(LayerError, match="is shown as rows or columns"):
        session.channels = 0
    assert session.channels is None


@pytest.mark.parametrize(
    ("name", "value"), [("contrast", "loud"), ("contrast", 1), ("inverted", "yes")]
)
def test_what_is_no_setting_is_refused(session, name, value):
    before = getattr(session, name)
    with pytest.raises(StateError, match="; give "):
        setattr(session, name, value)
    assert getattr(session, name) == before


def test_a_closed_session_sees_nothing_more(session):
    session.close()
    with pytest.raises(StateError, match="attach to the viewer again"):
        session.inverted = True
