"""A model whose answers are known beforehand: no torch, no weights, no waiting."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ModelError
from napari_sam3.core.image import check_rgb
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.search import earlier_mask
from napari_sam3.core.tracker import Report, no_report

#: By how many pixels the three candidates' discs and boxes are larger.
GROWTH = (0, 2, -2)
#: Pixels around the mask in a prediction's crop.
ROOM = 12

Scores = Sequence[float] | Callable[[Prompt], Sequence[float]]


class FakeTracker:
    """A `Tracker` in numpy that draws discs; pure, and safe on any thread.

    The mask of a prompt is everything of the earlier mask, of its box, and of
    discs around its positive clicks, without the discs around its negative ones.
    With ``multimask`` the second candidate's discs and boxes are 2 pixels larger,
    the third one's 2 pixels smaller. Logits are ±10.

    Parameters
    ----------
    radius : float
        Of the discs; a disc holds the pixels whose centres are that near.
    blocks : int
        Into how many pieces `embed` cuts the work on one image.
    on_block : callable, optional
        Called as ``on_block(done, total)`` in each piece, on the thread that
        embeds, before the piece is reported: a place to wait for an event of
        the test, or to raise what a model could (a full memory).
    on_predict : callable, optional
        Called with the list of prompts in each `predict`, likewise.
    scores : sequence of float, or callable
        Of the candidates; or a function of a prompt that returns them.
    tolerance : int, optional
        Discs only hold pixels that differ from the clicked one by at most that
        much in each channel. By default the image makes no difference.
    model_id : str
        Its name.
    version : str
        Stands for the weights: another one refuses this one's embeddings.
    view_size : int
        Side of the square that it sees at full resolution, as it says.

    Attributes
    ----------
    embed_calls, predict_calls : int
        How often it was asked, also if a call failed or was cancelled.
    images : list of ndarray
        All that `embed` was given.
    prompts : list of Prompt
        All that `predict` was given.
    multimasks : list of bool
        Of each call of `predict`.
    threads : list of int
        Of each call, `threading.get_ident`.
    """

    def __init__(
        self,
        radius: float = 6,
        blocks: int = 4,
        on_block: Callable[[int, int], object] | None = None,
        *,
        on_predict: Callable[[list[Prompt]], object] | None = None,
        scores: Scores = (0.9, 0.8, 0.7),
        tolerance: int | None = None,
        model_id: str = "fake",
        version: str = "0",
        low_res_size: int = 64,
        view_size: int = 4096,
    ) -> None:
        self.radius = radius
        self.blocks = blocks
        self.on_block = on_block
        self.on_predict = on_predict
        self.scores = scores
        self.tolerance = tolerance
        self.model_id = model_id
        self.fingerprint = f"{model_id}-{version}"
        self.low_res_size = low_res_size
        self.view_size = view_size
        self.device = "cpu"
        self.embed_calls = 0
        self.predict_calls = 0
        self.images: list[NDArray[np.uint8]] = []
        self.prompts: list[Prompt] = []
        self.multimasks: list[bool] = []
        self.threads: list[int] = []
        self._lock = threading.Lock()

    @property
    def is_quick(self) -> bool:
        return True

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Keep the images, block by block; see `Tracker.embed`."""
        with self._lock:
            self.embed_calls += 1
            self.images += images
            self.threads.append(threading.get_ident())
        embeddings = []
        total = self.blocks * len(images)
        report(0, total)
        for image in images:
            checked = check_rgb(image).copy()
            for block in range(1, self.blocks + 1):
                done = len(embeddings) * self.blocks + block
                if self.on_block is not None:
                    self.on_block(done, total)
                report(done, total)
            shape = (checked.shape[0], checked.shape[1])
            embeddings.append(
                Embedding(checked, shape, self.fingerprint, checked.nbytes)
            )
        return embeddings

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Draw; see `Tracker.predict`."""
        with self._lock:
            self.predict_calls += 1
            self.prompts += prompts
            self.multimasks.append(multimask)
            self.threads.append(threading.get_ident())
        if embedding.fingerprint != self.fingerprint:
            raise ModelError(
                f"This embedding is of {embedding.fingerprint}, not of "
                f"{self.fingerprint}; embed the image again."
            )
        if self.on_predict is not None:
            self.on_predict(list(prompts))
        for prompt in prompts:
            prompt.check_inside(embedding.image_shape)
        count = len(GROWTH) if multimask else 1
        return [self._answer(embedding, prompt, count) for prompt in prompts]

    def image_embedding(self, embedding: Embedding) -> Any:
        """Return the image, as floats of shape (1, 3, rows, columns)."""
        return embedding.features.transpose(2, 0, 1)[None].astype(np.float32)

    def to_arrays(self, embedding: Embedding) -> dict[str, NDArray[np.float16]]:
        """Return the pixels; see `StorableTracker.to_arrays`."""
        return {"pixels": embedding.features.astype(np.float16)}

    def from_arrays(
        self, arrays: Mapping[str, NDArray[np.generic]], image: NDArray[np.uint8]
    ) -> Embedding:
        """Take the pixels from the arrays; see `StorableTracker.from_arrays`."""
        if arrays.keys() != {"pixels"} or arrays["pixels"].shape != image.shape:
            raise ModelError("These are no pixels of this image; embed it again.")
        pixels = arrays["pixels"].astype(np.uint8)
        shape = (image.shape[0], image.shape[1])
        return Embedding(pixels, shape, self.fingerprint, pixels.nbytes)

    def _answer(
        self, embedding: Embedding, prompt: Prompt, count: int
    ) -> list[Prediction]:
        scores = self.scores(prompt) if callable(self.scores) else self.scores
        shape = embedding.image_shape
        window = self._window(prompt, shape)
        row0, col0, row1, col1 = window
        own = Grid(row0, col0, row1 - row0, col1 - col0, row1 - row0, col1 - col0)
        frame = Grid(0, 0, *shape, self.low_res_size, self.low_res_size)
        answers = []
        for growth, score in zip(GROWTH[:count], scores, strict=False):
            mask = self.draw(prompt, embedding.features, growth, window)
            logits = np.where(mask, 10, -10).astype(np.float32)
            low_res = resample(logits, own, frame)
            answers.append(Prediction(logits, window, float(score), low_res))
        return answers

    def draw(
        self,
        prompt: Prompt,
        image: NDArray[np.uint8],
        growth: float = 0,
        window: tuple[int, int, int, int] | None = None,
    ) -> NDArray[np.bool_]:
        """Return the mask of a prompt in a window of the image, or in all of it."""
        shape = (image.shape[0], image.shape[1])
        row0, col0, row1, col1 = window or (0, 0, *shape)
        rows, cols = np.ogrid[row0:row1, col0:col1]
        mask = np.zeros((row1 - row0, col1 - col0), np.bool_)
        earlier = earlier_mask(prompt, shape)
        if earlier is not None:
            own = Grid(row0, col0, *mask.shape, *mask.shape)
            mask |= resample(*earlier, own) > 0
        if prompt.box is not None:
            top, left, bottom, right = prompt.box
            mask |= (
                (rows + 0.5 > top - growth)
                & (rows + 0.5 < bottom + growth)
                & (cols + 0.5 > left - growth)
                & (cols + 0.5 < right + growth)
            )
        part = image[row0:row1, col0:col1].astype(np.int16)
        for points, value in ((prompt.positive, True), (prompt.negative, False)):
            for row, col in points:
                disc = np.hypot(rows - row, cols - col) <= self.radius + growth
                if self.tolerance is not None:
                    # Half a pixel beyond the last centre is still the image.
                    place = np.minimum([row + 0.5, col + 0.5], np.array(shape) - 1)
                    clicked = image[tuple(place.astype(int))].astype(np.int16)
                    disc &= (np.abs(part - clicked) <= self.tolerance).all(axis=-1)
                mask[disc] = value
        return mask

    def _window(
        self, prompt: Prompt, shape: tuple[int, int]
    ) -> tuple[int, int, int, int]:
        """Return whole pixels around all that could become mask."""
        reach = self.radius + max(GROWTH) + ROOM
        low = [prompt.positive - reach]
        high = [prompt.positive + reach + 1]
        boxes = [prompt.box]
        if prompt.mask_logits is not None:
            boxes.append(prompt.mask_box or (0, 0, *shape))
        for box in filter(None, boxes):
            low.append(np.array([box[:2]]) - ROOM)
            high.append(np.array([box[2:]]) + ROOM)
        if not sum(map(len, low)):
            # Background clicks alone: an empty mask around them.
            low, high = [prompt.points - reach], [prompt.points + reach + 1]
        row0, col0 = np.floor(np.vstack(low).min(axis=0)).clip(0, shape).astype(int)
        row1, col1 = np.ceil(np.vstack(high).max(axis=0)).clip(0, shape).astype(int)
        return int(row0), int(col0), int(row1), int(col1)


def hashed_scores(prompt: Prompt) -> list[float]:
    """Return scores that look random, but are always the same for a prompt."""
    digest = hashlib.blake2b(digest_size=4)
    for part in (prompt.points, prompt.labels, prompt.box, prompt.mask_logits):
        digest.update(b"" if part is None else np.array(part, np.float64).tobytes())
    start = int.from_bytes(digest.digest()) / 2**32
    return [start, start * 0.9, start * 0.8]
