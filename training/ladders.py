"""Ladders of windows around clicks, and how well their masks are known to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.candidate import candidates
from napari_sam3.core.ladder import Ladder
from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.window_decoder import Seen, WindowPrompt, describe
from napari_sam3.core.windows import Window, ladder_windows
from napari_sam3.models.nano.tracker import NanoTracker
from training.augment import change_appearance
from training.command import TrainingError
from training.data import LabelledImage
from training.places import click_inside, covered, read_labels
from training.sampling import MODALITY_WEIGHTS

__all__ = ["Ladders", "collect", "overlaps"]

#: Windows of a ladder at most, and masks of each.
_RUNGS, _MASKS = 7, 4
#: Share of ladders with up to three clicks on the object and two beside it.
_SEVERAL_CLICKS = 0.25
#: Share of ladders that end early, as where no object seems to be as large.
_SHORTER = 0.5


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
    if len(windows) > 2 and rng.random() < _SHORTER:
        windows = windows[:-1]
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
    return describe(prompt, windows, seen), iou


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

    Raises
    ------
    TrainingError
        If no ladder is asked for, or no image has a labelled object.
    """
    if count < 1:
        raise TrainingError(
            "There is no ladder to collect: ask for at least one for each worker."
        )
    rng = np.random.default_rng((seed, 77))
    groups: dict[str, list[LabelledImage]] = {}
    for image in images:
        if len(image.ids):
            groups.setdefault(image.modality, []).append(image)
    if not groups:
        raise TrainingError(
            "No image has a labelled object to click on: check the data folder."
        )
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
