"""A correction changes a mask where a click asks for it, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap
from napari_sam3.core.correction import Correction, obey
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid

GRID = Grid(0, 0, 60, 60, 60, 60)
#: A square, and what may be taken to it or from it.
OBJECT = np.s_[15:45, 15:45]
RIGHT, BELOW, BITE, CORNER = (
    np.s_[25:32, 45:50],
    np.s_[45:50, 25:32],
    np.s_[25:32, 40:45],
    np.s_[15:19, 15:19],
)


def draw(*more: tuple[slice, slice], less: tuple = ()) -> NDArray[np.bool_]:
    mask = np.zeros((60, 60), np.bool_)
    for part in (OBJECT, *more):
        mask[part] = True
    for part in less:
        mask[part] = False
    return mask


def answer(mask: NDArray[np.bool_], grid: Grid = GRID, depth: float = 8) -> Candidate:
    logits = np.where(mask, np.float32(depth), np.float32(-depth))
    return Candidate(LogitMap(logits, grid), 0.7)


def correction(prompt: Prompt, earlier: NDArray[np.bool_]) -> Correction:
    return Correction(prompt, answer(earlier, depth=5).map)


ADDING = Prompt([(30, 30), (28, 47)], [1, 1])
REMOVING = Prompt([(30, 30), (28, 43)], [1, 0])


@pytest.mark.parametrize(
    ("prompt", "asked", "drawn"),
    [
        (ADDING, draw(RIGHT), draw(RIGHT, BELOW, less=(CORNER,))),
        (REMOVING, draw(less=(BITE,)), draw(BELOW, less=(BITE, CORNER))),
    ],
)
def test_what_changes_away_from_the_click_is_undone(prompt, asked, drawn):
    new = answer(drawn)
    kept = correction(prompt, draw()).keep_elsewhere(new)
    assert np.array_equal(kept.map.logits > 0, asked)
    assert kept.score == new.score
    assert kept.map.grid == new.map.grid
    # Logits are the earlier ones where a change was undone, the new ones elsewhere.
    undone = asked != drawn
    assert np.abs(kept.map.logits[undone]) == pytest.approx(5)
    assert (np.abs(kept.map.logits[~undone]) == 8).all()


def test_every_click_keeps_its_own_change():
    prompt = Prompt([(28, 47), (47, 28)], [1, 1])
    kept = correction(prompt, draw()).keep_elsewhere(answer(draw(RIGHT, BELOW)))
    assert np.array_equal(kept.map.logits > 0, draw(RIGHT, BELOW))


def test_a_change_that_leaves_out_the_click_is_undone():
    prompt = Prompt([(30, 30), (5, 5)], [1, 1])
    kept = correction(prompt, draw()).keep_elsewhere(answer(draw(RIGHT)))
    assert np.array_equal(kept.map.logits > 0, draw())


@pytest.mark.parametrize(("col", "is_kept"), [(51, False), (50, True), (45, True)])
def test_a_change_beside_the_click_is_one_at_the_click(col, is_kept):
    # The change ends at column 49.
    prompt = Prompt([(30, 30), (28, col)], [1, 1])
    kept = correction(prompt, draw()).keep_elsewhere(answer(draw(RIGHT)))
    assert (kept.map.logits > 0)[RIGHT].any() == is_kept


def test_pieces_that_touch_at_a_corner_are_one():
    touching = np.s_[32:36, 50:54]
    prompt = Prompt([(28, 47)], [1])
    new = answer(draw(RIGHT, touching))
    kept = correction(prompt, draw()).keep_elsewhere(new)
    assert np.array_equal(kept.map.logits > 0, draw(RIGHT, touching))


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt([(30, 30)], [1]),  # it agrees with the earlier mask
        Prompt([(30, 30), (3, 3)], [1, 0]),
        Prompt([(30, 30), (100, 100)], [1, 1]),  # beyond the window
        Prompt(box=(10, 10, 50, 50)),
        Prompt(mask_logits=np.ones((4, 4))),
    ],
)
def test_where_no_click_contradicts_all_is_new(prompt):
    new = answer(draw(RIGHT, less=(CORNER,)))
    assert correction(prompt, draw()).keep_elsewhere(new) is new


@pytest.mark.parametrize(("width", "is_new"), [(14, True), (16, False)])
def test_another_object_replaces_the_earlier_mask(width, is_new):
    # Of 30 columns, so many stay. The change has the click, and a piece without.
    new = answer(draw(less=(np.s_[15:45, 15 + width : 45],)) | draw_away())
    prompt = Prompt([(30, 20), (30, 40)], [1, 0])
    kept = correction(prompt, draw()).keep_elsewhere(new)
    assert (kept is new) == is_new
    assert (kept.map.logits > 0)[3, 3] == is_new


def draw_away() -> NDArray[np.bool_]:
    mask = np.zeros((60, 60), np.bool_)
    mask[2:5, 2:5] = True
    return mask


def test_a_window_elsewhere_and_of_other_cells_keeps_the_places():
    # 40 x 40 pixels from (11, 13) on, in cells of two pixels.
    grid = Grid(11, 13, 40, 40, 20, 20)
    old = draw()[11:51:2, 13:53:2]
    wanted = old.copy()
    wanted[7:11, 16:19] = True  # rows 25 to 33, columns 45 to 51
    new = wanted.copy()
    new[17:19, 4:6] = True  # below the object, and nobody asked
    part = correction(ADDING, draw())
    kept = part.keep_elsewhere(answer(new, grid)).map
    # The answer is in pixels, and the earlier mask in it is as it was.
    assert kept.grid == Grid(11, 13, 40, 40, 40, 40)
    drawn = np.zeros((60, 60), np.bool_)
    drawn[11:51, 13:53] = kept.logits > 0
    expected = draw(np.s_[25:33, 45:51])
    assert np.array_equal(drawn, expected)
    assert np.array_equal(drawn[12:51:2, 14:53:2], wanted)


def ragged(seed: int = 0) -> NDArray[np.bool_]:
    """Draw the square with teeth and holes of single pixels."""
    mask = draw()
    rng = np.random.default_rng(seed)
    mask[14, 15:45] = rng.random(30) < 0.5
    mask[rng.integers(16, 44, 30), rng.integers(16, 44, 30)] = False
    return mask


def test_details_finer_than_the_windows_cells_outlast_many_corrections():
    grid = Grid(6, 6, 48, 48, 16, 16)  # cells of three pixels
    earlier = ragged()
    prompt = Prompt([(30, 30), (28, 47)], [1, 1])
    for _ in range(8):
        part = correction(prompt, earlier)
        # The network blurs what it was given, and adds what was asked for.
        new = draw(RIGHT)[7:54:3, 7:54:3]
        kept = part.keep_elsewhere(answer(new, grid)).map
        assert kept.grid == Grid(6, 6, 48, 48, 48, 48)
        after = np.zeros((60, 60), np.bool_)
        after[6:54, 6:54] = kept.logits > 0
        assert after[28, 47]
        assert np.array_equal(after[:, :44], earlier[:, :44])
        after[:, 44:] = earlier[:, 44:]  # the same is asked again
        earlier = after
    assert np.array_equal(earlier, ragged())


def test_a_click_that_only_a_pixel_of_the_earlier_mask_contradicts_keeps_the_rest():
    grid = Grid(6, 6, 48, 48, 16, 16)
    earlier = draw(less=(np.s_[28:29, 44:45],))
    prompt = Prompt([(30, 30), (28, 44)], [1, 1])
    new = draw(BELOW, less=(CORNER,))[7:54:3, 7:54:3]
    part = correction(prompt, earlier)
    kept = part.keep_elsewhere(answer(new, grid))
    assert np.array_equal(kept.map.logits > 0, earlier[6:54, 6:54])
    # The network's cells are too coarse to see what is meant: the click decides.
    rows, cols = np.indices((60, 60))
    near = np.hypot(rows - 28, cols - 44) <= 48 / 32
    obeyed = obey(kept, part.prompt).map.logits > 0
    assert np.array_equal(obeyed, (earlier | near)[6:54, 6:54])


@pytest.mark.parametrize(("side", "cells"), [(1000, 1000), (3000, 1024)])
def test_the_cells_of_very_large_windows_are_bounded(side, cells):
    scale = side / 60
    grid = Grid(0, 0, side, side, 60, 60)
    prompt = Prompt(np.array([(30, 30), (28, 47)]) * scale, [1, 1])
    part = Correction(prompt, answer(draw(), grid).map)
    kept = part.keep_elsewhere(answer(draw(RIGHT, BELOW), grid)).map
    assert kept.logits.shape == (cells, cells) == (kept.grid.rows, kept.grid.cols)
    assert (kept.grid.height, kept.grid.width) == (side, side)
    places = (np.array([(28, 47), (47, 28)]) * cells / 60).astype(int)
    assert [kept.logits[tuple(place)] > 0 for place in places] == [True, False]


# ---- late clicks ------------------------------------------------------------------

LONG = np.s_[15:45, 45:51]


def late(count: int, row: int = 20) -> Prompt:
    """Make ``count`` clicks, the last of them three pixels beside the square."""
    inside = [(25, 20 + column) for column in range(count - 1)]
    return Prompt([*inside, (row, 47)], [1] * count)


def test_a_late_change_stays_near_its_click():
    new = answer(draw(LONG))
    early = correction(late(5), draw()).keep_elsewhere(new).map.logits > 0
    assert np.array_equal(early, draw(LONG))
    changed = correction(late(6), draw()).keep_elsewhere(new).map.logits > 0
    changed ^= draw()
    rows, cols = np.indices((60, 60))
    away = np.hypot(rows - 20, cols - 47)
    # The click is three pixels from the square: three times as far, and two cells.
    assert np.array_equal(changed, draw(LONG) & ~draw() & (away <= 11))
    assert changed.any()
    assert away[changed].max() > 9


@pytest.mark.parametrize("positive", [True, False])
def test_a_late_click_in_the_middle_of_an_error_decides_most_of_it(positive):
    place = (28, 49) if positive else (28, 40)
    inside = [(25, 20 + column) for column in range(5)]
    prompt = Prompt([*inside, place], [1] * 5 + [int(positive)])
    # The network follows by a single pixel.
    spot = np.s_[place[0] : place[0] + 1, place[1] : place[1] + 1]
    new = draw(spot) if positive else draw(less=(spot,))
    changed = correction(prompt, draw()).keep_elsewhere(answer(new)).map.logits > 0
    changed ^= draw()
    rows, cols = np.indices((60, 60))
    # Both are five pixels from the other side of the outline.
    assert np.array_equal(changed, np.hypot(rows - place[0], cols - place[1]) <= 4)


def test_a_late_change_has_the_sign_of_its_click():
    new = answer(draw(RIGHT, less=(BITE,)))
    changed = correction(late(6, row=28), draw()).keep_elsewhere(new)
    assert not (draw() & (changed.map.logits <= 0)).any()
    assert (changed.map.logits[RIGHT] > 0).all()


# ---- clicks that a network does not follow ----------------------------------------


@pytest.mark.parametrize(
    ("prompt", "place"), [(ADDING, (28, 47)), (REMOVING, (28, 43))]
)
def test_a_click_that_is_not_followed_decides_around_itself(prompt, place):
    new = answer(draw())
    obeyed = obey(new, prompt).map.logits
    rows, cols = np.indices((60, 60))
    near = np.hypot(rows - place[0], cols - place[1]) <= 60 / 32
    wanted = bool(prompt.labels[1])
    assert ((obeyed[near] > 0) == wanted).all()
    assert np.array_equal(obeyed[~near], new.map.logits[~near])


def test_a_click_that_is_followed_decides_nothing():
    new = answer(draw(RIGHT))
    obeyed = obey(new, ADDING)
    assert np.array_equal(obeyed.map.logits, new.map.logits)
    beyond = Prompt([(30, 30), (100, 100)], [1, 1])
    obeyed = obey(new, beyond)
    assert np.array_equal(obeyed.map.logits, new.map.logits)


def test_a_place_belongs_to_the_nearest_click():
    prompt = Prompt([(28, 43), (28, 41)], [0, 1])
    obeyed = obey(answer(draw()), prompt).map.logits > 0
    assert not obeyed[28, 43]
    assert not obeyed[28, 44]
    assert obeyed[28, 41]
