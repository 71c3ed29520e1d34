"""Accepted objects: their pixels in a Labels layer, and the records of them."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import show_warning
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Journal, ObjectRecord, Plane
from napari_sam3.viewer.follower import check_listed, real
from napari_sam3.viewer.label_data import check_labels
from napari_sam3.viewer.label_ids import KeptIds, LabelIds
from napari_sam3.viewer.labels import (
    Edit,
    Overlap,
    create_labels,
    revert,
    write_object,
    write_objects,
)
from napari_sam3.viewer.records import forget, read_journal, write_records
from napari_sam3.viewer.stacking import role_of

__all__ = ["Former", "Results", "Written"]

#: A crop of the mask that an object had, and its box.
Former = tuple[NDArray[np.bool_], tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What one step wrote, so that it can be taken back.

    Parameters
    ----------
    layer : weak reference of napari.layers.Labels
        The layer; its pixels go when the user deletes it.
    name : str
        Of the layer.
    edit : Edit
        The pixels.
    added, removed : tuple of ObjectRecord
        Records after and before it.
    is_hollow : bool
        Whether the pixels had been taken back by others, such as napari's own undo:
        then the records don't come back either.
    """

    layer: weakref.ref[Labels]
    name: str
    edit: Edit
    added: tuple[ObjectRecord, ...]
    removed: tuple[ObjectRecord, ...]
    is_hollow: bool = False


