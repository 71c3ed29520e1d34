"""A correction changes a mask near the click, and leaves the rest as it was."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import resample

__all__ = ["Correction"]

#: Masks that share less than this are two different objects: the earlier one was
#: wrong as a whole.
_SAME_OBJECT_IOU = 0.5
#: Radius of what a click decides where the network does not follow it, in cells,
#: and how sure that is.
_DISC_CELLS, _DISC_LOGIT = 2.5, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """An earlier mask and the clicks that it contradicts.

    The network looks at the whole object again, and what was right may be lost;
    FocalClick (Chen et al., CVPR 2022) calls what is done here progressive merge.

    Parameters
    ----------
    prompt : Prompt
        All clicks so far.
    earlier : LogitMap
        The mask before the last of them.
    """

    prompt: Prompt
    earlier: LogitMap

    def keep_elsewhere(self, mask: Candidate) -> Candidate:
        """Undo what a new mask changed away from the clicks that ask for a change.

        Parameters
        ----------
        mask : Candidate
            The new answer, in a window that holds the earlier mask.

        Returns
        -------
        Candidate
            The new answer where the connected piece of the change holds a click
            that the earlier mask contradicts, else the earlier mask. The new answer
            as it is where no click contradicts the earlier mask, or hardly anything
            of it stays.
        """
        before, changed = self._changes(mask)
        wanted = self._wanted(mask, before > 0, changed)
        if wanted is None:
            return mask
        logits = np.where(changed & ~wanted, before, mask.map.logits)
        return replace(mask, map=LogitMap(logits, mask.map.grid))

    def obey(self, mask: Candidate) -> Candidate:
        """Give way to clicks that a new mask still contradicts.

        Parameters
        ----------
        mask : Candidate
            The new answer.

        Returns
        -------
        Candidate
            With a small disc around each such click as the click says: a network
            that does not see what is meant would else be asked the same for ever.
        """
        logits, grid = mask.map
        scale = np.array([grid.rows / grid.height, grid.cols / grid.width])
        cells = (self.prompt.points + 0.5 - (grid.row0, grid.col0)) * scale
        rows, cols = np.indices(logits.shape) + 0.5
        away = np.hypot(rows - cells[:, 0, None, None], cols - cells[:, 1, None, None])
        # A place belongs to the nearest click, or to none.
        nearest = away.argmin(0)
        obeyed = logits
        for index, positive in enumerate(self.prompt.labels):
            disc = (away[index] <= _DISC_CELLS) & (nearest == index)
            inside = away[index].min() < 1
            if inside and (logits.flat[away[index].argmin()] > 0) != positive:
                certain = np.float32(_DISC_LOGIT if positive else -_DISC_LOGIT)
                obeyed = np.where(disc, certain, obeyed)
        return replace(mask, map=LogitMap(obeyed, grid))

    def _changes(
        self, mask: Candidate
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the earlier logits in a mask's cells, and where the two differ."""
        before = resample(*self.earlier, mask.map.grid)
        return before, (before > 0) ^ (mask.map.logits > 0)

    def _wanted(
        self, mask: Candidate, old: NDArray[np.bool_], changed: NDArray[np.bool_]
    ) -> NDArray[np.bool_] | None:
        """Return the pieces of a change that clicks ask for; None: all of it."""
        from scipy import ndimage

        either = np.count_nonzero(old | changed)
        if np.count_nonzero(old & ~changed) < _SAME_OBJECT_IOU * either:
            return None
        asked = self._asked(mask.map, old)
        if not asked.any():
            return None
        pieces, _ = ndimage.label(changed, np.ones((3, 3)))
        named = np.unique(pieces[asked])
        return np.isin(pieces, named[named > 0])

    def _asked(self, drawn: LogitMap, old: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the cells of clicks that contradict a mask, and those beside."""
        grid = drawn.grid
        scale = (grid.rows / grid.height, grid.cols / grid.width)
        cells = np.floor((self.prompt.points + 0.5 - (grid.row0, grid.col0)) * scale)
        asked = np.zeros_like(old)
        for (row, col), positive in zip(
            cells.astype(int), self.prompt.labels, strict=True
        ):
            inside = 0 <= row < grid.rows and 0 <= col < grid.cols
            if inside and old[row, col] != positive:
                asked[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = True
        return asked
