"""Training on a folder as small as can be: steps, log, checkpoint, resuming."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_sam3.models.nano.network import NanoNet
from training import recipe, train
from training.command import TrainingError
from training.train import (
    Trainer,
    build_network,
    draw_synthetic,
    make_optimizer,
    parse_arguments,
    prepare,
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
    assert json.loads((folder / "arguments.json").read_text())["steps"] == 5
    assert [*folder.glob(".*"), *folder.glob("*.partial")] == []


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


@pytest.mark.parametrize(
    "other", [("--rate", "1e-4"), ("--batch", "3"), ("--planes", "0.5")]
)
def test_a_run_goes_on_only_as_it_was_begun(
    data_folder, tmp_path, random_weights, other
):
    start = ("--start", str(random_weights))
    run(data_folder, tmp_path / "run", 1, *start)
    told = (tmp_path / "run/arguments.json").read_text()
    with pytest.raises(SystemExit, match=rf"begun with {other[0]} .* go on with the"):
        run(data_folder, tmp_path / "run", 2, *start, *other)
    assert (tmp_path / "run/arguments.json").read_text() == told
    assert run(data_folder, tmp_path / "run", 2, *start, "--seed", "5") == [1, 2]


@pytest.mark.parametrize(
    ("begun", "now", "told"),
    [
        ((), ("--scratch",), "begun with no --scratch;"),
        ((), ("--exclude", "squares"), "begun with no --exclude;"),
        (("--exclude", "squares"), (), "begun with --exclude squares;"),
        ((), ("--start", "other"), "begun with --start .*weights.safetensors;"),
    ],
)
def test_options_are_told_as_they_are_given(
    data_folder, tmp_path, random_weights, begun, now, told
):
    folder = tmp_path / "run"
    folder.mkdir()
    command = [str(data_folder), str(folder), "--start", str(random_weights)]
    recipe.write(train.parse_arguments([*command, *begun]))
    with pytest.raises(TrainingError, match=told):
        recipe.check_same(train.parse_arguments([*command, *now]))
    recipe.check_same(train.parse_arguments([*command, *begun, "--steps", "9"]))


def test_a_run_goes_on_without_the_weights_that_it_began_with(
    data_folder, tmp_path, random_weights
):
    begun = tmp_path / "begun.safetensors"
    begun.write_bytes(random_weights.read_bytes())
    run(data_folder, tmp_path / "run", 1, "--start", str(begun))
    begun.unlink()
    assert run(data_folder, tmp_path / "run", 2) == [1, 2]
    told = json.loads((tmp_path / "run/arguments.json").read_text())
    assert told["start"] == str(begun)
    assert run(data_folder, tmp_path / "run", 3, "--start", str(begun)) == [1, 2, 3]


def test_order_and_spelling_of_options_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    begun = ["DATA", "run", "--exclude", "a", "--exclude", "b", "--start", "w"]
    recipe.write(train.parse_arguments(begun))
    now = ["DATA", "run", "--exclude", "b", "--exclude", "a"]
    recipe.check_same(train.parse_arguments([*now, "--start", str(tmp_path / "w")]))


def test_a_recipe_of_words_is_understood(tmp_path):
    arguments = train.parse_arguments(["DATA", str(tmp_path), "--exclude", "a"])
    words = {name: str(value) for name, value in vars(arguments).items()}
    (tmp_path / "arguments.json").write_text(json.dumps(words))
    recipe.check_same(arguments)


@pytest.mark.parametrize("cut", ["", "\r\n", "2", "3,1.5,1,0.5,0.5,0.5\r\n"])
def test_a_log_may_end_anywhere(data_folder, tmp_path, random_weights, cut):
    start = ("--start", str(random_weights))
    assert run(data_folder, tmp_path / "run", 1, *start) == [1]
    with (tmp_path / "run/log.csv").open("a", newline="") as file:
        file.write(cut)
    assert run(data_folder, tmp_path / "run", 2, *start) == [1, 2]


def test_an_empty_log_is_begun_anew(data_folder, tmp_path, random_weights):
    start = ("--start", str(random_weights))
    run(data_folder, tmp_path / "run", 1, *start)
    (tmp_path / "run/log.csv").write_text("")
    assert run(data_folder, tmp_path / "run", 2, *start) == [2]


def test_steps_that_are_lost_are_logged_once(data_folder, tmp_path, random_weights):
    start = ("--start", str(random_weights), "--save-every", "2")
    assert run(data_folder, tmp_path / "run", 2, *start) == [1, 2]
    # Killed two steps later, in the middle of a row.
    with (tmp_path / "run/log.csv").open("a") as file:
        file.write("3,1.5,1,0.5,0.5,0.5\n4,1.")
    assert run(data_folder, tmp_path / "run", 4, *start) == [1, 2, 3, 4]


def test_a_run_says_at_once_that_it_has_begun(
    data_folder, tmp_path, random_weights, capsys
):
    run(data_folder, tmp_path / "run", 1, "--start", str(random_weights))
    assert capsys.readouterr().out.startswith("step 1 seconds ")


def test_what_was_told_of_a_run_stays_when_nothing_is_done(
    data_folder, tmp_path, random_weights
):
    start = ("--start", str(random_weights))
    run(data_folder, tmp_path / "run", 2, *start)
    told = (tmp_path / "run/arguments.json").read_text()
    run(data_folder, tmp_path / "run", 1, *start)
    with pytest.raises(SystemExit, match=r"no manifest.csv in .*nowhere; give the"):
        run(tmp_path / "nowhere", tmp_path / "run", 9, *start)
    assert (tmp_path / "run/arguments.json").read_text() == told


def test_a_misspelt_data_set_is_not_trained_on(data_folder, tmp_path, random_weights):
    start = ("--start", str(random_weights))
    with pytest.raises(SystemExit, match=r"no data set 'sqares'.*there are squares"):
        run(data_folder, tmp_path / "run", 1, *start, "--exclude", "sqares")
    assert not (tmp_path / "run").exists()


def test_data_sets_can_be_left_out(data_folder, tmp_path, monkeypatch, random_weights):
    seen = []
    monkeypatch.setattr(train.Trainer, "fit", lambda _, images: seen.extend(images))
    start = ("--start", str(random_weights), "--exclude", "squares")
    train.main([str(data_folder), str(tmp_path / "run"), *start, "--synthetic", "2"])
    assert [image.dataset for image in seen] == ["synthetic"] * 2


def test_the_network_starts_from_imagenet():
    network = prepare(build_network(None))
    assert float(network.encoder.stem.norm.running_var.std()) > 0
    frozen = [not p.requires_grad for p in network.encoder.blocks[4].parameters()]
    free = [p.requires_grad for p in network.encoder.blocks[5].parameters()]
    assert all(frozen)
    assert all(free)


def test_the_network_can_start_from_earlier_weights(random_weights):
    state = build_network(random_weights).state_dict()
    earlier = load_file(random_weights)
    assert all(torch.equal(state[name], earlier[name]) for name in earlier)


def test_older_weights_need_no_ranking(random_weights, tmp_path):
    state = load_file(random_weights)
    older = {k: v for k, v in state.items() if not k.startswith("ranking.")}
    assert len(older) < len(state)
    save_file(older, tmp_path / "older.safetensors")
    built = build_network(tmp_path / "older.safetensors").state_dict()
    assert all(torch.equal(built[name], tensor) for name, tensor in older.items())
    assert built.keys() == state.keys()


@pytest.mark.parametrize("change", ["missing", "extra", "extra ranking", "shape"])
def test_other_weights_are_refused(random_weights, tmp_path, change):
    state = load_file(random_weights)
    if change == "missing":
        del state["decoder.masks.bias"]
    elif change == "shape":
        state["ranking.last.bias"] = torch.zeros(7)
    else:
        name = "decoder.other" if change == "extra" else "ranking.other"
        state[name] = torch.zeros(7)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match="in loading state_dict"):
        build_network(tmp_path / "other.safetensors")


def test_a_run_from_before_the_ranking_goes_on(tmp_path, random_weights):
    arguments = parse_arguments(
        ["data", str(tmp_path / "run"), "--start", str(random_weights)]
    )
    trainer = Trainer(arguments)
    trainer.step = 7
    with torch.no_grad():
        trainer.network.decoder.masks.bias += 1
        trainer.average.module.decoder.masks.bias += 2
    trainer.save()
    path = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    for part in ("network", "average"):
        for name in [n for n in state[part] if "ranking." in n]:
            del state[part][name]
    torch.save(state, path)
    resumed = Trainer(arguments)
    assert resumed.step == 7
    for part in ("network", "average"):
        before, after = (getattr(one, part).state_dict() for one in (trainer, resumed))
        assert before.keys() == after.keys()
        learnt = [name for name in before if "ranking." not in name]
        assert all(torch.equal(before[name], after[name]) for name in learnt)
    del state["average"]["module.decoder.masks.bias"]
    torch.save(state, path)
    with pytest.raises(RuntimeError, match=r"module\.decoder\.masks\.bias"):
        Trainer(arguments)


def test_a_run_ends_when_its_time_is_over(tmp_path, random_weights):
    arguments = ["data", str(tmp_path), "--start", str(random_weights)]
    trainer = Trainer(parse_arguments([*arguments, "--minutes", "2"]))
    trainer.step = train._WARMUP_STEPS
    rates = []
    for trainer.seconds in (0, 60, 119, 120):
        rates.append(trainer._rate(trainer.step))
        assert trainer.is_done == (trainer.seconds == 120)
    assert rates[0] == 1
    assert rates[1] == pytest.approx(0.51)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.02)
    trainer.seconds, trainer.step = 0, 7000
    assert trainer.is_done


def test_the_encoders_normalisation_stays_frozen():
    network = NanoNet()
    set_training(network)
    assert network.decoder.masks.training
    assert network.pyramid.laterals[0].norm.training
    assert not network.encoder.stem.norm.training


def test_the_encoder_learns_more_slowly(random_weights):
    network = prepare(build_network(random_weights))
    optimizer = make_optimizer(network, 0.01)
    encoder, rest = optimizer.param_groups
    assert encoder["lr"] == pytest.approx(0.0015)
    assert rest["lr"] == 0.01
    learning = {id(p) for p in network.parameters() if p.requires_grad}
    # The ranking is taught afterwards, see training.ranking.
    later = {id(p) for p in network.ranking.parameters()}
    assert later < learning
    taught = [id(p) for p in (*encoder["params"], *rest["params"])]
    assert len(taught) == len(set(taught))
    assert set(taught) == learning - later


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
