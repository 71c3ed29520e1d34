"""Kinds of contrast show what they say that they show."""

from __future__ import annotations

import numpy as np
import pytest

from training import contrasts
from training.contrasts import CONTRASTS, contrasted
from training.packing import Capsule, Packing

WIDTH = 10.0


@pytest.fixture(scope="module")
def packing() -> Packing:
    """Lay nine rods side by side, in the middle of a plane."""
    packing = Packing(160)
    for index in range(9):
        row = 35 + WIDTH * index
        ends = np.array([(row, 50.0), (row, 110.0)])
        assert packing.add(Capsule(ends, WIDTH / 2), 0.1)
    return packing


def shown(packing: Packing, kind: str, seed: int, monkeypatch) -> np.ndarray:
    monkeypatch.setattr(
        contrasts, "CONTRAST_ODDS", tuple(float(name == kind) for name in CONTRASTS)
    )
    return contrasted(np.random.default_rng(seed), packing, WIDTH)[0]


@pytest.mark.parametrize("kind", CONTRASTS)
def test_every_contrast_tells_objects_from_what_is_around(packing, kind, monkeypatch):
    for seed in range(4):
        picture = shown(packing, kind, seed, monkeypatch)
        assert picture.shape == (160, 160)
        assert np.isfinite(picture).all()
        # A column across all rods varies, the background far away does not.
        assert np.ptp(picture[30:120, 80]) > 0.1
        assert np.ptp(picture[:, 2]) < 0.3 * np.ptp(picture[30:120, 80])


def test_in_a_crowd_the_colony_stands_out_and_the_seams_do_not(packing, monkeypatch):
    def seam_depth(kind: str, seed: int) -> float:
        picture = shown(packing, kind, seed, monkeypatch)
        middles = [round(35 + WIDTH * index) for index in range(3, 6)]
        body = picture[middles, 80].mean()
        seam = picture[[row + 5 for row in middles], 80].mean()
        return float(abs(seam - body) / abs(picture[2, 2] - body))

    crowd = [seam_depth("crowd", seed) for seed in range(12)]
    phase = [seam_depth("phase", seed) for seed in range(12)]
    assert np.median(crowd) < 0.6 * np.median(phase)
    assert min(crowd) > 0.005
