"""Colonies are dense, their members small, alike and parted by seams that show."""

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from training.colonies import bacteria, cocci, yeasts
from training.exposure import expose

SEEDS = range(8)


@lru_cache
def _drawn(family):
    return [family(np.random.default_rng(s), 320) for s in SEEDS]


def _near(labels: np.ndarray, reach: int = 3) -> float:
    """Part of the objects that have another one within `reach` pixels."""
    highest = ndimage.maximum_filter(labels, 2 * reach + 1)
    turned = np.where(labels > 0, -labels, -9999)
    lowest = -ndimage.maximum_filter(turned, 2 * reach + 1)
    meets = (highest != labels) | (lowest != labels)
    return len(np.unique(labels[(labels > 0) & meets])) / labels.max()


def _across(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seams between objects, and the middles of the objects, both bool (h, w)."""
    wide = ndimage.grey_dilation(labels, 3)
    narrow = -ndimage.grey_dilation(np.where(labels > 0, -labels, -9999), (3, 3))
    seam = (wide > 0) & (narrow < 9999) & (wide != narrow)
    away = ndimage.distance_transform_edt((labels > 0) & ~seam)
    deepest = ndimage.maximum(away, labels, np.arange(labels.max() + 1))
    return seam, (labels > 0) & (away > 0.6 * deepest[labels])


@pytest.fixture(scope="module")
def rods():
    return _drawn(bacteria)


def test_rods_have_the_promised_size_and_number(rods):
    widths, lengths, counts = [], [], []
    for specimen in rods:
        regions = regionprops(specimen.labels)
        counts.append(len(regions))
        widths.append(np.median([r.axis_minor_length for r in regions]))
        lengths.append(np.median([r.axis_major_length for r in regions]))
    assert min(counts) >= 4
    assert np.median(counts) >= 30
    assert max(counts) <= 256
    assert min(widths) > 3.5
    # 14 pixels, swollen where they press against each other.
    assert 12 < max(widths) < 18
    assert min(lengths) > 9
    assert 45 < max(lengths) < 6 * 18
    assert np.median(np.array(lengths) / widths) > 1.8


@pytest.mark.parametrize("family", [bacteria, cocci, yeasts])
def test_most_objects_have_a_neighbour_within_three_pixels(family):
    assert np.mean([_near(s.labels) for s in _drawn(family)]) > 0.8


def test_neighbouring_rods_are_aligned(rods):
    turns = []
    for specimen in rods:
        regions = [r for r in regionprops(specimen.labels) if r.eccentricity > 0.85]
        if len(regions) < 10:
            continue
        where = np.array([r.centroid for r in regions])
        angle = np.array([r.orientation for r in regions])
        far = np.hypot(*(where[:, None] - where).transpose(2, 0, 1))
        np.fill_diagonal(far, 1e6)
        turn = np.abs(angle - angle[far.argmin(1)]) % np.pi
        turns.append(np.median(np.minimum(turn, np.pi - turn)))
    # Rods in disorder would differ by an eighth of a turn, 0.79.
    assert np.median(turns) < 0.3


@pytest.mark.parametrize("family", [bacteria, cocci, yeasts])
def test_seams_differ_from_the_inside_more_than_neighbours_do(family):
    clearer = []
    for seed, specimen in enumerate(_drawn(family)):
        grey = expose(np.random.default_rng(seed), specimen).mean(2)
        seam, middle = _across(specimen.labels)
        if seam.sum() < 100:
            continue
        # Uneven light is taken out by a wide mean.
        flat = grey - ndimage.gaussian_filter(grey, 12)
        step = abs(flat[seam].mean() - flat[middle].mean())
        index = np.arange(1, specimen.labels.max() + 1)
        means = ndimage.median(flat, np.where(middle, specimen.labels, 0), index)
        clearer.append(step > 0.5 * np.nanstd(means))
    assert len(clearer) >= 6
    assert np.mean(clearer) >= 0.75


def test_yeast_is_round_and_larger_than_bacteria(rods):
    widths = [
        np.median([r.axis_minor_length for r in regionprops(s.labels)])
        for s in _drawn(yeasts)
    ]
    assert min(widths) > 9
    assert max(widths) < 44
    small = [np.median([r.area for r in regionprops(s.labels)]) for s in rods]
    assert np.median(widths) ** 2 > np.median(small)
