"""Tables say what was measured, and JSON holds all of it."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from training.figures import by_dataset
from training.report import NANO, Evaluation, read_results, tabulate
from training.user import ObjectResult


def result(dataset: str, label: int, *clicks: float, image: str = "a") -> ObjectResult:
    scores = [0.5 + clicks[0] / 2] * len(clicks)
    return ObjectResult(
        dataset, image, label, 20 * 20, [*clicks], scores, clicks[0], 0.5, 0.7
    )


RESULTS = [
    result("cells", 1, 0.2, 0.4, 0.6),
    result("cells", 2, 0.4, 0.6, 0.9, image="b"),
    result("nuclei", 1, 0.9, 0.8, 0.9),
]


def evaluation(results=RESULTS, **baselines: list[ObjectResult]) -> Evaluation:
    arguments = Namespace(
        split="validation",
        baseline_objects=1,
        data=Path("data"),
        whole=False,
        hints=True,
    )
    return Evaluation("nano", "nano-123", "1.0", arguments, results, baselines, 0.25)


def test_a_table_has_a_row_for_each_set_and_for_the_means():
    assert tabulate(by_dataset(RESULTS), "set").splitlines() == [
        "| set | images | objects | 1 click | 3 clicks | best of 3 | box | box + 2 |",
        "|---|---|---|---|---|---|---|---|",
        "| cells | 2 | 2 | 0.300 | 0.750 | 0.300 | 0.500 | 0.700 |",
        "| nuclei | 1 | 1 | 0.900 | 0.900 | 0.900 | 0.500 | 0.700 |",
        "| **mean of the sets** | 3 | 3 | 0.600 | 0.825 | 0.600 | 0.500 | 0.700 |",
        "| **all objects** | 3 | 3 | 0.500 | 0.800 | 0.500 | 0.500 | 0.700 |",
    ]


def test_clicks_are_counted_with_one_decimal():
    table = tabulate(by_dataset([result("cells", 1, *[0.5] * 9, *[0.95] * 11)]), "set")
    assert "| 10.0 | 10.0 | 1.000 |" in table


def test_everything_is_told():
    text = evaluation().to_markdown()
    assert "nano-123, with hints, napari-sam3 1.0, validation images: 3 objects" in text
    assert "| cells | 0.200–0.400 |" in text
    # One image says nothing about others.
    assert "| nuclei | - | - |" in text
    assert "few images: cells (2), nuclei (1)" in text
    assert "| nuclei | 0.900 | 0.800 | 0.900 |" in text
    assert "- nuclei: with click 2 (-0.100)" in text
    assert "- cells" not in text
    assert "| 16 to 32 px | 3 | 3 | 0.600 |" in text
    assert "correlation 1.00 over all objects" in text
    assert "| 0.9–1.0 | 1 | 0.950 | 0.900 |" in text
    assert "No baselines were measured." in text


def test_rising_curves_are_told_too():
    assert "No click lowers a mean." in evaluation(RESULTS[:2]).to_markdown()


def test_baselines_are_compared_on_the_same_objects_and_clicks():
    otsu = [result("cells", 1, 0.1, 0.1), result("nuclei", 1, 0.3, 0.3)]
    found = evaluation(otsu=otsu)
    own, other = found.compared().values()
    assert list(found.compared()) == [NANO, "otsu"]
    assert [one.clicks for one in own] == [[0.2, 0.4], [0.9, 0.8]]
    assert other == otsu
    text = found.to_markdown()
    assert "on the same 2 objects (at most 1 an image), at most 2 clicks" in text
    assert "| the model | 2 | 2 | 0.550 |" in text
    assert "| otsu | 2 | 2 | 0.200 |" in text


def test_json_holds_everything_and_is_read_again(tmp_path):
    found = evaluation(otsu=[result("cells", 1, 0.1, 0.1)])
    path = tmp_path / "report.json"
    # The baseline's scores are always the same: no correlation, and JSON has no NaN.
    path.write_text(json.dumps(found.to_json(), allow_nan=False))
    assert read_results(path) == RESULTS
    written = json.loads(path.read_text())
    assert written["fingerprint"] == "nano-123"
    assert written["arguments"]["data"] == "data"
    assert written["mean"]["1 click"] == pytest.approx(0.6)
    assert written["sets"]["cells"]["figures"]["1 click"] == {
        "mean": pytest.approx(0.3),
        "low": pytest.approx(0.2),
        "high": pytest.approx(0.4),
    }
    assert written["falls"]["nuclei"] == [{"click": 2, "amount": pytest.approx(0.1)}]
    assert written["calibration"]["bins"][-1]["objects"] == 1
    assert written["baselines"]["otsu"]["objects"][0]["clicks"] == [0.1, 0.1]


def test_no_correlation_is_null_in_json():
    written = evaluation(RESULTS[:1]).to_json()
    assert written["calibration"]["pearson"] is None
