"""What a ladder tells of its masks, by hand-made ladders."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam3.core.ladder import NUMBERS, Ladder, handicapped
from napari_sam3.core.windows import Window, ladder_windows

CELLS = 40
#: Of 40, 80 and 160 pixels: cells of 1, 2 and 4.
WINDOWS = [Window(80, 80, 40, 40), Window(60, 60, 80, 80), Window(20, 20, 160, 160)]


def disc(side: int, radius_px: float) -> NDArray[np.bool_]:
    """Draw a disc in the middle of a window of ``side`` pixels, on its cells."""
    places = (np.arange(CELLS) + 0.5 - CELLS / 2) * side / CELLS
    return np.asarray(np.hypot(places[:, None], places) <= radius_px)


def make_ladder(masks: Any, **parts: Any) -> Ladder:
    """Make a ladder of masks (L, M, CELLS, CELLS)."""
    logits = np.where(np.array(masks), np.float32(10), np.float32(-10))
    scores = np.full(logits.shape[:2], 0.5, np.float32)
    ladder = Ladder(
        windows=WINDOWS[: len(logits)],
        logits=logits,
        scores=scores,
        traits=np.zeros((*scores.shape, 0), np.float32),
        contradicted=np.zeros_like(scores),
        clicks=1,
    )
    return ladder._replace(**parts)


def column(ladder: Ladder, name: str) -> NDArray[np.float32]:
    return ladder.numbers()[..., NUMBERS.index(name)]


def in_pixels(window: Window, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Draw a mask into an image of 200 x 200 pixels."""
    scale = window.height // CELLS
    image = np.zeros((200, 200), np.bool_)
    image[
        window.row0 : window.row0 + window.height,
        window.col0 : window.col0 + window.width,
    ] = np.kron(mask, np.ones((scale, scale))) > 0
    return image


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture
def discs() -> NDArray[np.bool_]:
    """Show a disc of 11 pixels, and one that is larger in larger windows."""
    return np.array(
        [
            [disc(window.height, 11), disc(window.height, 0.3 * window.height)]
            for window in WINDOWS
        ]
    )


def test_the_windows_are_those_of_a_click():
    heights = [w.height for w in ladder_windows(np.array([[99.5, 99.5]]), (150, 150))]
    assert heights == [window.height for window in WINDOWS]


def test_every_mask_has_all_numbers(discs):
    numbers = make_ladder(discs).numbers()
    assert numbers.shape == (3, 2, len(NUMBERS))
    assert numbers.dtype == np.float32
    assert np.isfinite(numbers).all()
    assert np.abs(numbers).max() <= 6


def test_sizes_are_those_of_squares_in_image_pixels(discs):
    sizes = make_ladder(discs).sizes_px()
    for window, masks, found in zip(WINDOWS, discs, sizes, strict=True):
        areas = [in_pixels(window, mask).sum() for mask in masks]
        assert found == pytest.approx(np.sqrt(areas))
    # The same disc has the same size in all windows, but for its cells.
    assert sizes[:, 0] == pytest.approx([np.sqrt(np.pi) * 11] * 3, rel=0.04)


def test_an_empty_mask_has_no_size():
    ladder = make_ladder(np.zeros((2, 1, CELLS, CELLS)))
    assert ladder.sizes_px().tolist() == [[0], [0]]
    assert column(ladder, "size").tolist() == [[0], [0]]
    assert column(ladder, "finer").tolist() == [[0], [0]]


def test_overlaps_are_exact(discs):
    ladder = make_ladder(discs)
    overlaps = [
        [
            [
                iou(in_pixels(WINDOWS[n], a), in_pixels(WINDOWS[n + 1], b))
                for b in coarse
            ]
            for a in fine
        ]
        for n, (fine, coarse) in enumerate(pairwise(discs))
    ]
    finer, coarser = np.max(overlaps, 1), np.max(overlaps, 2)
    assert 0.85 < finer[0, 0] < 1  # the disc of 11 pixels, in cells of 1 and of 2
    assert column(ladder, "finer")[1:] == pytest.approx(finer, abs=1e-6)
    assert column(ladder, "coarser")[:-1] == pytest.approx(coarser, abs=1e-6)
    plain = np.array(overlaps)
    assert column(ladder, "finer_plain")[1:] == pytest.approx(plain[:, 0], abs=1e-6)
    assert column(ladder, "coarser_plain")[:-1] == pytest.approx(
        plain[:, :, 0], abs=1e-6
    )


def test_the_ends_of_a_ladder_have_nothing_beyond_them(discs):
    ladder = make_ladder(discs, scores=np.full((3, 2), 0.9, np.float32))
    for name in ("finer", "finer_plain", "finer_score"):
        assert (column(ladder, name)[0] == 0).all()
        assert (column(ladder, name)[1:] > 0).all()
    for name in ("coarser", "coarser_plain", "coarser_score"):
        assert (column(ladder, name)[-1] == 0).all()
        assert (column(ladder, name)[:-1] > 0).all()


