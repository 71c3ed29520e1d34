"""Earlier masks at full resolution, for those who hand back the coarse ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from napari_sam3.core.prediction import Prediction
from napari_sam3.core.prompt import Prompt

__all__ = ["Recall"]

#: What is kept: the latest masks, and no more memory than this.
_MOST_MASKS, _MOST_BYTES = 48, 64 << 20


class Recall:
    """The latest predictions of one image, found again by their coarse logits.

    `SAM3InteractiveImagePredictor` takes an earlier mask as 256 x 256 logits of the
    whole image: a small object in a large image is a few cells there. A model that
    looks through windows can use all of what it knew.

    Examples
    --------
    >>> coarse = np.full((4, 4), -32, np.float32)
    >>> fine = Prediction(np.ones((2, 2), np.float32), (3, 3, 5, 5), 0.9, coarse)
    >>> recall = Recall()
    >>> recall.note([fine])
    >>> recall.restore(Prompt(mask_logits=coarse)).mask_logits.shape
    (2, 2)
    """

    def __init__(self) -> None:
        self._masks: deque[Prediction] = deque()

    def clear(self) -> None:
        """Forget all, as when the image changes."""
        self._masks.clear()

    def note(self, answers: Iterable[Prediction]) -> None:
        """Keep predictions; the oldest ones go."""
        self._masks.extend(answer.trimmed() for answer in answers)
        while len(self._masks) > _MOST_MASKS or self._nbytes() > _MOST_BYTES:
            self._masks.popleft()

    def restore(self, prompt: Prompt) -> Prompt:
        """Return a prompt with its earlier mask at full resolution.

        Parameters
        ----------
        prompt : Prompt
            Its mask may be the ``low_res`` of a prediction.

        Returns
        -------
        Prompt
            The same one if its mask is not known, or holds no object.
        """
        coarse = prompt.mask_logits
        if coarse is None or prompt.mask_box is not None:
            return prompt
        for mask in reversed(self._masks):
            if np.array_equal(mask.low_res, coarse) and mask.mask().any():
                row0, col0, row1, col1 = mask.bbox
                box = (float(row0), float(col0), float(row1), float(col1))
                return replace(prompt, mask_logits=mask.logits, mask_box=box)
        return prompt

    def _nbytes(self) -> int:
        return sum(mask.logits.nbytes + mask.low_res.nbytes for mask in self._masks)
