"""A mask as a hashable value: what refining starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import PromptError

__all__ = ["MaskMark"]

#: Pixels of the largest mask that is read from runs.
_MOST_PIXELS = 2**31


@dataclass(frozen=True, slots=True)
class MaskMark:
    """A mask that is there already, to be refined.

    Parameters
    ----------
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the mask's crop in the plane, half-open.
    bits : bytes
        The crop, row by row, eight pixels a byte, as `numpy.packbits` packs it.
    score : float
        Its predicted quality, if a model made it, else 0.

    Raises
    ------
    PromptError
        If box and bits do not fit, or the mask is empty.
    """

    bbox: tuple[int, int, int, int]
    bits: bytes
    score: float = 0.0

    def __post_init__(self) -> None:
        """Hold the bits and their box to the same size."""
        row0, col0, row1, col1 = bbox = tuple(int(edge) for edge in self.bbox)
        if not (0 <= row0 < row1 and 0 <= col0 < col1):
            raise PromptError(
                f"{bbox} is not the box of a mask in a plane; give (row0, col0, row1, "
                "col1) with the second corner below and right of the first."
            )
        pixels = (row1 - row0) * (col1 - col0)
        if len(self.bits) != -(-pixels // 8):
            raise PromptError(
                f"{len(self.bits)} bytes do not hold the {pixels} pixels of the mask's "
                "box; pack the crop with MaskMark.from_mask."
            )
        if not any(self.bits):
            raise PromptError("The mask is empty; there is nothing to refine.")
        object.__setattr__(self, "bbox", bbox)
        object.__setattr__(self, "score", float(self.score))
        if not math.isfinite(self.score):
            raise PromptError(f"The score of the mask is {self.score}; give 0 to 1.")

    @classmethod
    def from_mask(
        cls,
        mask: NDArray[np.bool_],
        bbox: tuple[int, int, int, int],
        score: float = 0.0,
    ) -> MaskMark:
        """Pack a mask; what is empty around it is cut away.

        Parameters
        ----------
        mask : ndarray of shape (h, w) and dtype bool
            A crop of the plane.
        bbox : tuple of int
            ``(row0, col0, row1, col1)`` of the crop in the plane, half-open.
        score : float
            Its predicted quality, if a model made it.
        """
        if mask.shape != (bbox[2] - bbox[0], bbox[3] - bbox[1]):
            raise PromptError(
                f"A mask of shape {mask.shape} does not fill the box {bbox}; crop both "
                "alike."
            )
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            raise PromptError("The mask is empty; there is nothing to refine.")
        top, left, bottom, right = rows[0], cols[0], rows[-1] + 1, cols[-1] + 1
        row0, col0 = bbox[:2]
        return cls(
            (row0 + top, col0 + left, row0 + bottom, col0 + right),
            np.packbits(mask[top:bottom, left:right]).tobytes(),
            score,
        )

    def mask(self) -> NDArray[np.bool_]:
        """Return the crop, shape (h, w)."""
        row0, col0, row1, col1 = self.bbox
        shape = (row1 - row0, col1 - col0)
        packed = np.frombuffer(self.bits, np.uint8)
        flat = np.unpackbits(packed, count=shape[0] * shape[1])
        return flat.reshape(shape).astype(np.bool_)

    def runs(self) -> list[int]:
        """Return how many pixels are background, then object, and so on in turns.

        Row by row; the first number may be 0.
        """
        flat = self.mask().ravel()
        ends = [*np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size]
        lengths = np.diff(ends, prepend=0).tolist()
        return [0, *lengths] if flat[0] else lengths

    @classmethod
    def from_runs(cls, bbox: list[int], runs: list[int], score: float) -> MaskMark:
        """Undo `runs`.

        Parameters
        ----------
        bbox : list of int
            As of the mark.
        runs : list of int
            As `runs` gives them.
        score : float
            As of the mark.

        Raises
        ------
        PromptError
            If they are something else.
        """
        for numbers in (bbox, runs):
            if not all(type(n) is int and 0 <= n <= _MOST_PIXELS for n in numbers):
                raise PromptError(
                    'A mask\'s "bbox" and "runs" must be whole numbers of pixels.'
                )
        if len(bbox) != 4:
            raise PromptError('"bbox" of a mask must be [row0, col0, row1, col1].')
        row0, col0, row1, col1 = bbox
        pixels = sum(runs)
        # Before anything of that size is made.
        if pixels > _MOST_PIXELS or pixels != (row1 - row0) * (col1 - col0):
            raise PromptError(
                f'"runs" of a mask add up to {pixels} pixels, which do not fill its '
                f'"bbox" {bbox}; export the prompts again.'
            )
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return cls((row0, col0, row1, col1), np.packbits(flat).tobytes(), score)
