"""What a session knows of an object's size before its first prompt is answered."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam3.core.errors import LayerError
from napari_sam3.core.hint import MOST_SIZES, SizeHint
from napari_sam3.core.journal import ObjectRecord, Plane
from napari_sam3.viewer.field import view_side
from napari_sam3.viewer.follower import ImageFollower
from napari_sam3.viewer.results import Results
from napari_sam3.viewer.sources import PlaneSource

__all__ = ["Hints"]


class Hints:
    """Gives new objects a `SizeHint`, from the view and from what was accepted.

    Sizes are those of the objects of the Labels layer that were accepted on the
    shown plane, of the same image and channels. They come from the objects' records;
    no pixel is looked at.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.
    follower : ImageFollower
        Of the image.
    results : Results
        With the records.

    Attributes
    ----------
    is_used : bool
        Whether there are hints at all.
    """

    def __init__(
        self, viewer: ViewerModel, follower: ImageFollower, results: Results
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self._follower = follower
        self._results = results
        # Objects of several images may share a layer, and records don't name images.
        self._images: dict[tuple[UUID, int, Plane], UUID] = {}
        self.is_used = True

    def next(self) -> SizeHint | None:
        """Return the hint for an object that begins now, None if nothing is known."""
        viewer, image = self._viewer(), self._follower.image
        if not self.is_used or viewer is None or image is None:
            return None
        try:
            source = self._follower.source()
        except LayerError:
            return None
        sizes = self._sizes(source)
        view = view_side(viewer, image, source.key.plane)
        return SizeHint(sizes, view) if sizes or view is not None else None

    def note(
        self, labels: Labels, image_id: UUID, records: Iterable[ObjectRecord]
    ) -> None:
        """Remember of which image objects are.

        Parameters
        ----------
        labels : napari.layers.Labels
            That they were written to.
        image_id : uuid.UUID
            The ``unique_id`` of the image's layer.
        records : iterable of ObjectRecord
            Of the objects.
        """
        for record in records:
            self._images[labels.unique_id, *record.key] = image_id

    def _sizes(self, source: PlaneSource) -> tuple[float, ...]:
        """Return the sizes of the plane's objects, the latest last."""
        labels, key = self._results.labels, source.key
        if labels is None:
            return ()
        try:
            records = self._results.journal().values()
        except LayerError:  # the notes are damaged; who writes to them is told
            return ()
        likes = (source.names, source.shape), (source.names, None)
        found = [
            (datetime.fromisoformat(record.created), record.area)
            for record in records
            if record.area is not None
            and record.plane == key.plane
            and (record.channels, record.shape) in likes
            # Of records that were loaded it is not known of which image they are.
            and self._images.get((labels.unique_id, *record.key), key.layer_id)
            == key.layer_id
        ]
        found.sort(key=lambda one: one[0])
        # Records keep them: a tenth of a pixel is enough.
        return tuple(round(math.sqrt(area), 1) for _, area in found[-MOST_SIZES:])
