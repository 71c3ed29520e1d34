"""Training windows: where they lie, what is prompted in them, what is true there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_sam3.core.picture import ArrayPicture
from napari_sam3.core.windows import Window
from training.augment import change_appearance, turn
from training.data import LabelledImage
from training.drafts import Draft, draw_draft, no_draft, scribble

__all__ = ["Batch", "SampleSettings", "WindowStream"]

_Numbers = Sequence[float] | NDArray[np.float64]

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


#: Sizes (square root of the area) in pixels of the window, in which the objects of
#: ladder windows are shown. Specks teach no shape, but that a clump of small
#: objects is not what was clicked.
_OBJECT_SIZES, _SPECK_SIZES = (5, 170), (1.2, 6)
_SPECK_SHARE = 0.3


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
        meets them; the others are fitted to an object.
    box_share : float
        Share of objects in fitted windows that are prompted by a box.
    draft_share : float
        Share of objects in fitted windows that are half done, see
        `training.drafts`.
    scribble_share : float
        Share of the other objects that are prompted by a line.
    large_share : float
        Share of batches of larger windows, as a closer look has: half as many,
        and none of them centred on a first click.
    """

    window: int = 128
    prompts: int = 3
    ladder_share: float = 0.45
    box_share: float = 0.3
    draft_share: float = 0.55
    scribble_share: float = 0.04
    large_share: float = 0.25


#: How much of an object that was not aimed at a window must show.
_SHOWN_SHARE = 0.6

#: How much larger the windows of large batches are.
_LARGE_RATIO = 1.5


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
            settings, count = self.settings, self.batch
            if rng.random() < settings.large_share:
                count = max(1, count // 2)
                settings = replace(
                    settings,
                    window=int(settings.window * _LARGE_RATIO),
                    ladder_share=0.0,
                )
            samples = [self._draw(rng, settings) for _ in range(count)]
            yield Batch(
                *(
                    torch.from_numpy(np.stack(part))
                    for part in zip(*samples, strict=True)
                )
            )

    def _draw(
        self, rng: np.random.Generator, settings: SampleSettings
    ) -> tuple[NDArray[Any], ...]:
        group = list(self.groups)[rng.choice(len(self.groups), p=self.chances)]
        image = self.groups[group][rng.integers(len(self.groups[group]))]
        index = int(rng.integers(len(image.ids)))
        size = settings.window
        ladder = rng.random() < settings.ladder_share
        click_px = click_inside(image, index, rng)
        window = (
            _ladder_window(image, index, click_px, size, rng)
            if ladder
            else _fitted_window(image, index, rng)
        )
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
            share = 0.0 if first else settings.draft_share
            drafts.append(_draft(truth[-1] > 0.5, cells, grey, share, settings, rng))
        code = int(rng.integers(8))
        masks, has_mask, points, marks = zip(*drafts, strict=True)
        return (
            np.ascontiguousarray(turn(pixels, code)),
            np.stack([turn(part, code) for part in truth]),
            np.array(areas, np.float32),
            np.array([_turn_point(c, code, size) for c in clicks], np.float32),
            np.array([_turn_box(b, code, size) for b in boxes], np.float32),
            np.stack([turn(mask, code) for mask in masks]),
            np.array(has_mask, np.float32),
            np.array(
                [[_turn_point(2 * p, code, size) for p in own] for own in points],
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


def click_inside(
    image: LabelledImage, index: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose a pixel of an object: mostly deep inside, sometimes anywhere."""
    row0, col0, row1, col1 = image.boxes[index]
    step = max(1, int(max(row1 - row0, col1 - col0)) // 96)
    inside = image.labels[row0:row1:step, col0:col1:step] == image.ids[index]
    if not inside.any():  # a filament that the coarse grid misses
        step = 1
        inside = image.labels[row0:row1, col0:col1] == image.ids[index]
    if rng.random() < 0.6:
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        depth = depth + rng.random(depth.shape) * rng.choice((0.01, 0.3 * depth.max()))
        depth[~inside] = -1
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        rows, cols = np.nonzero(inside)
        pick = rng.integers(len(rows))
        row, col = rows[pick], cols[pick]
    return np.array([row0 + row * step, col0 + col * step], np.float64)


def _ladder_window(
    image: LabelledImage,
    index: int,
    click_px: NDArray[np.float64],
    size: int,
    rng: np.random.Generator,
) -> Window:
    """Centre a window on a click, the object anywhere from a speck to too large."""
    sizes = _SPECK_SIZES if rng.random() < _SPECK_SHARE else _OBJECT_SIZES
    shown = np.exp(rng.uniform(*np.log(sizes)))
    side = np.sqrt(image.areas[index]) * size / shown
    longest = 1.6 * max(image.labels.shape)
    side = int(np.clip(side, 32, max(longest, 48)))
    stretch = np.exp(rng.normal(0, 0.08))
    height, width = max(16, int(side * stretch)), max(16, int(side / stretch))
    corner = np.round(click_px + 0.5 - np.array([height, width]) / 2).astype(int)
    return Window(int(corner[0]), int(corner[1]), height, width)


def _fitted_window(
    image: LabelledImage, index: int, rng: np.random.Generator
) -> Window:
    """Fit a window to an object, more or less well, or to a wrong mask of it."""
    row0, col0, row1, col1 = image.boxes[index]
    longest = max(row1 - row0, col1 - col0)
    ratios, shift = ((1.3, 2.4), 0.1) if rng.random() < 0.6 else ((0.7, 4.0), 0.25)
    side = max(24.0, longest * np.exp(rng.uniform(*np.log(ratios))))
    stretch = np.exp(rng.normal(0, 0.08))
    height, width = max(16, int(side * stretch)), max(16, int(side / stretch))
    off = rng.normal(0, shift, 2) * longest
    row = (row0 + row1) / 2 + off[0] - height / 2
    col = (col0 + col1) / 2 + off[1] - width / 2
    return Window(int(row), int(col), height, width)


def read_labels(
    labels: NDArray[np.int32], window: Window, size: int
) -> NDArray[np.int32]:
    """Sample labels in a window at ``size`` x ``size`` cells, 0 beyond the image."""
    rows = np.floor(window.row0 + (np.arange(size) + 0.5) * window.height / size)
    cols = np.floor(window.col0 + (np.arange(size) + 0.5) * window.width / size)
    rows, cols = rows.astype(int), cols.astype(int)
    row_in = (rows >= 0) & (rows < labels.shape[0])
    col_in = (cols >= 0) & (cols < labels.shape[1])
    result = np.zeros((size, size), np.int32)
    result[np.ix_(row_in, col_in)] = labels[np.ix_(rows[row_in], cols[col_in])]
    return result


def covered(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share of each four by four cells that is covered."""
    # Sums of slices take a tenth of the time of a mean over axes.
    cells = inside.view(np.uint8)
    rows = cells[::4] + cells[1::4] + cells[2::4] + cells[3::4]
    counts = rows[:, ::4] + rows[:, 1::4] + rows[:, 2::4] + rows[:, 3::4]
    return counts.astype(np.float32) / np.float32(16)


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


def _turn_point(point: _Numbers, code: int, size: int) -> list[float]:
    row, col = point
    if code & 1:
        row = size - row
    if code & 2:
        col = size - col
    return [col, row] if code & 4 else [row, col]


def _turn_box(box: _Numbers, code: int, size: int) -> list[float]:
    first, second = (_turn_point(box[i : i + 2], code, size) for i in (0, 2))
    low, high = np.minimum(first, second), np.maximum(first, second)
    return [*low, *high]
