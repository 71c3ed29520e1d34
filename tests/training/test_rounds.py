"""Rounds of prompting: what the network is shown in each."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.models.nano.network import NanoNet
from training.drafts import MAX_CLICKS
from training.rounds import ROUND_CHANCES, play
from training.sampling import Batch

SIZE = 64


class Recorder(NanoNet):
    """Keeps what it was asked and what it answered."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answered = [], []

    def decode(self, features, prompts):
        answer = super().decode(features, prompts)
        self.asked.append(prompts)
        self.answered.append(answer)
        return answer


@pytest.fixture
def network() -> Recorder:
    torch.manual_seed(0)
    return Recorder().train()


def make_batch(windows: int = 2, objects: int = 3, **parts: torch.Tensor) -> Batch:
    """Make windows with a square in each."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.zeros(windows, objects, SIZE // 2, SIZE // 2)
    truth[..., 8:20, 10:22] = 1
    shape = (windows, objects)
    batch = Batch(
        torch.randint(0, 256, (windows, SIZE, SIZE, 3), generator=generator).byte(),
        truth,
        truth.sum((2, 3)),
        torch.full((*shape, 2), float("nan")),
        torch.full((*shape, 4), float("nan")),
        torch.zeros_like(truth),
        torch.zeros(shape),
        torch.zeros(*shape, MAX_CLICKS, 2),
        torch.full((*shape, MAX_CLICKS), -1.0),
    )
    return batch._replace(**parts)


def test_chances_of_the_rounds_add_up():
    assert np.isclose(sum(ROUND_CHANCES), 1)


@pytest.mark.parametrize("rounds", [1, 3])
def test_shapes(network, rounds):
    logits, scores = play(network, make_batch(), rounds, torch.Generator())
    assert logits.shape == (6, 4, SIZE // 2, SIZE // 2)
    assert scores.shape == (6, 4)
    assert len(network.asked) == rounds


def test_only_the_last_round_carries_gradients(network):
    logits, scores = play(network, make_batch(1, 1), 2, torch.Generator())
    assert logits.requires_grad
    assert scores.requires_grad
    assert not network.answered[0].logits.requires_grad


def half_done(windows: int = 2, objects: int = 3) -> dict[str, torch.Tensor]:
    """Make drafts: the left half of the square is missing, with one click."""
    mask = torch.full((windows, objects, SIZE // 2, SIZE // 2), -6.0)
    mask[..., 8:20, 16:22] = 6
    points = torch.zeros(windows, objects, MAX_CLICKS, 2)
    points[:, :, 0] = torch.tensor([30.0, 36.0])
    labels = torch.full((windows, objects, MAX_CLICKS), -1.0)
    labels[:, :, 0] = 1
    has_mask = torch.ones(windows, objects)
    return {"mask": mask, "has_mask": has_mask, "points": points, "labels": labels}


def test_without_a_click_one_is_made_on_the_object(network):
    play(network, make_batch(), 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert told.points.shape == (6, MAX_CLICKS + 1, 2)
    assert not told.has_mask.any()
    assert (told.labels[:, :-1] == -1).all()
    assert (told.labels[:, -1] == 1).all()
    rows, cols = told.points[:, -1].T
    assert ((rows >= 16) & (rows < 40)).all()
    assert ((cols >= 20) & (cols < 44)).all()


def test_a_given_click_is_used(network):
    click = torch.full((2, 3, 2), 25.0)
    play(network, make_batch(click=click), 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert (told.points[:, -1] == 25).all()
    assert (told.labels[:, -1] == 1).all()


def test_a_click_on_a_speck_counts_though_no_cell_is_covered(network):
    click = torch.full((2, 3, 2), 25.0)
    batch = make_batch(click=click)
    speck = torch.zeros_like(batch.truth)
    speck[..., 12, 12] = 0.2
    play(network, batch._replace(truth=speck), 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert (told.labels[:, -1] == 1).all()


def test_a_box_often_comes_without_a_click(network):
    box = torch.tensor([16.0, 20.0, 40.0, 44.0]).expand(4, 5, 4)
    batch = make_batch(4, 5, box=box)
    play(network, batch, 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert torch.equal(told.boxes, box.flatten(0, 1))
    assert (told.labels[:, :-1] == -1).all()
    alone = (told.labels[:, -1] == -1).sum()
    assert 10 <= alone < 20
    assert not told.has_mask.any()


def test_drafts_are_told_as_they_are(network):
    parts = half_done()
    play(network, make_batch(**parts), 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert torch.equal(told.masks[:, 0], parts["mask"].flatten(0, 1))
    assert (told.has_mask == 1).all()
    assert torch.equal(told.points[:, :-1], parts["points"].flatten(0, 1))
    assert torch.equal(told.labels[:, :-1], parts["labels"].flatten(0, 1))


def test_most_drafts_get_a_click_where_they_are_wrong(network):
    batch = make_batch(4, 10, **half_done(4, 10))
    play(network, batch, 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    clicked = told.labels[:, -1] >= 0
    # 35 of 100 are only looked at again.
    assert 18 <= clicked.sum() < 36
    assert (told.labels[clicked, -1] == 1).all()
    rows, cols = told.points[clicked, -1].T
    assert ((rows >= 16) & (rows < 40)).all()
    assert ((cols >= 20) & (cols < 32)).all()  # the missing half


def test_a_line_along_the_object_is_prompt_enough(network):
    parts = half_done()
    del parts["mask"], parts["has_mask"]
    play(network, make_batch(**parts), 1, torch.Generator().manual_seed(0))
    (told,) = network.asked
    assert (told.labels[:, 0] == 1).all()
    assert (told.labels[:, 1:] == -1).all()
    assert not told.has_mask.any()


def test_later_rounds_see_the_earlier_answer_and_one_click_more(network):
    play(network, make_batch(), 3, torch.Generator().manual_seed(0))
    first, second, third = network.asked
    counts = [told.points.shape[1] - MAX_CLICKS for told in (first, second, third)]
    assert counts == [1, 2, 3]
    for told, answer, before in zip((second, third), network.answered, (first, second)):
        assert torch.equal(told.masks, answer.logits[:, :1].clamp(-32, 32))
        assert torch.equal(told.points[:, :-1], before.points)
        assert torch.equal(told.labels[:, :-1], before.labels)


def test_the_added_click_corrects_the_plain_answer(network):
    play(network, make_batch(), 2, torch.Generator().manual_seed(0))
    second, logits = network.asked[1], network.answered[0].logits
    truth = make_batch().truth.flatten(0, 1) > 0.5
    predicted = logits[:, 0] > 0
    for index in range(6):
        row, col = (second.points[index, -1] // 2).long()
        assert truth[index, row, col] != predicted[index, row, col]
        assert second.labels[index, -1] == truth[index, row, col].float()


def test_an_earlier_answer_is_forgotten_now_and_then(network):
    play(network, make_batch(4, 10), 2, torch.Generator().manual_seed(0))
    kept = int(network.asked[1].has_mask.sum())
    assert 25 <= kept < 40
