"""Wrong masks are wrong, and their clicks say nothing that they deny."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training import drafts
from training.drafts import MAX_CLICKS, Draft, draw_draft, no_draft, scribble

SIZE = 48
ROWS, COLS = np.indices((SIZE, SIZE))
TRUTH = np.hypot(ROWS - 22, COLS - 20) < 9
#: The object, one that touches it, and one that is far away.
LABELS = np.where(TRUTH, 3, 0).astype(np.int32)
LABELS[14:30, 29:40] = 5
LABELS[40:46, 2:8] = 9
GREY = np.where(TRUTH, 150, 60).astype(np.float32)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def draw(seed: int) -> Draft:
    return draw_draft(TRUTH, LABELS, GREY, rng(seed))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_no_draft_says_nothing():
    draft = no_draft(6)
    assert draft.mask.shape == (6, 6)
    assert draft.has_mask == 0
    assert not draft.mask.any()
    assert (draft.labels == -1).all()
    assert draft.points.shape == (MAX_CLICKS, 2)


def test_drafts_have_the_same_form_and_differ():
    drawn = [draw(seed) for seed in range(20)]
    for draft in drawn:
        assert draft.mask.shape == TRUTH.shape
        assert draft.points.shape == (MAX_CLICKS, 2)
        assert draft.labels.shape == (MAX_CLICKS,)
        assert {part.dtype for part in (draft.mask, draft.points, draft.labels)} == {
            np.dtype(np.float32)
        }
        assert draft.has_mask == 1
        assert np.isfinite(draft.mask).all()
    assert len({draft.mask.tobytes() for draft in drawn}) == 20
    assert np.array_equal(draw(3).mask, drawn[3].mask)


def test_drafts_are_wrong_but_of_the_object():
    overlaps = np.array([overlap(draw(seed).mask > 0, TRUTH) for seed in range(40)])
    assert (overlaps < 0.95).mean() > 0.6
    assert (overlaps > 0.2).mean() > 0.8


def test_clicks_agree_with_object_and_mask():
    counts = []
    for seed in range(30):
        wrong = np.roll(TRUTH, 5, 1)
        points, labels = drafts._clicks(TRUTH, wrong, rng(seed))
        used = labels >= 0
        counts.append(used.sum())
        rows, cols = points[used].astype(int).T
        assert (TRUTH[rows, cols] == (labels[used] == 1)).all()
        assert (wrong[rows, cols] == (labels[used] == 1)).all()
        # Clicks come first, without gaps, and the first one is on the object.
        assert (np.flatnonzero(used) == np.arange(used.sum())).all()
        assert not used.any() or labels[0] == 1
    assert counts.count(0) >= 3  # a box or a lasso came first
    assert counts.count(1) >= 6
    assert max(counts) > 4


def test_a_mask_beside_the_object_has_no_clicks():
    for seed in range(10):
        _, labels = drafts._clicks(TRUTH, np.roll(TRUTH, 24, 1), rng(seed))
        assert (labels == -1).all()


def test_merged_masks_hold_what_touches_and_not_what_is_far():
    mask = drafts._merge(TRUTH, LABELS, GREY, rng())
    assert mask[TRUTH].all()
    assert mask[LABELS == 5].all()
    assert not mask[LABELS == 9].any()


def test_cut_masks_are_on_one_side_of_a_line():
    for seed in range(8):
        mask = drafts._cut(TRUTH, LABELS, GREY, rng(seed))
        assert mask.any()
        assert not (mask & ~TRUTH).any()
        # Its part and the rest can be told apart by a line: no point is within both.
        rest = TRUTH & ~mask
        if rest.sum() > 4 and mask.sum() > 4:
            towards = np.array([np.argwhere(part).mean(0) for part in (rest, mask)]) @ [
                [1, 0],
                [0, 1],
            ]
            assert np.hypot(*(towards[1] - towards[0])) > 4


def test_grown_and_shrunk_masks_are_both_drawn():
    sizes = [drafts._grow(TRUTH, LABELS, GREY, rng(seed)).sum() for seed in range(20)]
    assert min(sizes) < TRUTH.sum() < max(sizes)
    assert min(sizes) > 0


def test_flooded_masks_take_what_is_as_bright_and_hangs_together():
    grey = GREY.copy()
    grey[LABELS == 5] = 150  # it touches the object
    grey[LABELS == 9] = 150
    mask = drafts._flood(TRUTH, LABELS, grey, rng(1))
    assert mask[17:27, 32:37].all()  # the touching object, but for its rim
    assert not mask[LABELS == 9].any()


@pytest.mark.parametrize("kind", drafts._KINDS)
def test_no_kind_of_mask_is_empty_even_of_a_speck(kind):
    speck = np.zeros((SIZE, SIZE), np.bool_)
    speck[0, 0] = speck[0, 1] = True
    labels = speck.astype(np.int32)
    for seed in range(5):
        for truth in (TRUTH, speck):
            mask = kind(truth, labels, GREY, rng(seed))
            assert mask.shape == truth.shape
            assert mask.dtype == np.bool_
            assert mask.any()


def test_local_changes_lie_at_the_edge():
    for seed in range(8):
        mask = drafts._local(TRUTH, LABELS, GREY, rng(seed))
        assert overlap(mask, TRUTH) > 0.2
        changed = mask ^ TRUTH
        away = np.hypot(ROWS - 22, COLS - 20)[changed]
        # At most 0.4 sizes and a pixel from the edge, stretched by a few tenths.
        assert len(away) == 0 or np.abs(away - 9).max() < 20


def test_chances_add_up():
    assert sum(drafts._CHANCES) == pytest.approx(1)
    assert len(drafts._CHANCES) == len(drafts._KINDS)


def test_a_line_has_clicks_on_the_object_alone():
    ring = TRUTH & (np.hypot(ROWS - 22, COLS - 20) > 5)
    left_out = 0
    for seed in range(10):
        draft = scribble(ring, rng(seed))
        assert draft.has_mask == 0
        assert not draft.mask.any()
        assert set(draft.labels) <= {-1, 1}
        rows, cols = draft.points[draft.labels == 1].astype(int).T
        assert len(rows) >= 2
        assert ring[rows, cols].all()
        left_out += int((draft.labels == -1).sum())
    assert left_out > 0  # lines across the hole
