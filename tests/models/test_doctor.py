"""The doctor says what a file is, whether it is whole, and names what is missing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam3.core.errors import CheckpointError, ModelError
from napari_sam3.models import doctor, machine
from napari_sam3.models.catalog import CATALOG
from napari_sam3.models.doctor import examine
from napari_sam3.models.download import fetch_weights
from napari_sam3.models.spec import Cost, WeightsFile
from napari_sam3.models.weights.layout import Layout
from tests.models.hub_fixtures import NAME, REPO, make_spec
from tests.models.test_machine import CPU

pytestmark = pytest.mark.usefixtures("cache")

COST = Cost(encode=1e12, click=1e9, encode_share=1.0, click_share=1.0)
SHAPES = {"encoder.weight": (8, 4), "decoder.weight": (4, 8)}


@pytest.fixture
def layouts(monkeypatch) -> SimpleNamespace:
    """Put a small network in the place of those that are known."""

    def rename(name: str) -> str | None:
        return name.removeprefix("tiny.") if name.startswith("tiny.") else None

    layout = Layout("Tiny, by its makers", "tiny", "xs", "tiny.encoder.weight", rename)
    fake = SimpleNamespace(LAYOUTS=(layout,), expected_shapes=lambda layout: SHAPES)
    monkeypatch.setitem(sys.modules, "napari_sam3.models.layouts", fake)
    return fake


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    found = {f"tiny.{name}": torch.ones(shape) for name, shape in SHAPES.items()}
    return {**found, "text.weight": torch.ones(3, dtype=torch.bfloat16)}


def test_a_whole_file(layouts, tensors, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file(tensors, path)
    found = examine(path)
    assert found.is_whole
    assert not found.problems
    assert found.layout == "Tiny, by its makers"
    assert (found.format, found.tensors, found.used) == ("safetensors", 3, 2)
    assert found.parameters == 67
    assert found.dtypes == ("float32", "bfloat16")
    assert found.size == path.stat().st_size
    text = "\n".join(found.lines())
    assert "3 tensors of 67 numbers in float32 and bfloat16" in text
    assert "yes, all 2 tensors that are needed; it has no use for 1 others" in text
    json.dumps(found.facts())


def test_everything_that_is_wrong_is_named(layouts, tensors, tmp_path):
    del tensors["tiny.decoder.weight"]
    tensors["tiny.encoder.weight"] = torch.ones(8, 5)
    tensors["tiny.encoder.bias"] = torch.ones(8)
    path = tmp_path / "tiny.safetensors"
    save_file(tensors, path)
    found = examine(path)
    assert found.is_whole is False
    text = "\n".join(found.lines())
    assert "1 missing: decoder.weight" in text
    assert "tiny.encoder.weight (8, 5) instead of (8, 4)" in text
    assert "1 unknown: tiny.encoder.bias" in text
    assert "whole: no" in text


@pytest.mark.parametrize("kind", ["cut short", "no tensors", "empty", "code"])
def test_a_file_that_cannot_be_read_is_no_error_but_a_finding(
    layouts, tensors, tmp_path, kind
):
    path = tmp_path / f"tiny.{'pt' if kind == 'code' else 'safetensors'}"
    save_file(tensors, path)
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:-8])
    elif kind == "code":
        torch.save(SimpleNamespace(), path)
    else:
        path.write_bytes(b"hello" * 100 * (kind == "no tensors"))
    found = examine(path)
    assert found.is_whole is False
    assert found.format is None
    assert len(found.problems) == 1
    assert found.lines()[0].startswith("file: cannot be read")


def test_another_network_is_told_by_its_tensors(layouts, tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"blocks.0.weight": torch.ones(2)}, path)
    found = examine(path)
    assert found.is_whole is False
    assert "blocks.0.weight" in found.problems[0]
    assert "network: none that napari-sam3 knows" in found.lines()


def test_without_an_extra_it_cannot_be_told(layouts, tensors, tmp_path):
    def expected_shapes(layout):
        raise ModelError("Tiny needs transformers; install napari-sam3[families].")

    layouts.expected_shapes = expected_shapes
    path = tmp_path / "tiny.safetensors"
    save_file(tensors, path)
    found = examine(path)
    assert found.is_whole is None
    assert "whole: cannot be told" in found.lines()
    assert "install napari-sam3[families]" in found.problems[0]


def test_shards_count_together(layouts, tensors, tmp_path):
    for number, (name, tensor) in enumerate(tensors.items()):
        save_file({name: tensor}, tmp_path / f"{number}.safetensors")
    table = {name: f"{number}.safetensors" for number, name in enumerate(tensors)}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": table}))
    for target in (index, tmp_path):
        found = examine(target)
        assert found.is_whole
        assert found.format == "sharded safetensors"
        assert found.size == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_nothing_there_is_told(cache):
    with pytest.raises(CheckpointError, match=r"no weights file at none\.pt"):
        examine("none.pt")
    with pytest.raises(CheckpointError, match="napari-sam3 models download sam3"):
        examine("sam3")


# ---- models of the catalog ---------------------------------------------------


@pytest.fixture
def published(layouts, tensors, hub, tmp_path, monkeypatch):
    """Return a model of the catalog that was downloaded, and its file."""
    original = tmp_path / "original.safetensors"
    save_file(tensors, original)
    data = original.read_bytes()
    sha256 = hub.serve(REPO, NAME, data)
    spec = make_spec(WeightsFile(NAME, len(data), sha256))
    spec = replace(spec, family="tiny", cost=COST, parameters=64)
    monkeypatch.setattr(doctor, "CATALOG", {spec.id: spec})
    return spec, fetch_weights(spec)


def test_a_downloaded_model_is_known_with_its_licence(published):
    spec, path = published
    found = examine(spec.id)
    assert (found.path, found.spec, found.is_published) == (path, spec, True)
    assert found.is_whole
    text = "\n".join(found.lines())
    assert "model: cells (huggingface.co/someone/cells), unchanged" in text
    assert "licence: BSD-3-Clause" in text


def test_a_published_file_is_known_wherever_it_lies(published, tmp_path):
    spec, _ = published
    found = examine(tmp_path / "original.safetensors")
    assert found.spec == spec
    assert found.is_published


def test_a_changed_number_is_found_out(published):
    spec, path = published
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.resolve().write_bytes(data)
    found = examine(spec.id)
    assert found.is_published is False
    assert found.is_whole is False
    assert "get it again: napari-sam3 models download cells" in found.problems[0]
    assert "changed or damaged" in "\n".join(found.lines())


def test_the_machine_s_forecast_is_that_of_the_family(published, tmp_path):
    spec, _ = published
    found = examine(spec.id, machine=CPU)
    assert found.forecast == machine.forecast(CPU, COST, 64)
    assert found.facts()["seconds_per_image"] == pytest.approx(10)
    # Weights that somebody trained further, of the same network.
    own = tmp_path / "own.safetensors"
    tensors = load_file(tmp_path / "original.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, own)
    found = examine(own, machine=CPU)
    assert found.spec is None
    assert found.forecast == machine.forecast(CPU, COST, 64)
    assert "on this machine: about 10 s an image" in "\n".join(found.lines())


def test_reading_is_reported_and_can_be_cancelled(published, tmp_path, cache):
    spec, _ = published
    for note in cache.rglob("verified/*.json"):
        note.unlink()
    told = []
    examine(spec.id, report=lambda done, total: told.append((done, total)))
    assert told[-1] == (spec.size, spec.size)


def test_the_embedded_model_is_whole():
    found = examine("nano", machine=CPU)
    assert found.is_whole, found.problems
    assert found.spec is CATALOG["nano"]
    assert found.is_published is None
    assert found.forecast.seconds_per_click < 1
    assert examine(CATALOG["nano"].path).spec is CATALOG["nano"]


def test_hashing_is_not_done_for_files_of_another_size(
    layouts, tensors, tmp_path, monkeypatch
):
    path = tmp_path / "tiny.safetensors"
    save_file(tensors, path)
    monkeypatch.setattr(doctor, "digest", lambda *a, **k: pytest.fail("hashed"))
    assert examine(path).spec is None
