"""The mean of several runs' weights is the mean of every tensor, or an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sam3.core.errors import CheckpointError
from napari_sam3.models.nano.network import NanoNet
from training.average import average, follow, main


def state(value: float, count: int = 3) -> dict[str, Tensor]:
    return {
        "conv.weight": torch.full((2, 3), value),
        "norm.running_var": torch.full((2,), 10 * value),
        "norm.num_batches_tracked": torch.tensor(count),
    }


def written(path: Path, tensors: dict[str, Tensor]) -> str:
    save_file(tensors, path)
    return str(path)


def test_floats_are_averaged_and_counts_are_the_first_ones():
    mean = average([state(1.0, 3), state(2.0, 9), state(6.0, 9)])
    assert mean["conv.weight"].tolist() == [[3.0] * 3] * 2
    assert mean["norm.running_var"].tolist() == [30.0, 30.0]
    assert mean["norm.num_batches_tracked"].item() == 3
    assert mean["norm.num_batches_tracked"].dtype == torch.int64


def test_half_floats_whose_sum_is_beyond_their_range_have_a_mean():
    large = {"variance": torch.tensor([6e4], dtype=torch.float16)}
    (mean,) = average([large, large]).values()
    assert mean.dtype == torch.float16
    assert torch.equal(mean, large["variance"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"extra": torch.zeros(1)}, "extra"),
        ({"conv.weight": torch.zeros(3, 2)}, r"\(2, 3\).*file 1.*\(3, 2\).*file 2"),
        ({"conv.weight": torch.zeros(2, 3).half()}, "float32.*float16"),
    ],
)
def test_weights_of_different_networks_are_refused(change, said):
    for pair in (
        [state(1.0), state(1.0) | change],
        [state(1.0), state(1.0), state(1.0) | change],
    ):
        wanted = said.replace("file 2", f"file {len(pair)}")
        with pytest.raises(CheckpointError, match=wanted + ".*; give the weights"):
            average(pair)


def test_one_file_is_not_enough():
    with pytest.raises(CheckpointError, match="two or more"):
        average([state(1.0)])


def test_the_command_writes_weights_that_the_network_takes(random_weights, tmp_path):
    other = {
        name: tensor + 1 if tensor.is_floating_point() else tensor
        for name, tensor in load_file(random_weights).items()
    }
    second = written(tmp_path / "b.safetensors", other)
    output = tmp_path / "mean.safetensors"
    main([str(random_weights), second, "-o", str(output)])
    mean = load_file(output)
    NanoNet().load_state_dict(mean)
    name = "decoder.masks.bias"
    assert torch.allclose(mean[name], load_file(random_weights)[name] + 0.5)
    assert [*output.parent.glob(".*"), *output.parent.glob("*.partial")] == []


def test_the_command_tells_in_one_line_what_is_wrong(tmp_path):
    first = written(tmp_path / "a.safetensors", state(1.0))
    output = tmp_path / "mean.safetensors"
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"no weights")
    for second in (tmp_path / "absent.safetensors", damaged):
        with pytest.raises(SystemExit, match=f"Error: .*{second.name}.*; give"):
            main([first, str(second), "-o", str(output)])
    assert not output.exists()


def test_a_run_can_count_more_than_others():
    mean = average([state(1.0), state(2.0), state(6.0)], [2, 1, 1])
    assert mean["conv.weight"].tolist() == [[2.5] * 3] * 2


def test_the_ranking_is_the_first_ones():
    first, other = (
        state(one) | {"ranking.last.bias": torch.tensor([one])} for one in (1.0, 3.0)
    )
    mean = average([first, other])
    assert mean["ranking.last.bias"].tolist() == [1.0]
    assert mean["conv.weight"].tolist() == [[2.0] * 3] * 2


@pytest.mark.parametrize("shares", [[1], [1, 1, 1], [1, 0], [2, -1]])
def test_shares_that_fit_not_are_refused(shares):
    with pytest.raises(CheckpointError, match="2 shares"):
        average([state(1.0), state(2.0)], shares)


# ---- along one run -----------------------------------------------------------


def followed(values: torch.Tensor, steps: int = 0) -> float:
    """Average a run's values, the first of which is where it began."""
    mean = [values[0].clone()]
    for count, value in enumerate(values[1:], steps + 1):
        follow(mean, [value], count)
    return float(mean[0])


def test_a_short_runs_average_has_forgotten_where_it_began():
    assert followed(torch.tensor([0.0] + [1.0] * 200)) > 0.999
    # A value that rises evenly is about a tenth of its steps behind.
    assert followed(torch.arange(301.0)) == pytest.approx(300 - 300 / 11, abs=2)


def test_a_long_runs_average_covers_a_thousand_steps():
    assert followed(torch.arange(8001.0), steps=20_000) == pytest.approx(7001, abs=5)
