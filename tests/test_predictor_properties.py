"""Odd images and prompts: a result or one of our errors, never anything else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_sam3 import ImageError, PromptError, to_rgb


def tried(count: int) -> settings:
    """Try so many examples; the fixtures keep nothing between them."""
    return settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
        ],
    )


SHAPES = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(1, 1), (1, 500), (500, 1), (3, 4), (2, 3)]),
    st.tuples(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3, 4])),
    st.sampled_from([(0, 5), (5, 0, 3), (2, 2, 2, 3), (7,), ()]),
)
DTYPES = st.sampled_from(
    ["u1", "u2", "i4", "f2", "f4", "f8", "?", ">u2", "c8", "M8[s]", "S3"]
)


@st.composite
def images(draw) -> np.ndarray:
    shape, dtype = draw(SHAPES), np.dtype(draw(DTYPES))
    return draw(npst.arrays(dtype, shape, fill=npst.from_dtype(dtype)))


NUMBERS = st.one_of(
    st.floats(-5, 45),
    st.integers(0, 40),
    st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e9, 0.5, -0.5]),
)
POINTS = st.one_of(
    st.none(),
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4),
    st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=2), max_size=3),
    st.sampled_from(
        ["here", 7, [[1, 2, 3]], [["a", "b"]], [[1], [2, 3]], np.ones((2, 2, 2, 2))]
    ),
)
LABELS = st.one_of(
    st.none(),
    st.lists(st.sampled_from([0, 1, 1, -1, 2, np.nan]), max_size=4),
    st.sampled_from(["on", [[1], [0]], [[1, 1]], 1]),
)
BOXES = st.one_of(
    st.none(),
    st.lists(NUMBERS, min_size=4, max_size=4),
    st.lists(st.lists(NUMBERS, min_size=4, max_size=4), max_size=3),
    st.sampled_from(["box", [1, 2], [[[1, 2, 3, 4]]]]),
)
MASKS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            np.zeros((1, 256, 256)),
            np.full((1, 256, 256), 1e30),
            np.full((1, 256, 256), np.nan),
            np.ones((2, 1, 256, 256)),
            np.zeros((1, 4, 4)),
            "mask",
        ]
    ),
)


@tried(60)
@given(image=images())
def test_any_image_is_taken_or_refused_in_words(predictor, image):
    try:
        predictor.set_image(image)
    except ImageError:
        return
    rows, cols = image.shape[:2]
    masks, scores, low_res = predictor.predict([[cols // 2, rows // 2]], [1])
    assert masks.shape == (3, rows, cols)
    assert np.isfinite(scores).all()
    assert np.isfinite(low_res).all()


@tried(40)
@given(image=images())
def test_what_to_rgb_makes_is_taken(predictor, image):
    try:
        rgb = to_rgb(image)
    except ImageError:
        return
    predictor.set_image(rgb)
    masks, _, _ = predictor.predict([[0, 0]], [1], multimask_output=False)
    assert masks.shape == (1, *rgb.shape[:2])


@tried(150)
@given(
    points=POINTS,
    labels=LABELS,
    box=BOXES,
    mask=MASKS,
    multimask=st.booleans(),
    pixels=st.booleans(),
)
def test_any_prompt_is_answered_or_refused_in_words(
    predictor, cells, points, labels, box, mask, multimask, pixels
):
    predictor.set_image(cells[40:80, 50:90])
    try:
        masks, scores, low_res = predictor.predict(
            points, labels, box, mask, multimask, normalize_coords=pixels
        )
    except PromptError:
        return
    count = 3 if multimask else 1
    assert masks.shape[-3:] == (count, 40, 40)
    assert scores.shape == masks.shape[:-2]
    assert low_res.shape == (*scores.shape, 256, 256)
    assert np.isfinite(scores).all()
    assert np.isfinite(low_res).all()


@tried(40)
@given(
    clicks=st.lists(
        st.tuples(st.integers(0, 239), st.integers(0, 199), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_background_pixels_stay_out(predictor, cells, clicks):
    predictor.set_image(cells)
    masks, _, _ = predictor.predict(
        [click[:2] for click in clicks], [int(click[2]) for click in clicks]
    )
    for x, y, positive in clicks:
        if not positive:
            assert not masks[:, y, x].any()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3000, 7)])
def test_thin_images(predictor, shape):
    image = np.zeros(shape, np.uint8)
    middle = (shape[0] // 2, shape[1] // 2)
    rows, cols = (slice(max(0, n - 9), n + 9) for n in middle)
    image[rows, cols] = 220
    predictor.set_image(image)
    masks, _, _ = predictor.predict([middle[::-1]], [1])
    assert masks.shape == (3, *shape)
    assert masks[0][middle]
