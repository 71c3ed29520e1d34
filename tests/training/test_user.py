"""The user of the evaluation clicks the deepest pixel of the largest error."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.regions import Region
from training.responders import Answer, Click
from training.user import ObjectResult, draw_box, next_click, play


def mask(*rows: str) -> np.ndarray:
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def region(*rows: str) -> Region:
    return Region.trim(mask(*rows))


TRUTH = region(
    ".......",
    ".#####.",
    ".#####.",
    ".#####.",
    ".#####.",
    ".#####.",
    ".......",
)
NOTHING = Region(np.zeros((0, 0), bool))


def test_the_first_click_is_in_the_middle_of_the_object():
    assert next_click(TRUTH, NOTHING) == Click(3, 3, positive=True)


def test_what_is_wrongly_taken_is_clicked_negatively():
    taken = region(
        "###....",
        "###....",
        "###....",
    )
    assert next_click(NOTHING, taken) == Click(1, 1, positive=False)


def test_the_images_border_is_an_edge():
    whole = Region(np.ones((3, 3), bool))
    assert next_click(whole, NOTHING) == Click(1, 1, True)
    assert next_click(region("##...", "##...", "....."), NOTHING) == Click(0, 0, True)


def test_the_thicker_error_is_clicked():
    truth = region("######...", "######...", "######...")
    predicted = region("..#######", "..#######", "..#######")
    assert next_click(truth, predicted) == Click(1, 7, positive=False)
    assert next_click(predicted, truth) == Click(1, 7, positive=True)


def test_of_equal_errors_the_missed_one_is_clicked():
    assert next_click(region("##.."), region("..##")) == Click(0, 0, positive=True)


def test_nothing_wrong_is_no_click():
    assert next_click(TRUTH, TRUTH) is None


def test_the_box_is_tight():
    truth = region(".....", "..##.", "..##.", "..#..")
    assert draw_box(truth) == (1, 2, 4, 4)


class HalfResponder:
    """Finds the left column first, and after two prompts all."""

    def __init__(self) -> None:
        self.asked: list = []

    def answer(self, question):
        self.asked.append(question)
        column = Region(TRUTH.pixels[:, :1], TRUTH.row0, TRUTH.col0)
        better = TRUTH if len(self.asked) > 2 else column
        turn = len(self.asked)
        return [Answer(NOTHING, 0.1, -turn), Answer(better, 0.9, turn)]


def test_clicks_are_added_until_nothing_is_wrong():
    responder = HalfResponder()
    turns = list(play(responder, TRUTH, 5))
    assert [turn.iou for turn in turns] == [5 / 25, 5 / 25, 1.0]
    first, second, third = responder.asked
    assert first.clicks == (Click(3, 3, positive=True),)
    assert first.earlier is None
    assert len(third.clicks) == 3
    # The better mask's memory comes back.
    assert second.earlier.memory == 1
    assert third.earlier.memory == 2
    assert turns[-1].clicks == third.clicks


def test_only_the_first_prompt_is_ambiguous():
    responder = HalfResponder()
    list(play(responder, TRUTH, 5, known_sizes=(4.0,)))
    assert [asked.ambiguous for asked in responder.asked] == [True, False, False]
    assert all(asked.known_sizes == (4.0,) for asked in responder.asked)


def test_a_box_comes_first_and_is_no_click():
    responder = HalfResponder()
    turns = list(play(responder, TRUTH, 1, box=draw_box(TRUTH)))
    assert [len(asked.clicks) for asked in responder.asked] == [0, 1]
    assert all(asked.box == (1, 1, 6, 6) for asked in responder.asked)
    assert len(turns) == 2


def test_no_more_clicks_than_asked_for():
    responder = HalfResponder()
    assert len(list(play(responder, TRUTH, 2))) == len(responder.asked) == 2


def test_results_come_back_from_json():
    (turn, *_) = play(HalfResponder(), TRUTH, 1)
    result = ObjectResult("cells", "a.png", 3, 25, [0.2, 1 / 3], [0.9, 0.8], 0.3, 0.5)
    result.shown[1] = turn
    written = json.loads(json.dumps(result.to_json()))
    assert ObjectResult.from_json(written) == result
    assert written["clicks"] == pytest.approx([0.2, 1 / 3])
    assert "shown" not in written
