"""Marks are values: checked, hashable, and the same after JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam3.core.errors import PromptError
from napari_sam3.core.marks import (
    BoxMark,
    MaskMark,
    OutlineMark,
    PointMark,
    mark_from_json,
    mark_to_json,
)

SQUARE = OutlineMark(((2, 3), (2, 8), (5, 8), (5, 3)))
MASK = MaskMark.from_mask(np.eye(3, dtype=bool), (4, 5, 7, 8), 0.75)

numbers = st.floats(-1e4, 1e4)
corners = st.tuples(numbers, numbers, st.floats(0.1, 99), st.floats(0.1, 99))
marks = st.one_of(
    st.builds(PointMark, numbers, numbers, st.booleans()),
    corners.map(lambda c: BoxMark(c[0], c[1], c[0] + c[2], c[1] + c[3])),
    st.lists(st.tuples(numbers, numbers), min_size=3, max_size=8).map(
        lambda pairs: OutlineMark(tuple(pairs))
    ),
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
    .filter(np.any)
    .map(lambda m: MaskMark.from_mask(m, (7, 2, 7 + m.shape[0], 2 + m.shape[1]), 0.3)),
)


# ---- values -----------------------------------------------------------------


@given(marks)
def test_a_mark_survives_json(mark):
    again = mark_from_json(json.loads(json.dumps(mark_to_json(mark))))
    assert again == mark
    assert hash(again) == hash(mark)
    assert type(again) is type(mark)


def test_numpys_numbers_become_pythons():
    point = PointMark(np.float32(1.5), np.int64(2), np.True_)
    assert point == PointMark(1.5, 2.0)
    assert [type(v) for v in (point.row, point.col, point.positive)] == [
        float,
        float,
        bool,
    ]
    outline = OutlineMark(np.array([[2, 3], [2, 8], [5, 8], [5, 3]], np.float32))
    assert outline == SQUARE
    assert hash(outline) == hash(SQUARE)


def test_kinds_are_told_apart():
    assert len({PointMark(1, 2), PointMark(1, 2, False), BoxMark(1, 2, 3, 4)}) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PointMark(math.nan, 0), "NaN or infinity; give finite"),
        (lambda: PointMark(0, math.inf), "NaN or infinity; give finite"),
        (lambda: PointMark("here", 0), "must be numbers"),
        (lambda: PointMark([1, 2], 0), "must be one number"),
        (lambda: PointMark(1e300, 0), "far beyond any image; draw it again"),
        (lambda: BoxMark(0, 0, 0, 5), "is empty; its second corner"),
        (lambda: BoxMark(0, 5, 2, 4), "is empty; its second corner"),
        (lambda: BoxMark(0, 0, math.nan, 4), "NaN or infinity"),
        (lambda: OutlineMark(((0, 0), (1, 1))), "three vertices"),
        (lambda: OutlineMark(((0, 0, 0), (1, 1, 1), (2, 2, 2))), "three vertices"),
        (lambda: OutlineMark(((0, 0), (1, 1), (2, math.nan))), "NaN or infinity"),
        (lambda: OutlineMark(((0, 0), (1, 1), (2, 1e12))), "far beyond any image"),
    ],
)
def test_what_says_nothing_is_refused(make, message):
    with pytest.raises(PromptError, match=message):
        make()


# ---- outlines ---------------------------------------------------------------


def test_an_outline_holds_the_pixels_inside():
    mask, bbox = SQUARE.rasterize((20, 30))
    assert bbox == (2, 3, 6, 9)
    assert mask.all()
    triangle, bbox = OutlineMark(((0, 0), (4, 0), (0, 4))).rasterize((20, 30))
    assert bbox == (0, 0, 5, 5)
    assert np.array_equal(triangle, np.add.outer(range(5), range(5)) <= 4)


def test_an_outline_is_cut_at_the_image():
    mask, bbox = OutlineMark(((-9, -9), (-9, 3), (40, 3), (40, -9))).rasterize((5, 6))
    assert bbox == (0, 0, 5, 4)
    assert mask.all()


def test_an_outline_within_a_pixel_is_that_pixel():
    mask, bbox = OutlineMark(((4.1, 7.1), (4.2, 7.4), (4.4, 7.2))).rasterize((20, 30))
    assert bbox == (4, 7, 5, 8)
    assert mask.tolist() == [[True]]


@pytest.mark.parametrize("place", [(-9, 0), (0, -9), (30, 3), (3, 40)])
def test_an_outline_beside_the_image_is_refused(place):
    outline = OutlineMark(
        [(place[0] + r, place[1] + c) for r, c in ((0, 0), (0, 3), (3, 3))]
    )
    with pytest.raises(PromptError, match="does not meet the image of 20 rows and 30"):
        outline.rasterize((20, 30))


def test_an_outline_that_only_passes_by_is_refused():
    outline = OutlineMark(((-9, 3), (3, -9), (-9, -9)))
    with pytest.raises(PromptError, match="draw it on the image"):
        outline.rasterize((20, 30))


@given(marks.filter(lambda m: isinstance(m, OutlineMark)))
def test_an_outline_is_a_mask_in_the_image_or_refused(outline):
    shape = (50, 60)
    try:
        mask, (row0, col0, row1, col1) = outline.rasterize(shape)
    except PromptError:
        return
    assert mask.any()
    assert mask.shape == (row1 - row0, col1 - col0)
    assert 0 <= row0 < row1 <= shape[0]
    assert 0 <= col0 < col1 <= shape[1]


# ---- damaged JSON -----------------------------------------------------------


@pytest.mark.parametrize("mark", [PointMark(1, 2), BoxMark(1, 2, 3, 4), SQUARE, MASK])
def test_every_entry_is_needed(mark):
    whole = mark_to_json(mark)
    for key in whole:
        part = {name: value for name, value in whole.items() if name != key}
        with pytest.raises(PromptError, match=f'has no "{key}"; add it'):
            mark_from_json(part)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"kind": "star"},
        {"kind": "point", "row": "1", "col": 2, "positive": True},
        {"kind": "point", "row": 1, "col": 2, "positive": 1},
        {"kind": "box", "row0": 0, "col0": 0, "row1": 0, "col1": 1},
        {"kind": "outline", "vertices": [[0, 0], [1]]},
        {"kind": "outline", "vertices": [[0, 0], [1, None], [2, 2]]},
        {"kind": "outline", "vertices": []},
    ],
)
def test_nonsense_is_refused(data):
    with pytest.raises(PromptError):
        mark_from_json(data)
