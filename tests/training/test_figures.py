"""Figures of the evaluation, on results that can be checked by eye."""

from __future__ import annotations

import pytest

from training.figures import (
    ALL,
    MEAN,
    by_dataset,
    clicks_needed,
    curves,
    falls,
    group,
    shorten,
)
from training.user import ObjectResult


def result(
    dataset: str,
    clicks: list[float],
    box: float = 0.5,
    more: float = 0.7,
    image: str = "image",
) -> ObjectResult:
    return ObjectResult(
        dataset,
        image,
        1,
        100,
        clicks=clicks,
        scores=[0.5] * len(clicks),
        best_of_three=clicks[0] + 0.1,
        box=box,
        box_clicks=more,
    )


RESULTS = [
    result("cells", [0.2, 0.4, 0.6], box=0.5, more=0.7),
    result("cells", [0.4, 0.6, 1.0], box=0.7, more=0.9, image="other"),
    result("nuclei", [0.9, 0.9, 0.9], box=0.8, more=0.8),
]


def test_figures_are_means_over_objects():
    assert group(RESULTS[:2]).means == pytest.approx(
        {
            "1 click": 0.3,
            "3 clicks": 0.8,
            "best of 3": 0.4,
            "box": 0.6,
            "box + 2": 0.8,
        }
    )


def test_long_runs_count_the_clicks_that_are_needed():
    steps = [n / 20 for n in range(1, 21)]
    figures = group([result("cells", steps), result("cells", [0.8] * 20)]).means
    assert figures["5 clicks"] == pytest.approx((0.25 + 0.8) / 2)
    assert figures["20 clicks"] == pytest.approx(0.9)
    assert figures["NoC@85"] == (17 + 20) / 2
    assert figures["NoC@90"] == (18 + 20) / 2
    assert figures["over .90 at 20"] == 0.5


def test_an_object_is_good_if_it_is_over_the_mark_after_twenty_clicks():
    falling = [0.95] * 19 + [0.9]
    assert group([result("cells", falling)]).means["over .90 at 20"] == 0
    assert group([result("cells", [0.9] * 19 + [0.901])]).means["over .90 at 20"] == 1


@pytest.mark.parametrize(
    ("target", "needed"), [(0.1, 1), (0.4, 2), (0.5, 3), (0.9, 20)]
)
def test_clicks_needed(target, needed):
    assert clicks_needed(RESULTS[0].clicks, target) == needed


def test_more_than_twenty_clicks_count_as_twenty():
    assert clicks_needed([0.0] * 24 + [1.0], 0.9) == 20


def test_the_mean_is_over_data_sets_and_another_over_objects():
    groups = by_dataset(RESULTS)
    assert list(groups) == ["cells", "nuclei", MEAN, ALL]
    assert groups[MEAN].means["1 click"] == pytest.approx((0.3 + 0.9) / 2)
    assert groups[ALL].means["1 click"] == pytest.approx(1.5 / 3)
    counts = [(one.sets, one.images, one.objects) for one in groups.values()]
    assert counts == [(1, 2, 2), (1, 1, 1), (2, 3, 3), (2, 3, 3)]


def test_intervals_come_from_the_sets_images():
    groups = by_dataset(RESULTS)
    assert groups["cells"].figures["1 click"][1:] == pytest.approx((0.2, 0.4))
    assert groups["nuclei"].figures["1 click"][1:] == pytest.approx((0.9, 0.9))
    assert groups[MEAN].figures["1 click"][1:] == pytest.approx((0.55, 0.65))


def test_curves_tell_where_more_clicks_make_it_worse():
    steps = curves([*RESULTS, result("nuclei", [0.9, 0.7, 0.8])])
    assert steps["nuclei"] == pytest.approx([0.9, 0.8, 0.85])
    assert steps[MEAN] == pytest.approx([0.6, 0.65, 0.825])
    assert falls(steps["nuclei"]) == [(2, pytest.approx(0.1))]
    assert falls(steps["cells"]) == falls(steps[MEAN]) == []
    assert falls([0.5, 0.5, 0.4, 0.3]) == [
        (3, pytest.approx(0.1)),
        (4, pytest.approx(0.1)),
    ]


def test_a_shorter_run_is_the_start_of_a_longer_one():
    short = shorten(RESULTS[1], 2)
    assert short.clicks == [0.4, 0.6]
    assert short.scores == [0.5, 0.5]
    assert (short.box, short.box_clicks) == (0.7, 0.9)
    assert RESULTS[1].clicks == [0.4, 0.6, 1.0]
