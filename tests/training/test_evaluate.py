"""The command measures, compares, prints and writes."""

from __future__ import annotations

import json
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from training import evaluate
from training.baselines import BASELINES, RANDOM, WATERSHED
from training.report import NANO, read_results


@pytest.fixture
def run(data_folder, random_weights, capsys):
    """Run the command on the data folder; what it printed."""

    def run(*arguments: str) -> str:
        evaluate.main(
            [
                str(data_folder),
                *("--model", str(random_weights), "--device", "cpu"),
                *arguments,
            ]
        )
        return capsys.readouterr().out

    return run


def test_the_command_writes_tables_a_report_and_pictures(run, tmp_path):
    report, pictures = tmp_path / "report.json", tmp_path / "pictures"
    printed = run(
        *("--clicks", "2", "--images", "1", "--baseline-objects", "1"),
        *("--baseline-clicks", "1", "--output", str(report)),
        *("--pictures", str(pictures)),
    )
    assert "| squares | 1 | 2 |" in printed
    assert "correlation" in printed
    assert "on the same 1 objects (at most 1 an image), at most 1 clicks" in printed
    for name in (NANO, *BASELINES):
        assert f"| {name} | 1 | 1 |" in printed
    results = read_results(report)
    assert len(results) == 2
    assert all(len(one.clicks) == 2 for one in results)
    written = json.loads(report.read_text())
    assert 0 <= written["mean"]["1 click"] <= 1
    assert list(written["baselines"]) == [NANO, *BASELINES]
    # Bright squares are easy for a threshold.
    assert written["baselines"][WATERSHED]["sets"]["squares"]["figures"]["1 click"][
        "mean"
    ] == pytest.approx(1, abs=0.2)
    sheets = sorted(path.name for path in pictures.iterdir())
    assert sheets == ["worst-1-click.png", "worst-5-clicks.png"]
    with Image.open(pictures / sheets[0]) as sheet:
        assert np.ptp(np.asarray(sheet)) > 100


def test_baselines_can_be_left_out_and_windows_too(run):
    short = ("--clicks", "1", "--objects", "1", "--images", "1")
    printed = run(*short, "--no-baselines", "--whole")
    assert "| squares | 1 | 1 |" in printed
    assert "No baselines were measured." in printed
    printed = run(*short, "--whole")
    assert f"| {RANDOM} |" in printed
    assert "without windows and focus" not in printed


class Pool:
    """Stands for processes: what goes in and comes out is pickled."""

    used: ClassVar[list[int]] = []

    def __init__(self, count, context) -> None:
        self.used.append(count)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def map(self, function, *columns):
        for row in zip(*columns):
            copies = pickle.loads(pickle.dumps(row))
            yield pickle.loads(pickle.dumps(function(*copies)))


def test_several_processes_find_the_same(run, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    reports = [tmp_path / f"{n}.json" for n in (1, 2)]
    for workers, report in zip((1, 5), reports):
        run(
            *("--clicks", "1", "--objects", "1", "--no-baselines"),
            *("--workers", str(workers), "--output", str(report)),
        )
    one, two = map(read_results, reports)
    assert one == two
    assert len({result.image for result in one}) == 2
    # No more processes than images.
    assert Pool.used == [2]


def test_hints_reach_the_predictor(run, monkeypatch):
    told = []

    class Responder(evaluate.PredictorResponder):
        def answer(self, question):
            told.append(self._hint(question))
            return super().answer(question)

    monkeypatch.setattr(evaluate, "PredictorResponder", Responder)
    run("--clicks", "1", "--images", "1", "--no-baselines", "--hints")
    assert told[0] == {}
    assert told[-1]["size_hint"].sizes_px == (20.0,)


def test_twenty_clicks_are_the_default():
    assert evaluate.parse_arguments(["data"]).clicks == 20


def test_one_data_set_can_be_measured(run, data_folder):
    few = ("--clicks", "1", "--objects", "1", "--no-baselines")
    manifest = data_folder / "manifest.csv"
    rows = manifest.read_text()
    other = rows.replace("test,squares,squares/1", "test,others,squares/1")
    assert other != rows
    manifest.write_text(other)
    assert "| squares | 1 | 1 |" in run(*few)
    printed = run(*few, "--dataset", "others")
    assert "| others | 1 | 1 |" in printed
    assert "| squares |" not in printed
    with pytest.raises(SystemExit, match=r"no data set 'oters'; there are others, sq"):
        run(*few, "--dataset", "oters")


def test_nothing_to_measure_is_said(run, data_folder):
    for labels in data_folder.glob("test/*/*.labels.png"):
        Image.fromarray(np.zeros((96, 96), np.uint16)).save(labels)
    with pytest.raises(SystemExit, match="hold no object to measure; see training"):
        run()


@pytest.mark.parametrize("option", ["--clicks", "--objects", "--workers"])
def test_counts_are_at_least_one(option, capsys):
    with pytest.raises(SystemExit):
        evaluate.parse_arguments(["data", option, "0"])
    assert "give 1 or more" in capsys.readouterr().err
