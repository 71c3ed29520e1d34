"""The model that other tests trust does what it says."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core.errors import ModelError, PromptError
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Tracker
from tests.fakes import FakeTracker, hashed_scores

IMAGE = np.zeros((40, 50, 3), np.uint8)
CLICK = Prompt([(20, 30)], [1])


def predict(tracker: FakeTracker, prompt: Prompt, multimask=True, image=IMAGE):
    (embedding,) = tracker.embed([image])
    (answers,) = tracker.predict(embedding, [prompt], multimask=multimask)
    return [answer.paste(image.shape[:2]) > 0 for answer in answers]


def disc(row, col, radius):
    rows, cols = np.indices(IMAGE.shape[:2])
    return np.hypot(rows - row, cols - col) <= radius


def test_it_is_a_tracker():
    assert isinstance(FakeTracker(), Tracker)


def test_a_click_is_a_disc_in_three_sizes():
    masks = predict(FakeTracker(radius=5), CLICK)
    for mask, radius in zip(masks, (5, 7, 3)):
        assert np.array_equal(mask, disc(20, 30, radius))
    (best,) = predict(FakeTracker(radius=5), CLICK, multimask=False)
    assert np.array_equal(best, masks[0])


def test_background_is_cut_out():
    prompt = Prompt([(20, 30), (20, 36)], [1, 0])
    expected = disc(20, 30, 6) & ~disc(20, 36, 6)
    assert np.array_equal(predict(FakeTracker(), prompt)[0], expected)
    assert not predict(FakeTracker(), Prompt([(20, 30)], [0]))[0].any()


def test_a_box_and_an_earlier_mask_are_taken():
    expected = np.zeros((40, 50), bool)
    expected[3:9, 4:11] = True
    assert np.array_equal(
        predict(FakeTracker(), Prompt(box=(3, 4, 9, 11)))[0], expected
    )
    logits = np.where(np.pad(np.ones((6, 7)), 4) > 0, 10, -10)
    prompt = Prompt(mask_logits=logits, mask_box=(-1, 0, 13, 15))
    assert np.array_equal(predict(FakeTracker(), prompt)[0], expected)


def test_the_image_counts_if_it_should():
    image = IMAGE.copy()
    image[:, 30:] = 200
    mask = predict(FakeTracker(tolerance=9), CLICK, image=image)[0]
    assert np.array_equal(mask, disc(20, 30, 6) & (image[..., 0] > 0))


def test_scores_are_given():
    for scores in ((0.1, 0.5, 0.3), lambda prompt: (0.1, 0.5, 0.3)):
        tracker = FakeTracker(scores=scores)
        (embedding,) = tracker.embed([IMAGE])
        (answers,) = tracker.predict(embedding, [CLICK], multimask=True)
        assert [answer.score for answer in answers] == [0.1, 0.5, 0.3]
    assert hashed_scores(CLICK) == hashed_scores(Prompt([(20, 30)], [1]))
    assert hashed_scores(CLICK) != hashed_scores(Prompt([(20, 31)], [1]))


def test_blocks_are_told_and_reported():
    blocks, reports = [], []
    tracker = FakeTracker(blocks=2, on_block=lambda *at: blocks.append(at))
    tracker.embed([IMAGE, IMAGE], report=lambda *at: reports.append(at))
    assert blocks == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert reports == [(0, 4), *blocks]
    assert tracker.embed_calls == 1


def test_a_report_can_cancel():
    def cancel(done, total):
        if done == 2:
            raise InterruptedError

    tracker = FakeTracker(blocks=4)
    with pytest.raises(InterruptedError):
        tracker.embed([IMAGE], report=cancel)
    assert len(tracker.embed([IMAGE])) == 1
    assert tracker.embed_calls == 2


def test_calls_are_counted():
    tracker = FakeTracker()
    predict(tracker, CLICK)
    assert tracker.predict_calls == 1
    assert tracker.prompts == [CLICK]
    assert tracker.multimasks == [True]
    assert len(tracker.threads) == 2


def test_what_a_model_refuses_it_refuses():
    tracker = FakeTracker()
    (embedding,) = tracker.embed([IMAGE])
    with pytest.raises(PromptError, match="outside the image"):
        tracker.predict(embedding, [Prompt([(99, 0)], [1])], multimask=True)
    with pytest.raises(ModelError, match="embed the image again"):
        FakeTracker(version="1").predict(embedding, [CLICK], multimask=True)
