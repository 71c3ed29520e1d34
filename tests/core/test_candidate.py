"""Which masks are the same answer, and where they lie in the image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.core.candidate import (
    Candidate,
    LogitMap,
    by_rating,
    candidates,
    distinct,
)
from napari_sam3.core.resample import Grid
from napari_sam3.core.windows import Window


def square(
    row0: int, col0: int, row1: int, col1: int, score: float = 0.5, cells: int = 32
) -> Candidate:
    """Draw a box of object in 32 x 32 pixels, seen on so many cells."""
    step = 32 // cells
    logits = np.full((cells, cells), -9, np.float32)
    logits[row0 // step : row1 // step, col0 // step : col1 // step] = 9
    return Candidate(LogitMap(logits, Grid(0, 0, 32, 32, cells, cells)), score)


# ---- bounds -----------------------------------------------------------------


def test_bounds_are_the_edges_of_the_objects_cells():
    logits = np.array(
        [
            [-1, -1, -1, -1],
            [-1, -1, 2, -1],
            [-1, 3, -1, -1],
        ],
        np.float32,
    )
    assert LogitMap(logits, Grid(0, 0, 3, 4, 3, 4)).bounds() == (1, 1, 3, 3)
    assert LogitMap(logits, Grid(-10, 20, 6, 40, 3, 4)).bounds() == (-8, 30, -4, 50)


def test_a_single_cell_has_bounds():
    logits = np.array([[-1, 5]], np.float32)
    assert LogitMap(logits, Grid(0, 0, 1, 2, 1, 2)).bounds() == (0, 1, 1, 2)


@pytest.mark.parametrize("logit", [-5, 0])
def test_nothing_has_no_bounds(logit):
    logits = np.full((2, 2), logit, np.float32)
    assert LogitMap(logits, Grid(0, 0, 2, 2, 2, 2)).bounds() is None


def test_candidates_name_place_and_score_of_each_mask():
    logits = np.array([[[1, -2]], [[-3, 4]]], np.float32)
    first, second = candidates(Window(5, 6, 7, 8), logits, np.array([0.25, 0.75]))
    assert first.map.logits.tolist() == [[1, -2]]
    assert second.map.logits.tolist() == [[-3, 4]]
    assert first.map.grid == second.map.grid == (5, 6, 7, 8, 1, 2)
    assert (first.score, second.score) == (0.25, 0.75)


def test_candidates_are_clamped():
    logits = np.array([[[99, -99, 3]]], np.float32)
    (only,) = candidates(Window(0, 0, 1, 3), logits, np.array([0.5]))
    assert only.map.logits.tolist() == [[32, -32, 3]]
    assert only.map.logits.dtype == np.float32


# ---- which are worth offering -----------------------------------------------


def test_masks_are_sorted_by_rating_and_ties_keep_their_order():
    masks = [square(0, 0, 4, 4, score) for score in (0.2, 0.9, 0.5, 0.9)]
    ordered = by_rating(masks)
    assert [mask.score for mask in ordered] == [0.9, 0.9, 0.5, 0.2]
    assert ordered[0] is masks[1]


def test_a_copy_of_the_best_mask_is_passed_over():
    best, copy = square(4, 4, 20, 20, 0.9), square(4, 4, 20, 20, 0.8)
    other, third = square(4, 4, 28, 28, 0.3), square(0, 0, 4, 4, 0.1)
    assert distinct([copy, third, other, best], 3) == [best, other, third]


def test_a_mask_that_is_nearly_the_best_is_passed_over():
    # 16 of 17 rows are common: 0.94; 16 of 20: 0.8.
    best = square(4, 4, 20, 20, 0.9)
    near, far = square(4, 4, 21, 20, 0.8), square(4, 4, 24, 20, 0.7)
    assert distinct([best, near, far], 2) == [best, far]


def test_masks_are_compared_where_they_lie_in_the_image():
    best = square(4, 4, 20, 20, 0.9)
    coarse = square(4, 4, 20, 20, 0.8, cells=16)
    elsewhere = Candidate(
        LogitMap(best.map.logits, Grid(0, 12, 32, 32, 32, 32)), score=0.7
    )
    assert distinct([best, coarse, elsewhere], 2) == [best, elsewhere]


def test_too_few_answers_are_filled_up_with_copies():
    masks = [square(4, 4, 20, 20, score) for score in (0.9, 0.8, 0.7)]
    assert distinct(masks, 3) == masks


def test_copies_do_not_come_before_better_scores():
    best, copy = square(4, 4, 20, 20, 0.9), square(4, 4, 20, 20, 0.8)
    other = square(4, 4, 28, 28, 0.3)
    assert [mask.score for mask in distinct([best, copy, other], 3)] == [0.9, 0.8, 0.3]


def test_empty_masks_are_one_answer():
    best, empty = square(4, 4, 20, 20, 0.9), square(0, 0, 0, 0, 0.8)
    again, other = square(0, 0, 0, 0, 0.7), square(0, 0, 4, 4, 0.1)
    assert distinct([best, empty, again, other], 3) == [best, empty, other]


def test_a_cell_is_offered_beside_many_drawings_of_its_colony():
    cell = square(12, 12, 18, 18, 0.80)
    # Each is unlike the others (IoU under .85), but they mean the same.
    drawn = [(2, 2, 30, 30), (2, 2, 27, 28), (6, 4, 30, 30), (4, 6, 28, 26)]
    colonies = [
        square(*edges, score)
        for edges, score in zip(drawn, (0.90, 0.88, 0.87, 0.86), strict=True)
    ]
    chosen = distinct([*colonies, cell], 2)
    assert chosen == [colonies[0], cell]


def test_a_mask_that_is_hardly_meant_is_not_offered_for_being_different():
    best, unlikely = square(2, 2, 30, 30, 0.90), square(0, 0, 5, 5, 0.05)
    similar = square(2, 2, 26, 26, 0.85)
    assert distinct([best, unlikely, similar], 2) == [best, similar]


def test_known_likeness_is_taken_as_it_is():
    masks = [square(4, 4, 20, 20, score) for score in (0.9, 0.8, 0.7)]
    told = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32)
    assert distinct(masks, 2, told) == [masks[0], masks[2]]


def test_a_mask_that_is_like_none_is_offered_once():
    masks = [square(4, 4, 20, 20, score) for score in (0.9, 0.8, 0.7, 0.1)]
    told = np.diag([1, 0, 0, 1]).astype(np.float32)  # two are empty
    assert distinct(masks, 4, told) == masks


def test_one_answer_is_the_best():
    masks = [square(0, 0, 4, 4, 0.2), square(0, 0, 9, 9, 0.8)]
    assert distinct(masks, 1) == [masks[1]]


# ---- the mask of the highest expected IoU --------------------------------------


def expected_iou(mask: np.ndarray, chances: np.ndarray) -> float:
    """Return the ratio of expected intersection and union."""
    return float(chances[mask].sum() / (mask.sum() + chances[~mask].sum()))


def test_a_widened_mask_has_the_highest_expected_iou():
    chances = np.linspace(0.02, 0.98, 49, dtype=np.float32)
    logits = np.log(chances / (1 - chances))[None]
    # The best of all masks that take the likeliest cells.
    best, expected = max(
        (
            (chances > least, expected_iou(chances > least, chances))
            for least in chances
        ),
        key=lambda pair: pair[1],
    )
    candidate = Candidate(LogitMap(logits, Grid(0, 0, 1, 49, 1, 49)), expected)
    widened = candidate.widened().map.logits[0] > 0
    assert widened.tolist() == best.tolist()
    assert expected > expected_iou(chances > 0.5, chances) + 0.005


def test_a_sure_mask_stays_and_a_doubtful_one_is_widened_to_a_bound():
    logits = np.linspace(-2, 32, 35, dtype=np.float32)[None]
    place = Grid(0, 0, 1, 35, 1, 35)
    sure, doubtful, hopeless = (
        Candidate(LogitMap(logits, place), score).widened().map.logits
        for score in (1.0, 0.5, -0.2)
    )
    assert np.array_equal(sure, logits)
    assert doubtful[0, 0] == pytest.approx(-2 + np.log(2))
    assert -1 < hopeless[0, 0] < -0.5
    assert hopeless.max() == 32


# ---- in the image -----------------------------------------------------------


def test_the_prediction_is_the_part_of_the_window_in_the_image():
    logits = np.arange(16, dtype=np.float32).reshape(4, 4)
    candidate = Candidate(LogitMap(logits, Grid(-1, -2, 4, 4, 4, 4)), 0.5)
    prediction = candidate.to_prediction((10, 10), 10)
    assert prediction.bbox == (0, 0, 3, 2)
    assert prediction.logits.tolist() == [[6, 7], [10, 11], [14, 15]]
    assert prediction.score == 0.5


def test_the_window_may_be_larger_than_the_image():
    candidate = Candidate(
        LogitMap(np.ones((4, 4), np.float32), Grid(-10, -10, 40, 40, 4, 4)), 0.5
    )
    prediction = candidate.to_prediction((3, 5), 8)
    assert prediction.bbox == (0, 0, 3, 5)
    assert np.allclose(prediction.logits, 1)


def test_low_resolution_logits_lie_over_the_whole_image():
    logits = np.full((2, 2), 7, np.float32)
    candidate = Candidate(LogitMap(logits, Grid(2, 4, 2, 4, 2, 2)), 0.5)
    # One cell of the low resolution is one row and two columns of the image.
    low_res = candidate.to_prediction((4, 8), 4).low_res
    assert low_res.tolist() == [
        [-32, -32, -32, -32],
        [-32, -32, -32, -32],
        [-32, -32, 7, 7],
        [-32, -32, 7, 7],
    ]
