"""Objects are packed so that they touch, share no pixel and know their distances."""

import numpy as np
import pytest

from training.outlines import OUTSIDE, divide, pack_discs, star
from training.packing import Capsule, Ellipse, Packing, grow


def test_distance_to_a_capsule_is_exact():
    rod = Capsule(np.array([[10.0, 10.0], [10.0, 30.0]]), 3.0)
    y, x = np.array([10.0, 10.0, 20.0, 10.0]), np.array([20.0, 33.0, 20.0, 40.0])
    assert rod.distance(y, x) == pytest.approx([-3, 0, 7, 7])


def test_distance_to_an_ellipse_has_its_zero_on_the_outline():
    shape = Ellipse(np.array([5.0, 8.0]), (6.0, 3.0), np.pi / 2)
    y, x = np.array([11.0, 5.0, 5.0, 13.0]), np.array([8.0, 11.0, 8.0, 8.0])
    # The long axis points down; beyond it the distance is known to first order.
    assert shape.distance(y, x) == pytest.approx([0, 0, -3, 2], abs=0.5)


def test_overlapping_objects_are_refused_and_touching_ones_taken():
    packing = Packing(60)
    disc = (10.0, 10.0)
    assert packing.add(Ellipse(np.array([30.0, 20.0]), disc, 0.0), 0.05)
    assert not packing.add(Ellipse(np.array([30.0, 26.0]), disc, 0.0), 0.05)
    assert packing.add(Ellipse(np.array([30.0, 40.0]), disc, 0.0), 0.05)
    assert not packing.add(Ellipse(np.array([30.0, 400.0]), disc, 0.0), 0.05)
    assert np.bincount(packing.labels.ravel())[1:] == pytest.approx([314, 314], abs=20)


def test_seam_lies_halfway_between_swollen_neighbours():
    packing = Packing(60)
    packing.add(Ellipse(np.array([30.0, 20.0]), (8.0, 8.0), 0.0), 0)
    packing.add(Ellipse(np.array([30.0, 40.0]), (8.0, 8.0), 0.0), 0)
    assert packing.labels[30, 30] == 0
    packing.inflate(3)
    row = packing.labels[30]
    assert set(row[22:30]) == {1}
    assert set(row[31:39]) == {2}
    assert abs(packing.second - packing.first)[30, 30] == pytest.approx(0, abs=1e-4)
    assert packing.radii.tolist() == [1, 11, 11]


def test_colony_grows_to_the_wanted_size_and_stays_together():
    rng = np.random.default_rng(0)
    packing = Packing(120)

    def bud(parent):
        angle = rng.uniform(0, 2 * np.pi)
        step = 8.5 * np.array([np.sin(angle), np.cos(angle)])
        return Ellipse(parent.centre + step, (4.0, 4.0), 0.0)

    first = Ellipse(np.array([60.0, 60.0]), (4.0, 4.0), 0.0)
    assert grow(packing, rng, first, bud, 40, 0.05) == 40
    centres = np.array([m.centre for m in packing.members])
    far = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
    np.fill_diagonal(far, 99)
    assert far.min() > 6
    assert far.min(1).max() < 8.6
    # Forty discs side by side fit into a circle of 30 pixels if it is compact.
    assert np.hypot(*(centres - 60).T).max() < 45


def test_discs_keep_their_distance():
    rng = np.random.default_rng(1)
    centres, radii = pack_discs(rng, 200, rng.uniform(5, 20, 60), 1.05)
    assert len(radii) > 20
    assert (np.diff(radii) <= 0).all()
    far = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1))
    np.fill_diagonal(far, 999)
    assert (far >= 1.05 * (radii[:, None] + radii) - 1e-6).all()


def test_stars_divide_the_plane_at_equal_relative_radius():
    rng = np.random.default_rng(2)
    pair = [star(rng, np.array([30.0, x]), 12.0, wobble=0.0) for x in (20.0, 40.0)]
    parted = divide(60, pair)
    assert set(parted.labels[30, 10:30]) == {1}
    assert set(parted.labels[30, 31:50]) == {2}
    assert parted.rho[0, 0] == pytest.approx(OUTSIDE)
    assert parted.depth[30, 20] == pytest.approx(12, abs=0.5)
    stacked = divide(60, pair, stacked=True)
    assert set(stacked.labels[30, 29:50]) == {2}


def test_arms_reach_out_and_corners_cut_in():
    rng = np.random.default_rng(3)
    centre = np.array([0.0, 0.0])
    plain = star(rng, centre, 10.0, wobble=0.0)
    assert plain.radii == pytest.approx(np.full(360, 10), abs=1e-3)
    assert star(rng, centre, 10.0, wobble=0.0, arms=3).radii.max() > 12
    cut = star(rng, centre, 10.0, wobble=0.0, corners=5).radii
    assert cut.max() <= 10
    assert cut.min() < 9.2
