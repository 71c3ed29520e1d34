"""What clean-up options do to a prediction; `tests.core.test_cleanup` says how."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core.errors import ModelError
from napari_sam3.core.finish import Finish
from napari_sam3.core.prediction import Prediction
from napari_sam3.core.prompt import Prompt

TWO = np.array([[1, 1, -1, 1, 1, 1]], np.float32)
PREDICTION = Prediction(TWO, (4, 2, 5, 8), 0.9, np.zeros((4, 4), np.float32))
CLICK = Prompt([(4, 3)], [1])


def test_all_parts_stay_unless_asked_otherwise():
    assert not Finish().keep_clicked
    assert Finish().crop(PREDICTION, CLICK, (9, 9)).sum() == 5


def test_only_the_clicked_part_is_kept():
    crop = Finish(keep_clicked=True).crop(PREDICTION, CLICK, (9, 9))
    assert crop.tolist() == [[True, True, False, False, False, False]]


def test_without_a_click_all_parts_are_kept():
    box = Prompt(box=(4, 2, 5, 8))
    assert Finish(keep_clicked=True).crop(PREDICTION, box, (9, 9)).sum() == 5


def test_keep_clicked_is_yes_or_no():
    assert Finish(keep_clicked=np.True_).keep_clicked is True
    with pytest.raises(ModelError, match="give True or False"):
        Finish(keep_clicked="yes")
