"""What is measured and punished, on masks that can be checked by eye."""

from __future__ import annotations

import pytest
import torch

from training.losses import Losses, mask_losses, object_iou, total_loss

# One object of four cells in a window of 4 x 4.
TRUTH = torch.tensor(
    [[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]], dtype=torch.float32
)
AREA = torch.tensor([4.0])
PERFECT = (TRUTH[:, None] - 0.5) * 60
NOTHING = torch.full((1, 1, 4, 4), -30.0)
UPPER_HALF = torch.where(torch.arange(4)[:, None] < 2, PERFECT, NOTHING)
ALL = torch.full((1, 1, 4, 4), 30.0)


def masks(*parts: torch.Tensor) -> torch.Tensor:
    return torch.cat(parts, 1)


def test_iou_of_masks():
    result = object_iou(masks(PERFECT, UPPER_HALF, ALL, NOTHING), TRUTH, AREA)
    assert result[0].tolist() == pytest.approx([1, 2 / 4, 4 / 16, 0])


def test_iou_counts_the_object_beyond_the_window():
    result = object_iou(masks(PERFECT, UPPER_HALF), TRUTH, torch.tensor([8.0]))
    assert result[0].tolist() == pytest.approx([4 / 8, 2 / 8])


def test_iou_counts_covered_shares_of_cells():
    truth = TRUTH.clone()
    truth[0, 1] /= 2
    result = object_iou(PERFECT, truth, torch.tensor([3.0]))
    assert result.item() == pytest.approx(3 / 4)


def test_a_perfect_mask_costs_nothing():
    assert mask_losses(PERFECT, TRUTH).item() == pytest.approx(0, abs=1e-3)


def test_worse_masks_cost_more():
    doubt = PERFECT / 60
    costs = mask_losses(masks(PERFECT, doubt, UPPER_HALF, -PERFECT), TRUTH)[0].tolist()
    assert costs == sorted(costs)
    assert costs[1] > 0.1


def test_a_large_and_a_small_object_miss_alike():
    large = torch.ones(1, 8, 8)
    small = torch.zeros(1, 8, 8)
    small[0, 3, 3] = 1
    nothing = torch.full((1, 1, 8, 8), -30.0)
    # Dice keeps a speck from costing nothing.
    assert mask_losses(nothing, small).item() > 1.5
    assert mask_losses(nothing, large).item() > mask_losses(nothing, small).item()


PERFECT_SCORE, NO_SCORE = torch.full((1, 4), 20.0), torch.full((1, 4), -20.0)


def test_perfect_answers_cost_nothing():
    losses = total_loss(masks(*[PERFECT] * 4), PERFECT_SCORE, TRUTH, AREA)
    assert losses.total().item() == pytest.approx(0, abs=1e-3)


def test_the_first_mask_is_the_plain_answer():
    answers = masks(-PERFECT, PERFECT, PERFECT, PERFECT)
    losses = total_loss(answers, PERFECT_SCORE, TRUTH, AREA)
    assert losses.plain > 3
    assert losses.best == pytest.approx(0, abs=1e-3)


def test_of_the_other_masks_the_best_counts():
    one_right = masks(PERFECT, NOTHING, PERFECT, NOTHING)
    none_right = masks(PERFECT, NOTHING, NOTHING, NOTHING)
    right, wrong = (
        total_loss(answers, PERFECT_SCORE, TRUTH, AREA).best
        for answers in (one_right, none_right)
    )
    # A little of the mean keeps the others alive.
    assert 0.02 * wrong < right < 0.05 * wrong


def test_scores_are_to_be_the_iou():
    answers = masks(PERFECT, PERFECT, NOTHING, NOTHING)
    honest = torch.tensor([[20.0, 20.0, -20.0, -20.0]])
    costs = [
        total_loss(answers, scores, TRUTH, AREA).score.item()
        for scores in (honest, PERFECT_SCORE, NO_SCORE)
    ]
    assert costs[0] == pytest.approx(0, abs=1e-3)
    assert min(costs[1:]) > 5


def test_scores_teach_the_score_alone():
    answers = masks(*[PERFECT] * 4).requires_grad_()
    scores = torch.zeros(1, 4, requires_grad=True)
    total_loss(answers, scores, TRUTH, AREA).score.backward()
    assert answers.grad is None
    assert scores.grad.abs().sum() > 0


def test_an_object_that_is_hardly_shown_counts_less():
    truth = torch.zeros(2, 8, 8)
    truth[:, :4] = 1
    answers = torch.full((2, 4, 8, 8), -30.0)
    answers[1] = (truth[1] - 0.5) * 60  # the first is wrong, the second right
    scores = torch.zeros(2, 4)
    whole, part = (
        total_loss(answers, scores, truth, torch.tensor([area, 32.0])).plain
        for area in (32.0, 320.0)
    )
    assert part / whole == pytest.approx((0.3 / 1.3) / (1 / 2))


def test_the_total_is_a_weighted_sum():
    losses = Losses(*torch.tensor([1.0, 10.0, 100.0]))
    assert losses.total().item() == pytest.approx(1 + 7 + 200)
