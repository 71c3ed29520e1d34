"""Simulated clicks go where the mask is most wrong."""

from __future__ import annotations

import pytest
import torch

from training.clicks import depth_map, worst_click


def mask(*rows: str) -> torch.Tensor:
    """Read one mask; ``#`` is object."""
    return torch.tensor([[[pixel == "#" for pixel in row] for row in rows]])


RNG_SEEDS = range(8)


def test_depth_is_counted_from_the_rim():
    regions = mask(
        ".......",
        ".#####.",
        ".#####.",
        ".#####.",
        ".#####.",
        ".#####.",
        ".......",
    )
    assert depth_map(regions)[0].tolist() == [
        [0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 1, 2, 2, 2, 1, 0],
        [0, 1, 2, 3, 2, 1, 0],
        [0, 1, 2, 2, 2, 1, 0],
        [0, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]


def test_the_windows_border_is_a_rim():
    assert depth_map(mask("###", "###", "###"))[0].tolist() == [
        [1, 1, 1],
        [1, 2, 1],
        [1, 1, 1],
    ]


def test_regions_of_a_batch_are_measured_apart():
    both = torch.cat([mask("#.", ".."), mask("..", "##")])
    depth = depth_map(both)
    assert depth.dtype == torch.float32
    assert depth.tolist() == [[[1, 0], [0, 0]], [[0, 0], [1, 1]]]


TRUTH = mask(
    "#####....",
    "#####....",
    "#####....",
    "#####....",
    "#####....",
)
NOTHING = torch.zeros_like(TRUTH)
TOO_WIDE = mask(
    "#########",
    "#########",
    "#########",
    "#########",
    "#########",
)
HALF_AND_MORE = mask(
    "..#######",
    "..#######",
    "..#######",
    "..#######",
    "..#######",
)


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_what_is_missed_is_clicked_positively_in_its_middle(seed):
    point, label = worst_click(TRUTH, NOTHING, torch.Generator().manual_seed(seed))
    assert label.tolist() == [1]
    # Cell (2, 2) is 3 deep; the cells around it are 2.
    row, col = point[0] / 2
    assert 1 <= row < 4
    assert 1 <= col < 4


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_what_is_wrongly_taken_is_clicked_negatively(seed):
    point, label = worst_click(TRUTH, TOO_WIDE, torch.Generator().manual_seed(seed))
    assert label.tolist() == [0]
    assert 2 * 5 <= point[0, 1] < 2 * 9


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_the_thicker_error_is_clicked(seed):
    # Two columns are missed, four are too many.
    generator = torch.Generator().manual_seed(seed)
    _, label = worst_click(TRUTH, HALF_AND_MORE, generator)
    assert label.tolist() == [0]


def test_nothing_wrong_is_no_click():
    _, label = worst_click(TRUTH, TRUTH, torch.Generator().manual_seed(0))
    assert label.tolist() == [-1]


def test_objects_of_a_batch_get_their_own_clicks():
    truth = torch.cat([TRUTH, TRUTH, TRUTH])
    predicted = torch.cat([NOTHING, TRUTH, TOO_WIDE])
    points, labels = worst_click(truth, predicted, torch.Generator().manual_seed(0))
    assert points.shape == (3, 2)
    assert points.dtype == torch.float32
    assert labels.tolist() == [1, -1, 0]


def test_users_do_not_hit_the_same_place_twice():
    generator = torch.Generator().manual_seed(0)
    clicks = {tuple(worst_click(TRUTH, NOTHING, generator)[0][0]) for _ in range(5)}
    assert len(clicks) == 5
