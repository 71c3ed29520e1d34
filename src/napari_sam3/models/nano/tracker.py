"""nano behind the `Tracker` protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.candidate import Candidate, candidates, distinct
from napari_sam3.core.errors import ModelError
from napari_sam3.core.image import check_rgb
from napari_sam3.core.ladder import Ladder
from napari_sam3.core.picture import ArrayPicture, Picture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.search import WindowSearch, earlier_mask
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.core.window_decoder import WindowAnswers, WindowPrompt
from napari_sam3.core.windows import Window
from napari_sam3.models.nano.arrays import (
    features_from_arrays,
    features_to_arrays,
    to_tensors,
)
from napari_sam3.models.nano.keys import LAYOUT
from napari_sam3.models.nano.network import Features, NanoNet
from napari_sam3.models.weights.layout import fill
from napari_sam3.models.weights.source import open_weights

__all__ = ["NanoTracker"]

#: Side of a window, and of the whole view that `embed` computes.
WINDOW_SIZE = 128
#: Side of a window that is fitted to an object: it shows more of its outline.
CLOSER_SIZE = 160
WHOLE_SIZE = 512
_LOW_RES = 256
_EMBEDDING_SIDE = 64
#: Whole views per forward pass: about 100 MB of activations each.
_EMBED_BATCH = 4
#: Prompts that are answered together.
_PREDICT_BATCH = 16


class _NanoFeatures(NamedTuple):
    """What nano keeps of an image: the pixels for its windows, and the whole view.

    Without a whole view the pixels are read where prompts are, and nothing else.
    """

    picture: Picture
    whole: Features | None


class NanoTracker:
    """The embedded model.

    A prompt is answered from small windows around it (`WindowSearch`), so that
    the cost does not depend on the image's size. The whole view that `embed`
    computes is the image's embedding; it answers prompts when windows are off.

    Parameters
    ----------
    network : NanoNet
        With its weights; normalisations get folded.
    model_id : str
        How embeddings name it.
    device : torch.device
        Where it runs.
    dtype : torch.dtype
        float32, or a half format to compute convolutions in.
    windows : bool
        Whether prompts are answered from windows (default) or from the whole
        view.
    """

    def __init__(
        self,
        network: NanoNet,
        *,
        model_id: str = "nano",
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        windows: bool = True,
    ) -> None:
        self._device = device or torch.device("cpu")
        self._dtype = dtype
        self._model_id = model_id
        self._windows = windows
        self._fingerprint = f"{model_id}-{_hash_weights(network)}"
        if dtype != torch.float32:
            self._fingerprint += f"-{str(dtype).removeprefix('torch.')}"
        folded = network.eval().fold().requires_grad_(False)
        self.network = folded.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._search = WindowSearch(self)

    @classmethod
    def load(
        cls,
        path: Path,
        *,
        model_id: str = "nano",
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        windows: bool = True,
    ) -> NanoTracker:
        """Read weights; every tensor must be there and fit.

        Raises
        ------
        CheckpointError
            If the file is damaged or holds another network.
        """
        with torch.device("meta"):
            network = NanoNet()
        with open_weights(path) as source:
            fill(network, source, LAYOUT, lambda name, tensor: tensor.float())
        return cls(
            network, model_id=model_id, device=device, dtype=dtype, windows=windows
        )

    @property
    def model_id(self) -> str:
        """How embeddings name it."""
        return self._model_id

    @property
    def fingerprint(self) -> str:
        """The id and a hash of the weights."""
        return self._fingerprint

    @property
    def low_res_size(self) -> int:
        """Side of the low-resolution logits: 256."""
        return _LOW_RES

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    @property
    def is_quick(self) -> bool:
        """True."""
        return True

    @property
    def view_size(self) -> int:
        """Side of the whole view that `embed` computes: 512."""
        return WHOLE_SIZE

    @property
    def window_size(self) -> int:
        """Side of the windows around a click, in network pixels."""
        return WINDOW_SIZE

    @property
    def closer_size(self) -> int:
        """Side of the windows that are fitted to an object, in network pixels."""
        return CLOSER_SIZE

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Compute whole views; see `Tracker.embed`."""
        progress = _Progress(report, len(images), len(self.network.encoder.blocks))
        checked = []
        for image in images:
            progress.tell()
            checked.append(check_rgb(image))
        embeddings = []
        for start in range(0, len(checked), _EMBED_BATCH):
            part = checked[start : start + _EMBED_BATCH]
            pixels = [
                ArrayPicture(image).read(
                    Window(0, 0, *image.shape[:2]), WHOLE_SIZE, WHOLE_SIZE
                )
                for image in part
            ]
            features = self._encode(
                np.stack(pixels), between=partial(progress.advance, len(part))
            )
            for index, image in enumerate(part):
                one = features
                if len(part) > 1:
                    one = features.repeat(torch.tensor([index], device=self._device))
                embeddings.append(self._embedding(image, one))
        return embeddings

    def without_windows(self) -> NanoTracker:
        """Return the same model, answering from the whole view."""
        other = copy(self)
        vars(other)["_windows"] = False
        return other

    def open(self, picture: Picture) -> Embedding:
        """Return what prompts are answered from, unread; see `WindowTracker.open`."""
        features = _NanoFeatures(picture, None)
        return Embedding(features, picture.shape, self.fingerprint, 0)

    def to_arrays(self, embedding: Embedding) -> dict[str, NDArray[np.float16]]:
        """Return the whole view; see `StorableTracker.to_arrays`."""
        return features_to_arrays(self._whole_of(embedding))

    def from_arrays(
        self, arrays: Mapping[str, NDArray[np.generic]], image: NDArray[np.uint8]
    ) -> Embedding:
        """Return the embedding again; see `StorableTracker.from_arrays`."""
        whole = features_from_arrays(arrays, WHOLE_SIZE, self._device)
        return self._embedding(check_rgb(image), whole)

    def _embedding(self, image: NDArray[np.uint8], whole: Features) -> Embedding:
        nbytes = sum(t.nbytes for t in (whole.fine, *whole.levels)) + image.nbytes
        features = _NanoFeatures(ArrayPicture(image), whole)
        shape = (image.shape[0], image.shape[1])
        return Embedding(features, shape, self.fingerprint, nbytes)

    def _whole_of(self, embedding: Embedding) -> Features:
        """Return the whole view of an embedding that has one."""
        features: _NanoFeatures = embedding.features
        if features.whole is None:
            raise ModelError(
                "Only windows of this plane were looked at, so there are no features "
                "of the whole; use embed(), which computes them."
            )
        return features.whole

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Segment objects; see `Tracker.predict`."""
        if embedding.fingerprint != self.fingerprint:
            raise ModelError(
                f"This embedding is of {embedding.fingerprint}, not of "
                f"{self.fingerprint}; embed the image again."
            )
        for prompt in prompts:
            prompt.check_inside(embedding.image_shape)
        features: _NanoFeatures = embedding.features
        count = 3 if multimask else 1
        predictions = []
        # In parts: a thousand objects' candidates would fill the memory.
        for start in range(0, len(prompts), _PREDICT_BATCH):
            part = prompts[start : start + _PREDICT_BATCH]
            if self._windows:
                found = self._search.find(features.picture, part, count)
            else:
                found = [self._look_at_all(embedding, prompt, count) for prompt in part]
            predictions += [
                [mask.to_prediction(embedding.image_shape, _LOW_RES) for mask in masks]
                for masks in found
            ]
        return predictions

    def image_embedding(self, embedding: Embedding) -> Tensor:
        """Return the pyramid at stride 8, shape (1, 256, 64, 64), float32."""
        features = self._whole_of(embedding)
        side = (_EMBEDDING_SIDE, _EMBEDDING_SIDE)
        levels = [
            F.adaptive_avg_pool2d(level, side)
            if level.shape[-1] > _EMBEDDING_SIDE
            else F.interpolate(level, side, mode="bilinear")
            for level in features.levels
        ]
        return torch.cat(levels, dim=1).float().contiguous()

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> WindowAnswers:
        """Encode and decode windows; see `WindowDecoder.decode_windows`."""
        return self._decode(self._encode(pixels), prompts, pixels.shape[1])

    def rank(self, ladder: Ladder) -> NDArray[np.float32]:
        """Judge masks of all windows; see `WindowDecoder.rank`."""
        traits, numbers = (
            torch.from_numpy(part.reshape(1, -1, part.shape[-1])).to(self._device)
            for part in (ladder.traits, ladder.numbers())
        )
        with torch.inference_mode():
            scores = self.network.ranking(traits, numbers).sigmoid()
        return scores.view(ladder.scores.shape).cpu().numpy()

    def _look_at_all(
        self, embedding: Embedding, prompt: Prompt, count: int
    ) -> list[Candidate]:
        """Answer a prompt from the whole view alone."""
        shape = embedding.image_shape
        window = Window(0, 0, *shape)
        placed = WindowPrompt.place(
            prompt, window, earlier_mask(prompt, shape), WHOLE_SIZE
        )
        answers = self._decode(self._whole_of(embedding), [placed], WHOLE_SIZE)
        masks = candidates(window, answers.logits[0], answers.scores[0])
        return distinct(masks, count)

    def _encode(
        self,
        pixels: NDArray[np.uint8],
        *,
        between: Callable[[], object] | None = None,
    ) -> Features:
        batch = torch.from_numpy(pixels).to(self._device).permute(0, 3, 1, 2).float()
        with torch.inference_mode(), self._precision():
            return self.network.embed(batch, between=between)

    def _decode(
        self, features: Features, prompts: Sequence[WindowPrompt], size: int
    ) -> WindowAnswers:
        tensors = to_tensors(prompts, size // 2, self._device)
        with torch.inference_mode(), self._precision():
            logits, scores, traits = self.network.decode(features, tensors)
        return WindowAnswers(
            *(
                part.float().cpu().numpy()
                for part in (logits, scores.float().sigmoid(), traits)
            )
        )

    def _precision(self) -> torch.autocast:
        return torch.autocast(
            self._device.type,
            dtype=self._dtype if self._dtype != torch.float32 else torch.bfloat16,
            enabled=self._dtype != torch.float32,
        )


class _Progress:
    """Counts blocks of the encoder, each once per image."""

    def __init__(self, report: Report, images: int, blocks: int) -> None:
        self._report = report
        self._done, self._total = 0, images * blocks

    def tell(self) -> None:
        self._report(self._done, self._total)

    def advance(self, images: int) -> None:
        self._done += images
        self.tell()


def _hash_weights(network: NanoNet) -> str:
    """Return twelve hex digits that tell weights apart."""
    digest = hashlib.blake2b(digest_size=6)
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
