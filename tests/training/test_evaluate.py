"""Figures of the evaluation, on results that can be checked by eye."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.tracker import no_report
from training import evaluate
from training.data import LabelledImage, load_split
from training.evaluate import (
    choose_images,
    choose_objects,
    clicks_needed,
    correlate,
    measure,
    summarise,
    tabulate,
)
from training.user import ObjectResult


def result(
    dataset: str, clicks: list[float], box: float = 0.5, more: float = 0.7
) -> ObjectResult:
    return ObjectResult(
        dataset,
        "image",
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
    result("cells", [0.4, 0.6, 1.0], box=0.7, more=0.9),
    result("nuclei", [0.9, 0.9, 0.9], box=0.8, more=0.8),
]


# ---- figures ----------------------------------------------------------------


def test_figures_are_means_over_objects():
    assert summarise(RESULTS[:2]) == pytest.approx(
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
    figures = summarise([result("cells", steps), result("cells", [0.8] * 20)])
    assert figures["5 clicks"] == pytest.approx((0.25 + 0.8) / 2)
    assert figures["20 clicks"] == pytest.approx(0.9)
    assert figures["NoC@85"] == (17 + 20) / 2
    assert figures["NoC@90"] == (18 + 20) / 2


@pytest.mark.parametrize(("target", "needed"), [(0.1, 1), (0.4, 2), (0.5, 3), (0.9, 3)])
def test_clicks_needed(target, needed):
    assert clicks_needed(RESULTS[0], target) == needed


def test_the_mean_is_over_data_sets_not_objects():
    mean, table = tabulate(RESULTS)
    assert mean["1 click"] == pytest.approx((0.3 + 0.9) / 2)
    assert table.splitlines() == [
        "| data set | objects | 1 click | 3 clicks | best of 3 | box | box + 2 |",
        "|---|---|---|---|---|---|---|",
        "| cells | 2 | 0.300 | 0.800 | 0.400 | 0.600 | 0.800 |",
        "| nuclei | 1 | 0.900 | 0.900 | 1.000 | 0.800 | 0.800 |",
        "| **mean** | 3 | 0.600 | 0.850 | 0.700 | 0.700 | 0.800 |",
    ]


def scored(*pairs: tuple[float, float]) -> list[ObjectResult]:
    results = [result("cells", [reached]) for reached, _ in pairs]
    for one, (_, score) in zip(results, pairs):
        one.scores = [score]
    return results


def test_predicted_and_true_quality_may_go_together_or_not():
    together = scored((0.1, 0.2), (0.5, 0.6), (0.9, 1.0))
    assert correlate(together) == pytest.approx(1)
    assert correlate(scored((0.1, 0.9), (0.9, 0.1))) == pytest.approx(-1)


@pytest.mark.parametrize(
    "pairs", [[(0.1, 0.2)], [(0.1, 0.5), (0.9, 0.5)], [(0.5, 0.1), (0.5, 0.9)]]
)
def test_what_is_always_the_same_goes_together_with_nothing(pairs):
    assert np.isnan(correlate(scored(*pairs)))


# ---- which objects ----------------------------------------------------------


def image_with_areas(modality: str, *areas: int) -> LabelledImage:
    labels = np.zeros((2 * len(areas), 200), np.uint16)
    for index, area in enumerate(areas):
        labels[2 * index, :area] = index + 1
    image = np.zeros(labels.shape, np.uint8)
    return LabelledImage.build(image, labels, name="a.png", modality=modality)


def test_specks_are_not_measured():
    areas = (49, 50, 99, 100)
    assert choose_objects(image_with_areas("nuclei", *areas), 8) == [2, 3, 4]
    assert choose_objects(image_with_areas("em_sem_axons", *areas), 8) == [4]


def test_the_same_few_objects_are_chosen_every_time():
    image = image_with_areas("nuclei", *[60] * 30)
    chosen = choose_objects(image, 5)
    assert len(set(chosen)) == 5
    assert chosen == sorted(chosen) == choose_objects(image, 5)
    assert chosen != [1, 2, 3, 4, 5]


def images_of(dataset: str, count: int) -> list[LabelledImage]:
    empty = np.zeros((2, 2), np.uint8)
    return [
        LabelledImage.build(empty, empty, name=f"{dataset}{n}", dataset=dataset)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (4, ["a0", "a2", "a4", "a6", "b0", "b1", "b2"]),
        (1, ["a0", "b0"]),
        (9, [f"a{n}" for n in range(7)] + ["b0", "b1", "b2"]),
    ],
)
def test_no_more_images_than_wanted_spread_over_each_data_set(count, kept):
    images = images_of("a", 7) + images_of("b", 3)
    assert [image.name for image in choose_images(images, count)] == kept


# ---- a model ----------------------------------------------------------------


class Oracle:
    """Knows the labels; says the truth, or a shifted one."""

    model_id = fingerprint = "oracle"
    low_res_size, device = 16, torch.device("cpu")
    is_quick = True

    def __init__(self, labels: np.ndarray, shift: int = 0) -> None:
        self.labels, self.shift = labels, shift
        self.asked = 0

    def embed(self, images, *, report=no_report):
        return [Embedding(None, image.shape[:2], "oracle", 0) for image in images]

    def predict(self, embedding, prompts, *, multimask):
        self.asked += 1
        (prompt,) = prompts
        if len(prompt.points):
            row, col = prompt.positive[0].astype(int)
        else:
            row, col = (int(edge) + 5 for edge in prompt.box[:2])
        truth = np.roll(self.labels == self.labels[row, col], self.shift, 0)
        logits = np.where(truth, 9, -9).astype(np.float32)
        low_res = np.zeros((16, 16), np.float32)
        box = (0, 0, *truth.shape)
        masks = [Prediction(logits, box, 0.9, low_res)]
        masks += [Prediction(0 * logits - 9, box, 0.1, low_res)] * 2
        return [masks[: 3 if multimask else 1]]

    def image_embedding(self, embedding):
        raise NotImplementedError


def test_a_perfect_model_reaches_one(data_folder):
    (image, _) = load_split(data_folder, "test")
    model = Oracle(image.labels)
    results = measure(model, [image], 8, 4)
    assert [r.label for r in results] == [1, 2]
    for r in results:
        assert r.area == 400
        assert r.clicks == [1.0] * 4
        assert r.scores == pytest.approx([0.9] * 4)
        assert r.best_of_three == r.box == r.box_clicks == 1
    # Nothing is left to be clicked: one click and one box for each object.
    assert model.asked == 4


def test_a_mask_that_is_a_little_off_gets_all_clicks(data_folder):
    (image, _) = load_split(data_folder, "test")
    model = Oracle(image.labels, shift=2)
    (first, _) = measure(model, [image], 8, 3)
    assert first.clicks == pytest.approx([18 / 22] * 3)
    assert first.box == pytest.approx(18 / 22)
    assert model.asked == 2 * (3 + 1 + 2)


def test_images_without_objects_are_passed_over():
    empty = image_with_areas("nuclei", 10)
    assert measure(Oracle(empty.labels), [empty], 8, 3) == []


# ---- the command ------------------------------------------------------------


@pytest.mark.parametrize("view", [(), ("--whole",)])
def test_the_command_writes_a_table_and_a_report(
    data_folder, random_weights, tmp_path, capsys, view
):
    report = tmp_path / "report.json"
    evaluate.main(
        [
            str(data_folder),
            *("--model", str(random_weights), "--device", "cpu"),
            *("--clicks", "2", "--objects", "1", "--output", str(report)),
            *view,
        ]
    )
    printed = capsys.readouterr().out
    assert "| squares | 2 |" in printed
    assert "predicted and true IoU at 1 click: correlation" in printed
    written = json.loads(report.read_text())
    assert list(written) == ["mean", "correlation", "objects"]
    assert len(written["objects"]) == 2
    assert all(len(one["clicks"]) == 2 for one in written["objects"])
    assert 0 <= written["mean"]["1 click"] <= 1


def test_a_report_without_a_correlation_is_json(
    data_folder, random_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluate, "correlate", lambda results: float("nan"))
    report = tmp_path / "report.json"
    evaluate.main(
        [
            str(data_folder),
            *("--model", str(random_weights), "--device", "cpu", "--images", "1"),
            *("--clicks", "1", "--objects", "1", "--output", str(report)),
        ]
    )

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    written = json.loads(report.read_text(), parse_constant=refuse)
    assert written["correlation"] is None


def test_the_command_can_be_limited_to_some_images(data_folder, random_weights, capsys):
    evaluate.main(
        [
            str(data_folder),
            *("--model", str(random_weights), "--device", "cpu"),
            *("--clicks", "1", "--objects", "1", "--images", "1"),
        ]
    )
    assert "| squares | 1 |" in capsys.readouterr().out
