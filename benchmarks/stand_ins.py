"""Models for benchmarks of sessions: real work, and masks that are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.core.prediction import LOGIT_LIMIT, Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import (
    Report,
    StorableTracker,
    Tracker,
    WindowTracker,
    no_report,
)

__all__ = ["BlockCount", "DiscTracker", "Subject", "subject"]

#: Radius of the discs, as of the cells that are clicked on, and room around them.
_RADIUS, _ROOM = 26, 8
#: Names of an encoder's blocks.
_BLOCK = re.compile(r"(?:.*\.)?(?:\w*encoder|trunk)\.(?:.*\.)?(?:blocks|layers)\.\d+")


class DiscTracker:
    """A model that works as ever, but whose masks are exchanged for discs.

    With random weights its own would be noise all over the window, and noise makes a
    session look for a larger window, again and again.

    Parameters
    ----------
    tracker : StorableTracker
        The model.

    Attributes
    ----------
    embed_calls : int
        How often it was asked to encode.
    """

    def __init__(self, tracker: StorableTracker) -> None:
        self._tracker = tracker
        self.embed_calls = 0
        self.model_id = tracker.model_id
        self.fingerprint = tracker.fingerprint
        self.low_res_size = tracker.low_res_size
        self.view_size = tracker.view_size
        self.is_quick = tracker.is_quick

    @property
    def device(self) -> Any:
        """Where it runs."""
        return self._tracker.device

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Compute embeddings; see `Tracker.embed`."""
        self.embed_calls += 1
        return self._tracker.embed(images, report=report)

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Have the model answer, and draw discs instead; see `Tracker.predict`."""
        answers = self._tracker.predict(embedding, prompts, multimask=multimask)
        return [
            [
                _disc(mask, prompt, embedding.image_shape, n)
                for n, mask in enumerate(own)
            ]
            for own, prompt in zip(answers, prompts, strict=True)
        ]

    def image_embedding(self, embedding: Embedding) -> Any:
        """Return the features; see `Tracker.image_embedding`."""
        return self._tracker.image_embedding(embedding)

    def to_arrays(self, embedding: Embedding) -> dict[str, NDArray[np.float16]]:
        """Return what is stored; see `StorableTracker.to_arrays`."""
        return self._tracker.to_arrays(embedding)

    def from_arrays(
        self, arrays: Mapping[str, NDArray[np.generic]], image: NDArray[np.uint8]
    ) -> Embedding:
        """Return the embedding again; see `StorableTracker.from_arrays`."""
        return self._tracker.from_arrays(arrays, image)


class BlockCount:
    """Counts the blocks of a network's encoder that are computed.

    Parameters
    ----------
    tracker : Tracker
        With a network in torch. Of others nothing can be counted.

    Attributes
    ----------
    blocks : int
        Computed so far.
    """

    def __init__(self, tracker: Tracker) -> None:
        self.blocks = 0
        network = getattr(tracker, "network", None)
        if isinstance(network, torch.nn.Module):
            for name, module in network.named_modules():
                if _BLOCK.fullmatch(name):
                    module.register_forward_hook(self._count)

    def _count(self, *_: object) -> None:
        self.blocks += 1


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model that is measured.

    Parameters
    ----------
    name : str
        For the tables.
    tracker : Tracker
        The model.
    count : BlockCount
        Of its encoder.
    """

    name: str
    tracker: Tracker
    count: BlockCount

    @property
    def keeps_embeddings(self) -> bool:
        """Whether it encodes windows once, instead of some for every click."""
        return not isinstance(self.tracker, WindowTracker)

    @property
    def encodings(self) -> int:
        """What its encoder has done so far: blocks, or calls if it has none."""
        return self.count.blocks or getattr(self.tracker, "embed_calls", 0)


def subject(model: str) -> Subject:
    """Build a model of the catalog; nothing is downloaded.

    Parameters
    ----------
    model : str
        Catalog id. nano has its weights, the others random ones, and discs as masks.

    Returns
    -------
    Subject
        On the CPU.

    Raises
    ------
    KeyError
        If there is no such model.
    """
    from benchmarks.models import random_tracker
    from napari_sam3.models.catalog import CATALOG

    torch.manual_seed(0)
    tracker = random_tracker(CATALOG[model])
    count = BlockCount(tracker)
    if isinstance(tracker, WindowTracker):
        return Subject(model, tracker, count)
    assert isinstance(tracker, StorableTracker)
    return Subject(f"{model}, random weights", DiscTracker(tracker), count)


def _disc(
    mask: Prediction, prompt: Prompt, shape: tuple[int, int], rank: int
) -> Prediction:
    """Return a disc around the first click, in place of a mask."""
    row, col = prompt.points[0]
    reach = _RADIUS + _ROOM
    bbox = (
        max(0, round(row) - reach),
        max(0, round(col) - reach),
        min(shape[0], round(row) + reach),
        min(shape[1], round(col) + reach),
    )
    rows, cols = np.ogrid[bbox[0] : bbox[2], bbox[1] : bbox[3]]
    logits = (_RADIUS - np.hypot(rows - row, cols - col)).astype(np.float32)
    low_res = np.full_like(mask.low_res, -LOGIT_LIMIT)
    return replace(
        mask, logits=logits, bbox=bbox, score=0.9 - 0.1 * rank, low_res=low_res
    )
