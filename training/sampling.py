"""Training windows: where they lie, what is prompted in them, what is true there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.windows import Window
from training.augment import change_appearance, turn, turn_box, turn_point
from training.data import LabelledImage
from training.places import (
    click_inside,
    fitted_window,
    ladder_window,
    read_labels,
    view_window,
)
from training.prompted import Prompted, View, choose_targets
from training.settings import SampleSettings

__all__ = ["Batch", "WindowStream"]

#: Chance of each modality; equal chances by count would be all nuclei.
MODALITY_WEIGHTS = {
    "fluorescence_nuclei": 0.13,
    "histology_HE_light": 0.08,
    "histology_purple": 0.07,
    "brightfield_gray_tissue": 0.04,
    "phase_contrast_cells": 0.14,
    "em_sem_axons": 0.06,
    "em_sem_myelinated_fibres": 0.06,
    "em_fibsem_neurons": 0.09,
    "photo_grains": 0.07,
    "synthetic": 0.40,
}


#: How much larger the windows of large batches are, and views of planes.
_LARGE_RATIO, _PLANE_RATIO = 1.5, 4


class Batch(NamedTuple):
    """Windows with P prompted objects each, all of them as tensors.

    Attributes
    ----------
    pixels : uint8 Tensor of shape (B, S, S, 3)
    truth : float32 Tensor of shape (B, P, S / 2, S / 2)
        Share of each cell that the object covers.
    area : float32 Tensor of shape (B, P)
        The whole object's area in cells, the part beyond the window included.
    click : float32 Tensor of shape (B, P, 2)
        A first click (row, col) in window pixels; NaN: to be found from truth.
    box : float32 Tensor of shape (B, P, 4)
        (row0, col0, row1, col1) in window pixels; NaN: no box.
    mask : float32 Tensor of shape (B, P, S / 2, S / 2)
        Logits of an earlier mask.
    has_mask : float32 Tensor of shape (B, P)
        1 where ``mask`` counts, else 0.
    points : float32 Tensor of shape (B, P, N, 2)
        Earlier clicks, (row, col) in window pixels.
    labels : float32 Tensor of shape (B, P, N)
        1 object, 0 background, -1 no click.
    """

    pixels: Tensor
    truth: Tensor
    area: Tensor
    click: Tensor
    box: Tensor
    mask: Tensor
    has_mask: Tensor
    points: Tensor
    labels: Tensor


class WindowStream(torch.utils.data.IterableDataset[Batch]):
    """An endless stream of batches; each worker draws its own chance.

    Parameters
    ----------
    images : sequence of LabelledImage
        Real and synthetic.
    batch : int
        Windows per batch.
    seed : int
        Of the chance; a resumed run passes another one.
    settings : SampleSettings, optional
        How windows are drawn.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        batch: int,
        seed: int,
        settings: SampleSettings | None = None,
    ) -> None:
        self.batch, self.seed = batch, seed
        self.settings = settings or SampleSettings()
        self.groups: dict[str, list[LabelledImage]] = {}
        for image in images:
            if len(image.ids):
                self.groups.setdefault(image.modality, []).append(image)
        weights = np.array([MODALITY_WEIGHTS[name] for name in self.groups])
        self.chances = weights / weights.sum()

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches without end."""
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, info.id if info else 0))
        while True:
            settings, count = self._size(rng.random())
            samples = [self._draw(rng, settings) for _ in range(count)]
            yield Batch(
                *(
                    torch.from_numpy(np.stack(part))
                    for part in zip(*samples, strict=True)
                )
            )

    def _size(self, chance: float) -> tuple[SampleSettings, int]:
        """Choose how large a batch's windows are, and how many there are."""
        settings = self.settings
        if chance < settings.plane_share:
            side = settings.window * _PLANE_RATIO
            plane = replace(settings, window=side, ladder_share=0.0, view_share=1.0)
            return plane, 1
        if chance < settings.plane_share + settings.large_share:
            side = int(settings.window * _LARGE_RATIO)
            large = replace(settings, window=side, ladder_share=0.0)
            return large, max(1, self.batch // 2)
        return settings, self.batch

    def _draw(
        self, rng: np.random.Generator, settings: SampleSettings
    ) -> tuple[NDArray[Any], ...]:
        """Draw one window with its objects: the parts of a `Batch`."""
        group = list(self.groups)[rng.choice(len(self.groups), p=self.chances)]
        image = self.groups[group][rng.integers(len(self.groups[group]))]
        index = int(rng.integers(len(image.ids)))
        size = settings.window
        click_px = click_inside(image, index, rng)
        kind, window = _choose_window(image, index, click_px, settings, rng)
        labels = read_labels(image.labels, window, 2 * size)
        per_pixel = 4 * size**2 / (window.height * window.width)
        targets = choose_targets(image, index, labels, per_pixel, settings.prompts, rng)
        shown = ArrayPicture(image.image).read(window, size, size)
        pixels = change_appearance(shown, rng)
        grey = pixels[::2, ::2].mean(axis=2, dtype=np.float32)
        view = View(image, window, labels, grey)
        objects = []
        for order, target in enumerate(targets):
            centred = kind == "ladder" and order == 0
            share = settings.draft_share / (3 if kind == "view" else 1)
            objects.append(
                view.prompt(target, click_px, 0.0, 0.1, settings, rng)
                if centred
                else view.prompt(target, None, share, settings.box_share, settings, rng)
            )
        return _turned(pixels, objects, int(rng.integers(8)))


def _choose_window(
    image: LabelledImage,
    index: int,
    click_px: NDArray[np.float64],
    settings: SampleSettings,
    rng: np.random.Generator,
) -> tuple[str, Window]:
    """Choose where a window lies, and say what kind it is."""
    chance = rng.random() - settings.ladder_share
    if chance < 0:
        return "ladder", ladder_window(image, index, click_px, settings.window, rng)
    if chance < settings.view_share:
        return "view", view_window(image, index, settings.window, rng)
    return "fitted", fitted_window(image, index, rng)


def _turned(
    pixels: NDArray[np.uint8], objects: Sequence[Prompted], code: int
) -> tuple[NDArray[Any], ...]:
    """Turn a window and all that is known of its objects."""
    size = len(pixels)
    truth, areas, clicks, boxes, drafts = zip(*objects, strict=True)
    masks, has_mask, points, marks = zip(*drafts, strict=True)
    return (
        np.ascontiguousarray(turn(pixels, code)),
        np.stack([turn(part, code) for part in truth]),
        np.array(areas, np.float32),
        np.array([turn_point(c, code, size) for c in clicks], np.float32),
        np.array([turn_box(b, code, size) for b in boxes], np.float32),
        np.stack([turn(mask, code) for mask in masks]),
        np.array(has_mask, np.float32),
        np.array(
            [[turn_point(2 * p, code, size) for p in own] for own in points],
            np.float32,
        ),
        np.stack(marks),
    )
