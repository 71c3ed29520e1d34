"""What windows are worth is measured on small objects of large planes only."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import build_tracker
from training import small_objects
from training.data import LabelledImage
from training.small_objects import WAYS, gain, measure, tabulate


@pytest.fixture(scope="module")
def plane() -> LabelledImage:
    """Draw a plane of 1900 x 1800 with bright discs, twelve small and one large."""
    rng = np.random.default_rng(0)
    labels = np.zeros((1900, 1800), np.int32)
    rows, cols = np.ogrid[:1900, :1800]
    for number in range(12):
        row, col = 100 + 250 * (number // 4), 120 + 250 * (number % 4)
        labels[np.hypot(rows - row, cols - col) < 5.9] = number + 1
    labels[np.hypot(rows - 900, cols - 500) < 60] = 99
    image = np.where(labels > 0, 170, 60) + rng.normal(0, 8, labels.shape)
    grey = image.clip(0, 255).astype(np.uint8)
    return LabelledImage.build(np.repeat(grey[..., None], 3, axis=2), labels)


def test_only_small_objects_of_large_planes_are_chosen(plane):
    assert small_objects.small_objects(plane, 40) == list(range(1, 13))
    assert len(small_objects.small_objects(plane, 5)) == 5
    part = LabelledImage.build(plane.image[:800, :800].copy(), plane.labels[:800, :800])
    assert small_objects.small_objects(part, 40) == []


def test_windows_find_what_the_whole_plane_shows_as_a_dot(plane):
    results = measure(build_tracker(model="nano", device="cpu"), [plane], 2)
    assert len(results) == 2
    assert gain(results) > 0.1
    for one in results:
        assert one["on demand"].clicks[0] > one["whole"].clicks[0] + 0.1
    table = tabulate(results).splitlines()
    assert table[0].count("|") == 3 + 3 * len(WAYS)
    assert table[-1].startswith("| **all objects** | 2 |")
