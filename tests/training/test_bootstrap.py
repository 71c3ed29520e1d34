"""Intervals are as wide as theory says, and images are what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from training.bootstrap import estimate


def test_the_interval_of_a_normal_mean_is_known():
    rng = np.random.default_rng(3)
    values = rng.normal(0.5, 0.2, (400, 1))
    images = [f"{n}" for n in range(400)]
    (one,) = estimate(values, ["a"] * 400, images, draws=4000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert one.mean == pytest.approx(values.mean())
    assert one.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert one.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_the_interval_holds_the_truth_nineteen_times_of_twenty():
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(200):
        values = rng.normal(0.5, 0.2, (40, 1))
        (one,) = estimate(values, ["a"] * 40, [str(n) for n in range(40)], draws=200)
        held += one.low <= 0.5 <= one.high
    assert 0.88 <= held / 200 <= 0.99


def test_objects_of_one_image_are_drawn_together():
    # Ten images whose ten objects are all alike: as good as ten objects.
    values = np.repeat(np.linspace(0, 1, 10), 10)[:, None]
    images = np.repeat([f"{n}" for n in range(10)], 10).tolist()
    (alike,) = estimate(values, ["a"] * 100, images)
    (apart,) = estimate(values, ["a"] * 100, [str(n) for n in range(100)])
    ratio = (alike.high - alike.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.15)


def test_data_sets_count_alike_unless_pooled():
    values = np.array([[0.0], [0.0], [0.0], [1.0]])
    sets, images = ["a", "a", "a", "b"], ["1", "2", "2", "1"]
    (mean,) = estimate(values, sets, images)
    assert mean == (0.5, 0.5, 0.5)
    (pooled,) = estimate(values, sets, images, pooled=True)
    assert pooled.mean == 0.25
    # Two images of one object, two of two, or one of each.
    assert (pooled.low, pooled.high) == pytest.approx((0.2, 1 / 3))


def test_images_of_two_sets_may_have_the_same_name():
    values = np.array([[0.0], [1.0]])
    (one,) = estimate(values, ["a", "b"], ["1", "1"])
    assert one == (0.5, 0.5, 0.5)


def test_the_same_draws_every_time():
    values = np.random.default_rng(0).random((30, 3))
    arguments = values, ["a"] * 30, [str(n) for n in range(30)]
    assert estimate(*arguments) == estimate(*arguments)
    assert estimate(*arguments) != estimate(*arguments, seed=1)
