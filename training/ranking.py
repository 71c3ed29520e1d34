"""Teach nano to choose among the masks of a whole ladder of windows.

Run ``python -m training.ranking DATA WEIGHTS -o OUTPUT`` after training: the
network stays as it is, and its ranking head learns from ladders around clicks on
training images, see `napari_sam3.core.ladder`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.nano.ranking import LadderHead
from napari_sam3.models.nano.tracker import NanoTracker
from training import weights
from training.command import errors_told
from training.data import load_split
from training.ladders import Ladders, collect
from training.synthesis import draw_synthetic
from training.train import load_earlier

__all__ = ["calibrate", "choose", "learn", "loss"]

#: Share of the ladders that a head does not learn from, but is calibrated with.
_CALIBRATION_SHARE = 0.15


def loss(head: LadderHead, ladders: Ladders) -> Tensor:
    """Return the cross entropy of all masks' predicted IoU.

    A loss for choosing badly, added to it, chose no better on the validation
    images, and made the predictions worse.
    """
    missing = ladders.missing
    scores = head(ladders.traits, ladders.numbers, missing)
    iou = ladders.iou.clamp(0, 1)
    each = F.binary_cross_entropy_with_logits(scores, iou, reduction="none")
    known = (~missing).float()
    return (each * known).sum() / known.sum()


def choose(head: LadderHead, ladders: Ladders) -> tuple[Tensor, Tensor]:
    """Return the scores (logits) and the IoU of the chosen masks, each (N,)."""
    with torch.inference_mode():
        scores = head(ladders.traits, ladders.numbers, ladders.missing)
    scores = scores.masked_fill(ladders.missing, -torch.inf)
    best = scores.argmax(1, keepdim=True)
    iou = ladders.iou.clamp(0, 1).gather(1, best)
    return scores.gather(1, best)[:, 0].clone(), iou[:, 0]


def calibrate(head: LadderHead, ladders: Ladders) -> None:
    """Make a head's predictions of the masks that it chooses true on average.

    Of many predictions the highest is mostly too high. Scale and shift of the scores
    (Platt, 1999) are fitted to the chosen masks, and become part of the last layer;
    the order of the masks stays.

    Parameters
    ----------
    head : LadderHead
        Its last layer changes.
    ladders : Ladders
        Some that the head has not learnt from.
    """
    scores, iou = choose(head, ladders)
    # The logarithm of the scale: an order is never reversed.
    scale, shift = torch.zeros((), requires_grad=True), torch.zeros(())
    shift.requires_grad_()
    optimizer = torch.optim.LBFGS([scale, shift], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        told = F.binary_cross_entropy_with_logits(scores * scale.exp() + shift, iou)
        told.backward()
        return told

    optimizer.step(closure)
    with torch.no_grad():
        head.last.weight.mul_(scale.exp())
        head.last.bias.mul_(scale.exp()).add_(shift)


def learn(
    head: LadderHead, ladders: Ladders, *, steps: int = 1500, seed: int = 0
) -> None:
    """Train a head on ladders, in place.

    Parameters
    ----------
    head : LadderHead
        Its weights change.
    ladders : Ladders
        To learn from.
    steps : int
        Of 64 ladders each.
    seed : int
        Of the order.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    head.train()
    for _ in range(steps):
        pick = torch.randint(len(ladders.iou), (64,), generator=generator)
        part = Ladders(*(tensor[pick] for tensor in ladders))
        noise = torch.randn(part.numbers.shape, generator=generator) * 0.05
        total = loss(head, part._replace(numbers=part.numbers + noise))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()
    head.eval()


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="training.ranking", description=__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("weights", type=Path, help="weights.safetensors of a run")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--ladders", type=int, default=9000, help="to learn from")
    parser.add_argument("--check", type=int, default=1000, help="to validate with")
    parser.add_argument("--synthetic", type=int, default=1400, help="images to draw")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def _collect_part(arguments: argparse.Namespace, part: int) -> tuple[Ladders, Ladders]:
    """Decode a worker's share of the ladders, to learn from and to validate with."""
    torch.set_num_threads(1)
    network = NanoNet()
    load_earlier(network, weights.read(arguments.weights))
    tracker = NanoTracker(network)
    images = load_split(arguments.data, "train")
    if arguments.synthetic:
        images += draw_synthetic(arguments.synthetic, _pictures(arguments))
    workers, seed = arguments.workers, 1000 * arguments.seed + part
    ladders = collect(tracker, images, arguments.ladders // workers, seed)
    held_out = load_split(arguments.data, "validation")
    count = arguments.check // workers
    return ladders, collect(tracker, held_out, count, 500 + seed, change=False)


def _pictures(arguments: argparse.Namespace) -> Path:
    folder: Path = arguments.weights.parent
    return folder / f"synthetic-{arguments.synthetic}.npz"


def _join(parts: Sequence[Ladders]) -> Ladders:
    return Ladders(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _part(ladders: Ladders, start: int | None, stop: int | None) -> Ladders:
    return Ladders(*(tensor[start:stop] for tensor in ladders))


def _tell(head: LadderHead, ladders: Ladders) -> str:
    """Tell how good the chosen masks are, and how good they seem."""
    scores, iou = choose(head, ladders)
    best = ladders.iou.amax(1).mean()
    predicted = scores.sigmoid().mean()
    return f"chosen {iou.mean():.3f} ({predicted:.3f} predicted), best {best:.3f}"


@errors_told()
def main(argv: list[str] | None = None) -> None:
    """Teach from the command line."""
    arguments = parse_arguments(argv)
    state = weights.read(arguments.weights)  # an error before minutes of drawing
    torch.manual_seed(arguments.seed)
    if arguments.synthetic:
        draw_synthetic(arguments.synthetic, _pictures(arguments))
    count = arguments.workers
    if count == 1:
        parts = [_collect_part(arguments, 0)]
    else:
        with ProcessPoolExecutor(count, get_context("spawn")) as pool:
            parts = list(pool.map(_collect_part, [arguments] * count, range(count)))
    ladders, check = (_join(part) for part in zip(*parts, strict=True))
    kept = max(1, round(_CALIBRATION_SHARE * len(ladders.iou)))
    head = LadderHead(ladders.traits.shape[-1])
    learn(head, _part(ladders, kept, None), steps=arguments.steps, seed=arguments.seed)
    calibrate(head, _part(ladders, None, kept))
    for name, known in (("training", ladders), ("validation", check)):
        print(f"{name}: {_tell(head, known)}", flush=True)
    state |= {f"ranking.{k}": v.clone() for k, v in head.state_dict().items()}
    weights.write(state, arguments.output)


if __name__ == "__main__":
    main()
