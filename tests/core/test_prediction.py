"""A prediction is a crop of logits and knows its place in the image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam3.core.errors import ImageError
from napari_sam3.core.prediction import Prediction

LOW_RES = np.zeros((4, 4), np.float32)


@pytest.fixture
def prediction() -> Prediction:
    logits = np.array([[1, -2, 0], [3, 4, -5]], np.float32)
    return Prediction(logits, (1, 2, 3, 5), 0.75, LOW_RES)


def test_what_is_above_the_threshold_is_object(prediction):
    assert prediction.mask().tolist() == [[True, False, False], [True, True, False]]


def test_the_threshold_can_be_moved(prediction):
    assert prediction.mask(3.0).tolist() == [[False] * 3, [False, True, False]]
    assert prediction.mask(-3.0).tolist() == [[True] * 3, [True, True, False]]


def test_pasted_logits_lie_in_their_box_on_background(prediction):
    assert prediction.paste((4, 6)).tolist() == [
        [-32, -32, -32, -32, -32, -32],
        [-32, -32, 1, -2, 0, -32],
        [-32, -32, 3, 4, -5, -32],
        [-32, -32, -32, -32, -32, -32],
    ]


def test_pasted_logits_are_a_copy(prediction):
    pasted = prediction.paste((4, 6))
    assert pasted.dtype == np.float32
    pasted[:] = 0
    assert prediction.logits[0, 0] == 1


@pytest.mark.parametrize("bbox", [(0, 0, 3, 2), (1, 2, 3, 4), (0, 0, 0, 0)])
def test_a_box_of_another_shape_is_refused(bbox):
    with pytest.raises(ImageError, match="not fill the box"):
        Prediction(np.zeros((2, 3), np.float32), bbox, 0.5, LOW_RES)


def test_a_prediction_cannot_be_changed(prediction):
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.score = 1.0


# ---- trimmed ----------------------------------------------------------------

SHAPE = (90, 110)


def found(mask: np.ndarray, row0: int = 3, col0: int = 5) -> Prediction:
    logits = np.where(mask, 4, -4).astype(np.float32)
    bbox = (row0, col0, row0 + mask.shape[0], col0 + mask.shape[1])
    return Prediction(logits, bbox, 0.75, LOW_RES)


def test_a_trimmed_crop_is_its_mask_and_a_margin():
    mask = np.zeros((60, 70), bool)
    mask[20:30, 40:44] = True
    trimmed = found(mask).trimmed(2)
    assert trimmed.bbox == (3 + 18, 5 + 38, 3 + 32, 5 + 46)
    assert trimmed.mask().sum() == 40
    assert trimmed.score == 0.75
    assert trimmed.low_res is LOW_RES


@pytest.mark.parametrize(("side", "margin"), [(1, 8), (64, 8), (80, 10)])
def test_the_margin_grows_with_the_mask(side, margin):
    mask = np.zeros((200, 200), bool)
    mask[50 : 50 + side, 60] = True
    row0, col0, row1, col1 = found(mask, 0, 0).trimmed().bbox
    assert (row0, row1) == (50 - margin, 50 + side + margin)
    assert (col0, col1) == (60 - margin, 61 + margin)


def test_a_trimmed_crop_does_not_hold_the_large_one():
    mask = np.zeros((60, 70), bool)
    mask[30, 30] = True
    large = found(mask)
    trimmed = large.trimmed()
    assert trimmed.logits.base is None
    assert not np.shares_memory(trimmed.logits, large.logits)


def test_an_empty_mask_leaves_a_pixel_in_the_middle():
    trimmed = found(np.zeros((20, 31), bool)).trimmed()
    assert trimmed.bbox == (13, 20, 14, 21)
    assert not trimmed.mask().any()


def test_a_crop_that_fits_is_left_alone():
    prediction = found(np.ones((9, 9), bool))
    assert prediction.trimmed() is prediction
    nothing = Prediction(np.zeros((0, 5), np.float32), (3, 2, 3, 7), 0.5, LOW_RES)
    assert nothing.trimmed() is nothing


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39)), max_size=6),
    st.none() | st.integers(0, 9),
)
def test_trimming_alters_no_mask(shape, pixels, margin):
    mask = np.zeros(shape, bool)
    for row, col in pixels:
        mask[row % shape[0], col % shape[1]] = True
    whole = found(mask)
    trimmed = whole.trimmed(margin)
    assert np.array_equal(trimmed.paste(SHAPE) > 0, whole.paste(SHAPE) > 0)
    again = trimmed.trimmed(margin)
    assert again.bbox == trimmed.bbox
