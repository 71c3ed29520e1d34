"""The objects of a training window: which are prompted, and how."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.windows import Window
from training.data import LabelledImage
from training.drafts import Draft, draw_draft, no_draft, scribble
from training.places import covered
from training.settings import SampleSettings

__all__ = ["Prompted", "View", "choose_targets"]

#: How much of an object that was not aimed at a window must show.
_SHOWN_SHARE = 0.6


class Prompted(NamedTuple):
    """One object of a window: the parts of a `Batch` that are its own."""

    truth: NDArray[np.float32]
    area: float
    click: NDArray[np.float64] | Sequence[float]
    box: NDArray[np.float64] | Sequence[float]
    draft: Draft


class View(NamedTuple):
    """What a window shows: labels at twice its resolution, grey values at half."""

    image: LabelledImage
    window: Window
    labels: NDArray[np.int32]
    grey: NDArray[np.float32]

    def prompt(
        self,
        target: int,
        click_px: NDArray[np.float64] | None,
        draft_share: float,
        box_share: float,
        settings: SampleSettings,
        rng: np.random.Generator,
    ) -> Prompted:
        """Prompt one of the image's objects: a click, a box, what was done before."""
        image, window, size = self.image, self.window, settings.window
        scale = np.array([size / window.height, size / window.width])
        truth = covered(self.labels == image.ids[target])
        click: NDArray[np.float64] | list[float] = [np.nan] * 2
        if click_px is not None:
            click = window.to_window(click_px[None], size)[0]
        box: NDArray[np.float64] | list[float] = [np.nan] * 4
        if rng.random() < box_share:
            box = _jittered_box(image.boxes[target], window, scale, rng)
        # All at the masks' resolution.
        cells = self.labels[1::4, 1::4]
        draft = _draft(truth > 0.5, cells, self.grey, draft_share, settings, rng)
        area = float(image.areas[target] * scale.prod() / 4)
        return Prompted(truth, area, click, box, draft)


def choose_targets(
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
