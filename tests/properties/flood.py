"""A model that sees: it takes what is connected and as bright as the click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.search import earlier_mask
from tests.fakes import FakeTracker

#: How far colours of one object may differ, of 255.
_TOLERANCE = 24


class FloodTracker(FakeTracker):
    """Fills from each click, from the middle of the box, and of an outline.

    It goes by the pixels that it was given, so a click that is one pixel beside a
    disc gives the background, and a wrong plane gives nothing round.
    """

    def __init__(self) -> None:
        # Its windows hold whole planes of these tests.
        super().__init__(radius=200, blocks=1, model_id="flood")

    def draw(
        self,
        prompt: Prompt,
        image: NDArray[np.uint8],
        growth: float = 0,
        window: tuple[int, int, int, int] | None = None,
    ) -> NDArray[np.bool_]:
        """Fill; see `FakeTracker.draw`. Candidates are all alike."""
        row0, col0, row1, col1 = window or (0, 0, *image.shape[:2])
        mask = np.zeros(image.shape[:2], np.bool_)
        for seed in self._seeds(prompt, mask.shape):
            place = tuple(np.round(seed).astype(int))
            if all(0 <= at < size for at, size in zip(place, mask.shape, strict=True)):
                away = np.abs(image.astype(np.int16) - image[place])
                parts = label((away <= _TOLERANCE).all(axis=-1), connectivity=1)
                mask |= parts == parts[place]
        return mask[row0:row1, col0:col1]

    def _seeds(
        self, prompt: Prompt, shape: tuple[int, int]
    ) -> list[NDArray[np.float64]]:
        seeds = list(prompt.positive)
        if prompt.box is not None and not seeds:
            top, left, bottom, right = prompt.box
            seeds.append(np.array([top + bottom - 1, left + right - 1]) / 2)
        earlier = earlier_mask(prompt, shape)
        if earlier is not None and not seeds:
            inside = resample(*earlier, Grid(0, 0, *shape, *shape)) > 0
            seeds.append(np.argwhere(inside).mean(axis=0))
        return seeds
