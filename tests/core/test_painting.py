"""Many objects of one image become labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam3.core.errors import PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.painting import (
    FoundObject,
    check_prompts,
    find_objects,
    paint_labels,
)
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt

SHAPE = (20, 50)
EMBEDDING = Embedding(None, SHAPE, "stamp", 0)
#: Leaves masks as they are.
PLAIN = Finish(max_hole_area=0)


def square(score, row, col, size=2):
    bbox = (row, col, row + size, col + size)
    return FoundObject(np.ones((size, size), bool), bbox, score)


# ---- painting ---------------------------------------------------------------


@pytest.mark.parametrize(("scores", "winner"), [((0.9, 0.5), 1), ((0.5, 0.9), 2)])
def test_the_higher_score_wins(scores, winner):
    labels = paint_labels([square(scores[0], 0, 0), square(scores[1], 1, 1)], (3, 3))
    assert labels[1, 1] == winner
    assert (labels[0, 0], labels[2, 2]) == (1, 2)


def test_of_equal_scores_the_earlier_object_wins():
    labels = paint_labels([square(0.5, 0, 0), square(0.5, 1, 1)], (3, 3))
    assert labels[1, 1] == 1


def test_many_objects_need_wider_labels():
    one = [square(0.5, 0, 0, 1)]
    assert paint_labels(one * 65535, (1, 1)).dtype == np.uint16
    assert paint_labels(one * 65536, (1, 1)).dtype == np.uint32


# ---- finding ----------------------------------------------------------------


class Stamp:
    """A tracker that answers every click with the same mask around it."""

    def __init__(self, mask=None):
        if mask is None:  # a ring
            mask = np.ones((5, 5), bool)
            mask[1:4, 1:4] = False
        self.logits = np.where(mask, 3, -3).astype(np.float32)
        self.calls = []

    def predict(self, embedding, prompts, *, multimask):
        assert not multimask
        self.calls.append(len(prompts))
        height, width = self.logits.shape
        answers = []
        for prompt in prompts:
            row, col = prompt.points[0].astype(int) - (height // 2, width // 2)
            bbox = (row, col, row + height, col + width)
            low_res = np.zeros((4, 4), np.float32)
            answers.append([Prediction(self.logits, bbox, 0.5, low_res)])
        return answers


def test_objects_are_found_in_parts_with_progress_and_cleaned():
    tracker, seen = Stamp(), []
    prompts = [Prompt(points=[[5, 5 + i]], labels=[1]) for i in range(30)]
    prompts.append(Prompt(points=[[8, 8], [8, 7]], labels=[1, 0]))
    found = find_objects(
        tracker,
        EMBEDDING,
        prompts,
        Finish(max_hole_area=9),
        report=lambda done, total: seen.append((done, total)),
    )
    assert sum(tracker.calls) == 31
    assert max(tracker.calls) < 31
    assert seen[0] == (0, 31)
    assert seen == sorted(seen)
    assert seen[-1] == (31, 31)
    assert all(one.mask.all() for one in found[:-1])
    assert not found[-1].mask[2, 1]


class CancelledError(Exception):
    pass


@pytest.mark.parametrize(("last", "asked"), [(0, 0), (12, 12)])
def test_what_the_report_raises_ends_the_search(last, asked):
    tracker = Stamp()

    def report(done, total):
        if done >= last:
            raise CancelledError

    prompts = [Prompt(points=[[5, 5 + i]], labels=[1]) for i in range(30)]
    with pytest.raises(CancelledError):
        find_objects(tracker, EMBEDDING, prompts, PLAIN, report=report)
    assert sum(tracker.calls) == asked


@given(
    arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))),
    st.tuples(st.integers(4, 15), st.integers(4, 45)),
)
def test_masks_are_cut_to_their_bounds_and_painted_the_same(mask, place):
    tracker = Stamp(mask)
    prompt = Prompt(points=[place], labels=[1])
    (found,) = find_objects(tracker, EMBEDDING, [prompt], PLAIN)
    row0, col0, row1, col1 = found.bbox
    assert found.mask.shape == (row1 - row0, col1 - col0)
    for axis in (0, 1):
        sides = found.mask.any(axis=1 - axis)
        assert sides[[0, -1]].all() if mask.any() else not sides.size
    ((whole,),) = tracker.predict(EMBEDDING, [prompt], multimask=False)
    untrimmed = FoundObject(whole.mask(), whole.bbox, whole.score)
    np.testing.assert_array_equal(
        paint_labels([found], SHAPE), paint_labels([untrimmed], SHAPE)
    )


def test_an_object_holds_no_memory_besides_its_pixels():
    mask = np.zeros((15, 15), bool)
    mask[7, 7] = True
    prompt = Prompt(points=[(9, 20)], labels=[1])
    (found,) = find_objects(Stamp(mask), EMBEDDING, [prompt], PLAIN)
    assert found.bbox == (9, 20, 10, 21)
    assert found.mask.base is None


# ---- prompts ----------------------------------------------------------------


def test_a_prompt_outside_the_image_is_named():
    prompts = {"in": Prompt([(5, 5)], [1]), "out": Prompt([(5, 50)], [1])}
    with pytest.raises(PromptError, match=r"Object 'out': .* outside the image"):
        check_prompts(prompts, SHAPE)
    del prompts["out"]
    check_prompts(prompts, SHAPE)
