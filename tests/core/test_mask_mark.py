"""A mask packed into bits is the same mask."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam3.core.errors import PromptError
from napari_sam3.core.mask_mark import MaskMark

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=17)).filter(
    np.any
)


@given(masks, st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_a_mask_comes_back(mask, corner):
    row0, col0 = corner
    bbox = (row0, col0, row0 + mask.shape[0], col0 + mask.shape[1])
    mark = MaskMark.from_mask(mask, bbox, 0.5)
    canvas, expected = np.zeros((2, 30, 30), bool)
    expected[row0 : bbox[2], col0 : bbox[3]] = mask
    row0, col0, row1, col1 = mark.bbox
    canvas[row0:row1, col0:col1] = mark.mask()
    assert np.array_equal(canvas, expected)
    assert mark.mask().dtype == np.bool_
    assert MaskMark.from_runs(list(mark.bbox), mark.runs(), 0.5) == mark


def test_equal_masks_are_equal_marks_whatever_their_crop():
    mask = np.eye(4, dtype=bool)
    one = MaskMark.from_mask(mask, (4, 5, 8, 9))
    other = MaskMark.from_mask(np.pad(mask, 2), (2, 3, 10, 11))
    assert one == other
    assert hash(one) == hash(other)
    assert one.score == 0


def test_runs_can_be_read():
    mask = np.array([[0, 1, 1], [1, 0, 1]], bool)
    assert MaskMark.from_mask(mask, (0, 0, 2, 3)).runs() == [1, 3, 1, 1]
    assert MaskMark.from_mask(~mask[:, :1], (0, 0, 2, 1)).runs() == [0, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaskMark((0, 0, 2, 0), b""), "not the box of a mask"),
        (lambda: MaskMark((-1, 0, 2, 4), b"abc"), "not the box of a mask"),
        (lambda: MaskMark((0, 0, 2, 4), b"ab"), "2 bytes do not hold the 8 pixels"),
        (lambda: MaskMark((0, 0, 2, 4), b"\0"), "empty; there is nothing to refine"),
        (lambda: MaskMark((0, 0, 2, 4), b"a", math.nan), "score .* give 0 to 1"),
        (
            lambda: MaskMark.from_mask(np.zeros((2, 4), bool), (0, 0, 2, 4)),
            "empty; there is nothing to refine",
        ),
        (
            lambda: MaskMark.from_mask(np.ones((2, 4), bool), (0, 0, 4, 2)),
            "does not fill the box",
        ),
    ],
)
def test_what_is_no_mask_is_refused(make, message):
    with pytest.raises(PromptError, match=message):
        make()


@pytest.mark.parametrize(
    ("bbox", "runs"),
    [
        ([0, 0, 2, 2], [1, 2]),
        ([0, 0, 2, 2], [0, 5]),
        ([0, 0, 2, 2], [-1, 5]),
        ([0, 0, 2, 2], [1.0, 3]),
        ([0, 0, 2, 2], [True, 3]),
        ([0, 0, 2, 2], [4]),
        ([0, 0, 2, 2], []),
        ([0, 0, 2], [1, 3]),
        ([2, 2, 0, 0], [1, 3]),
        ([0, 0, 10**6, 10**6], [0, 10**12]),
        ([0, 0, 10**6, 10**6], [10**9] * 1000),
    ],
)
def test_damaged_runs_are_refused(bbox, runs):
    with pytest.raises(PromptError):
        MaskMark.from_runs(bbox, runs, 0.5)
