"""Short runs are trained, measured, kept and compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from training import leave_one_out, trials, variants
from training.trials import Outcome, Trial
from training.user import ObjectResult


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    class Pool:
        """Stands for processes, of which each would load torch anew."""

        def __init__(self, count, context) -> None: ...
        def __enter__(self):
            return self

        def __exit__(self, *error) -> None: ...
        def map(self, function, *columns):
            return map(function, *columns)

    monkeypatch.setattr(trials, "ProcessPoolExecutor", Pool)
    # The thread pool is the whole test run's.
    monkeypatch.setattr(trials.torch, "set_num_threads", lambda count: None)


@pytest.fixture
def trial(data_folder, tmp_path) -> Trial:
    runs = tmp_path / "runs"
    runs.mkdir()
    return Trial(
        "tiny",
        data_folder,
        runs,
        minutes=1e-4,
        images=1,
        synthetic=2,
        scratch=True,
        pyramid=16,
        widths=(8, 8, 16, 16),
    )


def test_a_trial_is_trained_for_its_time_and_measured(trial):
    (outcome,) = trials.run_all([trial], 1)
    assert outcome.steps == 1  # the time is over after the first step
    assert len(outcome.results) == 2
    assert all(len(one.clicks) == 5 for one in outcome.results)
    assert 3e6 < outcome.parameters < 4e6  # the encoder's, nearly all
    # A finished one is read again.
    stored = json.loads((trial.run / "outcome.json").read_text())
    stored["steps"] = 77
    (trial.run / "outcome.json").write_text(json.dumps(stored))
    (again,) = trials.run_all([trial], 1)
    assert again.steps == 77
    assert again.results == outcome.results


def test_the_last_weights_are_measured_and_not_their_average(trial, monkeypatch):
    measured = []

    def fit(self, images):
        self.network.decoder.masks.bias.data.fill_(7)
        self.average.module.decoder.masks.bias.data.fill_(3)
        self.save()

    def measure(responder, *rest):
        measured.append(responder._tracker.network.decoder.masks.bias.tolist())
        return []

    monkeypatch.setattr(trials.Trainer, "fit", fit)
    monkeypatch.setattr(trials, "measure", measure)
    trials.run_all([trial], 1)
    assert measured == [[7.0] * 4]


def made_up(dataset: str, iou: float) -> ObjectResult:
    return ObjectResult(
        dataset, "image", 1, 400, [iou] * 5, [iou] * 5, iou, iou + 0.1, iou
    )


def outcome(name: str, iou: float, **changes) -> Outcome:
    run = Trial(name, Path(), Path(), 1.0, **changes)
    sets = [changes["exclude"]] if changes.get("exclude") else ["a", "b"]
    return Outcome(run, 4_700_000, 900, [made_up(one, iou) for one in sets])


def test_variants_are_laid_side_by_side():
    table = variants.tabulate([outcome("pretrained", 0.5), outcome("wide", 0.6)])
    assert "| as shipped: ImageNet encoder | 4.7 M | 900 | 0.500 |" in table
    assert "| wider pyramid and decoder | 4.7 M | 900 | 0.600 |" in table


def test_every_variant_can_be_built_and_differs():
    built = {
        (trial.scratch, sum(p.numel() for p in trial.network().parameters()))
        for name, (_, changes) in variants.VARIANTS.items()
        if (trial := Trial(name, Path(), Path(), 1.0, **{**changes, "scratch": True}))
    }
    sizes = {size for _, size in built}
    # The one from scratch is as large as the shipped one.
    assert len(sizes) == len(variants.VARIANTS) - 1


def test_a_data_set_that_was_left_out_is_compared_with_one_that_was_seen():
    seen = [made_up("a", 0.8), made_up("b", 0.6)]
    left = [outcome("x", 0.5, exclude="a"), outcome("y", 0.3, exclude="b")]
    table = leave_one_out.tabulate(seen, left)
    assert "| a | 1 | 0.500 / 0.800 |" in table
    assert "| b | 1 | 0.300 / 0.600 |" in table
    assert "| **mean** | 2 | 0.400 / 0.700 |" in table
    assert "0.600 / 0.900" in table  # the box


def test_what_is_left_out_is_not_trained_on(trial, monkeypatch):
    seen: list[str] = []

    def fit(self, images):
        seen.extend(image.dataset for image in images)
        self.save()

    monkeypatch.setattr(trials.Trainer, "fit", fit)
    monkeypatch.setattr(trials, "measure", lambda *rest: [])
    trials.run_all([Trial(**{**vars(trial), "exclude": "squares"})], 1)
    assert set(seen) == {"synthetic"}
