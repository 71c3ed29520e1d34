"""A correction changes a mask near the click, and leaves the rest as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.resample import Grid, resample

__all__ = ["Correction", "obey"]

#: Masks that share less than this are two different objects: the earlier one was
#: wrong as a whole.
_SAME_OBJECT_IOU = 0.5
#: Radius of what a click decides where the network does not follow it, as a share of
#: the window's side, and how sure that is.
_DISC_SHARE, _DISC_LOGIT = 1 / 32, 2.0
#: From this click on an object is nearly right, and what is wrong is small: a change
#: reaches so many times as far as the click is away from the earlier outline, and so
#: many cells further; and the click, meant for the middle of an error, itself decides
#: a part of that distance. Chosen on the validation images: earlier than this,
#: or with a shorter reach, masks get right more slowly.
_LOCAL_FROM, _REACH, _REACH_CELLS, _DECIDED = 6, 3.0, 2.0, 0.8
#: Windows of up to so many pixels are corrected pixel by pixel, larger ones in as many
#: cells.
_FINEST_CELLS = 1024


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
            that the earlier mask contradicts, else the earlier mask, pixel by pixel:
            carried through the network's coarse cells click by click it would wear
            off. The new answer as it is where no click contradicts the earlier mask,
            or hardly anything of it stays.
        """
        before = resample(*self.earlier, mask.map.grid)
        wanted = self._wanted(mask.map, before > 0)
        if wanted is None:
            return mask
        grid = _finest(mask.map.grid)
        kept, new = (resample(*part, grid) for part in (self.earlier, mask.map))
        is_new = (kept > 0) == (new > 0)
        for drawn, part in ((new > 0, mask.map.logits > 0), (new <= 0, before > 0)):
            is_new |= drawn & _around(wanted & part, wanted & ~part, grid)
        corrected = np.where(is_new, new, kept)
        if len(self.prompt.points) >= _LOCAL_FROM:
            corrected = self._near_clicks(corrected, kept, grid)
        return replace(mask, map=LogitMap(corrected, grid))

    def _near_clicks(
        self, new: NDArray[np.float32], kept: NDArray[np.float32], grid: Grid
    ) -> NDArray[np.float32]:
        """Undo changes that are far from a click, and make those that are close."""
        old = kept > 0
        allowed = np.zeros_like(old)
        for index, away in _disobeyed(self.prompt, old, grid):
            positive = self.prompt.labels[index]
            depth = away[old == positive].min(initial=max(grid.rows, grid.cols))
            decided = away <= _DECIDED * depth
            further = np.maximum if positive else np.minimum
            new = np.where(decided, further(new, _certain(positive)), new)
            allowed |= (away <= _REACH * depth + _REACH_CELLS) & ((new > 0) == positive)
        return np.where(((new > 0) != old) & ~allowed, kept, new)

    def _wanted(
        self, new: LogitMap, old: NDArray[np.bool_]
    ) -> NDArray[np.bool_] | None:
        """Return the pieces of a change that clicks ask for; None: all of it."""
        from scipy import ndimage

        changed = old ^ (new.logits > 0)
        either = np.count_nonzero(old | changed)
        if np.count_nonzero(old & ~changed) <= _SAME_OBJECT_IOU * either:
            return None
        asked = self._asked(new.grid)
        if not asked.any():
            return None
        pieces, _ = ndimage.label(changed, np.ones((3, 3)))
        named = np.unique(pieces[asked])
        return np.isin(pieces, named[named > 0])

    def _asked(self, grid: Grid) -> NDArray[np.bool_]:
        """Return the cells of clicks that contradict the earlier mask, and beside."""
        asked = np.zeros((grid.rows, grid.cols), np.bool_)
        was = self.earlier.holds(self.prompt.points)
        cells = np.floor(grid.cells_at(self.prompt.points)).astype(int)
        for row, col in cells[was != self.prompt.labels]:
            if 0 <= row < grid.rows and 0 <= col < grid.cols:
                asked[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2] = True
        return asked


def obey(mask: Candidate, prompt: Prompt) -> Candidate:
    """Give way to clicks that a mask contradicts.

    Parameters
    ----------
    mask : Candidate
        The answer.
    prompt : Prompt
        All clicks so far.

    Returns
    -------
    Candidate
        With a small disc around each such click as the click says: a network
        that does not see what is meant would else be asked the same for ever.
    """
    logits, grid = mask.map
    obeyed = logits.copy()
    reach = max(_DISC_SHARE * grid.rows, 0.5)
    clicks = grid.cells_at(prompt.points)
    for index, away in _disobeyed(prompt, logits > 0, grid):
        near = np.argwhere(away <= reach)
        # A place belongs to the nearest click.
        apart = np.linalg.norm(near[:, None] + 0.5 - clicks, axis=2)
        own = near[apart.argmin(1) == index]
        obeyed[tuple(own.T)] = _certain(prompt.labels[index])
    return replace(mask, map=LogitMap(obeyed, grid))


def _disobeyed(
    prompt: Prompt, inside: NDArray[np.bool_], grid: Grid
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield clicks that a mask contradicts, and each cell's distance from them."""
    rows, cols = (np.arange(side, dtype=np.float32) + 0.5 for side in inside.shape)
    for index, (row, col) in enumerate(grid.cells_at(prompt.points)):
        place = int(np.floor(row)), int(np.floor(col))
        if not (0 <= place[0] < grid.rows and 0 <= place[1] < grid.cols):
            continue
        if inside[place] != prompt.labels[index]:
            away = np.hypot(rows[:, None] - row, cols - col)
            yield index, away.astype(np.float32)


def _certain(positive: np.bool_) -> np.float32:
    return np.float32(_DISC_LOGIT if positive else -_DISC_LOGIT)


def _finest(grid: Grid) -> Grid:
    """Return a window's grid of pixels, or of as many cells as are bearable."""
    sides = (min(round(side), _FINEST_CELLS) for side in (grid.height, grid.width))
    rows, cols = (max(1, side) for side in sides)
    return grid._replace(rows=rows, cols=cols)


def _around(
    cells: NDArray[np.bool_], others: NDArray[np.bool_], grid: Grid
) -> NDArray[np.bool_]:
    """Return where a finer grid is in cells or beside them, but not in the others.

    Beside them, as the outline of cells has steps, and that of logits has none.
    """
    from scipy import ndimage

    near = ndimage.binary_dilation(cells, np.ones((3, 3))) & ~others
    rows, cols = (
        ((np.arange(fine) + 0.5) * coarse / fine).astype(int)
        for fine, coarse in zip((grid.rows, grid.cols), cells.shape, strict=True)
    )
    return np.asarray(near[np.ix_(rows, cols)])
