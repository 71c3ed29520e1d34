"""Answering a prompt from small windows: a ladder of scales, then a closer look.

A window in which the object has a fitting size costs little and shows it sharp,
whatever the image's size. Zooming in on the object follows RITM (Sofiiuk et al.,
2022) and FocalClick (Chen et al., CVPR 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.candidate import Candidate, LogitMap, distinct
from napari_sam3.core.correction import obey
from napari_sam3.core.errors import PromptError
from napari_sam3.core.extent import union
from napari_sam3.core.fitting import answer_fitted
from napari_sam3.core.likeness import likeness
from napari_sam3.core.picture import Picture
from napari_sam3.core.prompt import Box, Prompt
from napari_sam3.core.resample import Grid
from napari_sam3.core.window_decoder import (
    Look,
    Seen,
    WindowDecoder,
    contradicted,
    decode_looks,
    describe,
    doubted,
)
from napari_sam3.core.windows import fit_window, ladder_windows

__all__ = ["WindowSearch", "earlier_mask"]

#: Up to how many clicks a ladder's answer is compared with the one that fits the
#: earlier mask, which has seen more. Chosen on the validation images: later made masks
#: worse.
_LEAVING_CLICKS = 3

#: Larger windows, and one that is larger than the image, are looked at only if an
#: object seems to be as large: a click then takes less time, and in a large plane
#: hardly more than in a small one.
_LARGE = 1280


class _Plan(NamedTuple):
    """The windows that a prompt is first looked for in.

    Attributes
    ----------
    fitted : Look, optional
        To what the prompt outlines.
    ladder : list of Look
        Of rising size.
    late : list of Look
        The ladder's end, for objects that fill the windows before.
    """

    fitted: Look | None
    ladder: list[Look]
    late: list[Look]


class _Ranked(NamedTuple):
    """The masks of a ladder's windows, each with its score."""

    masks: list[Candidate]

    @property
    def best(self) -> int:
        """Index of the mask that is looked at again, and then comes first."""
        return max(range(len(self.masks)), key=lambda index: self.masks[index].rating)

    def refined(self, closer: Seen, prompt: Prompt) -> _Ranked:
        """Put the closer look's mask in the place of the best, with its score.

        Seen by itself in a window that fits, a colony scores as well as a cell: a
        closer look makes masks better, not the choice. One that loses clicks makes
        nothing better.
        """
        masks = self.masks.copy()
        best = masks[self.best]
        new = replace(best, map=closer.masks[0].map)
        if contradicted(new, prompt) <= contradicted(best, prompt):
            masks[self.best] = new
        return _Ranked(masks)

    def choose(self, count: int) -> list[Candidate]:
        """Return the best masks that differ."""
        known = likeness(self.masks) if count > 1 else None
        return distinct(self.masks, count, known)


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
        plans = [_plan(prompt, picture.shape) for prompt in prompts]
        fitted = self._fitted(picture, plans)
        ladders = self._ladders(picture, plans)
        searched = [
            _is_better(ladder.masks, own)
            for ladder, own in zip(ladders, fitted, strict=True)
        ]
        # Only a ladder's best answer needs a closer look: others fitted already.
        looks = [
            _closer_look(prompt, ladder.masks[ladder.best], picture.shape)
            for prompt, ladder, wanted in zip(prompts, ladders, searched, strict=True)
            if wanted
        ]
        closer = iter(self._decode(picture, looks, self.decoder.closer_size))
        return [
            _settled(ladder.refined(next(closer), prompt).choose(count), prompt, plan)
            if wanted
            else distinct(own, count)
            for prompt, wanted, plan, ladder, own in zip(
                prompts, searched, plans, ladders, fitted, strict=True
            )
        ]

    def _fitted(self, picture: Picture, plans: list[_Plan]) -> list[list[Candidate]]:
        looks = [plan.fitted for plan in plans if plan.fitted is not None]
        answers = iter(answer_fitted(self.decoder, picture, looks))
        return [next(answers) if plan.fitted is not None else [] for plan in plans]

    def _decode(self, picture: Picture, looks: list[Look], size: int) -> list[Seen]:
        return decode_looks(self.decoder, picture, looks, size)

    def _ladders(self, picture: Picture, plans: list[_Plan]) -> list[_Ranked]:
        """Look at windows of all sizes; the masks are ranked beside each other."""
        size = self.decoder.window_size
        looks = [look for plan in plans for look in plan.ladder]
        seen = iter(self._decode(picture, looks, size))
        ranked = []
        for plan in plans:
            ladder = [next(seen) for _ in plan.ladder]
            own = self._rank(plan.ladder, ladder)
            if plan.late and _looks_large(own.masks, plan):
                ladder += self._decode(picture, plan.late, size)
                own = self._rank([*plan.ladder, *plan.late], ladder)
            ranked.append(own)
        return ranked

    def _rank(self, looks: list[Look], seen: list[Seen]) -> _Ranked:
        """Score masks of all sizes beside each other, hints included."""
        if not looks:
            return _Ranked([])
        prompt = looks[0].prompt
        windows = [look.window for look in looks]
        ladder = describe(prompt, windows, seen)
        scores = doubted(self.decoder.rank(ladder), ladder.contradicted)
        hint, sizes = prompt.size_hint, ladder.sizes_px()
        masks = [
            replace(
                mask,
                score=float(score),
                penalty=hint.penalty(float(size)) if hint else 0.0,
            )
            for row, marks, areas in zip(seen, scores, sizes, strict=True)
            for mask, score, size in zip(row.masks, marks, areas, strict=True)
        ]
        return _Ranked(masks)


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
    if bounds is None or not _meets(bounds, shape):
        earlier = bounds = None  # no object, too small for its cells, or elsewhere
    if bounds is not None:
        bounds = _within(bounds, shape)
    if prompt.box is not None:
        bounds = union(bounds, _within(prompt.box, shape))
    if bounds is None and not len(prompt.points):
        raise PromptError(
            "The mask of the prompt is empty in the image, and nothing else is given; "
            "add a point or a box."
        )
    fitted: Look | None = None
    ladder: list[Look] = []
    if bounds is not None:
        fitted = Look(prompt, fit_window(_with_clicks(bounds, prompt, shape)), earlier)
    # A background click may say that the earlier mask has the wrong scale.
    is_mixed = 0 < len(prompt.positive) < len(prompt.points) <= _LEAVING_CLICKS
    is_doubtful = prompt.box is None and is_mixed
    if bounds is None or is_doubtful:
        clicks = prompt.positive if prompt.labels.any() else prompt.points
        windows = ladder_windows(_nearest(clicks, shape), shape)
        ladder = [Look(prompt, window, None) for window in windows]
    largest = min(_LARGE, max(shape) - 1)
    early = max(2, sum(look.window.height <= largest for look in ladder))
    return _Plan(fitted, ladder[:early], ladder[early:])


