"""What a model says: an image's embedding, and one candidate mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError

__all__ = ["LOGIT_LIMIT", "Embedding", "Prediction", "margin_around"]

#: Low-resolution logits are clamped to this, and pixels outside a
#: prediction's crop have its negative.
LOGIT_LIMIT = 32.0

#: Room that a trimmed crop leaves around its mask: a share of the longer side,
#: and never less than this many pixels. Where a model sees the mask reduced, its
#: cells at the rim then still lie in the crop.
_MARGIN_SHARE = 1 / 8
_SMALLEST_MARGIN = 8


def margin_around(bounds: tuple[int, int, int, int]) -> int:
    """Return how many pixels of background to keep around a mask's bounds."""
    side = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    return max(_SMALLEST_MARGIN, round(_MARGIN_SHARE * side))


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
    seen : tuple of int, optional
        ``(row0, col0, row1, col1)`` of the part of the image that it was found in;
        None if that is not known.
    """

    logits: NDArray[np.float32]
    bbox: tuple[int, int, int, int]
    score: float
    low_res: NDArray[np.float32]
    seen: tuple[int, int, int, int] | None = None

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

    def trimmed(self, margin: int | None = None) -> Prediction:
        """Cut the crop to its mask, so that it takes no more memory than it must.

        Parameters
        ----------
        margin : int, optional
            Pixels to leave around the mask where the crop has them; by default
            an eighth of the mask's longer side, but at least 8.

        Returns
        -------
        Prediction
            With the same mask, and with logits of its own, so that the larger
            ones can go. Of a crop without a mask its middle pixel is left.
            Itself if there is nothing to cut.
        """
        row0, col0, row1, col1 = self.bbox
        if not self.logits.size:
            return self
        rows, cols = (np.flatnonzero(self.mask().any(axis=axis)) for axis in (1, 0))
        if rows.size:
            inner = (int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1)
        else:
            middle = (row1 - row0) // 2, (col1 - col0) // 2
            inner, margin = (*middle, middle[0] + 1, middle[1] + 1), 0
        if margin is None:
            margin = margin_around(inner)
        top, left = max(inner[0] - margin, 0), max(inner[1] - margin, 0)
        crop = self.logits[top : inner[2] + margin, left : inner[3] + margin]
        if crop.shape == self.logits.shape:
            return self
        bbox = (
            row0 + top,
            col0 + left,
            row0 + top + len(crop),
            col0 + left + crop.shape[1],
        )
        return replace(self, logits=crop.copy(), bbox=bbox)

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
