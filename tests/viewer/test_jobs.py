"""What runs on the thread: pure answers to frozen questions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.errors import PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.marks import BoxMark, MaskMark, OutlineMark, PointMark
from napari_sam3.core.painting import find_objects
from napari_sam3.viewer.engine import ModelChoice
from napari_sam3.viewer.inference import Cancelled, News
from napari_sam3.viewer.jobs import (
    ManyQuestion,
    Question,
    answer,
    answer_many,
    opening,
    prepare,
    says_where,
    single_objects,
)
from tests.fakes import FakeTracker, hashed_scores
from tests.viewer.studio import disc, forget_calls
from tests.viewer.test_engine import silent, source

SHAPE = (60, 70)
HERE, THERE, NOT_THERE = PointMark(20, 30), PointMark(40, 50), PointMark(24, 30, False)
CHOICE = ModelChoice()


@pytest.fixture
def plane(engine, fake):
    plane = source(np.zeros(SHAPE, np.uint8))
    prepare(engine, plane, CHOICE, silent)
    forget_calls(fake)
    return plane


def pasted(reply):
    mask = np.zeros(SHAPE, bool)
    row0, col0, row1, col1 = reply.bbox
    mask[row0:row1, col0:col1] = reply.mask
    return mask


def test_preparing_loads_and_encodes(engine, fake):
    prepare(engine, None, CHOICE, silent)
    assert fake.embed_calls == 1  # the warm-up
    prepare(engine, source(), CHOICE, silent)
    assert fake.embed_calls == 2


def test_one_object(engine, plane):
    dialogue = Dialogue((Step((HERE,)), Step((NOT_THERE,), choice=1)))
    reply = answer(engine, Question(plane, CHOICE, dialogue, Finish()), silent)
    expected = disc(SHAPE, 20, 30, 8) & ~disc(SHAPE, 24, 30, 8)
    np.testing.assert_array_equal(pasted(reply), expected)
    assert (reply.scores, reply.shown, reply.score) == ((0.9, 0.8, 0.7), 1, 0.8)
    assert (reply.model, reply.fingerprint) == ("fake", "fake-0")
    assert not reply.kept
    assert reply.seconds > 0


def test_a_given_mask_stays_as_it_is(engine, plane, fake):
    ring = disc((21, 21), 10, 10, 9) & ~disc((21, 21), 10, 10, 3)
    mark = MaskMark.from_mask(ring, (10, 10, 31, 31))
    question = Question(plane, CHOICE, Dialogue((Step((mark,)),)), Finish())
    reply = answer(engine, question, silent)
    assert pasted(reply).sum() == ring.sum()  # its hole is not filled
    assert fake.predict_calls == 0


def test_the_next_click_costs_one_prediction_and_a_finish_none(engine, plane, fake):
    first = Dialogue((Step((HERE,)),))
    second = first.advance([HERE, THERE])
    for dialogue, finish in (
        (first, Finish()),
        (second, Finish()),
        (second, Finish(max_hole_area=0)),
        (first, Finish(keep_clicked=True)),
    ):
        answer(engine, Question(plane, CHOICE, dialogue, finish), silent)
    assert fake.predict_calls == 2


def many(plane, marks, finish=None):
    dialogues = single_objects(Dialogue((Step(tuple(marks)),)))
    return ManyQuestion(plane, CHOICE, dialogues, finish or Finish())


def spots(count):
    return [PointMark(5 + 10 * (n % 6), 5 + 10 * (n // 6)) for n in range(count)]


def test_many_objects_come_in_batches_with_progress(engine, plane, fake):
    told: list[News] = []
    reply = answer_many(engine, many(plane, spots(30)), told.append)
    assert len(reply.objects) == 30
    progress = [(news.done, news.total) for news in told if news.total]
    assert progress == [(0, 30), (12, 30), (24, 30), (30, 30)]
    assert fake.predict_calls == 3
    assert fake.multimasks == [False] * 3


def test_what_many_objects_get_is_what_each_gets_alone(engine, plane, fake):
    fake.scores = hashed_scores
    marks = [*spots(20), BoxMark(3, 3, 30, 12), OutlineMark(((9, 9), (9, 40), (50, 9)))]
    finish = Finish(max_hole_area=20, max_sprinkle_area=9)
    question = many(plane, [*marks, NOT_THERE], finish)
    reply = answer_many(engine, question, silent)
    (embedding,) = fake.embed([plane.read()])
    prompts = [opening(one, SHAPE) for one in question.dialogues]
    for ours, alone in zip(
        reply.objects, find_objects(fake, embedding, prompts, finish), strict=True
    ):
        whole = np.zeros((2, *SHAPE), bool)
        for mask, one in zip(whole, (ours, alone)):
            row0, col0, row1, col1 = one.bbox
            mask[row0:row1, col0:col1] = one.mask
        np.testing.assert_array_equal(*whole)
        assert ours.score == alone.score


def test_known_objects_are_not_asked_again(engine, plane, fake):
    answer_many(engine, many(plane, spots(15)), silent)
    forget_calls(fake)
    answer_many(engine, many(plane, spots(20), Finish(max_hole_area=1)), silent)
    assert len(fake.prompts) == 5


def test_equal_prompts_are_asked_once(engine, plane, fake):
    reply = answer_many(engine, many(plane, [HERE, HERE, THERE]), silent)
    assert len(reply.objects) == 3
    assert len(fake.prompts) == 2


def test_cancelling_keeps_the_batches_that_are_done(engine, plane, fake):
    def enough(news: News) -> None:
        if news.done >= 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        answer_many(engine, many(plane, spots(30)), enough)
    assert len(fake.prompts) == 12
    answer_many(engine, many(plane, spots(30)), silent)
    assert len(fake.prompts) == 30


def test_better_scores_get_the_pixels_that_two_claim(engine, plane, fake):
    fake.scores = lambda prompt: (0.5 if prompt.points[0, 1] == 30 else 0.9,)
    reply = answer_many(engine, many(plane, [HERE, PointMark(20, 35)]), silent)
    row0, col0, _, _ = reply.bbox
    assert reply.labels[20 - row0, 33 - col0] == 2


def test_many_of_nothing_is_nothing(engine, plane, fake):
    reply = answer_many(engine, ManyQuestion(plane, CHOICE, (), Finish()), silent)
    assert reply.objects == ()
    assert not reply.labels.any()
    empty = FakeTracker(radius=-1)
    engine = type(engine)(build=lambda model, **_: empty)
    reply = answer_many(engine, many(plane, [HERE]), silent)
    assert not reply.labels.any()


def test_a_prompt_outside_does_not_stop_the_others(engine, plane, fake):
    marks = [PointMark(500, 5), *spots(5)]
    reply = answer_many(engine, many(plane, marks), silent)
    assert reply.outside == 1
    assert not reply.objects[0].mask.any()
    assert sorted(np.unique(reply.labels)) == [0, 2, 3, 4, 5, 6]
    alone = Question(plane, CHOICE, Dialogue((Step((marks[0],)),)), Finish())
    with pytest.raises(PromptError, match="outside"):
        answer(engine, alone, silent)


def test_what_says_where_and_whose_background_is_whose():
    mask = MaskMark.from_mask(np.ones((2, 2), bool), (0, 0, 2, 2))
    box = BoxMark(1, 1, 5, 5)
    dialogue = Dialogue((Step((mask,)), Step((HERE, NOT_THERE)), Step((box,))))
    assert says_where(dialogue) == [mask, HERE, box]
    assert [one.marks for one in single_objects(dialogue)] == [
        (HERE, NOT_THERE),
        (box, NOT_THERE),
    ]
    assert says_where(Dialogue((Step((NOT_THERE,)),))) == []
