"""Windows of rising size around one click: what their masks say about each other.

Which window shows the object at a fitting scale is not to be seen in one window
alone: a colony looks as whole as a cell. So the masks of all windows are described
together, and ranked together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.windows import LADDER, Window

__all__ = ["NUMBERS", "Ladder", "handicapped"]

_Floats = NDArray[np.float32]

#: What `Ladder.numbers` tells of a mask, in its order.
NUMBERS = (
    "score",
    "is_plain",
    "side",
    "share",
    "size",
    "border",
    "border_most",
    "stability",
    "sharpness",
    "finer",
    "finer_plain",
    "finer_score",
    "coarser",
    "coarser_plain",
    "coarser_score",
    "behind_window",
    "behind_ladder",
    "contradicted",
    "clicks",
)

#: What every doubling of the window costs an answer where nothing better is known.
_DOUBLING_HANDICAP = 0.05
_LARGEST_LOG_ODDS = 6.0


class Ladder(NamedTuple):
    """The answers of L concentric windows, each twice as large as the one before.

    Attributes
    ----------
    windows : list of Window
        Of rising size.
    logits : ndarray of shape (L, M, h, w) and dtype float32
        Masks; the first of each window is the plain answer.
    scores : ndarray of shape (L, M) and dtype float32
        Predicted IoUs, each by its window alone.
    traits : ndarray of shape (L, M, D) and dtype float32
        What else the network says of each mask; D may be 0.
    contradicted : ndarray of shape (L, M) and dtype float32
        How many clicks each mask contradicts.
    clicks : int
        How many there are.
    """

    windows: list[Window]
    logits: _Floats
    scores: _Floats
    traits: _Floats
    contradicted: _Floats
    clicks: int

    def sizes_px(self) -> _Floats:
        """Return the square roots of the masks' areas in image pixels, (L, M)."""
        cells = (self.logits > 0).sum((2, 3))
        areas = np.array([w.height * w.width for w in self.windows], np.float32)
        per_cell = areas[:, None] / np.prod(self.logits.shape[2:])
        return np.sqrt(cells * per_cell).astype(np.float32)

    def numbers(self) -> _Floats:
        """Describe every mask by itself and beside the others.

        Returns
        -------
        ndarray of shape (L, M, len(NUMBERS)) and dtype float32
            All of about unit size, in the order of `NUMBERS`.
        """
        log_odds = _log_odds(self.scores)
        columns = [
            log_odds,
            np.broadcast_to(np.arange(log_odds.shape[1]) == 0, log_odds.shape),
            np.broadcast_to(_doublings(self.windows)[:, None] / 3, log_odds.shape),
            *self._extents(),
            *self._agreements(log_odds),
            log_odds - log_odds.max(1, keepdims=True),
            log_odds - log_odds.max(),
            np.minimum(self.contradicted, 4),
            np.full(log_odds.shape, np.log2(self.clicks + 1) / 3),
        ]
        return np.stack(columns, -1).astype(np.float32)

    def _extents(self) -> list[_Floats]:
        """Tell how large, cut and certain each mask is; each (L, M)."""
        logits = self.logits
        inside = logits > 0
        rim = np.concatenate(
            [inside[..., 0, :], inside[..., -1, :], inside[..., 0], inside[..., -1]], -1
        )
        sure, possible = (logits > 1).sum((2, 3)), (logits > -1).sum((2, 3))
        near = logits > -2
        steep = (np.abs(np.tanh(logits / 4)) * near).sum((2, 3))
        return [
            np.sqrt(inside.mean((2, 3))),
            np.log2(self.sizes_px() + 1) / 5,
            rim.mean(-1),
            rim.any(-1),
            sure / np.maximum(possible, 1),
            steep / np.maximum(near.sum((2, 3)), 1),
        ]

    def _agreements(self, log_odds: _Floats) -> list[_Floats]:
        """Compare each mask with those of the next finer and coarser windows."""
        overlap = self._overlaps()
        zero = np.zeros((1, log_odds.shape[1]), np.float32)
        finer, coarser = overlap.max(1), overlap.max(2)  # over the other's masks
        best_finer, best_coarser = overlap.argmax(1), overlap.argmax(2)
        return [
            np.concatenate([zero, finer]),
            np.concatenate([zero, overlap[:, 0]]),
            np.concatenate([zero, np.take_along_axis(log_odds[:-1], best_finer, 1)]),
            np.concatenate([coarser, zero]),
            np.concatenate([overlap[:, :, 0], zero]),
            np.concatenate([np.take_along_axis(log_odds[1:], best_coarser, 1), zero]),
        ]

    def _overlaps(self) -> _Floats:
        """Return IoUs of masks of neighbouring windows, (L - 1, M finer, M coarser)."""
        count, masks, height, width = self.logits.shape
        inside = (self.logits > 0).astype(np.float32)
        # Half of its side: the coarser window's middle holds the finer one.
        small = inside[:-1].reshape(count - 1, masks, height // 2, 2, width // 2, 2)
        small = small.mean((3, 5)).reshape(count - 1, masks, -1)
        row, col = height // 4, width // 4
        middle = inside[1:, :, row : row + height // 2, col : col + width // 2]
        common = small @ middle.reshape(count - 1, masks, -1).swapaxes(1, 2)
        whole = inside[1:].sum((2, 3))
        union = small.sum(2)[:, :, None] + whole[:, None] - common
        return np.asarray(common / np.maximum(union, 1), np.float32)


def _doublings(windows: list[Window]) -> _Floats:
    """Return how often the smallest window was doubled for each, (L,)."""
    sides = np.array([window.height for window in windows], np.float32)
    return np.log2(sides / LADDER[0])


def _log_odds(scores: _Floats) -> _Floats:
    """Return the logits of probabilities, within ±6."""
    safe = np.clip(scores, 1e-4, 1 - 1e-4)
    log_odds = np.log(safe / (1 - safe))
    return np.clip(log_odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS).astype(np.float32)


def handicapped(ladder: Ladder) -> _Floats:
    """Rank masks without having learnt to: by their scores, small windows first.

    Of a cell and its colony, both of which look whole, the cell was meant.

    Parameters
    ----------
    ladder : Ladder
        The answers of all windows.

    Returns
    -------
    ndarray of shape (L, M) and dtype float32
        Each window's scores, less the more, the larger it is.
    """
    handicaps = _DOUBLING_HANDICAP * _doublings(ladder.windows)
    return np.asarray(ladder.scores - handicaps[:, None], np.float32)
