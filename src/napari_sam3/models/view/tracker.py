"""Any network of the SAM family behind the `Tracker` protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.errors import MemoryFullError, ModelError
from napari_sam3.core.image import check_rgb
from napari_sam3.core.prediction import LOGIT_LIMIT, Embedding, Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Report, no_report
from napari_sam3.models.device import free_memory, is_out_of_memory, synchronize
from napari_sam3.models.view.arrays import Kinds, kinds_of, to_arrays, to_features
from napari_sam3.models.view.frame import Frame
from napari_sam3.models.view.network import Features, ViewNetwork, ViewPrompts

__all__ = ["ViewTracker"]

#: Below this everything is background, whatever the threshold: a mask's crop ends
#: where its logits have fallen to it.
_FLOOR = -10.0
#: What infinite logits become, so that they can be interpolated.
_ENDLESS = 1e4
#: Images and prompts per forward pass on a graphics card. A CPU gains nothing from
#: more than one.
_EMBED_BATCH = 8
_PREDICT_BATCH = 32

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


class _ViewFeatures(NamedTuple):
    """What an `Embedding` of this tracker holds."""

    features: Features
    frame: Frame


class ViewTracker:
    """A model that embeds the whole image in one view, and answers prompts from that.

    Parameters
    ----------
    network : ViewNetwork
        Loaded, on ``device``.
    model_id : str
        How embeddings name it.
    weights : str
        Hash of its weights and of whatever else changes its numbers, such as dtype.
    device : torch.device
        Where it runs.
    """

    def __init__(
        self,
        network: ViewNetwork,
        *,
        model_id: str,
        weights: str,
        device: torch.device,
    ) -> None:
        self.network = network
        self._model_id = model_id
        self._fingerprint = f"{model_id}-{weights}"
        self._device = device
        #: Dtypes and shapes of the features, once there were any: always the same.
        self._kinds: Kinds | None = None

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
        """Side of the low-resolution logits."""
        return self.network.low_res_size

    @property
    def view_size(self) -> int:
        """Side of the network's square view, in pixels."""
        return self.network.size

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._device

    @property
    def is_quick(self) -> bool:
        """Whether an image is embedded in a moment: on a graphics card."""
        return self._device.type != "cpu"

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Compute embeddings; see `Tracker.embed`."""
        steps = self.network.steps
        total = len(images) * steps
        progress = 0
        checked = []
        for image in images:
            report(0, total)
            checked.append(check_rgb(image))

        def encode(part: Sequence[NDArray[np.uint8]]) -> list[Embedding]:
            done = 0

            def between() -> None:
                nonlocal done, progress
                synchronize(self._device)
                # After memory ran out the count goes on where it stood.
                done += len(part)
                if finished + done > progress:
                    progress = finished + done
                    report(progress, total)

            return self._encode(part, between)

        embeddings: list[Embedding] = []
        finished = 0
        for found in self._in_parts(checked, _EMBED_BATCH, encode):
            embeddings += found
            finished = len(embeddings) * steps
        return embeddings

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Segment objects; see `Tracker.predict`."""
        held = self._held(embedding)
        for prompt in prompts:
            prompt.check_inside(embedding.image_shape)
        answers: dict[int, list[Prediction]] = {}
        # Prompts of other lengths would need padding, which changes the answer.
        kinds: dict[tuple[int, bool, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            kind = len(prompt.points), prompt.box is None, prompt.mask_logits is None
            kinds.setdefault(kind, []).append(index)
        for indices in kinds.values():
            parts = self._in_parts(
                indices,
                _PREDICT_BATCH,
                lambda part: [
                    *zip(
                        part,
                        self._decode(held, [prompts[i] for i in part], multimask),
                        strict=True,
                    )
                ],
            )
            for part in parts:
                answers.update(part)
        return [answers[index] for index in range(len(prompts))]

    def image_embedding(self, embedding: Embedding) -> Tensor:
        """Return the network's image embedding, shape (1, C, H, W), float32."""
        held = self._held(embedding)
        with torch.inference_mode():
            found = self.network.image_embedding(held.features).float()
        # A tensor of its own, and an ordinary one: callers may change it.
        return found.clone()

    def to_arrays(self, embedding: Embedding) -> dict[str, NDArray[np.float16]]:
        """Return an embedding's features; see `StorableTracker.to_arrays`."""
        return to_arrays(self._held(embedding).features)

    def from_arrays(
        self, arrays: Mapping[str, NDArray[np.generic]], image: NDArray[np.uint8]
    ) -> Embedding:
        """Return an embedding again; see `StorableTracker.from_arrays`.

        Its features are where, and in the dtype in which, the network made them.
        """
        features = to_features(arrays, self._device)
        if features is None or self._kinds not in (None, kinds_of(features)):
            raise ModelError(
                f"These arrays are no features of {self.fingerprint}; embed the image "
                "again."
            )
        return self._embedding(features, self._frame(image))

    def _held(self, embedding: Embedding) -> _ViewFeatures:
        """Return what an embedding of this model holds, and refuse any other."""
        if embedding.fingerprint != self.fingerprint:
            raise ModelError(
                f"This embedding is of {embedding.fingerprint}, not of "
                f"{self.fingerprint}; embed the image again."
            )
        held: _ViewFeatures = embedding.features
        return held

    def _in_parts(
        self,
        items: Sequence[_Item],
        size: int,
        compute: Callable[[Sequence[_Item]], _Value],
    ) -> Iterator[_Value]:
        """Compute part by part; with smaller parts if memory runs out."""
        size = self._most_at_once(size)
        start = 0
        while start < len(items):
            part = items[start : start + size]
            try:
                result = compute(part)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            else:
                yield result
                start += len(part)
                continue
            # Not in the clause above: the error holds what fills the memory.
            free_memory(self._device)
            if len(part) == 1:
                elsewhere = "" if self._device.type == "cpu" else "the device 'cpu', "
                raise MemoryFullError(
                    f"The memory (device {str(self._device)!r}) is too small for "
                    f"{self._model_id}, even for one image or object at a time; choose "
                    f"a smaller model, {elsewhere}or close other programs."
                )
            size = max(1, len(part) // 2)

    def _most_at_once(self, size: int) -> int:
        """Return how many to compute together, if memory allows."""
        return 1 if self._device.type == "cpu" else size

    def _encode(
        self, images: Sequence[NDArray[np.uint8]], between: Callable[[], object]
    ) -> list[Embedding]:
        network = self.network
        frames = [self._frame(image) for image in images]
        with torch.inference_mode():
            views = [
                frame.read(image, *network.normalisation, self._device)
                for frame, image in zip(frames, images, strict=True)
            ]
            features = network.encode(torch.stack(views), between)
            if not all(torch.isfinite(tensor).all() for tensor in features):
                raise ModelError(
                    f"{self._model_id} computed numbers that are none, as float16 "
                    "does where they get too large; use dtype 'bfloat16' or 'float32'."
                )
        embeddings = []
        for index, frame in enumerate(frames):
            own = tuple(_on_its_own(tensor[index : index + 1]) for tensor in features)
            self._kinds = kinds_of(own)
            embeddings.append(self._embedding(own, frame))
        return embeddings

    def _frame(self, image: NDArray[np.uint8]) -> Frame:
        network = self.network
        shape = (image.shape[0], image.shape[1])
        return Frame.of(shape, network.size, padded=network.is_padded)

    def _embedding(self, features: Features, frame: Frame) -> Embedding:
        nbytes = sum(tensor.nbytes for tensor in features)
        held = _ViewFeatures(features, frame)
        return Embedding(held, frame.shape, self.fingerprint, nbytes)

    def _decode(
        self, held: _ViewFeatures, prompts: Sequence[Prompt], multimask: bool
    ) -> list[list[Prediction]]:
        with torch.inference_mode():
            tensors = self._to_tensors(prompts, held.frame)
            logits, scores = self.network.decode(
                held.features, tensors, multimask=multimask
            )
            # Half formats overflow; what is no number is no object.
            logits = logits.float().nan_to_num(-LOGIT_LIMIT, _ENDLESS, -_ENDLESS)
            scores = scores.float().nan_to_num(0, 1, 0).cpu()
            return [
                [
                    self._to_prediction(mask, float(score), held.frame)
                    for mask, score in zip(masks, row, strict=True)
                ]
                for masks, row in zip(logits, scores, strict=True)
            ]

    def _to_prediction(self, logits: Tensor, score: float, frame: Frame) -> Prediction:
        box = frame.crop_of(logits, _FLOOR) or (0, 0, 1, 1)
        return Prediction(
            logits=frame.enlarge(logits, box).cpu().numpy(),
            bbox=box,
            score=score,
            low_res=frame.to_low_res(logits).cpu().numpy(),
        )

    def _to_tensors(self, prompts: Sequence[Prompt], frame: Frame) -> ViewPrompts:
        """Stack prompts that are alike in what they consist of."""

        def stack(arrays: Sequence[NDArray[np.generic]]) -> Tensor:
            return torch.from_numpy(np.stack(arrays)).to(self._device)

        boxes = [
            frame.place(np.reshape(prompt.box, (2, 2)))
            for prompt in prompts
            if prompt.box is not None
        ]
        masks = [
            frame.mask_input(prompt.mask_logits, prompt.mask_box, self.low_res_size)
            for prompt in prompts
            if prompt.mask_logits is not None
        ]
        return ViewPrompts(
            stack([frame.place(prompt.points) for prompt in prompts]),
            stack([prompt.labels.astype(np.int64) for prompt in prompts]),
            stack(boxes) if boxes else None,
            stack(masks)[:, None] if masks else None,
        )


def _on_its_own(tensor: Tensor) -> Tensor:
    """Copy a part of a larger tensor, or it would keep all of that in memory."""
    is_part = tensor.untyped_storage().nbytes() > tensor.nbytes
    return tensor.clone() if is_part else tensor
