"""A prediction is a crop of logits and knows its place in the image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

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
