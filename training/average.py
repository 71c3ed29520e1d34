"""Average the weights of runs that began with the same steps, or of one run.

Run ``python -m training.average RUN_A/weights.safetensors RUN_B/weights.safetensors
-o OUT``. Weights of one origin that went apart late lie in one basin of the loss, and
their mean is often better than each (Wortsman et al., ICML 2022).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from napari_sam3.core.errors import CheckpointError
from training import weights
from training.command import errors_told

__all__ = ["average", "follow", "main"]

_State = Mapping[str, Tensor]
_Tensors = tuple[Tensor, ...] | list[Tensor]

_DECAY = 0.999
#: A young average covers the last tenth of its steps: it began with weights that
#: knew nothing.
_COVERED_SHARE = 0.1


def follow(averaged: _Tensors, current: _Tensors, count: int | Tensor) -> None:
    """Bring averaged weights a little closer to the current ones, in place.

    Parameters
    ----------
    averaged, current : sequence of Tensor
        Of one network.
    count : int
        How many steps were averaged before.
    """
    share = max(1 - _DECAY, 1 / (1 + _COVERED_SHARE * int(count)))
    get_ema_multi_avg_fn(1 - share)(averaged, current, count)


def average(
    states: Sequence[_State], shares: Sequence[float] | None = None
) -> dict[str, Tensor]:
    """Return the mean of networks' tensors.

    Parameters
    ----------
    states : sequence of dict of str to Tensor
        Two or more, with the same names, shapes and dtypes.
    shares : sequence of float, optional
        How much each counts, in any unit; by default all the same.

    Returns
    -------
    dict of str to Tensor
        Means of the floating-point tensors, in their own dtype. Others, which count
        or number something, are the first network's; so is the ranking, which is
        taught afterwards, to each network anew.

    Raises
    ------
    CheckpointError
        If there are fewer than two, or they are not of one network, or ``shares`` are
        not as many or not positive.
    """
    if len(states) < 2:
        raise CheckpointError("One file has no mean; give the weights of two or more.")
    shares = [1.0] * len(states) if shares is None else shares
    if len(shares) != len(states) or min(shares) <= 0:
        raise CheckpointError(f"Give {len(states)} shares, one per file, all above 0.")
    first = states[0]
    for number, other in enumerate(states[1:], start=2):
        _check_alike(first, other, number)
    return {
        name: first[name].clone()
        if name.startswith("ranking.")
        else _mean([state[name] for state in states], shares)
        for name in first
    }


def _check_alike(first: _State, other: _State, number: int) -> None:
    """Refuse weights that are not of the first ones' network."""
    remedy = "give the weights of runs of the same network."
    lone = sorted(first.keys() ^ other.keys())
    if lone:
        raise CheckpointError(
            f"Only one of file 1 and file {number} has {lone[0]} "
            f"({len(lone)} such tensors); {remedy}"
        )
    for name, tensor in first.items():
        one, two = _form(tensor), _form(other[name])
        if one != two:
            raise CheckpointError(
                f"{name} is {one} in file 1 and {two} in file {number}; {remedy}"
            )


def _form(tensor: Tensor) -> str:
    """Return dtype and shape in words."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first.clone()
    # In float64: sums of float16 variances would leave its range.
    total = sum(
        share * tensor.double() for share, tensor in zip(shares, tensors, strict=True)
    )
    return torch.as_tensor(total / sum(shares)).to(first.dtype).contiguous()


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Average from the command line; the output is written at once or not at all."""
    parser = argparse.ArgumentParser(prog="training.average", description=__doc__)
    parser.add_argument(
        "weights", type=Path, nargs="+", help="weights.safetensors of runs, two or more"
    )
    parser.add_argument(
        "--shares", type=float, nargs="+", help="how much each file counts"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args(argv)
    states = [weights.read(path) for path in arguments.weights]
    state = average(states, arguments.shares)
    weights.write(state, arguments.output)
    print(f"{arguments.output}: mean of {len(arguments.weights)} files")


if __name__ == "__main__":
    main()
