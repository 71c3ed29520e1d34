"""Answering a prompt from small windows: a ladder of scales, then a closer look.

A window in which the object has a fitting size costs little and shows it sharp,
whatever the image's size. Zooming in on the object follows RITM (Sofiiuk et al.,
2022) and FocalClick (Chen et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import (
    Candidate,
    LogitMap,
    candidates,
    distinct,
    union,
)
from napari_sam3.core.errors import PromptError
from napari_sam3.core.picture import Picture
from napari_sam3.core.prompt import Box, Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.windows import LADDER, Window, fit_window, ladder_windows

__all__ = ["WindowDecoder", "WindowPrompt", "WindowSearch", "earlier_mask"]

#: Windows per call of the network; bounds its memory.
_BATCH = 42


@dataclass(frozen=True, slots=True, eq=False)
class WindowPrompt:
    """A prompt as one window of S x S pixels shows it.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
        Clicks in window pixels from the corner.
    labels : ndarray of shape (N,) and dtype bool
        True on the object.
    box : ndarray of shape (4,), optional
        ``(row0, col0, row1, col1)`` in window pixels.
    mask : ndarray of shape (S / 2, S / 2) and dtype float32, optional
        Earlier logits.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.bool_]
    box: NDArray[np.float64] | None
    mask: NDArray[np.float32] | None

    @classmethod
    def place(
        cls, prompt: Prompt, window: Window, earlier: LogitMap | None, size: int
    ) -> WindowPrompt:
        """Bring a prompt and the earlier mask to a window's frame."""
        box = None
        if prompt.box is not None:
            # The box has edges, the points have pixel centres: half a pixel apart.
            corners = np.array(prompt.box).reshape(2, 2) - 0.5
            # What lies far outside is all the same to the window.
            box = window.to_window(corners, size).ravel().clip(-size, 2 * size)
        return cls(
            points=window.to_window(prompt.points, size),
            labels=prompt.labels,
            box=box,
            mask=None
            if earlier is None
            else resample(*earlier, window.grid(size // 2, size // 2)),
        )


class WindowDecoder(Protocol):
    """A network that is cheap enough to look through many windows per click."""

    @property
    def window_size(self) -> int:
        """Side S of the windows that it sees."""
        ...

    def decode_windows(
        self, pixels: NDArray[np.uint8], prompts: Sequence[WindowPrompt]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Segment one object in each of K windows.

        ``pixels`` has the shape (K, S, S, 3). Returns logits of shape
        (K, M, S / 2, S / 2) and predicted IoUs of shape (K, M).

        The first of the M masks is the plain answer, the others are candidates
        for ambiguous prompts.
        """
        ...


#: What a contradicted click leaves of a score.
_DOUBT = 0.8
#: How much better a ladder's answer must look than the one that fits the earlier
#: mask, which has seen more.
_LEAVING_MARGIN = 0.05
#: What every doubling of the window costs an answer in the ladder's race. This
#: and the margin were chosen on the validation images.
_DOUBLING_HANDICAP = 0.05

#: Larger windows are looked at only if an object seems to be as large: a click in a
#: large plane then takes hardly longer than one in a small plane.
_LARGE = 1280

#: A window to decode: whose prompt, where, and what was there before.
_Look = tuple[Prompt, Window, LogitMap | None]


class _Plan(NamedTuple):
    """The windows that a prompt is first looked for in.

    Attributes
    ----------
    fitted : list of _Look
        To what the prompt outlines.
    ladder : list of _Look
        Of rising size.
    late : list of _Look
        The ladder's end, for objects that fill the windows before.
    """

    fitted: list[_Look]
    ladder: list[_Look]
    late: list[_Look]

    @property
    def looks(self) -> list[_Look]:
        return [*self.fitted, *self.ladder]


class WindowSearch:
    """Finds, for prompts in an image, the windows that answer them best.

    Parameters
    ----------
    decoder : WindowDecoder
        The network.
    """

    def __init__(self, decoder: WindowDecoder) -> None:
        self.decoder = decoder

    def find(
        self, picture: Picture, prompts: Sequence[Prompt], count: int
    ) -> list[list[Candidate]]:
        """Answer prompts.

        Parameters
        ----------
        picture : Picture
            The image; only the windows' pixels are read.
        prompts : sequence of Prompt
            One per object.
        count : int
            How many answers to give for each.

        Returns
        -------
        list of list of Candidate
            Per prompt ``count`` masks, the best first.
        """
        shape = picture.shape
        plans = [_plan(prompt, shape) for prompt in prompts]
        seen = iter(
            self._decode(picture, [look for plan in plans for look in plan.looks])
        )
        found: list[list[Candidate]] = []
        searched: list[bool] = []
        for plan in plans:
            fitted = [mask for _ in plan.fitted for mask in next(seen)]
            ladder = [mask for _ in plan.ladder for mask in next(seen)]
            if plan.late and _looks_large(ladder, plan):
                more = self._decode(picture, plan.late)
                ladder += [mask for masks in more for mask in masks]
            searched.append(_is_better(ladder, fitted))
            found.append(
                distinct(
                    [_handicap(m) for m in ladder] if searched[-1] else fitted, count
                )
            )
        # Only a ladder's answers need a closer look: the others fitted already.
        closer = [
            _closer_look(prompt, mask, shape)
            for prompt, masks, wanted in zip(prompts, found, searched, strict=True)
            for mask in masks
            if wanted
        ]
        focused = iter(self._decode(picture, closer))
        return [
            _in_order([next(focused)[0] for _ in masks]) if wanted else masks
            for masks, wanted in zip(found, searched, strict=True)
        ]

    def _decode(self, picture: Picture, looks: list[_Look]) -> list[list[Candidate]]:
        """Decode windows in batches; each gives the list of its masks."""
        size = self.decoder.window_size
        answers = []
        for start in range(0, len(looks), _BATCH):
            part = looks[start : start + _BATCH]
            pixels = np.stack(
                [picture.read(window, size, size) for _, window, _ in part]
            )
            placed = [WindowPrompt.place(*look, size) for look in part]
            logits, scores = self.decoder.decode_windows(pixels, placed)
            for (prompt, window, _), masks, marks in zip(
                part, logits, scores, strict=True
            ):
                named = candidates(window, masks, marks)
                answers.append([_doubt(mask, prompt) for mask in named])
        return answers


def earlier_mask(prompt: Prompt, shape: tuple[int, int]) -> LogitMap | None:
    """Return the mask that a prompt brings along, and where it lies in the image."""
    if prompt.mask_logits is None:
        return None
    row0, col0, row1, col1 = prompt.mask_box or (0, 0, *shape)
    cells = prompt.mask_logits.shape
    return LogitMap(
        prompt.mask_logits, Grid(row0, col0, row1 - row0, col1 - col0, *cells)
    )


def _plan(prompt: Prompt, shape: tuple[int, int]) -> _Plan:
    """Choose windows: fitted to what the prompt outlines, a ladder, or both."""
    earlier = earlier_mask(prompt, shape)
    bounds = earlier.bounds() if earlier is not None else None
    if bounds is None:
        earlier = None  # it holds no object, or one too small for its cells
    if prompt.box is not None:
        row0, col0, row1, col1 = np.clip(prompt.box, 0, [*shape, *shape]).tolist()
        bounds = union(bounds, (row0, col0, row1, col1))
    if bounds is None and not len(prompt.points):
        raise PromptError(
            "The mask of the prompt is empty and nothing else is given; "
            "add a point or a box."
        )
    fitted: list[_Look] = []
    ladder: list[_Look] = []
    if bounds is not None:
        fitted = [(prompt, fit_window(_with_clicks(bounds, prompt)), earlier)]
    # A background click may say that the earlier mask has the wrong scale.
    is_doubtful = prompt.box is None and len(prompt.negative) and len(prompt.positive)
    if bounds is None or is_doubtful:
        clicks = prompt.positive if prompt.labels.any() else prompt.points
        ladder = [(prompt, window, None) for window in ladder_windows(clicks, shape)]
    early = max(2, sum(window.height <= _LARGE for _, window, _ in ladder))
    return _Plan(fitted, ladder[:early], ladder[early:])


def _looks_large(ladder: list[Candidate], plan: _Plan) -> bool:
    """Tell whether the best mask so far is of one of the two largest windows."""
    best = max(ladder, key=lambda mask: _handicap(mask).score)
    return best.map.grid.height >= plan.ladder[-2][1].height


def _is_better(ladder: list[Candidate], fitted: list[Candidate]) -> bool:
    """Tell whether to leave the window that fits the earlier mask."""
    if not ladder or not fitted:
        return bool(ladder)
    margin = max(m.score for m in ladder) - max(m.score for m in fitted)
    return margin > _LEAVING_MARGIN


def _in_order(masks: list[Candidate]) -> list[Candidate]:
    """Keep the ladder's order: a closer look makes masks better, not the choice.

    Seen by itself in a window that fits, a colony scores as well as a cell. So none
    scores above the one before it.
    """
    caps = np.minimum.accumulate([mask.score for mask in masks])
    return [replace(m, score=float(cap)) for m, cap in zip(masks, caps, strict=True)]


def _handicap(mask: Candidate) -> Candidate:
    """Lower the score of a mask the more, the larger the window that shows it.

    Of a cell and its colony, both of which look whole, the cell was meant.
    """
    doublings = np.log2(mask.map.grid.height / LADDER[0])
    return replace(mask, score=mask.score - _DOUBLING_HANDICAP * float(doublings))


def _doubt(mask: Candidate, prompt: Prompt) -> Candidate:
    """Lower the score of a mask for every click that it contradicts."""
    logits, grid = mask.map
    cells = (prompt.points + 0.5 - (grid.row0, grid.col0)) * (
        grid.rows / grid.height,
        grid.cols / grid.width,
    )
    rows, cols = np.floor(cells).astype(np.intp).T
    inside = (rows >= 0) & (rows < grid.rows) & (cols >= 0) & (cols < grid.cols)
    is_object = np.zeros(len(cells), np.bool_)
    is_object[inside] = logits[rows[inside], cols[inside]] > 0
    wrong = int((is_object != prompt.labels).sum())
    return replace(mask, score=mask.score * _DOUBT**wrong)


def _closer_look(prompt: Prompt, mask: Candidate, shape: tuple[int, int]) -> _Look:
    """Fit a window to a mask and the clicks on the object, the mask carried over."""
    bounds = mask.map.bounds()
    if bounds is None or not _meets(bounds, shape):
        # Nothing found in the image: look where the clicks are.
        row, col = prompt.points.mean(axis=0) + 0.5
        bounds = (row, col, row, col)
    return prompt, fit_window(_with_clicks(bounds, prompt)), mask.map


def _meets(bounds: Box, shape: tuple[int, int]) -> bool:
    row0, col0, row1, col1 = bounds
    return row1 > 0 and col1 > 0 and row0 < shape[0] and col0 < shape[1]


def _with_clicks(bounds: Box, prompt: Prompt) -> Box:
    for row, col in prompt.positive:
        bounds = union(bounds, (row, col, row + 1, col + 1))
    return bounds
