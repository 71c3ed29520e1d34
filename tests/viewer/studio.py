"""What tests of sessions share: gates for the thread, and answers known beforehand."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_sam3.core.dialogue import Dialogue, Step, respond
from napari_sam3.core.finish import Finish
from napari_sam3.core.image import to_rgb
from napari_sam3.core.marks import Mark
from napari_sam3.viewer.session import Session
from tests.fakes import FakeTracker

#: How long anything may take before the test gives up.
SECONDS = 30.0


class Gate:
    """Holds the inference thread in a call of the model until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self, *_: object) -> None:
        self.entered.set()
        assert self.opened.wait(SECONDS), "the test did not open the gate"

    def wait(self) -> None:
        """Wait until the thread stands before it."""
        assert self.entered.wait(SECONDS), "the model was not asked"


def forget_calls(fake: FakeTracker) -> None:
    """Count the model's calls from here on: loading warms it up."""
    fake.embed_calls = fake.predict_calls = 0
    for calls in (fake.images, fake.prompts, fake.multimasks, fake.threads):
        calls.clear()


def pure_mask(
    pixels: NDArray[Any],
    marks: Iterable[Mark],
    fake: FakeTracker | None = None,
    finish: Finish | None = None,
) -> NDArray[np.bool_]:
    """Return the mask of prompts that were placed at once, without any session."""
    tracker = fake or FakeTracker()
    rgb = pixels if pixels.ndim == 3 else to_rgb(pixels)
    (embedding,) = tracker.embed([rgb])
    turn = respond(tracker, embedding, Dialogue((Step(tuple(marks)),)), {})
    shape = embedding.image_shape
    mask = np.zeros(shape, np.bool_)
    row0, col0, row1, col1 = turn.prediction.bbox
    crop = (finish or Finish()).crop(turn.prediction, turn.prompt, shape)
    mask[row0:row1, col0:col1] = crop
    return mask


def disc(shape: tuple[int, int], row: float, col: float, radius: float = 6) -> Any:
    """Return the disc that the fake model draws around a click."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(rows - row, cols - col) <= radius


def mask_after(session: Session) -> NDArray[np.bool_]:
    """Return the preview's mask when all answers are there."""
    session.wait(SECONDS)
    assert session.preview is not None, session.status
    return session.preview.mask


def names(layers: Iterable[Layer]) -> list[str]:
    """Return the layers' names."""
    return [layer.name for layer in layers]
