"""What the simulated user talks to: a model behind one question and its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3 import SAM3InteractiveImagePredictor
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.recall import Recall
from napari_sam3.core.tracker import Tracker, WindowTracker
from training.regions import Bounds, Region

__all__ = [
    "Answer",
    "Click",
    "PredictorResponder",
    "Question",
    "Responder",
    "TrackerResponder",
]


@dataclass(frozen=True, slots=True)
class Click:
    """One click, in pixels of the image."""

    row: int
    col: int
    positive: bool


class Answer(NamedTuple):
    """One candidate.

    Attributes
    ----------
    region : Region
        Its mask.
    score : float
        Predicted IoU.
    memory : Any
        What the responder wants to have back with the next question.
    """

    region: Region
    score: float
    memory: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Everything the user has said about an object.

    Parameters
    ----------
    clicks : tuple of Click
        All of them, the newest last.
    box : tuple of int or None
        ``(row0, col0, row1, col1)``, half-open.
    earlier : Answer or None
        What was chosen last time.
    ambiguous : bool
        Whether candidates are wanted.
    known_sizes : tuple of float
        Square roots of the areas of objects segmented before in the image, px.
    """

    clicks: tuple[Click, ...]
    box: Bounds | None = None
    earlier: Answer | None = None
    ambiguous: bool = True
    known_sizes: tuple[float, ...] = ()


class Responder(Protocol):
    """A model, or a classic method, that answers questions about an image."""

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take an image of shape (rows, columns, 3)."""
        ...

    def answer(self, question: Question) -> list[Answer]:
        """Return candidates, at least one."""
        ...


class PredictorResponder:
    """The public predictor, with its masks of the image's size.

    Parameters
    ----------
    tracker : Tracker
        The model.
    hints : bool
        Whether the predictor is told the sizes of the objects known so far.
    """

    def __init__(self, tracker: Tracker, *, hints: bool = False) -> None:
        self._predictor = SAM3InteractiveImagePredictor(tracker)
        self._hints = hints

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Embed an image."""
        self._predictor.set_image(image)

    def answer(self, question: Question) -> list[Answer]:
        """Ask the predictor."""
        clicks, box, earlier = question.clicks, question.box, question.earlier
        masks, scores, low_res = self._predictor.predict(
            point_coords=np.array([[c.col, c.row] for c in clicks]) if clicks else None,
            point_labels=np.array([c.positive for c in clicks]) if clicks else None,
            box=np.array([box[1], box[0], box[3], box[2]]) if box else None,
            mask_input=earlier.memory[np.newaxis] if earlier else None,
            multimask_output=question.ambiguous,
            **self._hint(question),
        )
        return [
            Answer(Region.trim(mask), float(score), logits)
            for mask, score, logits in zip(masks, scores, low_res, strict=True)
        ]

    def _hint(self, question: Question) -> dict[str, Any]:
        if not self._hints or not question.known_sizes:
            return {}
        from napari_sam3.core.hint import SizeHint

        hint = SizeHint(sizes_px=question.known_sizes, view_px=None)
        return {"size_hint": hint}


class TrackerResponder:
    """What the public predictor does, on crops: no masks of the image's size.

    Parameters
    ----------
    tracker : Tracker
        The model.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._finish = SAM3InteractiveImagePredictor(tracker).finish
        self._embedding: Embedding | None = None
        self._recall = Recall()

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Embed an image."""
        (self._embedding,) = self._tracker.embed([image])
        self._recall.clear()

    def answer(self, question: Question) -> list[Answer]:
        """Ask the model, and finish its masks as the predictor does."""
        assert self._embedding is not None
        prompt = Prompt(
            points=np.array([[c.row, c.col] for c in question.clicks], np.float64),
            labels=np.array([c.positive for c in question.clicks], np.bool_),
            box=question.box,
            mask_logits=question.earlier.memory if question.earlier else None,
        )
        is_windowed = isinstance(self._tracker, WindowTracker)
        if is_windowed:
            prompt = self._recall.restore(prompt)
        (found,) = self._tracker.predict(
            self._embedding, [prompt], multimask=question.ambiguous
        )
        if is_windowed:
            self._recall.note(found)
        shape = self._embedding.image_shape
        return [
            Answer(
                Region.trim(self._finish.crop(one, prompt, shape), *one.bbox[:2]),
                # Of two that differ in float64 alone the predictor takes the first.
                float(np.float32(one.score)),
                one.low_res,
            )
            for one in found
        ]
