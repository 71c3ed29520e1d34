"""From a model's answer to the mask that the user gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    keep_clicked : bool
        Keep only the components that hold a positive click; see `clean`.

    Raises
    ------
    ModelError
        If a number is not usable.
    """

    mask_threshold: float = 0.0
    max_hole_area: float = 256.0
    max_sprinkle_area: float = 0.0
    keep_clicked: bool = False

    def __post_init__(self) -> None:
        """Refuse what would give no mask, or the whole image."""
        for name in ("mask_threshold", "max_hole_area", "max_sprinkle_area"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number):
                raise ModelError(f"{name} is {value!r}; give a number.")
            object.__setattr__(self, name, float(value))
        if not -LOGIT_LIMIT < self.mask_threshold < LOGIT_LIMIT:
            raise ModelError(
                f"mask_threshold is {self.mask_threshold}; give a logit between "
                "-32 and 32."
            )
        for name in ("max_hole_area", "max_sprinkle_area"):
            area = getattr(self, name)
            if math.isnan(area) or area < 0:
                raise ModelError(f"{name} is {area}; give pixels, 0 turns it off.")
        if not isinstance(self.keep_clicked, bool | np.bool_):
            raise ModelError(
                f"keep_clicked is {self.keep_clicked!r}; give True or False."
            )
        object.__setattr__(self, "keep_clicked", bool(self.keep_clicked))

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
            keep_clicked=self.keep_clicked,
            origin=prediction.bbox[:2],
            image_shape=shape,
        )

    def assemble(
        self,
        prompts: Sequence[Prompt],
        answers: Sequence[Sequence[Prediction]],
        shape: tuple[int, int],
        *,
        as_logits: bool,
    ) -> NDArray[Any]:
        """Lay predictions out as images; the only arrays of full size there are.

        Parameters
        ----------
        prompts : sequence of Prompt
            B of them.
        answers : sequence of sequence of Prediction
            C candidates for each.
        shape : tuple of int
            (rows, columns) of the image.
        as_logits : bool
            float32 logits that give the cleaned masks at the threshold, instead
            of the masks.

        Returns
        -------
        ndarray of shape (B, C, rows, columns) and dtype bool or float32
            -32 outside of the predictions' crops.
        """
        size = (len(prompts), len(answers[0]), *shape)
        result: NDArray[Any] = (
            np.full(size, -LOGIT_LIMIT, np.float32)
            if as_logits
            else np.zeros(size, np.bool_)
        )
        for prompt, candidates, images in zip(prompts, answers, result, strict=True):
            for prediction, image in zip(candidates, images, strict=True):
                row0, col0, row1, col1 = prediction.bbox
                crop: NDArray[Any] = self.crop(prediction, prompt, shape)
                if as_logits:
                    crop = self._logits_of(crop, prediction)
                image[row0:row1, col0:col1] = crop
        return result

    def _logits_of(
        self, cleaned: NDArray[np.bool_], prediction: Prediction
    ) -> NDArray[np.float32]:
        """Move the logits of the pixels that cleaning changed."""
        changed = cleaned != prediction.mask(self.mask_threshold)
        margin = np.where(cleaned, _CLEANED_MARGIN, -_CLEANED_MARGIN)
        moved = (self.mask_threshold + margin).astype(np.float32)
        return np.where(changed, moved, prediction.logits)
