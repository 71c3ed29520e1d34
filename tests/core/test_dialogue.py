"""Prompts are answered step by step, and the steps alone decide what comes out."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam3.core.dialogue import Dialogue, Step, opening, respond
from napari_sam3.core.errors import PromptError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from tests.fakes import FakeTracker, hashed_scores

IMAGE = np.zeros((60, 80, 3), np.uint8)
SHAPE = (60, 80)
A, B, C = PointMark(20, 30), PointMark(20, 37), PointMark(40, 60)
NOT_A, NOT_B = PointMark(20, 30, False), PointMark(20, 37, False)
BOX = BoxMark(10, 20, 30, 45)
OUTLINE = OutlineMark(((30, 50), (30, 58), (44, 58), (44, 50)))
MASK = MaskMark.from_mask(np.ones((6, 9), bool), (12, 14, 18, 23), 0.5)


def dialogue(*steps) -> Dialogue:
    return Dialogue(tuple(Step(marks) for marks in steps))


def ask(steps, *, tracker=None, memo=None, **options):
    tracker = tracker or FakeTracker()
    (embedding,) = tracker.embed([IMAGE])
    steps = steps if isinstance(steps, Dialogue) else dialogue(*steps)
    return respond(tracker, embedding, steps, {} if memo is None else memo, **options)


def mask_of(turn) -> np.ndarray:
    return turn.prediction.paste(IMAGE.shape[:2]) > 0


def same(one, other) -> bool:
    return (one.shown, one.kept, len(one.candidates)) == (
        other.shown,
        other.kept,
        len(other.candidates),
    ) and all(
        a.bbox == b.bbox
        and a.score == b.score
        and np.array_equal(a.logits, b.logits)
        and np.array_equal(a.low_res, b.low_res)
        for a, b in zip(one.candidates, other.candidates)
    )


# ---- steps ------------------------------------------------------------------


def test_new_marks_make_one_step():
    first = Dialogue().advance([A])
    assert first == dialogue([A])
    assert first.advance([A, BOX, B]) == dialogue([A], [BOX, B])


def test_nothing_new_changes_nothing():
    steps = dialogue([A], [B, BOX])
    assert steps.advance([A, B, BOX]) is steps
    assert steps.advance([BOX, B, A]) is steps
    assert Dialogue().advance([]).steps == ()


def test_what_is_gone_leaves_its_step():
    steps = dialogue([A], [B, BOX], [C])
    assert steps.advance([A, B, C]) == dialogue([A], [B], [C])
    assert steps.advance([B, BOX]) == dialogue([B, BOX])
    assert steps.advance([]) == Dialogue()


def test_a_moved_mark_is_a_new_one():
    assert dialogue([A], [B]).advance([C, B]) == dialogue([B], [C])


def test_equal_marks_count_as_often_as_they_are_there():
    steps = dialogue([A], [B])
    assert steps.advance([A, A, B]) == dialogue([A], [B], [A])
    assert steps.advance([A, C, A, B]) == dialogue([A], [B], [C, A])
    assert dialogue([A, A], [A]).advance([A, A]) == dialogue([A, A])
    assert dialogue([A, A], [A]).advance([A]) == dialogue([A])


def test_masks_to_refine_stay():
    steps = dialogue([MASK], [A])
    assert steps.advance([A]) is steps
    assert steps.advance(steps.marks) is steps
    assert steps.advance([]) == dialogue([MASK])
    assert steps.advance([A, B]) == dialogue([MASK], [A], [B])


def test_a_choice_stays_with_its_step():
    steps = dialogue([A]).choose(2)
    assert [step.choice for step in steps.advance([A, B]).steps] == [2, 0]
    assert steps.choose(2) is steps
    assert steps.choose(-1).steps[-1].choice == 0
    with pytest.raises(PromptError, match="click on an object"):
        Dialogue().choose(1)


def test_marks_are_in_order():
    assert dialogue([A], [B, BOX]).marks == (A, B, BOX)


def test_steps_that_cannot_be_answered_are_refused():
    with pytest.raises(PromptError, match="leave it out"):
        Step(())
    with pytest.raises(PromptError, match="step of its own"):
        Step((MASK, A))


def test_a_dialogue_is_a_value_and_survives_json():
    steps = Dialogue((Step((MASK,)), Step((A, BOX), 2), Step((OUTLINE, NOT_B))))
    again = Dialogue.from_json(json.loads(json.dumps(steps.to_json())))
    assert again == steps
    assert hash(again) == hash(steps)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"steps": [{}]},
        {"steps": [{"marks": [], "choice": 0}]},
        {"steps": [{"marks": [{"kind": "point"}], "choice": 0}]},
        {"steps": [{"marks": [{"kind": "star"}], "choice": True}]},
    ],
)
def test_damaged_json_is_refused(data):
    with pytest.raises(PromptError):
        Dialogue.from_json(data)


placed = st.lists(st.sampled_from([A, B, C, NOT_A, NOT_B, BOX, OUTLINE]), max_size=7)


@given(st.lists(placed, max_size=6))
def test_the_steps_hold_what_the_layers_hold(layers):
    steps = Dialogue((Step((MASK,)),))
    for marks in layers:
        before = steps
        steps = before.advance(marks)
        assert Counter(steps.marks) == Counter([MASK, *marks])
        assert steps.advance(list(reversed(marks))) is steps
        # At most one step is new, and the others keep their order.
        assert len(steps.steps) <= len(before.steps) + 1


def test_a_thousand_marks_are_quick():
    marks = [PointMark(row, col) for row in range(40) for col in range(25)]
    steps = Dialogue()
    for end in range(0, 1001, 10):
        steps = steps.advance(marks[:end])
    start = time.perf_counter()
    assert steps.advance(marks) is steps
    assert len(steps.advance([*marks, A]).steps) == 101
    # Ten times as long as it takes here.
    assert time.perf_counter() - start < 0.1


# ---- memo -------------------------------------------------------------------


def test_every_step_is_computed_once():
    tracker, memo = FakeTracker(), {}
    ask([[A], [B]], tracker=tracker, memo=memo)
    assert tracker.predict_calls == 2
    ask([[A], [B]], tracker=tracker, memo=memo)
    assert tracker.predict_calls == 2
    ask([[A], [B], [C]], tracker=tracker, memo=memo)
    assert tracker.predict_calls == 3
    ask([[A], [C]], tracker=tracker, memo=memo)
    assert tracker.predict_calls == 4
    assert all(tracker.multimasks)


def test_each_prefix_is_in_the_memo():
    memo = {}
    steps = dialogue([A], [B], [C])
    turn = ask(steps, memo=memo)
    assert memo[steps] is turn
    assert same(memo[steps.first(2)], ask([[A], [B]]))


def test_another_choice_is_not_computed():
    tracker, memo = FakeTracker(), {}
    first = ask(dialogue([A]).choose(1), tracker=tracker, memo=memo)
    for choice, shown in ((0, 0), (2, 2), (99, 2), (1, 1)):
        steps = dialogue([A]).choose(choice)
        turn = ask(steps, tracker=tracker, memo=memo)
        assert turn.shown == shown
        assert turn.candidates == first.candidates
        assert memo[steps] is turn
    assert tracker.predict_calls == 1


def test_the_choice_is_what_the_next_step_starts_from():
    chosen = dialogue([A]).choose(1)
    one, other = ask(chosen.advance([A, C])), ask([[A], [C]])
    # The second candidate's discs are larger.
    assert mask_of(one).sum() > mask_of(other).sum()


class Forgetful(dict):
    """A memo that keeps nothing, as a full cache might."""

    def __setitem__(self, key, value):
        pass


def test_a_memo_may_forget():
    assert same(ask([[A], [B]], memo=Forgetful()), ask([[A], [B]]))


steps_of_any_kind = st.lists(
    st.tuples(
        st.one_of(
            st.just((MASK,)),
            st.lists(
                st.sampled_from([A, B, C, NOT_A, NOT_B, BOX, OUTLINE]),
                min_size=1,
                max_size=3,
            ).map(tuple),
        ),
        st.integers(0, 4),
    ).map(lambda parts: Step(*parts)),
    min_size=1,
    max_size=4,
)


def answer_or_error(steps, tracker, memo):
    try:
        return ask(Dialogue(tuple(steps)), tracker=tracker, memo=memo)
    except PromptError as error:
        return str(error)


@settings(max_examples=60, deadline=None)
@given(steps_of_any_kind, st.lists(steps_of_any_kind, max_size=3), st.data())
def test_the_answer_depends_on_the_steps_alone(steps, others, data):
    tracker = FakeTracker(scores=hashed_scores)
    memo = {}
    expected = answer_or_error(steps, tracker, {})
    for other in others:
        # What else was asked before shares some of the steps.
        shared = data.draw(st.integers(0, len(steps)))
        answer_or_error([*steps[:shared], *other], tracker, memo)
    for key in data.draw(st.lists(st.sampled_from([*memo, None]))):
        memo.pop(key, None)
    answer = answer_or_error(steps, tracker, memo)
    if isinstance(expected, str):
        assert answer == expected
    else:
        assert same(answer, expected)
        assert np.array_equal(mask_of(answer), mask_of(expected))


# ---- progress ---------------------------------------------------------------


def test_progress_counts_the_steps_that_are_computed():
    memo, reports = {}, []
    ask([[A]], memo=memo, report=lambda *at: reports.append(at))
    assert reports == [(0, 1), (1, 1)]
    reports.clear()
    ask([[A], [B], [C]], memo=memo, report=lambda *at: reports.append(at))
    assert reports == [(0, 2), (1, 2), (2, 2)]
    reports.clear()
    ask([[A], [B], [C]], memo=memo, report=lambda *at: reports.append(at))
    assert reports == []


def test_what_was_computed_before_a_cancel_is_not_lost():
    def cancel(done, total):
        if done == 1:
            raise InterruptedError

    tracker, memo = FakeTracker(), {}
    with pytest.raises(InterruptedError):
        ask([[A], [B]], tracker=tracker, memo=memo, report=cancel)
    assert tracker.predict_calls == 1
    turn = ask([[A], [B]], tracker=tracker, memo=memo)
    assert tracker.predict_calls == 2
    assert same(turn, ask([[A], [B]]))


# ---- nothing to answer ------------------------------------------------------


def test_no_steps_are_no_prompt():
    with pytest.raises(PromptError, match="no prompts yet; click on an object"):
        ask([])


def test_background_alone_says_not_where_the_object_is():
    tracker = FakeTracker()
    with pytest.raises(PromptError, match="only background clicks so far; click on"):
        ask([[NOT_A], [NOT_B]], tracker=tracker)
    assert tracker.predict_calls == 0


@pytest.mark.parametrize("mark", [A, BOX, OUTLINE])
def test_background_clicks_wait_for_the_object(mark):
    tracker = FakeTracker()
    later = ask([[NOT_B], [mark]], tracker=tracker)
    assert tracker.predict_calls == 1
    assert same(later, ask([[NOT_B, mark]]))
    assert mask_of(later).any()
    assert not mask_of(later)[20, 37]


def test_marks_outside_the_image_are_named():
    with pytest.raises(
        PromptError, match="row 99, column 3 is outside the image of 60"
    ):
        ask([[A], [PointMark(99, 3)]])
    with pytest.raises(PromptError, match=r"The box .* does not meet the image of 60"):
        ask([[BoxMark(90, 0, 99, 5)]])
    far = OutlineMark(((90, 0), (90, 9), (99, 9)))
    with pytest.raises(PromptError, match=r"outline .* does not meet the image of 60"):
        ask([[far]])
    lost = MaskMark.from_mask(np.ones((3, 3), bool), (58, 0, 61, 3))
    with pytest.raises(
        PromptError, match=r"outside the image .*refine it on the image"
    ):
        ask([[lost]])


# ---- hints ------------------------------------------------------------------

HINT = SizeHint((20, 22), 300)


def hinted(*steps, hint=HINT):
    return replace(dialogue(*steps), size_hint=hint)


def test_every_question_brings_the_hint_along():
    tracker = FakeTracker()
    ask(hinted([A], [B], [OUTLINE]), tracker=tracker)
    assert [prompt.size_hint for prompt in tracker.prompts] == [HINT] * 3
    assert opening(hinted([A], [B]), SHAPE).size_hint == HINT
    assert opening(dialogue([A], [B]), SHAPE).size_hint is None


def test_another_hint_is_another_question():
    tracker, memo = FakeTracker(), {}
    for steps in (hinted([A], [B]), dialogue([A], [B]), hinted([A], [B])):
        ask(steps, tracker=tracker, memo=memo)
    assert [prompt.size_hint for prompt in tracker.prompts] == [HINT, HINT, None, None]


def test_a_hint_stays_with_its_object():
    steps = hinted([A])
    assert steps.advance([A, B]).choose(1).advance([B]).size_hint == HINT
    assert steps.advance([]) == Dialogue()
    again = Dialogue.from_json(json.loads(json.dumps(steps.to_json())))
    assert again == steps