class Results:
    """Writes objects into the Labels layer of the user's choice.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.

    Attributes
    ----------
    changed : Signal
        Another layer was chosen, or objects were written.
    layer_removed : Signal
        "labels": the layer left the viewer.
    """

    changed = Signal()
    layer_removed = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.ref(viewer)
        self._labels: Labels | None = None
        self._ids: LabelIds | None = None
        self.overlap = Overlap.KEEP
        self._made: dict[UUID, weakref.ref[Labels]] = {}
        self._kept = KeptIds()
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def labels(self) -> Labels | None:
        """The layer that objects are written to; None makes a new one."""
        return self._labels

    @labels.setter
    def labels(self, layer: Labels | None) -> None:
        layer, viewer = real(layer), self._viewer()
        if layer is not None:
            if not isinstance(layer, Labels) or role_of(layer) == "preview":
                raise LayerError(
                    f"{layer!r} cannot take objects; choose a Labels layer, or None "
                    "for a new one."
                )
            check_listed(viewer, layer)
        if layer is self._labels:
            return
        if self._labels is not None and self._ids is not None:
            is_made = any(made() is self._labels for made in self._made.values())
            self._kept.leave(self._labels, self._ids, viewer if is_made else None)
        self._labels = layer
        self._ids = None if layer is None else self._kept.take(layer)
        self.changed.emit()

    @property
    def ids(self) -> LabelIds | None:
        """The numbers that are free in the layer."""
        return self._ids

    def ensure(self, image: Image) -> Labels:
        """Return the layer; make one for the image if none is chosen."""
        viewer = self._viewer()
        if self._labels is None:
            if viewer is None:
                raise LayerError("The viewer is closed; open another one.")
            self.labels = made = create_labels(viewer, image)
            self._made[image.unique_id] = weakref.ref(made)
            assert self._ids is not None
            self._ids.learn(0)  # it is empty: no need to look
        assert self._labels is not None
        check_labels(self._labels, image)
        return self._labels

    def turn_to(self, image: Image) -> None:
        """Go over to the layer that was made for another image, if that is shown.

        A layer that the user chose stays: it may be meant for several images.
        """
        made_for = [
            layer_id for layer_id, made in self._made.items() if made() is self._labels
        ]
        if self._labels is None or not made_for or image.unique_id in made_for:
            return
        made = self._made.get(image.unique_id, lambda: None)()
        viewer = self._viewer()
        is_there = made is not None and viewer is not None and made in viewer.layers
        self.labels = made if is_there else None

    def next_ids(self, count: int) -> list[int]:
        """Return numbers that no object has, and that the layer can hold."""
        assert self._ids is not None
        numbers = self._ids.next_ids(count)
        # Prompts that were loaded belong to objects that may be written again.
        largest = max((label for label, _ in self.journal()), default=0)
        if largest >= numbers.start:
            self._ids.learn(largest)
            numbers = self._ids.next_ids(count)
        return list(numbers)

    def write_one(
        self,
        image: Image,
        mask: NDArray[np.bool_],
        bbox: tuple[int, int, int, int],
        record: ObjectRecord,
        former: Former | None,
    ) -> Written:
        """Write an object as one step of the layer's own history.

        Parameters
        ----------
        image : napari.layers.Image
            In whose pixels the mask is.
        mask : ndarray of shape (h, w) and dtype bool
            In its crop.
        bbox : tuple of int
            The crop in the plane.
        record : ObjectRecord
            With the label's number and plane.
        former : tuple, optional
            The mask that the object had, and its box.

        Returns
        -------
        Written
            For undo.
        """
        labels = self.ensure(image)
        removed = self._records_of([record])
        edit = write_object(
            labels,
            image,
            record.plane,
            mask,
            bbox,
            record.label,
            self.overlap,
            former=former,
        )
        if former is None:
            _check_written(edit)
            if labels.data.shape == image.data.shape[: image.ndim]:
                _warn_of_rest(record.label, edit.size, int(mask.sum()))
        return self._recorded(labels, edit, (record,), removed)

    def write_many(
        self,
        image: Image,
        plane: Plane,
        ids: NDArray[Any],
        bbox: tuple[int, int, int, int],
        records: Sequence[ObjectRecord],
    ) -> Written:
        """Write objects, ``ids`` being 0 or their numbers, as one step.

        Those of which others leave no pixel get no record.
        """
        labels = self.ensure(image)
        edit = write_objects(labels, image, plane, ids, bbox, self.overlap)
        _check_written(edit)
        written = set(np.unique(edit.after).tolist())
        seen = tuple(record for record in records if record.label in written)
        return self._recorded(labels, edit, seen, ())

    def swap(self, written: Written) -> Written | None:
        """Take back what was written.

        Returns
        -------
        Written or None
            What takes that back in turn; None if the layer is gone.

        Raises
        ------
        LayerError
            If the layer cannot be written to; nothing has changed then.
        """
        labels, viewer = written.layer(), self._viewer()
        if labels is None or viewer is None or labels not in viewer.layers:
            return None
        edit = revert(labels, written.edit)
        for record in written.added:
            forget(labels, record.label, record.plane)
        if not written.is_hollow:
            write_records(labels, written.removed)
        self.changed.emit()
        return replace(
            written,
            edit=edit,
            added=written.removed,
            removed=written.added,
            is_hollow=written.edit.size > 0 and not edit.size,
        )

    def journal(self) -> Journal:
        """Return the records of the layer's objects."""
        return Journal() if self._labels is None else read_journal(self._labels)

    def close(self) -> None:
        """Let go of viewer and layer. Idempotent."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        self.labels = None
        self._kept.close()

    def _records_of(self, records: Sequence[ObjectRecord]) -> tuple[ObjectRecord, ...]:
        journal = self.journal()
        keys = [(record.label, record.plane) for record in records]
        return tuple(journal[key] for key in keys if key in journal)

    def _recorded(
        self,
        labels: Labels,
        edit: Edit,
        added: tuple[ObjectRecord, ...],
        removed: tuple[ObjectRecord, ...],
    ) -> Written:
        write_records(labels, added)
        self.changed.emit()
        return Written(weakref.ref(labels), labels.name, edit, added, removed)

    def _on_removed(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self._kept.sort_out(viewer)
        if (
            viewer is not None
            and self._labels is not None
            and self._labels not in viewer.layers
        ):
            self.labels = None
            self.layer_removed.emit("labels")


def _warn_of_rest(label: int, written: int, wanted: int) -> None:
    if written < wanted / 2:
        show_warning(
            f"Object {label} got {written:,} of {wanted:,} pixels: the others belong "
            "to other objects. Undo takes it back; overlap 'replace' would take them."
        )


def _check_written(edit: Edit) -> None:
    if not edit.size:
        raise LayerError(
            "All pixels here belong to other objects, so there is nothing to write; "
            "set overlap to 'replace', or correct the prompts."
        )
