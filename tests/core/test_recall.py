"""Who hands back the coarse logits of a mask is given the fine ones."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core import recall as module
from napari_sam3.core.prediction import Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.recall import Recall


def predict(number: int, *, side: int = 6, empty: bool = False) -> Prediction:
    """Make a mask at the place (10, 20), and a coarse one that tells its number."""
    logits = np.full((side, side), -5 if empty else number + 1, np.float32)
    coarse = np.full((8, 8), -32, np.float32)
    coarse[0, 0] = number
    return Prediction(logits, (10, 20, 10 + side, 20 + side), 0.9, coarse)


def hand_back(prediction: Prediction, **parts) -> Prompt:
    """Copy the coarse logits, as they come back from a user's array."""
    return Prompt([(12, 22)], [1], mask_logits=prediction.low_res.copy(), **parts)


def is_known(recall: Recall, number: int) -> bool:
    prompt = hand_back(predict(number))
    return recall.restore(prompt) is not prompt


def test_coarse_logits_come_back_fine():
    recall = Recall()
    masks = [predict(number) for number in range(3)]
    recall.note(masks)
    prompt = recall.restore(hand_back(masks[1]))
    assert np.array_equal(prompt.mask_logits, masks[1].logits)
    assert prompt.mask_box == (10, 20, 16, 26)
    assert prompt.points.tolist() == [[12, 22]]
    assert prompt.labels.tolist() == [True]


def test_what_is_not_known_stays_as_it_is():
    recall = Recall()
    recall.note([predict(1)])
    other = predict(1)
    other.low_res[7, 7] = -31
    for prompt in (
        hand_back(other),
        hand_back(predict(1), mask_box=(0, 0, 9, 9)),
        Prompt([(12, 22)], [1]),
        Prompt(mask_logits=np.ones((3, 5))),
    ):
        assert recall.restore(prompt) is prompt


def test_a_mask_without_an_object_stays_as_it_is():
    recall = Recall()
    recall.note([predict(1, empty=True)])
    assert not is_known(recall, 1)


def test_of_two_with_the_same_coarse_logits_the_later_one_counts():
    recall = Recall()
    recall.note([predict(1, side=6)])
    recall.note([predict(1, side=7)])
    assert recall.restore(hand_back(predict(1))).mask_logits.shape == (7, 7)


def test_the_oldest_masks_go():
    recall = Recall()
    recall.note(predict(number) for number in range(20))
    recall.note(predict(number) for number in range(20, 50))
    assert [number for number in range(50) if not is_known(recall, number)] == [0, 1]


def test_masks_that_take_much_memory_go_sooner(monkeypatch):
    each = predict(0).logits.nbytes + predict(0).low_res.nbytes
    monkeypatch.setattr(module, "_MOST_BYTES", 3 * each)
    recall = Recall()
    recall.note(predict(number) for number in range(5))
    assert [number for number in range(5) if is_known(recall, number)] == [2, 3, 4]
    recall.note([predict(9, side=100)])  # more than all together may have
    assert not any(is_known(recall, number) for number in (2, 3, 4, 9))


def test_a_crop_is_kept_without_its_empty_parts():
    logits = np.full((400, 400), -5, np.float32)
    logits[100:120, 200:220] = 5
    mask = predict(1)
    recall = Recall()
    recall.note([Prediction(logits, (0, 0, 400, 400), 0.9, mask.low_res)])
    prompt = recall.restore(hand_back(mask))
    assert prompt.mask_logits.nbytes < logits.nbytes / 50
    row0, col0, _, _ = prompt.mask_box
    rows, cols = np.nonzero(prompt.mask_logits > 0)
    assert (rows.min() + row0, cols.min() + col0) == (100, 200)
    assert len(rows) == 400


@pytest.mark.parametrize("forget", [True, False])
def test_what_is_forgotten_is_not_known(forget):
    recall = Recall()
    recall.note([predict(1)])
    if forget:
        recall.clear()
    assert is_known(recall, 1) is not forget
