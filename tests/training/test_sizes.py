"""Size classes are told by the square root of the area."""

from __future__ import annotations

import pytest

from training.sizes import SIZE_CLASSES, by_size, size_class
from training.user import ObjectResult


@pytest.mark.parametrize(
    ("side", "index"),
    [(1, 0), (15.9, 0), (16, 1), (31, 1), (32, 2), (64, 3), (128, 4), (999, 4)],
)
def test_a_class_holds_its_lower_end(side, index):
    assert size_class(round(side**2)) == SIZE_CLASSES[index]


def test_classes_go_from_small_to_large_without_the_empty_ones():
    areas = (200 * 200, 4, 20 * 20, 5)
    results = [ObjectResult("a", "b", n, area) for n, area in enumerate(areas)]
    classes = by_size(results)
    assert list(classes) == ["< 16 px", "16 to 32 px", ">= 128 px"]
    assert [r.label for r in classes["< 16 px"]] == [1, 3]
