"""Augmentation changes what a window looks like, not what is where."""

from __future__ import annotations

import numpy as np
import pytest

from training.augment import change_appearance, turn

ARRAY = np.array([[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("code", "turned"),
    [
        (0, [[1, 2, 3], [4, 5, 6]]),
        (1, [[4, 5, 6], [1, 2, 3]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[1, 4], [2, 5], [3, 6]]),
        (5, [[4, 1], [5, 2], [6, 3]]),
        (6, [[3, 6], [2, 5], [1, 4]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_the_eight_symmetries(code, turned):
    assert turn(ARRAY, code).tolist() == turned


def test_colours_stay_with_their_pixels():
    image = np.arange(24).reshape(2, 4, 3)
    turned = turn(image, 6)
    assert turned.shape == (4, 2, 3)
    assert turned[0, 1].tolist() == image[1, 3].tolist()


def test_appearance_keeps_shape_and_dtype():
    window = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for seed in range(60):
        changed = change_appearance(window, np.random.default_rng(seed))
        assert changed.shape == window.shape
        assert changed.dtype == np.uint8


def test_the_window_is_left_alone():
    window = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    before = window.copy()
    for seed in range(60):
        change_appearance(window, np.random.default_rng(seed))
    assert np.array_equal(window, before)


def test_appearance_follows_from_chance_alone():
    window = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    changed = [change_appearance(window, np.random.default_rng(s)) for s in (3, 3, 4)]
    assert np.array_equal(changed[0], changed[1])
    assert not np.array_equal(changed[0], changed[2])


def test_an_edge_stays_where_it_is():
    window = np.full((32, 32, 3), 40, np.uint8)
    window[:, 16:] = 210
    kept = 0
    for seed in range(60):
        changed = change_appearance(window, np.random.default_rng(seed)).astype(float)
        steps = np.abs(np.diff(changed.mean(axis=(0, 2))))
        kept += steps.argmax() == 15
    # Strong noise or lost contrast may hide it now and then.
    assert kept >= 54
