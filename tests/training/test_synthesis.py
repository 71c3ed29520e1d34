"""The made-up training pictures are reproducible, well labelled and legible."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label as connected_components

from training.scenes import FAMILIES as SHAPES
from training.scenes import MIN_AREA, boundaries, draw_scene, tidy
from training.synthesis import (
    FAMILIES,
    SPECIMENS,
    _pick,
    contact_sheet,
    synthesize,
)


@pytest.fixture(scope="module")
def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    return [synthesize(np.random.default_rng((11, i))) for i in range(40)]


def test_same_seed_same_picture():
    first = synthesize(np.random.default_rng(3))
    again = synthesize(np.random.default_rng(3))
    other = synthesize(np.random.default_rng(4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("size", [64, 200, 320])
def test_shapes_and_types(size):
    for seed in range(6):
        image, labels = synthesize(np.random.default_rng(seed), size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert labels.shape == (size, size)
        assert labels.dtype == np.uint16


def test_labels_are_consecutive_connected_and_not_specks(examples):
    for _, labels in examples:
        areas = np.bincount(labels.ravel())[1:]
        assert len(areas) > 0
        assert areas.min() >= MIN_AREA
        pieces = connected_components(labels, background=0, connectivity=1)
        assert pieces.max() == len(areas)


def test_tidy_keeps_one_fragment_of_each():
    labels = np.zeros((30, 30), np.int32)
    labels[2:8, 2:8] = 5
    labels[20:24, 2:8] = 5
    labels[2:6, 20:24] = 7
    labels[20:24, 20:24] = 7
    labels[15, 15] = 9
    result = tidy(labels)
    assert result.dtype == np.int32
    assert np.bincount(result.ravel()).tolist() == [900 - 36 - 16, 36, 16]


@pytest.mark.parametrize("family", SHAPES)
def test_every_family_of_shapes_can_be_drawn(family):
    for seed in range(8):
        scene = draw_scene(np.random.default_rng(seed), 160, family)
        assert scene.family == family
        assert scene.labels.max() >= 1


def test_every_family_of_shapes_appears():
    rng = np.random.default_rng(0)
    assert {draw_scene(rng, 64).family for _ in range(120)} == set(SHAPES)


@pytest.mark.parametrize("family", SPECIMENS)
def test_every_specimen_is_reproducible_and_well_labelled(family):
    for seed, size in ((1, 48), (2, 160), (3, 320)):
        image, labels = synthesize(np.random.default_rng(seed), size, family)
        again = synthesize(np.random.default_rng(seed), size, family)
        assert np.array_equal(image, again[0])
        assert np.array_equal(labels, again[1])
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert labels.dtype == np.uint16
        areas = np.bincount(labels.ravel())[1:]
        assert areas.min() >= MIN_AREA
        pieces = connected_components(labels, background=0, connectivity=1)
        assert pieces.max() == len(areas)


def test_families_are_drawn_by_their_shares():
    shares = np.array([share for _, share in SPECIMENS.values()])
    assert shares.min() >= 0.02
    assert 0.5 < shares.sum() < 0.9
    rng = np.random.default_rng(0)
    drawn = [_pick(rng) for _ in range(2000)]
    assert set(drawn) == set(FAMILIES)
    seen = np.array([drawn.count(f) for f in SPECIMENS]) / len(drawn)
    assert seen == pytest.approx(shares, abs=0.025)


def test_the_picture_belongs_to_the_family_that_was_asked_for():
    # Only sections are in colour throughout; neurites leave next to no background.
    pictures = [synthesize(np.random.default_rng(s), 96, "histology") for s in range(4)]
    assert all(np.ptp(image, axis=2).max() > 20 for image, _ in pictures)
    filled = [synthesize(np.random.default_rng(s), 96, "neurites") for s in range(4)]
    assert np.mean([(labels > 0).mean() for _, labels in filled]) > 0.75


def test_sizes_and_numbers_vary(examples):
    counts = [int(labels.max()) for _, labels in examples]
    assert min(counts) <= 5
    assert max(counts) >= 100
    sizes = [np.sqrt((y > 0).sum() / y.max()) for _, y in examples]
    assert np.percentile(sizes, 90) > 3 * np.percentile(sizes, 10)


def test_most_pictures_are_grey_and_some_in_colour(examples):
    grey = np.mean([(np.ptp(image, axis=2) == 0).all() for image, _ in examples])
    assert 0.5 < grey < 0.85


def test_outlines_lie_where_the_picture_changes(examples):
    # The slope under the true outlines against the same outlines moved elsewhere.
    ratios = []
    for image, labels in examples:
        smooth = ndimage.gaussian_filter(image.astype(np.float32), (1.2, 1.2, 0))
        dy, dx = np.gradient(smooth, axis=(0, 1))
        # On the crest of a thin line the slope is nil; it is steep on either side.
        slope = ndimage.maximum_filter(np.hypot(dy, dx).mean(2), 3)
        edge = boundaries(labels)
        shifts = [(97, 0), (0, 113), (71, 159), (160, 160)]
        moved = [slope[np.roll(edge, s, (0, 1))].mean() for s in shifts]
        ratios.append(slope[edge].mean() / np.mean(moved))
    assert np.mean(np.array(ratios) > 1.1) > 0.9
    assert np.median(ratios) > 1.8


def test_contact_sheet_has_whole_rows():
    assert contact_sheet(9, 0, 48).shape == (2 * 2 * 48, 8 * 48, 3)
