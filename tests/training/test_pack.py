"""Packed weights are small, whole, and those of the network."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from training import pack as module
from training.command import TrainingError
from training.pack import MAX_BYTES, main, pack


def test_packed_weights_are_the_same_but_for_their_precision(random_weights, tmp_path):
    target = tmp_path / "nano.safetensors"
    size = pack(random_weights, target, {"network": "nano"})
    assert size == target.stat().st_size
    assert size < MAX_BYTES <= 12_000_000
    before, after = load_file(random_weights), load_file(target)
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert torch.allclose(tensor.to(before[name].dtype), before[name], atol=1e-3)


def test_normalisations_keep_their_precision(random_weights, tmp_path):
    state = load_file(random_weights)
    state["encoder.stem.norm.running_var"][:] = 1e6  # beyond float16
    source, target = tmp_path / "weights.safetensors", tmp_path / "nano.safetensors"
    save_file(state, source)
    pack(source, target, {})
    packed = load_file(target)
    assert packed["encoder.stem.norm.running_var"].tolist() == [1e6] * 32
    assert packed["encoder.stem.conv.weight"].dtype == torch.float16
    assert packed["encoder.stem.norm.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_tensors_of_another_network_are_refused(random_weights, tmp_path, change):
    state = load_file(random_weights)
    if change == "missing":
        del state["decoder.masks.bias"]
    else:
        name = "decoder.other" if change == "extra" else "decoder.masks.bias"
        state[name] = torch.zeros(7)
    source, target = tmp_path / "weights.safetensors", tmp_path / "nano.safetensors"
    save_file(state, source)
    with pytest.raises(TrainingError, match="in loading state_dict"):
        pack(source, target, {})
    assert not target.exists()


@pytest.mark.parametrize("left", [0, 1])
def test_weights_that_cannot_rank_are_refused(random_weights, tmp_path, left):
    state = load_file(random_weights)
    ranking = sorted(name for name in state if name.startswith("ranking."))
    for name in ranking[left:]:
        del state[name]
    source, target = tmp_path / "weights.safetensors", tmp_path / "nano.safetensors"
    save_file(state, source)
    said = "in loading state_dict" if left else "teach it with training.ranking"
    with pytest.raises(TrainingError, match=said):
        pack(source, target, {})
    assert not target.exists()


def test_too_large_a_file_is_not_written(random_weights, tmp_path, monkeypatch):
    target = tmp_path / "nano.safetensors"
    size = pack(random_weights, target, {})
    target.unlink()
    monkeypatch.setattr(module, "MAX_BYTES", size - 1)
    with pytest.raises(
        TrainingError, match=f"{size} bytes are more than the {size - 1}"
    ):
        pack(random_weights, target, {})
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(module, "MAX_BYTES", size)
    assert pack(random_weights, target, {}) == size


@pytest.mark.parametrize(
    ("start", "told"),
    [(None, "None"), ("/home/me/runs/first/weights.safetensors", "first/weights.*")],
)
def test_the_command_keeps_the_recipe_in_the_header(
    random_weights, tmp_path, capsys, start, told
):
    told = told.replace("*", "safetensors")
    source, target = tmp_path / "weights.safetensors", tmp_path / "nano.safetensors"
    source.write_bytes(random_weights.read_bytes())
    recipe = {"steps": 5, "batch": 2, "rate": 0.1, "synthetic": 4, "seed": 0}
    recipe["exclude"] = ["cells"]
    settings = recipe | {"data": "/somewhere/private", "run": "/else", "start": start}
    (tmp_path / "arguments.json").write_text(json.dumps(settings))
    main([str(source), "-o", str(target)])
    with safe_open(target, "pt") as file:
        header = {name: str(value) for name, value in recipe.items()}
        assert file.metadata() == {"network": "nano", "start": told} | header
    assert "nano.safetensors: " in capsys.readouterr().out


def test_without_a_recipe_that_is_said(random_weights, tmp_path, capsys):
    source = tmp_path / "weights.safetensors"
    source.write_bytes(random_weights.read_bytes())
    main([str(source), "-o", str(tmp_path / "nano.safetensors")])
    assert "no arguments.json beside the weights" in capsys.readouterr().out


def test_others_may_read_what_is_packed(random_weights, tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    target = tmp_path / "nano.safetensors"
    pack(random_weights, target, {})
    assert target.stat().st_mode == plain.stat().st_mode
