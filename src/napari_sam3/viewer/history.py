"""Unfinished work on a plane, and what was done to it, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.dialogue import Dialogue
from napari_sam3.core.marks import MaskMark

if TYPE_CHECKING:
    from napari_sam3.viewer.results import Written
    from napari_sam3.viewer.sources import PlaneKey

__all__ = ["Change", "Draft", "History"]

#: Steps that can be undone on one plane.
_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """The object, or objects, that the user is working on in one plane.

    Parameters
    ----------
    dialogue : Dialogue
        The prompts.
    label : int, optional
        The object that is being refined; None for a new one.
    home : uuid.UUID, optional
        The ``unique_id`` of the Labels layer that the object is of.
    """

    dialogue: Dialogue = field(default_factory=Dialogue)
    label: int | None = None
    home: UUID | None = None

    @property
    def former(self) -> tuple[NDArray[np.bool_], tuple[int, int, int, int]] | None:
        """The mask and box of the object that is refined; None for a new one."""
        for mark in reversed(self.dialogue.marks):
            if isinstance(mark, MaskMark):
                return mark.mask(), mark.bbox
        return None

    @property
    def is_incomplete(self) -> bool:
        """Whether it refines an object whose mask is still being looked up."""
        return self.label is not None and not any(
            isinstance(mark, MaskMark) for mark in self.dialogue.marks
        )

    def completed(self, label: int, base: Draft) -> Draft:
        """Return it with the base that it waits for.

        Parameters
        ----------
        label : int
            An object that was looked up; drafts of others stay as they are, and
            those that have their base.
        base : Draft
            Steps that end with the object's mask; or, if it has none, the draft that
            was there before.
        """
        if self.label != label or not self.is_incomplete:
            return self
        steps = (*base.dialogue.steps, *self.dialogue.steps)
        return replace(base, dialogue=replace(base.dialogue, steps=steps))


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One step of the user's work.

    Parameters
    ----------
    before, after : Draft
        The work on both sides of the step.
    written : Written, optional
        What the step wrote into a Labels layer.
    """

    before: Draft
    after: Draft
    written: Written | None = None


class History:
    """Undo and redo, for every plane by itself."""

    def __init__(self) -> None:
        self._done: dict[PlaneKey, list[Change]] = {}
        self._undone: dict[PlaneKey, list[Change]] = {}

    def push(self, key: PlaneKey, change: Change) -> None:
        """Remember a step; what was undone before cannot be redone after it."""
        steps = self._done.setdefault(key, [])
        steps.append(change)
        del steps[:-_LIMIT]
        self._undone.pop(key, None)

    def last(self, key: PlaneKey) -> Change | None:
        """Return the step to take back, None if there is none."""
        steps = self._done.get(key)
        return steps[-1] if steps else None

    def next(self, key: PlaneKey) -> Change | None:
        """Return the step to take again, None if there is none."""
        steps = self._undone.get(key)
        return steps[-1] if steps else None

    def back(self, key: PlaneKey, written: Written | None) -> None:
        """Note that the last step was taken back.

        Parameters
        ----------
        key : PlaneKey
            The plane.
        written : Written, optional
            What takes that back in turn.
        """
        change = replace(self._done[key].pop(), written=written)
        self._undone.setdefault(key, []).append(change)

    def forth(self, key: PlaneKey, written: Written | None) -> None:
        """Note that the next step was taken again; see `back`."""
        change = replace(self._undone[key].pop(), written=written)
        self._done.setdefault(key, []).append(change)

    def complete(self, key: PlaneKey, label: int, base: Draft) -> None:
        """Give the drafts that refine an object its base; see `Draft.completed`.

        The object was looked up while the user went on working, undid or redid. A
        step that changes nothing then has never been.
        """
        for steps in (self._done, self._undone):
            completed = [
                replace(
                    change,
                    before=change.before.completed(label, base),
                    after=change.after.completed(label, base),
                )
                for change in steps.get(key, [])
            ]
            steps[key] = [
                one for one in completed if one.before != one.after or one.written
            ]

    def forget(self, layer_id: object) -> None:
        """Forget the steps of an image that is gone."""
        for steps in (self._done, self._undone):
            for key in [key for key in steps if key.layer_id == layer_id]:
                del steps[key]
