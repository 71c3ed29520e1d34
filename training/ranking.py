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
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sam3.core.candidate import candidates
from napari_sam3.core.ladder import Ladder
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.window_decoder import Seen, WindowPrompt, describe
from napari_sam3.core.windows import Window, ladder_windows
from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.nano.ranking import LadderHead
from napari_sam3.models.nano.tracker import NanoTracker
from training.augment import change_appearance
from training.data import LabelledImage, load_split
from training.sampling import MODALITY_WEIGHTS, click_inside, covered, read_labels
from training.train import draw_synthetic, load_earlier

__all__ = ["Ladders", "collect", "learn"]

#: Windows of a ladder at most, and masks of each.
_RUNGS, _MASKS = 7, 4
#: How sharply the better of two masks is preferred while learning.
_SHARPNESS = 12.0
#: Weight of choosing well beside predicting well.
_CHOICE_WEIGHT = 2.0
#: Share of ladders with up to three clicks on the object and two beside it.
_SEVERAL_CLICKS = 0.25


class Ladders(NamedTuple):
    """What is known of N ladders, shorter ones filled up.

    Attributes
    ----------
    traits : Tensor of shape (N, T, D)
    numbers : Tensor of shape (N, T, F)
    iou : Tensor of shape (N, T)
        True overlap of every mask; -1 where there is none.
    """

    traits: Tensor
    numbers: Tensor
    iou: Tensor

    @property
    def missing(self) -> Tensor:
        """Return where there is no mask, bool (N, T)."""
        return self.iou < 0


def look(
    tracker: NanoTracker,
    image: LabelledImage,
    index: int,
    rng: np.random.Generator,
    *,
    change: bool,
) -> tuple[Ladder, NDArray[np.float32]]:
    """Decode the ladder around a click on one object.

    Returns
    -------
    ladder : Ladder
    iou : ndarray of shape (L, M) and dtype float32
        Of each mask with the object, beyond the window included.
    """
    prompt = _draw_prompt(image, index, rng)
    shape = (image.labels.shape[0], image.labels.shape[1])
    windows = ladder_windows(prompt.positive, shape)
    size = tracker.window_size
    picture = ArrayPicture(image.image)
    pixels = np.stack([picture.read(window, size, size) for window in windows])
    if change:
        # All windows of a click show one image: changed alike.
        seed = rng.integers(2**32)
        pixels = np.stack(
            [change_appearance(part, np.random.default_rng(seed)) for part in pixels]
        )
    placed = [WindowPrompt.place(prompt, window, None, size) for window in windows]
    answers = tracker.decode_windows(pixels, placed)
    seen = [
        Seen(candidates(window, logits, scores), traits)
        for window, logits, scores, traits in zip(windows, *answers, strict=True)
    ]
    iou = np.stack(
        [
            overlaps(image, index, window, logits)
            for window, logits in zip(windows, answers.logits, strict=True)
        ]
    )
    return describe(prompt, windows, shape, seen), iou


def _draw_prompt(image: LabelledImage, index: int, rng: np.random.Generator) -> Prompt:
    """Click on an object once, or more often and beside it, too."""
    inside, outside = [click_inside(image, index, rng)], []
    if rng.random() < _SEVERAL_CLICKS:
        inside += [click_inside(image, index, rng) for _ in range(rng.integers(0, 3))]
        outside = _clicks_beside(image, index, rng)
    labels = np.arange(len(inside) + len(outside)) < len(inside)
    return Prompt(np.stack([*inside, *outside]), labels)


