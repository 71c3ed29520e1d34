"""From the preview to a label, and from a label back to its prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any
from uuid import UUID

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.errors import Sam3Error, StateError
from napari_sam3.core.journal import ObjectRecord, Plane
from napari_sam3.core.marks import MaskMark, bounds_of_marks
from napari_sam3.viewer.bench import Bench
from napari_sam3.viewer.engine import Tell
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.inference import News
from napari_sam3.viewer.label_grid import LabelGrid, label_grid
from napari_sam3.viewer.label_search import find_in
from napari_sam3.viewer.lookup import Box
from napari_sam3.viewer.replies import ManyReply, Reply
from napari_sam3.viewer.results import Former
from napari_sam3.viewer.scanning import scan_ids
from napari_sam3.viewer.sources import PlaneKey
from napari_sam3.viewer.status import Status

__all__ = ["Accepting"]


class Accepting:
    """Writes the preview into the labels, and takes objects up again.

    Parameters
    ----------
    bench : Bench
        With the preview.

    Attributes
    ----------
    refused : Signal
        With the error of what could not be done when its time had come.
    accepted : Signal
        With the list of the objects' numbers.
    """

    refused = Signal(Exception)
    accepted = Signal(list)

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._due: PlaneKey | None = None
        bench.answered.connect(self._on_answered)
        bench.changed.connect(self._on_changed)
        bench.asking.failed.connect(self._on_failed)
        bench.switch.failed.connect(self._on_failed)

    def accept(self) -> list[int]:
        """Write what the preview shows.

        Returns
        -------
        list of int
            Numbers of the objects, in the order of their prompts.

        Raises
        ------
        StateError
            If there is nothing to accept.
        LayerError
            If the Labels layer cannot take it; nothing was written then.
        """
        self._due = None
        reply = self._bench.reply
        if reply is not None and not reply_has_pixels(reply):
            raise StateError(
                "The mask is empty, so there is nothing to accept; correct the "
                "prompts, or take another candidate."
            )
        if reply is None:
            raise StateError(
                "There is no mask to accept; click on an object and wait for its mask."
            )
        numbers = (
            [self._accept_one(reply)]
            if isinstance(reply, Reply)
            else self._accept_many(reply)
        )
        self._bench.drafting.next_is_object()
        self.accepted.emit(numbers)
        return numbers

    def accept_when_ready(self) -> None:
        """Accept now, or as soon as the mask of the present prompts is there.

        What stands in the way comes as the signal ``refused``.
        """
        bench = self._bench
        bench.ask()  # again, if it was cancelled
        if bench.is_awaiting or scan_ids(
            bench.asking, bench.results, self._on_answered
        ):
            self._due = bench.follower.key()
            return
        try:
            self.accept()
        except Sam3Error as error:
            self._refuse(error)

    def check_refinable(self, label: int) -> Labels:
        """Return the layer with the objects.

        Raises
        ------
        StateError
            If there is no Labels layer, or the number is none of an object.
        """
        labels = self._bench.results.labels
        if labels is None:
            raise StateError("There are no objects yet; choose a Labels layer first.")
        if label <= 0:
            raise StateError(f"{label} is no object; 0 is background.")
        return labels

    def refine(self, label: int) -> None:
        """Take up an object: its pixels become the mask to correct.

        Its prompts are shown again; it keeps its number when it is accepted. Errors
        are those of `check_refinable`.
        """
        bench, labels = self._bench, self.check_refinable(label)
        key = bench.follower.source().key
        record = bench.results.journal().get((label, key.plane))
        before = bench.drafting.draft
        bench.take_step(Draft(label=label, home=labels.unique_id))
        place = bench.echo(f"s.refine({label})")
        give_up = partial(
            self._give_up,
            key,
            label,
            Draft() if before.is_incomplete else before,
            place,
        )
        near = None if record is None else bounds_of_marks(record.dialogue.marks)
        grid = label_grid(labels, bench.image, key.plane)
        work = partial(_locate, grid, label, near)
        then = partial(self._on_found, key, label, record, labels.unique_id, give_up)
        bench.asking.ask(work, then, is_request=False, otherwise=give_up)

    def _accept_one(self, reply: Reply) -> int:
        bench = self._bench
        key, draft = bench.follower.source().key, bench.drafting.draft
        labels = bench.results.ensure(bench.image)
        if draft.label is not None and draft.home == labels.unique_id:
            label, former = draft.label, draft.former
        else:  # also an object of another layer: its number means something else here
            label, former = bench.results.next_ids(1)[0], None
        record = self._recorder(key.plane, reply)(
            label=label,
            dialogue=draft.dialogue,
            score=reply.score,
            area=np.count_nonzero(reply.mask),
        )
        written = bench.results.write_one(
            bench.image, reply.mask, reply.bbox, record, former
        )
        bench.hints.note(labels, key.layer_id, written.added)
        bench.take_step(Draft(), written)
        return label

    def _accept_many(self, reply: ManyReply) -> list[int]:
        bench = self._bench
        key = bench.follower.source().key
        plane, dialogues = key.plane, bench.dialogues()
        labels = bench.results.ensure(bench.image)
        # An object that lies wholly under better ones has no pixels of its own.
        seen = [int(place) for place in np.unique(reply.labels) if place]
        numbers = bench.results.next_ids(len(seen))
        table = np.zeros(len(dialogues) + 1, np.int64)
        table[seen] = numbers
        record = self._recorder(plane, reply)
        records = [
            record(
                label=number,
                dialogue=dialogues[place - 1],
                score=reply.objects[place - 1].score,
                area=np.count_nonzero(reply.objects[place - 1].mask),
            )
            for place, number in zip(seen, numbers, strict=True)
        ]
        written = bench.results.write_many(
            bench.image, plane, table[reply.labels], reply.bbox, records
        )
        bench.hints.note(labels, key.layer_id, written.added)
        bench.take_step(Draft(), written)
        kept = [record.label for record in written.added]
        if len(kept) < len(dialogues):
            hidden = len(dialogues) - len(kept)
            bench.asking.status = Status(
                f"{len(kept)} objects kept; {hidden} lay wholly under others"
            )
        return kept

    def _recorder(
        self, plane: Plane, reply: Reply | ManyReply
    ) -> Callable[..., ObjectRecord]:
        """Return what makes records: all that the objects of a reply share is set."""
        source = self._bench.outlook.answered
        return partial(
            ObjectRecord,
            plane=plane,
            finish=self._bench.cleanup.finish(self._bench.image, plane),
            model=self._bench.choice.model,
            fingerprint=reply.fingerprint,
            version=version("napari-sam3"),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            alone=isinstance(reply, Reply),
            shape=self._bench.shape,
            look=None if source is None else source.look,
            channels=() if source is None else source.names,
            field=source.box if source is not None and reply.is_windowed else None,
            whole=source is not None and source.whole,
        )

    def _on_found(
        self,
        key: PlaneKey,
        label: int,
        record: ObjectRecord | None,
        home: UUID,
        give_up: Callable[[], bool],
        found: Former | None,
    ) -> None:
        if found is None:
            self._due = None
            if give_up():
                self._bench.refresh()
                self._refuse(
                    StateError(
                        f"Object {label} has no pixels on this plane; pick another."
                    )
                )
            return
        score = 0.0 if record is None else record.score
        # Prompts of an image of another size lie elsewhere in this one.
        knows = record is not None and record.shape == self._bench.shape
        told = record.dialogue if record is not None and knows else Dialogue()
        base = _settled(told, MaskMark.from_mask(*found, score))
        self._complete(key, label, Draft(base, label, home))
        self._bench.refresh()

    def _give_up(self, key: PlaneKey, label: int, before: Draft, place: int) -> bool:
        """Go on with what was there before; tell if the user still waits for it."""
        self._bench.script.retract(place)
        return self._complete(key, label, before)

    def _complete(self, key: PlaneKey, label: int, base: Draft) -> bool:
        """Give the drafts that wait for an object's mask what they start from."""
        self._bench.history.complete(key, label, base)
        return self._bench.drafting.complete(key, label, base)

    def _refuse(self, error: Sam3Error) -> None:
        self._bench.asking.refuse(error)
        self.refused.emit(error)

    def _on_answered(self) -> None:
        if self._due is not None:
            self.accept_when_ready()

    def _on_changed(self) -> None:
        bench = self._bench
        if self._due is None:
            return
        is_to_come = bench.is_awaiting or bench.reply is not None
        if self._due != bench.follower.key():
            self._due = None
            self.refused.emit(
                StateError(
                    "The object was not accepted: you left its plane before the mask "
                    "was there. Go back, and accept it again."
                )
            )
        elif not is_to_come:  # the prompts were taken back
            self._due = None

    def _on_failed(self, error: Exception) -> None:
        self._due = None


def reply_has_pixels(reply: Reply | ManyReply) -> bool:
    """Tell whether a reply holds an object."""
    pixels: Any = reply.mask if isinstance(reply, Reply) else reply.labels
    return bool(pixels.any())


def _settled(told: Dialogue, mask: MaskMark) -> Dialogue:
    """Return prompts that are answered by a mask already."""
    earlier = [
        Step(step.marks)
        for step in told.steps
        if not any(isinstance(mark, MaskMark) for mark in step.marks)
    ]
    return replace(told, steps=(*earlier, Step((mask,))))


def _locate(grid: LabelGrid, label: int, near: Box | None, tell: Tell) -> Former | None:
    def report(done: int, total: int) -> None:
        tell(News("looking for the object…", done, total))

    report(0, 0)
    return find_in(grid, label, near, report)
