"""The user of the evaluation clicks the deepest pixel of the largest error."""

from __future__ import annotations

import numpy as np
import pytest

from training.user import Click, draw_box, iou, next_click, play_clicks


def mask(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


TRUTH = mask(
    ".......",
    ".#####.",
    ".#####.",
    ".#####.",
    ".#####.",
    ".#####.",
    ".......",
)
NOTHING = np.zeros_like(TRUTH)


def test_the_first_click_is_in_the_middle_of_the_object():
    assert next_click(TRUTH, NOTHING) == Click(3, 3, positive=True)


def test_what_is_wrongly_taken_is_clicked_negatively():
    taken = mask(
        "###....",
        "###....",
        "###....",
    )
    assert next_click(np.zeros_like(taken), taken) == Click(1, 1, positive=False)


def test_the_images_border_is_an_edge():
    assert next_click(np.ones((3, 3), bool), np.zeros((3, 3), bool)) == Click(
        1, 1, True
    )
    corner = mask("##...", "##...", ".....")
    assert next_click(corner, np.zeros_like(corner)) == Click(0, 0, positive=True)


def test_the_thicker_error_is_clicked():
    truth = mask("######...", "######...", "######...")
    predicted = mask("..#######", "..#######", "..#######")
    assert next_click(truth, predicted) == Click(1, 7, positive=False)
    assert next_click(predicted, truth) == Click(1, 7, positive=True)


def test_nothing_wrong_is_no_click():
    assert next_click(TRUTH, TRUTH) is None


def test_the_box_is_tight_and_in_x_y():
    truth = mask(".....", "..##.", "..##.", "..#..")
    assert draw_box(truth).tolist() == [2, 1, 4, 4]


def test_iou():
    assert iou(mask("##.."), mask(".##.")) == pytest.approx(1 / 3)
    assert iou(TRUTH, TRUTH) == 1
    assert iou(NOTHING, NOTHING) == 0


class HalfPredictor:
    """Finds the left column first, and after two prompts all."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def predict(self, **arguments):
        self.calls.append(arguments)
        found = np.zeros_like(TRUTH)
        found[:, 1] = TRUTH[:, 1]
        worse, better = NOTHING, TRUTH if len(self.calls) > 2 else found
        low_res = np.arange(2.0)[:, None, None] + len(self.calls) * np.ones((2, 4, 4))
        return np.stack([worse, better]), np.array([0.1, 0.9]), low_res


def test_clicks_are_added_until_nothing_is_wrong():
    predictor, reached = HalfPredictor(), []
    play_clicks(predictor, TRUTH, 5, report=lambda m, s, value: reached.append(value))
    assert reached == [5 / 25, 5 / 25, 1.0]
    first, second, third = predictor.calls
    assert first["point_coords"].tolist() == [[3, 3]]
    assert first["mask_input"] is None
    assert len(third["point_coords"]) == len(third["point_labels"]) == 3
    # The better mask's logits come back.
    assert (second["mask_input"] == 2).all()
    assert second["mask_input"].shape == (1, 4, 4)
    assert (third["mask_input"] == 3).all()


def test_only_the_first_prompt_is_ambiguous():
    predictor = HalfPredictor()
    play_clicks(predictor, TRUTH, 5, report=lambda *_: None)
    asked = [call["multimask_output"] for call in predictor.calls]
    assert asked == [True, False, False]


def test_a_box_comes_first_and_is_no_click():
    predictor, reached = HalfPredictor(), []
    box = draw_box(TRUTH)
    play_clicks(
        predictor, TRUTH, 1, box=box, report=lambda m, s, value: reached.append(value)
    )
    assert [call["point_coords"] is None for call in predictor.calls] == [True, False]
    assert all(call["box"] is box for call in predictor.calls)
    assert len(reached) == 2


def test_no_more_clicks_than_asked_for():
    predictor = HalfPredictor()
    play_clicks(predictor, TRUTH, 2, report=lambda *_: None)
    assert len(predictor.calls) == 2
