"""The benchmarks' arithmetic and tables, on fixed numbers; nothing is timed."""

import json
import sys

import numpy as np
import pytest

from benchmarks import speed
from benchmarks.ratios import Comparison, Spread, take_turns, time_in_turns
from benchmarks.report import comparison_table, steps_table
from benchmarks.sample import draw_sample


def compare(first, second):
    return Comparison("encode", "peer", "nano", tuple(first), tuple(second), "≥ 30")


def test_ratios_are_taken_within_rounds():
    # The machine gets four times slower half way; the ratio does not notice.
    comparison = compare([3.0, 3.0, 12.0, 12.0], [0.1, 0.1, 0.4, 0.4])
    assert comparison.ratio == Spread(*[pytest.approx(30)] * 5)


def test_one_disturbed_round_shows_in_the_spread_only():
    ratio = compare([2.0] * 5, [0.1, 0.1, 0.1, 0.1, 0.5]).ratio
    assert ratio.median == pytest.approx(20)
    assert ratio.minimum == pytest.approx(4)


@pytest.mark.parametrize(
    ("first", "second"), [((), ()), ((1.0,), (1.0, 2.0)), ((1.0,), (0.0,))]
)
def test_what_makes_no_pairs_is_refused(first, second):
    with pytest.raises(ValueError, match=r"pairs|positive"):
        compare(first, second)


def test_turns_alternate_and_warm_up_does_not_count():
    calls = []
    first_s, second_s = time_in_turns(
        lambda: calls.append("a"), lambda: calls.append("b"), rounds=3, warm_up=1
    )
    assert calls == ["a", "b"] * 4
    assert len(first_s) == len(second_s) == 3


def test_turns_come_back_per_function():
    numbers = iter([1.0, 2.0, 3.0, 4.0])
    turns = take_turns([lambda: next(numbers)] * 2, 2)
    assert turns == [(1.0, 3.0), (2.0, 4.0)]


def test_json_holds_every_time():
    saved = json.loads(json.dumps(compare([2.0, 4.0], [0.1, 0.1]).to_json()))
    assert saved["first_s"] == [2.0, 4.0]
    assert saved["ratio"]["median"] == pytest.approx(30)
    assert saved["first_median_s"] == pytest.approx(3)


def test_comparison_table():
    table = comparison_table([compare([2.0, 4.0], [0.1, 0.1])])
    assert table.splitlines()[-1] == (
        "| encode | 3.00 s | 100 ms | **30** | 25–35 | 20–40 | ≥ 30 |"
    )


def test_steps_table():
    assert steps_table({"import torch": 1.5, "encode": 0.5}).splitlines()[2:] == [
        "| import torch | 1.50 | 75% |",
        "| encode | 0.50 | 25% |",
    ]


@pytest.mark.parametrize("size", [128, 300])
def test_sample_shows_a_cell_where_it_says(size):
    sample = draw_sample(size)
    assert sample.image.shape == (size, size, 3)
    assert sample.image.dtype == np.uint8
    col, row = (round(value) for value in sample.centre_xy)
    beside = round(sample.correction[1][0]), round(sample.correction[1][1])
    assert sample.image[row, col, 0] > sample.image[beside[1], beside[0], 0] + 40
    assert np.array_equal(sample.image, draw_sample(size).image)


def test_missing_peer_is_one_line_with_the_remedy(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert speed.main(["--rounds", "1"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "pip install 'napari-sam3[benchmarks]'" in message
