"""Crops stand for masks of the image's size."""

from __future__ import annotations

import numpy as np
import pytest

from training.regions import Region, around


def test_a_region_is_cropped_to_what_is_in_it():
    mask = np.zeros((6, 7), bool)
    mask[2, 3] = mask[4, 5] = True
    region = Region.trim(mask, 10, 20)
    assert region.bounds == (12, 23, 15, 26)
    assert region.area == 2
    mask[:] = False
    assert region.area == 2


def test_an_empty_region_has_no_pixels():
    region = Region.trim(np.zeros((3, 3), bool), 5, 5)
    assert region.pixels.shape == (0, 0)
    assert region.area == 0
    assert not region.within((0, 0, 9, 9)).any()


def test_figures_are_those_of_whole_masks():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shares = rng.uniform(0, 0.3, 2)
        first, second = (rng.random((9, 8)) < share for share in shares)
        a, b = Region.trim(first), Region.trim(second)
        union = (first | second).sum()
        expected = (first & second).sum() / union if union else 0
        assert a.iou(b) == b.iou(a) == pytest.approx(expected)
        assert (a.within((0, 0, 9, 8)) == first).all()
        frame = around(a, b)
        inside = np.s_[frame[0] : frame[2], frame[1] : frame[3]]
        assert (first | second)[inside].sum() == union


def test_a_frame_may_lie_beside_a_region_or_beyond_the_image():
    region = Region(np.ones((2, 2), bool), 3, 3)
    assert not region.within((10, 10, 12, 12)).any()
    shown = region.within((-2, -2, 4, 9))
    assert shown.shape == (6, 11)
    assert np.argwhere(shown).tolist() == [[5, 5], [5, 6]]


def test_empty_regions_need_no_frame():
    empty = Region(np.zeros((0, 0), bool), 99, 99)
    assert around(empty) == (0, 0, 0, 0)
    assert around(empty, Region(np.ones((1, 2), bool), 3, 4)) == (3, 4, 4, 6)
