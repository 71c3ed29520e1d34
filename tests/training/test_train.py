"""Training on a folder as small as can be: steps, log, checkpoint, resuming."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_sam3.models.nano.network import NanoNet
from training import train
from training.train import (
    Trainer,
    build_network,
    draw_synthetic,
    make_optimizer,
    parse_arguments,
    set_training,
)


@pytest.fixture(autouse=True)
def _threads():
    """Give torch its threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(data: Path, folder: Path, steps: int, *more: str) -> list[int]:
    """Train until ``steps``; return the steps of the log."""
    arguments = ["--batch", "2", "--threads", "1", "--workers", "0"]
    arguments += ["--synthetic", "2", "--save-every", "2", *more]
    train.main([str(data), str(folder), "--steps", str(steps), *arguments])
    return [int(row["step"]) for row in read_log(folder)]


def read_log(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_is_continued_where_it_stopped(data_folder, tmp_path):
    folder = tmp_path / "run"
    assert run(data_folder, folder, 3) == [1, 2, 3]
    before = load_file(folder / "weights.safetensors")
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 3
    drawn = (folder / "synthetic-2.npz").stat().st_mtime_ns

    assert run(data_folder, folder, 5) == [1, 2, 3, 4, 5]
    after = load_file(folder / "weights.safetensors")
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["step"] == 5
    assert (folder / "synthetic-2.npz").stat().st_mtime_ns == drawn

    NanoNet().load_state_dict(after)
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert "decoder.masks.weight" in changed
    assert "encoder.blocks.15.project.conv.weight" in changed
    # The first blocks keep what ImageNet taught them, and normalisation its means.
    assert "encoder.stem.conv.weight" not in changed
    assert "encoder.blocks.4.project.conv.weight" not in changed
    assert not any("encoder" in n and "running" in n for n in changed)

    seconds = [float(row["seconds"]) for row in read_log(folder)]
    assert seconds == sorted(seconds)
    assert all(float(row["plain"]) > 0 for row in read_log(folder))
    assert json.loads((folder / "arguments.json").read_text())["steps"] == "5"
    assert not list(folder.glob("*.partial"))


def test_a_resumed_run_has_all_of_its_state(data_folder, tmp_path, random_weights):
    folder = tmp_path / "run"
    start = ("--start", str(random_weights))
    run(data_folder, folder, 2, *start)
    resumed = Trainer(parse_arguments([str(data_folder), str(folder), *start]))
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert resumed.step == resumed.schedule.last_epoch == 2
    assert resumed.seconds == saved["seconds"] > 0
    for part in ("network", "average"):
        state = getattr(resumed, part).state_dict()
        assert all(torch.equal(state[name], saved[part][name]) for name in state)
        name = "decoder.masks.weight"
        name = f"module.{name}" if part == "average" else name
        untrained = load_file(random_weights)["decoder.masks.weight"]
        assert not torch.equal(state[name], untrained)
    moments = resumed.optimizer.state_dict()["state"]
    assert moments
    assert all(moment["step"] == 2 for moment in moments.values())


def test_a_finished_run_is_not_trained_on(data_folder, tmp_path, random_weights):
    start = ("--start", str(random_weights))
    assert run(data_folder, tmp_path / "run", 1, *start) == [1]
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    assert run(data_folder, tmp_path / "run", 1, *start) == [1]
    assert (tmp_path / "run" / "weights.safetensors").read_bytes() == weights


def test_data_sets_can_be_left_out(data_folder, tmp_path, monkeypatch, random_weights):
    seen = []
    monkeypatch.setattr(train.Trainer, "fit", lambda _, images: seen.extend(images))
    start = ("--start", str(random_weights), "--exclude", "squares")
    train.main([str(data_folder), str(tmp_path / "run"), *start, "--synthetic", "2"])
    assert [image.dataset for image in seen] == ["synthetic"] * 2


def test_the_network_starts_from_imagenet():
    network = build_network(None)
    assert float(network.encoder.stem.norm.running_var.std()) > 0
    frozen = [not p.requires_grad for p in network.encoder.blocks[4].parameters()]
    free = [p.requires_grad for p in network.encoder.blocks[5].parameters()]
    assert all(frozen)
    assert all(free)


def test_the_network_can_start_from_earlier_weights(random_weights):
    state = build_network(random_weights).state_dict()
    earlier = load_file(random_weights)
    assert all(torch.equal(state[name], earlier[name]) for name in earlier)


def test_the_encoders_normalisation_stays_frozen():
    network = NanoNet()
    set_training(network)
    assert network.decoder.masks.training
    assert network.pyramid.laterals[0].norm.training
    assert not network.encoder.stem.norm.training


def test_the_encoder_learns_more_slowly(random_weights):
    network = build_network(random_weights)
    optimizer = make_optimizer(network, 0.01)
    encoder, rest = optimizer.param_groups
    assert encoder["lr"] == pytest.approx(0.0015)
    assert rest["lr"] == 0.01
    learning = sum(p.requires_grad for p in network.parameters())
    assert len(encoder["params"]) + len(rest["params"]) == learning


def test_drawing_that_is_interrupted_leaves_no_cache(tmp_path, monkeypatch):
    cache = tmp_path / "drawn.npz"

    def be_interrupted(file, **arrays):
        path = cache if file == cache else Path(file.name)
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train.np, "savez", be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            draw_synthetic(1, cache)
    assert not cache.exists()
    assert len(draw_synthetic(1, cache)) == 1
    assert list(tmp_path.iterdir()) == [cache]


def test_procedural_images_are_drawn_once(tmp_path):
    one = draw_synthetic(2, tmp_path / "drawn.npz")
    other = draw_synthetic(2, tmp_path / "drawn.npz")
    assert [image.modality for image in one] == ["synthetic"] * 2
    assert all((a.labels == b.labels).all() for a, b in zip(one, other))
    assert all(len(image.ids) for image in one)
