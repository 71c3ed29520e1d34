"""Answering prompts in large planes: a window that follows them, then a closer one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from napari_sam3.core.errors import PromptError
from napari_sam3.core.extent import (
    bounds_of,
    boxed,
    extent_of,
    length_of,
    mask_bounds,
    with_prompt,
)
from napari_sam3.core.patches import WHOLE_RATIO, Lattice, Patch, whole_patch
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Box, Prompt
from napari_sam3.core.tracker import SizedTracker, Tracker

__all__ = ["Zoom"]

#: Objects whose longer side is shorter than this, in pixels of the network's view,
#: are looked at more closely: SAM's masks have cells of 3.5 to 4 such pixels.
_TOO_SMALL = 32
#: A closer window is at least so many times as long as the object.
_CLOSER = 6
#: A window for a cut object, or a mask that is all there is, likewise.
_AROUND = 2
#: Room around the prompts in their first window.
_ROOM = 1.5
#: How much of the field of view a window must hold: windows double, so it is then
#: from three quarters to one and a half times as large.
_FIELD_SHARE = 1 / WHOLE_RATIO
#: Pixels that the box around a mask may have, each of four bytes; and of the other
#: candidates.
_LARGEST_MASK, _LARGEST_OTHER = 2**28, 2**26
#: Looks at one object, the first one included. A cut object may need two wider ones.
_MOST_LOOKS = 4

_Answers = list[Prediction]


class _Found(NamedTuple):
    """Answers in pixels of a patch: most are looked at again, and never enlarged."""

    patch: Patch
    masks: _Answers

    def bounds(self) -> Box | None:
        """Return the box around the best mask in the plane."""
        best = max(self.masks, key=lambda mask: mask.score)
        row0, col0, row1, col1 = best.bbox
        tall, wide = 1 / self.patch.scale
        top, left = self.patch.box[:2]
        box = (
            top + row0 * tall,
            left + col0 * wide,
            top + row1 * tall,
            left + col1 * wide,
        )
        return bounds_of(best.mask(), box)


class Zoom:
    """A tracker that sees a plane through windows; for one question about it.

    Prompts are first answered from the window of the field of view, or from one like
    it that holds them. If the best mask is small there, cut by the window's border, or
    without a pixel at less than full resolution, the object is looked at again in a
    window that fits it, and that answer counts. An earlier mask says at once which
    window that is, so that corrections stay in it. The answer depends on prompt, field
    and plane only.

    Parameters
    ----------
    tracker : Tracker
        Which answers about each window. If it is not known how much it sees at once
        (`SizedTracker`), it is shown the whole plane.
    shape : tuple of int
        (rows, columns) of the plane.
    embed : callable
        Gets a `Patch`, returns its embedding; it had better remember them.
    field : tuple of float, optional
        ``(row0, col0, row1, col1)`` of the plane that the user sees.
    whole : bool, optional
        Whether to answer from the whole plane only.
    on_first : callable, optional
        Called with the first answers of a prompt if a closer look follows.
    """

    def __init__(
        self,
        tracker: Tracker,
        shape: tuple[int, int],
        embed: Callable[[Patch], Embedding],
        *,
        field: Box | None = None,
        whole: bool = False,
        on_first: Callable[[_Answers], object] | None = None,
    ) -> None:
        self.view_size = max(shape)
        if isinstance(tracker, SizedTracker):
            self.view_size = tracker.view_size
        else:
            whole = True
        self._tracker = tracker
        self._lattice = Lattice(shape, self.view_size)
        self._embed = embed
        self._field = field
        self._whole = whole_patch(shape, self.view_size) if whole else None
        self._on_first = on_first
        self.model_id = tracker.model_id
        self.fingerprint = tracker.fingerprint
        self.low_res_size = tracker.low_res_size

    @property
    def device(self) -> Any:
        """Where the network runs."""
        return self._tracker.device

    @property
    def is_quick(self) -> bool:
        """As the tracker's."""
        return self._tracker.is_quick

    def embedding(self) -> Embedding:
        """Return an embedding that stands for the plane; nothing is computed."""
        return Embedding(None, self._lattice.shape, self.fingerprint, 0)

    def embed(self, images: Any, **options: Any) -> list[Embedding]:
        """Compute embeddings; see `Tracker.embed`."""
        return self._tracker.embed(images, **options)

    def image_embedding(self, embedding: Embedding) -> Any:
        """Return the features of the whole plane; see `Tracker.image_embedding`."""
        patch = whole_patch(self._lattice.shape, self.view_size)
        return self._tracker.image_embedding(self._embed(patch))

    def first_patch(self, prompt: Prompt | None = None) -> Patch:
        """Return the window that a prompt is first answered from.

        Parameters
        ----------
        prompt : Prompt, optional
            Without it the window is that of the field of view.
        """
        if self._whole is not None:
            return self._whole
        if prompt is None:
            return self._of_field(self._lattice.side(self._needed(0.0)))
        bounds, earlier = extent_of(prompt), mask_bounds(prompt)
        if bounds is None:
            if earlier is None:
                return whole_patch(self._lattice.shape, self.view_size)
            side = self._lattice.side(self._needed(_AROUND * length_of(earlier)))
            patch = self._around(earlier, side)
        else:
            side = self._lattice.side(self._needed(_ROOM * length_of(bounds)))
            patch = self._around(bounds, side)
        # As if the earlier mask had been found there.
        for _ in range(_MOST_LOOKS if earlier is not None else 0):
            closer = self._closer(earlier, patch, prompt)
            if closer is None or closer == patch:
                break
            patch = closer
        return patch

    def embed_first(self) -> None:
        """Encode the window that a first click in the field of view needs."""
        self._embed(self.first_patch())

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt], *, multimask: bool
    ) -> list[_Answers]:
        """Segment objects; see `Tracker.predict`."""
        prompts = [boxed(prompt, embedding.image_shape) for prompt in prompts]
        for prompt in prompts:
            prompt.check_inside(embedding.image_shape)
        places = [self.first_patch(prompt) for prompt in prompts]
        answers: dict[int, _Found] = {}
        looks: dict[int, set[Patch]] = {n: set() for n in range(len(prompts))}
        due = dict(enumerate(places))
        for look in range(_MOST_LOOKS):
            found = self._ask(due, prompts, multimask)
            due_next: dict[int, Patch] = {}
            for number, patch in due.items():
                looks[number].add(patch)
                bounds = found[number].bounds()
                if number in answers and bounds is None:
                    continue  # what was seen before is better than nothing
                answers[number] = found[number]
                closer = self._closer(bounds, patch, prompts[number])
                if closer is not None and closer not in looks[number]:
                    due_next[number] = closer
            due = due_next
            if not due:
                break
            if look == 0 and self._on_first is not None and len(prompts) == 1:
                self._on_first(self._lifted(answers[0], True))
        alone = len(prompts) == 1
        return [self._lifted(answers[n], alone) for n in range(len(prompts))]

    def _lifted(self, found: _Found, alone: bool) -> _Answers:
        """Bring answers to the plane, without those that would fill the memory.

        If the best one would, that is told, unless it would stop other objects: then
        there is none.
        """
        shape, low_res = self._lattice.shape, self.low_res_size
        per_pixel = float(np.prod(1 / found.patch.scale))
        best = max(found.masks, key=lambda mask: mask.score)
        lifted = []
        for mask in found.masks:
            pixels = mask.trimmed(0).logits.size * per_pixel
            if mask is best and pixels > _LARGEST_MASK:
                if not alone:
                    nothing = np.zeros((0, 0), np.float32)
                    none = replace(mask, logits=nothing, bbox=(0, 0, 0, 0), score=0.0)
                    return [found.patch.lift(none, shape, low_res)]
                raise PromptError(
                    f"The mask would reach over {pixels / 1e6:,.0f} million pixels, "
                    "more than fits into memory; take the prompts back (clear), zoom "
                    "in to the object that you mean, and click again."
                )
            if mask is best or pixels <= _LARGEST_OTHER:
                lifted.append(found.patch.lift(mask, shape, low_res))
        return lifted

    def _ask(
        self, due: dict[int, Patch], prompts: Sequence[Prompt], multimask: bool
    ) -> dict[int, _Found]:
        """Ask window by window."""
        found: dict[int, _Found] = {}
        for patch in dict.fromkeys(due.values()):
            numbers = [number for number in due if due[number] == patch]
            embedding = self._embed(patch)
            placed = [patch.place(prompts[number]) for number in numbers]
            answers = self._tracker.predict(embedding, placed, multimask=multimask)
            for number, masks in zip(numbers, answers, strict=True):
                found[number] = _Found(patch, masks)
        return found

    def _closer(self, bounds: Box | None, patch: Patch, prompt: Prompt) -> Patch | None:
        """Return a window that shows an object better, None if this one will do."""
        if self._whole is not None:
            return None
        if bounds is None:
            return self._sharper(patch, prompt)
        if self._is_cut(bounds, patch):
            around = with_prompt(bounds, prompt)
            side = self._side(max(float(_longer(patch)), _AROUND * length_of(around)))
            wider = self._at(around, side)
            while self._is_cut(bounds, wider):
                side *= 2
                wider = self._at(around, side)
            return wider
        seen = length_of(bounds) * float(patch.scale.max())
        magnified = self.view_size / max(patch.shape)  # by the network, if it can
        if seen * magnified < _TOO_SMALL:
            around = with_prompt(bounds, prompt)
            closer = self._at(around, self._side(_CLOSER * length_of(around)))
            return closer if _longer(closer) < _longer(patch) else None
        return None

    def _sharper(self, patch: Patch, prompt: Prompt) -> Patch | None:
        """Return a window at full resolution, in case the object was too small."""
        said = extent_of(prompt)
        if said is None:
            return None
        sharper = self._at(said, self._lattice.side(_ROOM * length_of(said)))
        return sharper if _longer(sharper) < _longer(patch) else None

    def _is_cut(self, bounds: Box, patch: Patch) -> bool:
        """Tell whether an object reaches a border beyond which the plane goes on."""
        row0, col0, row1, col1 = patch.box
        rows, cols = self._lattice.shape
        tall, wide = 1 / patch.scale
        return (
            (row0 > 0 and bounds[0] < row0 + tall)
            or (col0 > 0 and bounds[1] < col0 + wide)
            or (row1 < rows and bounds[2] > row1 - tall)
            or (col1 < cols and bounds[3] > col1 - wide)
        )

    def _needed(self, length: float) -> float:
        """Return how long a window must be for the field of view and a length."""
        if self._field is None:
            return length
        row0, col0, row1, col1 = np.clip(self._field, 0, [*self._lattice.shape] * 2)
        return max(length, _FIELD_SHARE * float(max(row1 - row0, col1 - col0)))

    def _of_field(self, side: int) -> Patch:
        """Return the window in the middle of the field of view."""
        row0, col0, row1, col1 = self._field or (0, 0, *self._lattice.shape)
        return self._lattice.at((row0 + row1) / 2, (col0 + col1) / 2, side)

    def _around(self, bounds: Box, side: int) -> Patch:
        """Return the field's window if it holds the prompts, else one around them.

        Were it always one around them, most clicks would need a window of their own.
        """
        if self._field is not None:
            patch = self._of_field(side)
            if patch.holds(self._inside(bounds)):
                return patch
        return self._at(bounds, side)

    def _inside(self, bounds: Box) -> Box:
        row0, col0, row1, col1 = np.clip(bounds, 0, [*self._lattice.shape] * 2).tolist()
        return row0, col0, row1, col1

    def _side(self, wanted: float) -> int:
        return self._lattice.side(wanted, may_magnify=True)

    def _at(self, bounds: Box, side: int) -> Patch:
        """Return the window around bounds, a wider one if they do not fit in."""
        row, col = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
        patch = self._lattice.at(row, col, side)
        inside = self._inside(bounds)
        while not patch.holds(inside) and side < max(self._lattice.shape):
            side *= 2
            patch = self._lattice.at(row, col, side)
        return patch


def _longer(patch: Patch) -> int:
    return max(patch.window.height, patch.window.width)