def test_what_lies_beyond_the_finer_window_counts():
    masks = [[np.ones((CELLS, CELLS))], [np.ones((CELLS, CELLS))]]
    # The finer window is a quarter of the coarser one.
    assert column(make_ladder(masks), "finer")[1, 0] == pytest.approx(0.25)


def test_scores_of_the_best_neighbours_are_told(discs):
    scores = np.array([[0.1, 0.8], [0.2, 0.7], [0.3, 0.6]], np.float32)
    ladder = make_ladder(discs, scores=scores)
    odds = np.log(scores / (1 - scores))
    assert column(ladder, "score") == pytest.approx(odds, rel=1e-4)
    # The disc of 11 pixels is most like itself, and in the first window (12) the
    # other mask, too, is like it.
    assert column(ladder, "finer_score")[2, 0] == pytest.approx(odds[1, 0], rel=1e-4)
    assert column(ladder, "coarser_score")[:2, 0] == pytest.approx(
        odds[1:, 0], rel=1e-4
    )
    behind = odds - odds.max(1, keepdims=True)
    assert column(ladder, "behind_window") == pytest.approx(behind, abs=1e-4)
    assert column(ladder, "behind_ladder") == pytest.approx(odds - odds.max(), abs=1e-4)


@pytest.mark.parametrize(("score", "odds"), [(0, -6), (1, 6), (0.5, 0)])
def test_sure_scores_stay_within_limits(discs, score, odds):
    ladder = make_ladder(discs, scores=np.full((3, 2), score, np.float32))
    assert column(ladder, "score") == pytest.approx(odds, abs=1e-6)


def test_the_border_is_told():
    masks = np.zeros((3, 1, CELLS, CELLS))
    masks[0, 0, 0] = 1  # all of the first row: two corners are in columns, too
    masks[1, 0, 3:7, -1] = 1
    masks[2, 0, 1:-1, 1:-1] = 1
    ladder = make_ladder(masks)
    shares = [(CELLS + 2) / (4 * CELLS), 4 / (4 * CELLS), 0]
    assert column(ladder, "border")[:, 0] == pytest.approx(shares)
    assert column(ladder, "border_most")[:, 0].tolist() == [1, 1, 0]


def test_sizes_are_told_in_the_window_and_in_pixels():
    masks = np.zeros((3, 1, CELLS, CELLS))
    masks[:, 0, :10, :10] = 1
    ladder = make_ladder(masks)
    assert column(ladder, "share")[:, 0] == pytest.approx([0.25] * 3)
    sizes = np.log2(np.array([10, 20, 40]) + 1) / 5
    assert column(ladder, "size")[:, 0] == pytest.approx(sizes)
    assert column(ladder, "side")[:, 0] == pytest.approx([0, 1 / 3, 2 / 3])


def test_a_ladder_is_the_same_wherever_it_lies_in_an_image():
    masks = np.zeros((3, 1, CELLS, CELLS))
    masks[:, 0, :10, :10] = 1
    moved = [replace(window, row0=window.row0 + 3000) for window in WINDOWS]
    here, there = make_ladder(masks), make_ladder(masks, windows=moved)
    assert np.array_equal(here.numbers(), there.numbers())


def test_certain_and_uncertain_masks_differ():
    certain = disc(40, 11)
    logits = np.where(certain, np.float32(10), np.float32(-10))
    vague = logits / 20  # all within half a logit of nothing
    ladder = make_ladder([[certain]] * 2)._replace(
        logits=np.stack([logits, vague])[:, None]
    )
    assert column(ladder, "stability")[:, 0].tolist() == [1, 0]
    sharp, soft = column(ladder, "sharpness")[:, 0]
    assert sharp == pytest.approx(np.tanh(2.5))
    assert soft == pytest.approx(np.tanh(0.125), rel=1e-4)


def test_clicks_and_contradictions_are_told(discs):
    contradicted = np.array([[0, 1], [2, 4], [5, 9]], np.float32)
    ladder = make_ladder(discs, contradicted=contradicted, clicks=7)
    assert column(ladder, "contradicted").tolist() == [[0, 1], [2, 4], [4, 4]]
    assert column(ladder, "clicks") == pytest.approx(1)
    assert column(ladder, "is_plain").tolist() == [[1, 0]] * 3


def test_without_learning_a_doubling_costs_a_little(discs):
    scores = np.array([[0.5, 0.4], [0.6, 0.2], [0.6, 0.1]], np.float32)
    expected = scores - [[0], [0.05], [0.1]]
    found = handicapped(make_ladder(discs, scores=scores))
    assert found == pytest.approx(expected, abs=1e-6)
