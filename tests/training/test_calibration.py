"""Calibration, on cases that can be done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.calibration import calibrate
from training.user import ObjectResult


def scored(*pairs: tuple[float, float], dataset: str = "a") -> list[ObjectResult]:
    return [
        ObjectResult(dataset, "image", 1, 100, [true, 1.0], [predicted, 0.0])
        for predicted, true in pairs
    ]


def test_the_error_is_the_mean_distance_of_the_bins():
    found = calibrate(scored((0.92, 0.5), (0.98, 0.9), (0.31, 0.4), (1.0, 1.0)))
    assert [(b.low, b.objects) for b in found.bins] == [(0.3, 1), (0.9, 3)]
    low, high = found.bins
    assert (low.predicted, low.true) == pytest.approx((0.31, 0.4))
    assert (high.predicted, high.true) == pytest.approx((2.9 / 3, 2.4 / 3))
    assert found.error == pytest.approx((0.09 + 0.5) / 4)
    assert found.optimism == pytest.approx((0.5 - 0.09) / 4)


def test_predicted_and_true_quality_may_go_together_or_not():
    together = calibrate(scored((0.2, 0.1), (0.6, 0.5), (1.0, 0.9)))
    assert (together.pearson, together.spearman) == pytest.approx((1, 1))
    apart = calibrate(scored((0.9, 0.1), (0.1, 0.9)))
    assert (apart.pearson, apart.spearman) == pytest.approx((-1, -1))
    bent = calibrate(scored((0.1, 0.0), (0.2, 0.1), (0.3, 1.0)))
    assert bent.spearman == pytest.approx(1)
    assert bent.pearson < 0.95


def test_the_sets_correlations_are_averaged():
    rising = scored((0.1, 0.1), (0.9, 0.9), dataset="a")
    falling = scored((0.1, 0.9), (0.9, 0.1), dataset="b")
    always_the_same = scored((0.5, 0.1), dataset="c")
    found = calibrate(rising + falling + falling + always_the_same)
    assert (found.pearson_of_sets, found.spearman_of_sets) == pytest.approx((0, 0))
    assert found.pearson < -0.2


@pytest.mark.parametrize(
    "pairs", [[(0.1, 0.2)], [(0.5, 0.1), (0.5, 0.9)], [(0.1, 0.5), (0.9, 0.5)]]
)
def test_what_is_always_the_same_goes_together_with_nothing(pairs):
    found = calibrate(scored(*pairs))
    assert np.isnan([found.pearson, found.spearman, found.pearson_of_sets]).all()
