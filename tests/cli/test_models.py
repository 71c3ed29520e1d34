"""``napari-sam3 models``, ``… models download`` and ``… models doctor``."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models import machine
from napari_sam3.models.catalog import CATALOG
from tests.models.hub_server import Refusal

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture(autouse=True)
def quick_probe(monkeypatch) -> None:
    def quick(*arguments, measure=machine.measure, **options):
        return measure("cpu", "float32", seconds=0.01)

    monkeypatch.setattr(machine, "measure", quick)


@pytest.fixture
def cells_model(spec, monkeypatch):
    """Return a model of the catalog that can be downloaded."""
    monkeypatch.setitem(CATALOG, spec.id, spec)
    return spec


# ---- list -------------------------------------------------------------------


def test_models_are_listed_with_licence_size_and_place(sam3):
    done = sam3("models")
    assert (done.code, done.err) == (0, "")
    for spec in CATALOG.values():
        assert spec.id in done.out
        assert spec.licence in done.out
        assert spec.source in done.out
        assert spec.size is None or f"{spec.size / 1e6:,.1f} MB" in done.out
    assert str(CATALOG["nano"].path) in done.out
    assert "SAM License, gated" in done.out
    assert 'needs pip install "napari-sam3[families]"' in done.out


def test_models_as_json(sam3):
    models = {one["id"]: one for one in sam3("models", "--json").facts}
    assert list(models) == list(CATALOG)
    assert models["nano"]["bytes"] == CATALOG["nano"].size
    assert [one["id"] for one in models.values() if one["is_default"]] == ["nano"]
    assert models["sam3"]["is_gated"]
    assert models["sam3"]["path"] is None


def test_a_model_that_is_not_here_is_listed_too(sam3, monkeypatch, tmp_path):
    absent = replace(CATALOG["nano"], path=tmp_path / "none.safetensors")
    monkeypatch.setitem(CATALOG, "nano", absent)
    line = sam3("models").out.splitlines()[1]
    assert line.split()[:2] == ["nano", "-"]
    assert line.endswith("no")


# ---- download ---------------------------------------------------------------


def test_a_model_is_downloaded_and_then_listed_as_here(sam3, cells_model, content):
    done = sam3("models", "download", "cells")
    assert (done.code, done.err) == (0, "")
    assert f"cells is at {cells_model.here[0]}" in done.out
    assert "--model cells" in done.out
    assert cells_model.here[0].read_bytes() == content
    assert str(cells_model.here[0]) in sam3("models").out


def test_a_terminal_sees_how_far_it_is(sam3, cells_model, monkeypatch):
    from napari_sam3.cli import models

    told = []
    monkeypatch.setattr(models.Progress, "say", lambda self, text: told.append(text))
    assert sam3("models", "download", "cells").code == 0
    assert told[-1] == "cells: 0 of 0 MB (100%)"


def test_a_refused_download_fails_with_the_next_step(sam3, cells_model, hub):
    hub.refusal = Refusal(401, "GatedRepo", "Please log in.")
    done = sam3("models", "download", "cells")
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("napari-sam3: error: ")
    assert "hf auth login" in done.err
    assert done.err.count("\n") == 1


def test_an_unknown_model_cannot_be_downloaded(sam3):
    done = sam3("models", "download", "huge")
    assert done.code == 1
    assert "There is no model 'huge'" in done.err


# ---- doctor -----------------------------------------------------------------


def test_the_doctor_looks_at_the_machine_and_at_all_that_is_here(sam3):
    done = sam3("models", "doctor")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("this machine\n  device: cpu")
    assert str(CATALOG["nano"].path) in done.out
    assert "whole: yes" in done.out
    assert "s a click" in done.out


@pytest.mark.parametrize("order", ["models doctor nano --json", "models --json doctor"])
def test_the_doctor_as_json(sam3, order):
    facts = sam3(*order.split()).facts
    assert facts["machine"]["device"] == "cpu"
    assert facts["machine"]["rates"]["float32"] > 0
    (nano,) = facts["weights"]
    assert nano["model"] == "nano"
    assert nano["is_whole"]
    assert 0 < nano["seconds_per_click"] < 60


def test_a_file_that_is_not_whole_is_an_error_after_all_was_said(sam3, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"some.weight": torch.ones(2)}, path)
    done = sam3("models", "doctor", path)
    assert done.code == 1
    assert "whole: no" in done.out
    assert "some.weight" in done.out
    assert f"{path} cannot be used as it is" in done.err


@pytest.mark.parametrize("name", ["none.pt", "sam3"])
def test_what_is_not_there_is_an_error(sam3, name):
    done = sam3("models", "doctor", name)
    assert done.code == 1
    assert name in done.err


def test_wrong_words_after_models_are_wrong_usage(sam3):
    assert sam3("models", "upload", "sam3").code == 2
    assert sam3("models", "download").code == 2