def _looks_large(masks: list[Candidate], plan: _Plan) -> bool:
    """Tell whether the best mask so far is of one of the two largest windows."""
    best = max(masks, key=lambda mask: mask.rating)
    return best.map.grid.height >= plan.ladder[-2].window.height


def _is_better(ladder: list[Candidate], fitted: list[Candidate]) -> bool:
    """Tell whether to leave the window that fits the earlier mask."""
    if not ladder or not fitted:
        return bool(ladder)
    return max(m.rating for m in ladder) > max(m.rating for m in fitted)


def _settled(masks: list[Candidate], prompt: Prompt, plan: _Plan) -> list[Candidate]:
    """Widen first answers, but no corrections, and let several clicks be followed.

    One click on nothing is no reason to find something.
    """
    if plan.fitted is None or plan.fitted.earlier is None:
        masks = [mask.widened() for mask in masks]
    return masks if len(prompt.points) == 1 else [obey(m, prompt) for m in masks]


def _closer_look(prompt: Prompt, mask: Candidate, shape: tuple[int, int]) -> Look:
    """Fit a window to a mask and the clicks on the object, the mask carried over."""
    bounds = mask.map.bounds()
    if bounds is None or not _meets(bounds, shape):
        # Nothing found in the image: look where the clicks are.
        row, col = _nearest(prompt.points, shape).mean(axis=0) + 0.5
        bounds = (row, col, row, col)
    return Look(prompt, fit_window(_with_clicks(bounds, prompt, shape)), mask.map)


def _meets(bounds: Box, shape: tuple[int, int]) -> bool:
    row0, col0, row1, col1 = bounds
    return row1 > 0 and col1 > 0 and row0 < shape[0] and col0 < shape[1]


def _within(bounds: Box, shape: tuple[int, int]) -> Box:
    row0, col0, row1, col1 = np.clip(bounds, 0, [*shape, *shape]).tolist()
    return row0, col0, row1, col1


def _nearest(
    clicks: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the pixels of the image that are nearest to clicks (N, 2)."""
    return np.clip(clicks, 0, np.array(shape) - 1)


def _with_clicks(bounds: Box, prompt: Prompt, shape: tuple[int, int]) -> Box:
    for row, col in _nearest(prompt.positive, shape).tolist():
        bounds = union(bounds, (row, col, row + 1, col + 1))
    return bounds
