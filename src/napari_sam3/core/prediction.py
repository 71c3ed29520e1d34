"""What a model says: an image's embedding, and one candidate mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError

__all__ = ["LOGIT_LIMIT", "Embedding", "Prediction"]

#: Low-resolution logits are clamped to this, and pixels outside a
#: prediction's crop have its negative.
LOGIT_LIMIT = 32.0


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What a model computed once for an image, to be prompted many times.

    Parameters
    ----------
    features : object
        The model's own; nobody else looks inside.
    image_shape : tuple of int
        (rows, columns) of the image.
    fingerprint : str
        Of the tracker that computed it; other models and other weights refuse it.
    nbytes : int
        Memory that it holds, for caches with a budget.
    """

    features: Any
    image_shape: tuple[int, int]
    fingerprint: str
    nbytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One candidate mask of one object.

    Parameters
    ----------
    logits : ndarray of shape (h, w) and dtype float32
        Image-resolution logits of the crop; above the threshold is object.
        Every pixel outside the crop is background.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the image, half-open.
    score : float
        Predicted intersection over union with the true object, 0 to 1.
    low_res : ndarray of shape (L, L) and dtype float32
        Logits over the whole image in the model's low-resolution frame,
        clamped to ±32, to be fed back as the next prompt's ``mask_logits``.
    """

    logits: NDArray[np.float32]
    bbox: tuple[int, int, int, int]
    score: float
    low_res: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Hold the crop and its box to the same shape."""
        row0, col0, row1, col1 = self.bbox
        if self.logits.shape != (row1 - row0, col1 - col0):
            raise ImageError(
                f"Logits of shape {self.logits.shape} do not fill the box {self.bbox}; "
                "crop both alike."
            )

    def mask(self, threshold: float = 0.0) -> NDArray[np.bool_]:
        """Return the crop's mask, shape (h, w): logits above the threshold."""
        return self.logits > threshold

    def paste(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Return logits of the whole image.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the image.

        Returns
        -------
        ndarray of shape ``shape`` and dtype float32
            The crop's logits, and -32 everywhere else.
        """
        row0, col0, row1, col1 = self.bbox
        canvas = np.full(shape, -LOGIT_LIMIT, np.float32)
        canvas[row0:row1, col0:col1] = self.logits
        return canvas