def _clicks_beside(
    image: LabelledImage, index: int, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Return up to two places near an object that are not on it."""
    row0, col0, row1, col1 = image.boxes[index]
    room = max(row1 - row0, col1 - col0, 8)
    low = np.maximum((row0 - room // 2, col0 - room // 2), 0)
    high = np.minimum((row1 + room // 2, col1 + room // 2), image.labels.shape)
    places = rng.integers(low, high, (2, 2))
    free = image.labels[places[:, 0], places[:, 1]] != image.ids[index]
    return list(places[free].astype(np.float64))


def overlaps(
    image: LabelledImage, index: int, window: Window, logits: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the IoU of a window's masks (M, h, w) with a whole object, (M,)."""
    side = logits.shape[-1]
    labels = read_labels(image.labels, window, 4 * side)
    truth = covered(labels == image.ids[index])
    drawn = (logits > 0).astype(np.float32)
    per_cell = window.height * window.width / side**2
    common = (drawn * truth).sum((1, 2)) * per_cell
    union = drawn.sum((1, 2)) * per_cell + image.areas[index] - common
    return np.asarray(common / np.maximum(union, 1e-3), np.float32)


def collect(
    tracker: NanoTracker,
    images: Sequence[LabelledImage],
    count: int,
    seed: int,
    *,
    change: bool = True,
) -> Ladders:
    """Decode ladders around clicks, modalities drawn by their weights.

    Parameters
    ----------
    tracker : NanoTracker
        The trained network.
    images : sequence of LabelledImage
        Real and synthetic.
    count : int
        Ladders.
    seed : int
        Of the chance.
    change : bool
        Whether to change the images' appearance.

    Returns
    -------
    Ladders
    """
    rng = np.random.default_rng((seed, 77))
    groups: dict[str, list[LabelledImage]] = {}
    for image in images:
        if len(image.ids):
            groups.setdefault(image.modality, []).append(image)
    weights = np.array([MODALITY_WEIGHTS[name] for name in groups])
    names = rng.choice(len(groups), count, p=weights / weights.sum())
    rows = []
    for name in names:
        group = list(groups.values())[name]
        image = group[rng.integers(len(group))]
        index = int(rng.integers(len(image.ids)))
        rows.append(look(tracker, image, index, rng, change=change))
    return stack(rows)


def stack(rows: Sequence[tuple[Ladder, NDArray[np.float32]]]) -> Ladders:
    """Lay ladders of different lengths on top of each other."""
    width = _RUNGS * _MASKS
    parts = []
    for ladder, iou in rows:
        numbers = ladder.numbers()
        fill = width - iou.size
        parts.append(
            (
                np.pad(ladder.traits.reshape(iou.size, -1), ((0, fill), (0, 0))),
                np.pad(numbers.reshape(iou.size, -1), ((0, fill), (0, 0))),
                np.pad(iou.ravel(), (0, fill), constant_values=-1),
            )
        )
    return Ladders(
        *(torch.from_numpy(np.stack(p)).float() for p in zip(*parts, strict=True))
    )


def loss(head: LadderHead, ladders: Ladders) -> tuple[Tensor, Tensor]:
    """Return what to minimise, and the mean IoU of the masks that are chosen."""
    missing = ladders.missing
    scores = head(ladders.traits, ladders.numbers, missing)
    iou = ladders.iou.clamp(0, 1)
    each = F.binary_cross_entropy_with_logits(scores, iou, reduction="none")
    known = (~missing).float()
    told = (each * known).sum() / known.sum()
    chance = (scores.sigmoid() * _SHARPNESS).masked_fill(missing, -1e4).softmax(1)
    regret = iou.amax(1) - (chance * iou).sum(1)
    best = scores.masked_fill(missing, -1e4).argmax(1)
    reached = iou.gather(1, best[:, None]).mean()
    return told + _CHOICE_WEIGHT * regret.mean(), reached


def learn(
    head: LadderHead, ladders: Ladders, *, steps: int = 3000, seed: int = 0
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
        total, _ = loss(head, part._replace(numbers=part.numbers + noise))
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
    parser.add_argument("--ladders", type=int, default=6000, help="to learn from")
    parser.add_argument("--check", type=int, default=1000, help="to validate with")
    parser.add_argument("--synthetic", type=int, default=1400, help="images to draw")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def _collect_part(arguments: argparse.Namespace, part: int) -> tuple[Ladders, Ladders]:
    """Decode a worker's share of the ladders, to learn from and to validate with."""
    torch.set_num_threads(1)
    network = NanoNet()
    load_earlier(network, load_file(arguments.weights))
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


def main(argv: list[str] | None = None) -> None:
    """Teach from the command line."""
    arguments = parse_arguments(argv)
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
    head = LadderHead(ladders.traits.shape[-1])
    learn(head, ladders, steps=arguments.steps, seed=arguments.seed)
    for name, known in (("training", ladders), ("validation", check)):
        with torch.inference_mode():
            _, reached = loss(head, known)
        best = known.iou.amax(1).mean()
        print(f"{name}: chosen {reached:.3f}, best of all {best:.3f}", flush=True)
    state = load_file(arguments.weights)
    state |= {f"ranking.{k}": v.clone() for k, v in head.state_dict().items()}
    save_file({k: v.contiguous() for k, v in state.items()}, arguments.output)


if __name__ == "__main__":
    main()
