"""From a model's answer to the mask that the user gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ModelError
from napari_sam3.core.prediction import LOGIT_LIMIT, Prediction
from napari_sam3.core.prompt import Prompt

__all__ = ["Finish"]

#: How far beyond the threshold cleaned pixels are moved, as in SAM 3's code.
_CLEANED_MARGIN = 10.0


@dataclass(frozen=True, slots=True)
class Finish:
    """How logits become a mask of the whole image.

    Parameters
    ----------
    mask_threshold : float
        Logits above it become mask; between -32 and 32.
    max_hole_area, max_sprinkle_area : float
        In pixels of the image; see `clean`.

    Raises
    ------
    ModelError
        If a number is not usable.
    """

    mask_threshold: float = 0.0
    max_hole_area: float = 256.0
    max_sprinkle_area: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would give no mask, or the whole image."""
        if not -LOGIT_LIMIT < self.mask_threshold < LOGIT_LIMIT:
            raise ModelError(
                f"mask_threshold is {self.mask_threshold}; give a logit between "
                "-32 and 32."
            )
        for name in ("max_hole_area", "max_sprinkle_area"):
            area = getattr(self, name)
            if math.isnan(area) or area < 0:
                raise ModelError(f"{name} is {area}; give pixels, 0 turns it off.")

    def crop(
        self, prediction: Prediction, prompt: Prompt, shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Return the cleaned mask of the prediction's crop alone."""
        # Here, not above: scikit-image takes a quarter of a second to import.
        from napari_sam3.core.cleanup import clean

        return clean(
            prediction.mask(self.mask_threshold),
            max_hole_area=self.max_hole_area,
            max_sprinkle_area=self.max_sprinkle_area,
            positive=prompt.positive,
            negative=prompt.negative,
            origin=prediction.bbox[:2],
            image_shape=shape,
        )

    def mask(
        self, prediction: Prediction, prompt: Prompt, shape: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Return the cleaned mask of the whole image, bool, of ``shape``."""
        row0, col0, row1, col1 = prediction.bbox
        canvas = np.zeros(shape, np.bool_)
        canvas[row0:row1, col0:col1] = self.crop(prediction, prompt, shape)
        return canvas

    def logits(
        self, prediction: Prediction, prompt: Prompt, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return logits of the whole image that give `mask` at the threshold."""
        row0, col0, row1, col1 = prediction.bbox
        cleaned = self.crop(prediction, prompt, shape)
        changed = cleaned != prediction.mask(self.mask_threshold)
        margin = np.where(cleaned, _CLEANED_MARGIN, -_CLEANED_MARGIN)
        canvas = prediction.paste(shape)
        canvas[row0:row1, col0:col1] = np.where(
            changed, self.mask_threshold + margin, prediction.logits
        )
        return canvas
