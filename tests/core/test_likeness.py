"""Masks of windows of several sizes are compared, by hand-made masks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap
from napari_sam3.core.likeness import likeness
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.windows import ladder_windows

CELLS = 64
GRIDS = [
    window.grid(CELLS, CELLS)
    for window in ladder_windows(np.array([[99.5, 99.5]]), (500, 500))
]


def drawn(distance_px: object, grid: Grid) -> Candidate:
    """Draw what is nearer than 0 to a shape, as soft as a network's mask is."""
    rows = grid.row0 + (np.arange(grid.rows) + 0.5) * grid.height / grid.rows
    cols = grid.col0 + (np.arange(grid.cols) + 0.5) * grid.width / grid.cols
    away = distance_px(rows[:, None], cols[None]) * grid.rows / grid.height
    logits = np.clip(-2 * away, -10, 10).astype(np.float32)
    return Candidate(LogitMap(np.broadcast_to(logits, (CELLS, CELLS)), grid), 0.5)


def disc(radius: float, row: float = 100, col: float = 100) -> object:
    return lambda rows, cols: np.hypot(rows - row, cols - col) - radius


def bar(thickness: float, row: float = 100) -> object:
    """Lie across, 30 pixels long."""
    return lambda rows, cols: np.maximum(
        abs(rows - row) - thickness / 2, abs(cols - 100) - 15
    )


def true_likeness(masks: list[Candidate]) -> NDArray[np.float64]:
    """Compare masks in twentieths of a pixel of the image's middle."""
    frame = Grid(50, 50, 100, 100, 2000, 2000)
    fine = [resample(*mask.map, frame) > 0 for mask in masks]
    return np.array([[(a & b).sum() / (a | b).sum() for b in fine] for a in fine])


def test_masks_of_all_windows_are_compared():
    shapes = [disc(11), disc(18), disc(9, 108), disc(30, 90, 110)]
    masks = [drawn(shape, grid) for grid in GRIDS[:4] for shape in shapes]
    true, told = true_likeness(masks), likeness(masks)
    assert told.shape == true.shape
    assert told.dtype == np.float32
    assert told == pytest.approx(told.T)
    wrong = np.abs(told - true)
    assert wrong.mean() < 0.01
    assert wrong.max() < 0.06
    assert true.min() < 0.1


@pytest.mark.parametrize(
    ("shape", "grids"),
    [
        *product([disc(11), disc(14, 103, 96.5)], [(0, 1), (1, 2), (0, 2)]),
        *product([bar(7), bar(7, 100.5), bar(7, 101)], [(0, 1), (1, 2), (0, 2)]),
    ],
)
def test_the_same_object_in_windows_of_other_sizes_is_one_answer(shape, grids):
    masks = [drawn(shape, GRIDS[index]) for index in grids]
    assert true_likeness(masks)[0, 1] > 0.9
    assert likeness(masks)[0, 1] > 0.88


def test_masks_of_windows_that_are_not_of_the_ladder_are_compared_as_well():
    closer = drawn(disc(18), Grid(70, 74, 61.2, 61.2, CELLS, CELLS))
    masks = [closer, drawn(disc(18), GRIDS[1]), drawn(disc(12), GRIDS[0])]
    assert likeness(masks) == pytest.approx(true_likeness(masks), abs=0.04)


def test_masks_that_do_not_meet_and_empty_ones_are_unlike():
    masks = [
        drawn(shape, grid)
        for grid in GRIDS[:2]
        for shape in (disc(9, 90), disc(9, 110), disc(-9))
    ]
    told = likeness(masks)
    assert told[0, 1] == told[1, 0] == told[0, 4] == 0
    assert told[0, 0] == told[1, 1] == pytest.approx(1)
    assert told[0, 3] > 0.9
    assert not told[[2, 5]].any()


def test_what_lies_beyond_a_window_counts_in_the_larger_one():
    masks = [drawn(lambda rows, cols: 0 * (rows + cols) - 1, grid) for grid in GRIDS]
    told = likeness(masks[:3])
    assert told == pytest.approx(
        np.array([[1, 1 / 4, 1 / 16], [1 / 4, 1, 1 / 4], [1 / 16, 1 / 4, 1]]), abs=0.01
    )


@pytest.mark.parametrize("radius", [6, 10, 20])
def test_small_masks_in_large_windows_are_compared_where_one_is_seen_closer(radius):
    # Clicks far apart: no window of the ladder is smaller than 1280.
    ladder = ladder_windows(np.array([[100, 100], [100, 900]]), (1000, 1000))
    closer = Grid(100 - 2 * radius, 100 - 2 * radius, *[4 * radius] * 2, CELLS, CELLS)
    shapes = [disc(radius), disc(radius), disc(radius, 100 + radius)]
    masks = [drawn(shape, closer) for shape in shapes]
    masks += [drawn(disc(300, 500, 500), one.grid(CELLS, CELLS)) for one in ladder]
    told = likeness(masks)
    assert told[0, 1] == pytest.approx(1)
    assert told[0, 2] == pytest.approx(true_likeness(masks[:3])[0, 2], abs=0.05)
    assert told[0, 3] < 0.05
