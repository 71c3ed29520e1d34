"""Training windows: where they lie, what is prompted in them, what is true there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.windows import Window
from training.augment import change_appearance, turn, turn_box, turn_point
from training.data import LabelledImage
from training.drafts import Draft, draw_draft, no_draft, scribble
from training.places import (
    click_inside,
    covered,
    fitted_window,
    ladder_window,
    read_labels,
    view_window,
)

__all__ = ["Batch", "SampleSettings", "WindowStream"]

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


@dataclass(frozen=True)
class SampleSettings:
    """How windows are drawn.

    Parameters
    ----------
    window : int
        Side of a window in network pixels.
    prompts : int
        Objects that are prompted per window.
    ladder_share : float
        Share of windows centred on a click at any scale, as the first click
        meets them.
    view_share : float
        Share of windows that show an object anywhere, as a whole plane does; the
        others are fitted to an object.
    box_share : float
        Share of objects that are prompted by a box, centred clicks excepted.
    draft_share : float
        Share of objects that are half done, centred clicks excepted, see
        `training.drafts`; a third of that in views.
    scribble_share : float
        Share of the other objects that are prompted by a line.
    large_share : float
        Share of batches of larger windows, as a closer look has: half as many,
        and none of them centred on a first click.
    plane_share : float
        Share of batches that are one view of the size of a whole plane's embedding.
    """

    window: int = 128
    prompts: int = 3
    ladder_share: float = 0.42
    view_share: float = 0.14
    box_share: float = 0.3
    draft_share: float = 0.55
    scribble_share: float = 0.04
    large_share: float = 0.25
    plane_share: float = 0.12


#: How much of an object that was not aimed at a window must show.
_SHOWN_SHARE = 0.6

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
        group = list(self.groups)[rng.choice(len(self.groups), p=self.chances)]
        image = self.groups[group][rng.integers(len(self.groups[group]))]
        index = int(rng.integers(len(image.ids)))
        size = settings.window
        click_px = click_inside(image, index, rng)
        chance = rng.random() - settings.ladder_share
        ladder, viewed = chance < 0, 0 <= chance < settings.view_share
        if ladder:
            window = ladder_window(image, index, click_px, size, rng)
        elif viewed:
            window = view_window(image, index, size, rng)
        else:
            window = fitted_window(image, index, rng)
        labels = read_labels(image.labels, window, 2 * size)
        scale = np.array([size / window.height, size / window.width])
        per_pixel = 4 * float(scale.prod())
        targets = _choose_targets(
            image, index, labels, per_pixel, settings.prompts, rng
        )
        shown = ArrayPicture(image.image).read(window, size, size)
        pixels = change_appearance(shown, rng)
        # For drafts, all at the masks' resolution.
        cells = labels[1::4, 1::4]
        grey = pixels[::2, ::2].mean(axis=2, dtype=np.float32)
        truth, areas, clicks, boxes, drafts = [], [], [], [], []
        for order, target in enumerate(targets):
            truth.append(covered(labels == image.ids[target]))
            areas.append(image.areas[target] * scale.prod() / 4)
            first = order == 0 and ladder
            clicks.append(
                window.to_window(click_px[None], size)[0] if first else [np.nan] * 2
            )
            boxed = rng.random() < (0.1 if first else settings.box_share)
            boxes.append(
                _jittered_box(image.boxes[target], window, scale, rng)
                if boxed
                else [np.nan] * 4
            )
            share = 0.0 if first else settings.draft_share / (3 if viewed else 1)
            drafts.append(_draft(truth[-1] > 0.5, cells, grey, share, settings, rng))
        code = int(rng.integers(8))
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


def _draft(
    truth: NDArray[np.bool_],
    labels: NDArray[np.int32],
    grey: NDArray[np.float32],
    share: float,
    settings: SampleSettings,
    rng: np.random.Generator,
) -> Draft:
    """Draw what was done to an object before: half a mask, a line, or nothing."""
    if truth.sum() < 4:
        return no_draft(len(truth))
    if rng.random() < share:
        return draw_draft(truth, labels, grey, rng)
    if rng.random() < settings.scribble_share:
        return scribble(truth, rng)
    return no_draft(len(truth))


def _choose_targets(
    image: LabelledImage,
    index: int,
    labels: NDArray[np.int32],
    cells_per_pixel: float,
    count: int,
    rng: np.random.Generator,
) -> list[int]:
    """Choose ``count`` objects of a window, the first of them given.

    Where others are too small or mostly beyond the window, the first comes again,
    prompted in another way.
    """
    cells = np.bincount(labels.ravel(), minlength=int(image.ids[-1]) + 1)[image.ids]
    whole = cells > _SHOWN_SHARE * cells_per_pixel * image.areas
    others = [n for n in np.flatnonzero(whole & (cells >= 200)).tolist() if n != index]
    rng.shuffle(others)
    targets = [index, *others[: count - 1]]
    return targets + [index] * (count - len(targets))


def _jittered_box(
    box: NDArray[np.int64],
    window: Window,
    scale: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw a box as a hand would, in window pixels."""
    sides = np.array([box[2] - box[0], box[3] - box[1]] * 2, np.float64)
    loose = rng.choice((0.0, 0.04, 0.1))
    edges = box + rng.normal(0, 1, 4) * loose * sides
    edges = (edges - [window.row0, window.col0] * 2) * [*scale, *scale]
    edges[2:] = np.maximum(edges[2:], edges[:2] + 1)
    return edges
