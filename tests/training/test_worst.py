"""The sheets show the worst objects, with their outlines and clicks."""

from __future__ import annotations

import numpy as np
import pytest

from training.data import LabelledImage
from training.regions import Region
from training.responders import Answer, Click
from training.user import ObjectResult, Turn
from training.worst import draw_worst, frame_of, worst

CYAN, ORANGE = (0, 220, 255), (255, 140, 0)
GREEN, RED = (60, 255, 60), (255, 50, 50)


def drawn(label: int, shift: int, clicks: tuple[Click, ...]) -> ObjectResult:
    predicted = Region(np.ones((20, 20), bool), 30 + shift, 30 + shift)
    chosen = Answer(predicted, 0.8)
    reached = (20 - shift) ** 2 / (800 - (20 - shift) ** 2)
    turn = Turn(clicks, [chosen], chosen, reached)
    return ObjectResult(
        "cells", "a.labels.png", label, 400, [reached], [0.8], shown={1: turn}
    )


@pytest.fixture
def image() -> LabelledImage:
    labels = np.zeros((90, 100), np.uint16)
    labels[30:50, 30:50] = 1
    grey = np.random.default_rng(0).integers(0, 99, labels.shape).astype(np.uint8)
    return LabelledImage.build(grey, labels, name="a.labels.png", dataset="cells")


def colours_of(sheet) -> set[tuple[int, int, int]]:
    return set(map(tuple, np.asarray(sheet).reshape(-1, 3).tolist()))


def test_the_worst_come_first_and_no_more_than_ten():
    results = [drawn(n, n, ()) for n in range(12)]
    assert [one.label for one in worst(results, 1)] == list(range(11, 1, -1))
    assert worst(results, 5) == worst(results, 1)


def test_a_sheet_shows_outlines_and_clicks(image):
    clicks = (Click(40, 40, True), Click(60, 60, False))
    results = [drawn(1, shift, clicks) for shift in (9, 8, 7, 6, 5, 4)]
    sheet = draw_worst(results, [image], 1)
    assert sheet.width > 5 * 200
    assert sheet.height > 2 * 200
    assert {CYAN, ORANGE, GREEN, RED} <= colours_of(sheet)
    one = draw_worst(results[:1], [image], 1)
    assert one.height < sheet.height
    without = draw_worst([drawn(1, 9, ())], [image], 1)
    assert not {GREEN, RED} & colours_of(without)


def test_an_outline_lies_where_the_object_is(image):
    sheet = np.asarray(draw_worst([drawn(1, 12, ())], [image], 1))
    rows, cols = np.nonzero((sheet == CYAN).all(axis=-1))
    # Object and mask span 32 pixels, and 8 are left around them on each side.
    scale = 220 / 48
    assert rows.min() - 8 == pytest.approx(8 * scale, abs=2)
    assert np.ptp(rows) == pytest.approx(20 * scale, abs=2)
    assert np.ptp(cols) == pytest.approx(20 * scale, abs=2)


def test_a_mask_of_the_whole_plane_leaves_the_object_visible(image):
    everything = Answer(Region(np.ones((2000, 2000), bool), -900, -900), 0.9)
    turn = Turn((), [everything], everything, 0.0)
    row0, col0, row1, col1 = frame_of(Region(np.ones((20, 20), bool), 30, 30), turn)
    assert row1 - row0 == col1 - col0 < 8 * 20
    assert row0 < 30
    assert row1 > 50


def test_an_object_without_a_mask_is_drawn(image):
    nothing = Answer(Region(np.zeros((0, 0), bool)), 0.1)
    result = ObjectResult("cells", "a.labels.png", 1, 400, [0.0], [0.1])
    result.shown[1] = Turn((Click(40, 40, True),), [nothing], nothing, 0.0)
    colours = colours_of(draw_worst([result], [image], 1))
    assert CYAN in colours
    assert ORANGE not in colours
