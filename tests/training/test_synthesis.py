"""The made-up training pictures are reproducible, well labelled and legible."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label as connected_components

from training.scenes import FAMILIES, MIN_AREA, boundaries, draw_scene, tidy
from training.synthesis import contact_sheet, synthesize


@pytest.fixture(scope="module")
def examples() -> list[tuple[np.ndarray, np.ndarray]]:
    return [synthesize(np.random.default_rng((11, i))) for i in range(60)]


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


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_drawn(family):
    for seed in range(8):
        scene = draw_scene(np.random.default_rng(seed), 160, family)
        assert scene.family == family
        assert scene.labels.max() >= 1


def test_every_family_appears():
    rng = np.random.default_rng(0)
    assert {draw_scene(rng, 64).family for _ in range(120)} == set(FAMILIES)


def test_sizes_and_numbers_vary(examples):
    counts = [int(labels.max()) for _, labels in examples]
    assert min(counts) <= 5
    assert max(counts) >= 100
    sizes = [np.sqrt((y > 0).sum() / y.max()) for _, y in examples]
    assert np.percentile(sizes, 90) > 3 * np.percentile(sizes, 10)


def test_grey_and_colour_are_both_common(examples):
    grey = np.mean([(np.ptp(image, axis=2) == 0).all() for image, _ in examples])
    assert 0.3 < grey < 0.7


def test_outlines_lie_where_the_picture_changes(examples):
    # The slope under the true outlines against the same outlines moved elsewhere.
    ratios = []
    for image, labels in examples:
        smooth = ndimage.gaussian_filter(image.astype(np.float32), (1.2, 1.2, 0))
        dy, dx = np.gradient(smooth, axis=(0, 1))
        slope = np.hypot(dy, dx).mean(2)
        edge = boundaries(labels)
        shifts = [(97, 0), (0, 113), (71, 159), (160, 160)]
        moved = [slope[np.roll(edge, s, (0, 1))].mean() for s in shifts]
        ratios.append(slope[edge].mean() / np.mean(moved))
    assert np.mean(np.array(ratios) > 1.1) > 0.9
    assert np.median(ratios) > 1.8


def test_contact_sheet_has_whole_rows():
    assert contact_sheet(9, 0, 48).shape == (2 * 2 * 48, 8 * 48, 3)
