"""A correction changes a mask where a click asks for it, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap
from napari_sam3.core.correction import Correction
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
    kept = part.keep_elsewhere(answer(new, grid)).map.logits > 0
    assert np.array_equal(kept, wanted)


# ---- clicks that a network does not follow ----------------------------------------


@pytest.mark.parametrize(
    ("prompt", "place"), [(ADDING, (28, 47)), (REMOVING, (28, 43))]
)
def test_a_click_that_is_not_followed_decides_around_itself(prompt, place):
    new = answer(draw())
    obeyed = correction(prompt, draw()).obey(new).map.logits
    rows, cols = np.indices((60, 60))
    near = np.hypot(rows - place[0], cols - place[1]) <= 2.5
    wanted = bool(prompt.labels[1])
    assert ((obeyed[near] > 0) == wanted).all()
    assert np.array_equal(obeyed[~near], new.map.logits[~near])


def test_a_click_that_is_followed_decides_nothing():
    new = answer(draw(RIGHT))
    obeyed = correction(ADDING, draw()).obey(new)
    assert np.array_equal(obeyed.map.logits, new.map.logits)
    beyond = Prompt([(30, 30), (100, 100)], [1, 1])
    obeyed = correction(beyond, draw()).obey(new)
    assert np.array_equal(obeyed.map.logits, new.map.logits)


def test_a_place_belongs_to_the_nearest_click():
    prompt = Prompt([(28, 43), (28, 41)], [0, 1])
    obeyed = correction(prompt, draw()).obey(answer(draw())).map.logits > 0
    assert not obeyed[28, 43]
    assert not obeyed[28, 44]
    assert obeyed[28, 41]
