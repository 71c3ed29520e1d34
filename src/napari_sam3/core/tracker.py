"""The protocol that every model fulfils, so that nothing else knows which it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.picture import Picture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Prompt

__all__ = [
    "Report",
    "SizedTracker",
    "StorableTracker",
    "Tracker",
    "WindowTracker",
    "no_report",
]

#: Gets how much is done, and of how much; an exception in it ends the work.
Report = Callable[[int, int], object]


def no_report(done: int, total: int) -> None:
    """Ignore the progress: what a `Report` is where nobody listens."""


@runtime_checkable
class Tracker(Protocol):
    """A promptable model: images in, embeddings out; prompts in, masks out.

    Both calls are pure: the same values give the same answers, whatever was
    asked before, so answers can be cached, batched and computed on any thread.
    """

    @property
    def model_id(self) -> str:
        """Catalog id, such as ``"nano"``."""
        ...

    @property
    def fingerprint(self) -> str:
        """The id and a hash of the weights; embeddings carry it."""
        ...

    @property
    def low_res_size(self) -> int:
        """Side of the square low-resolution logits."""
        ...

    @property
    def device(self) -> Any:
        """The ``torch.device`` that the network runs on."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether an image is embedded in a moment, so that it may be done unasked."""
        ...

    def embed(
        self, images: Sequence[NDArray[np.uint8]], *, report: Report = no_report
    ) -> list[Embedding]:
        """Compute embeddings, as many images at once as memory allows.

        Parameters
        ----------
        images : sequence of ndarray of shape (rows, columns, 3) and dtype uint8
            RGB images; their sizes may differ. What `check_rgb` takes is taken,
            and copied: later changes of the arrays change no embedding.
        report : callable, optional
            Called as ``report(done, total)``, on the thread that calls `embed`:
            before the work, between blocks of the encoder, after the last one.
            The unit is the model's; ``done`` never falls. What it raises comes
            out of `embed`, which is how encoding is cancelled, and the tracker
            goes on as if it had not been asked.

        Returns
        -------
        list of Embedding
            One per image, in order.

        Raises
        ------
        ImageError
            For other shapes and dtypes.
        """
        ...

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[list[Prediction]]:
        """Segment the objects that the prompts describe, one per prompt.

        Parameters
        ----------
        embedding : Embedding
            Of this model.
        prompts : sequence of Prompt
            One per object, in pixels of the embedded image.
        multimask : bool
            Whether to give three candidates per object, or the best guess.

        Returns
        -------
        list of list of Prediction
            Per prompt three candidates, in the order of the model's outputs, or one.
        """
        ...

    def image_embedding(self, embedding: Embedding) -> Any:
        """Return the features as a ``torch.Tensor`` of shape (1, C, H, W)."""
        ...


@runtime_checkable
class SizedTracker(Tracker, Protocol):
    """A model of which it is known how much of an image it sees at once."""

    @property
    def view_size(self) -> int:
        """Side of the square that the encoder sees: larger images lose detail."""
        ...


@runtime_checkable
class WindowTracker(SizedTracker, Protocol):
    """A model whose encoder is so cheap that it looks at windows around each prompt."""

    def open(self, picture: Picture) -> Embedding:
        """Return what `predict` reads windows of, when it needs them.

        Nothing is encoded and no pixel is read. The pixels must stay the same
        for as long as the embedding is used.

        Parameters
        ----------
        picture : Picture
            The plane.

        Returns
        -------
        Embedding
            It holds the picture; `image_embedding` refuses it.
        """
        ...

    def without_windows(self) -> Tracker:
        """Return the same model, answering from what `embed` computes alone."""
        ...


@runtime_checkable
class StorableTracker(SizedTracker, Protocol):
    """A model whose embeddings can be kept on disk."""

    def to_arrays(self, embedding: Embedding) -> dict[str, NDArray[np.float16]]:
        """Return what an embedding holds.

        Parameters
        ----------
        embedding : Embedding
            Of this model.

        Returns
        -------
        dict of str to ndarray of dtype float16
            Named arrays, rounded; infinite where float16 cannot hold them.
        """
        ...

    def from_arrays(
        self, arrays: Mapping[str, NDArray[np.generic]], image: NDArray[np.uint8]
    ) -> Embedding:
        """Return the embedding again.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            From `to_arrays` of a model with the same fingerprint.
        image : ndarray of shape (rows, columns, 3) and dtype uint8
            The image that was embedded.

        Raises
        ------
        ModelError
            If they are not of this model.
        """
        ...
