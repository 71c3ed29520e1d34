"""The prompts of the object at hand: layers and `Draft` kept the same."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Points, Shapes
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam3.core.errors import LayerError
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import Mark, MaskMark, PointMark
from napari_sam3.viewer.fitting import check_prompt_layer, fitting_layer
from napari_sam3.viewer.follower import PLACE_EVENTS, ImageFollower, real
from napari_sam3.viewer.geometry import goes_by_numbers
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.polarity import polarity_of, set_polarity
from napari_sam3.viewer.prompt_layers import (
    add_marks,
    create_points,
    create_shapes,
    is_owned,
    read_points,
    read_shapes,
    remove_marks,
)
from napari_sam3.viewer.sources import PlaneKey
from napari_sam3.viewer.used import UsedMarks, without

__all__ = ["Drafting"]

#: Announcements of changes that are not finished yet.
_UNFINISHED = ("adding", "removing", "changing")


class Drafting:
    """Knows what the prompt layers say about the shown plane.

    The layers are what counts: clicks, and everything else that changes them,
    end in `edited`. Prompts of accepted objects leave our own layers; layers of
    the user stay as they are, and what was used of them does not count again.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.
    follower : ImageFollower
        Tells the image and the plane.
    hint : callable, optional
        Returns what is known of the size of a new object, or None. It is asked once
        per object: a mask must not change when the user looks around.

    Attributes
    ----------
    edited : Signal
        With the plane's key, the draft before and after, and whether the user
        did it (and may want to undo it).
    layers_changed : Signal
        Other prompt layers are read now.
    trouble_changed : Signal
        They cannot be read, or they can again; see `check`.
    layer_removed : Signal
        "points" or "shapes": that layer left the viewer.
    """

    edited = Signal(object, object, object, bool)
    layers_changed = Signal()
    trouble_changed = Signal()
    layer_removed = Signal(str)

    def __init__(
        self,
        viewer: ViewerModel,
        follower: ImageFollower,
        hint: Callable[[], SizeHint | None] = lambda: None,
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self._follower = follower
        self._hint = hint
        self._points: Points | None = None
        self._shapes: Shapes | None = None
        self._drafts: dict[PlaneKey, Draft] = {}
        self._used = UsedMarks()
        self._held = 0
        self._trouble: LayerError | None = None
        self._seen: NDArray[np.bool_] | None = None
        key = self.key
        self._fitted = None if key is None else key.layer_id
        self._left: set[object] = set()
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def points(self) -> Points | None:
        """The layer whose points are clicks."""
        return self._points

    @points.setter
    def points(self, layer: Points | None) -> None:
        self._choose(self._points, layer, Points)

    @property
    def shapes(self) -> Shapes | None:
        """The layer whose rectangles are boxes and whose outlines are masks."""
        return self._shapes

    @shapes.setter
    def shapes(self, layer: Shapes | None) -> None:
        self._choose(self._shapes, layer, Shapes)

    @property
    def key(self) -> PlaneKey | None:
        """The shown plane."""
        return self._follower.key()

    @property
    def draft(self) -> Draft:
        """What the user is working on in the shown plane."""
        key = self.key
        return self._drafts.get(key, Draft()) if key is not None else Draft()

    def ensure_points(self) -> Points:
        """Return the points layer; make one if there is none."""
        if self._points is None:
            viewer, image = self._parts()
            with self.hold():
                self.points = create_points(viewer, image)
        assert self._points is not None
        return self._points

    def ensure_shapes(self) -> Shapes:
        """Return the shapes layer; make one if there is none."""
        if self._shapes is None:
            viewer, image = self._parts()
            with self.hold():
                self.shapes = create_shapes(viewer, image)
        assert self._shapes is not None
        return self._shapes

    def next_is_object(self) -> None:
        """Have the next click be on an object: a new one begins with it."""
        if self._points is not None and not polarity_of(self._points):
            set_polarity(self._points, True)

    def change(self, add: Sequence[Mark], remove: Sequence[Mark]) -> None:
        """Add and remove prompts on the shown plane, as one step."""
        with self.hold():
            # Adding can be refused; then nothing has changed yet.
            self._add(add, self._key().plane)
            self._remove(remove, self._key().plane)
        self.sync(by_user=True)

    def put(self, draft: Draft, key: PlaneKey | None = None) -> None:
        """Make the layers show a draft's prompts, and no others, on a plane.

        Parameters
        ----------
        draft : Draft
            With the prompts.
        key : PlaneKey, optional
            A plane of the image; by default the shown one.
        """
        key = key or self._key()
        self._drafts[key] = draft
        wanted: Counter[Mark] = Counter(
            m for m in draft.dialogue.marks if not isinstance(m, MaskMark)
        )
        used = self._used.of(key, self._layers)
        free = Counter(self._read(key.plane)) - used
        missing, extra = wanted - free, free - wanted
        back = missing & used
        with self.hold():
            ours: list[Mark] = []
            theirs: list[Mark] = []
            for mark in extra.elements():
                (ours if is_owned(self._home(mark)) else theirs).append(mark)
            self._used.set(key, self._layers, used - back + Counter(theirs))
            self._remove(ours, key.plane)
            self._add(list((missing - back).elements()), key.plane)

    def complete(self, key: PlaneKey, label: int, base: Draft) -> bool:
        """Give the draft of a plane the base that it waits for.

        Returns
        -------
        bool
            False if it does not wait for it any more; see `Draft.completed`.
        """
        before = self._drafts.get(key, Draft())
        after = before.completed(label, base)
        if after == before:
            return False
        image = self._follower.image
        if image is not None and image.unique_id == key.layer_id:
            self.put(after, key)
        else:
            self._drafts[key] = after
        return True

    def sync(self, *, by_user: bool) -> None:
        """Read the layers; tell if they say something else than before."""
        key = self.key
        if self._held or key is None:
            return
        self._fit(key)
        trouble, self._trouble = self._trouble, None
        try:
            found = self._read(key.plane)
        except LayerError as error:
            # Whoever edits a layer shall not get our errors.
            self._trouble = error
            self.trouble_changed.emit()
            return
        if trouble is not None:
            self.trouble_changed.emit()
        # What the user deleted is not in use any more.
        used = self._used.of(key, self._layers) & Counter(found)
        self._used.set(key, self._layers, used)
        before = self._drafts.get(key, Draft())
        marks = without(found, used)
        dialogue = before.dialogue.advance(marks)
        # An object that is refined keeps what was known when it was made.
        if before.label is None and dialogue.steps and not before.dialogue.steps:
            dialogue = replace(dialogue, size_hint=self._hint())
        after = replace(before, dialogue=dialogue)
        if after != before:
            self._drafts[key] = after
            self.edited.emit(key, before, after, by_user)

    def _fit(self, key: PlaneKey) -> None:
        """When another image is shown, read layers that can lie over it."""
        if key.layer_id == self._fitted:
            return
        self._fitted = key.layer_id
        viewer, image = self._parts()
        with self.hold():
            for kind, old in ((Points, self._points), (Shapes, self._shapes)):
                new = fitting_layer(viewer, image, kind, old, but=self._left)
                self._follow(old, new, kind)

    def check(self) -> None:
        """Raise a LayerError if the layers cannot be read as they are."""
        if self._trouble is not None:
            raise self._trouble

    def forget(self, layer_id: object) -> None:
        """Forget the drafts of an image that is gone."""
        for key in [key for key in self._drafts if key.layer_id == layer_id]:
            del self._drafts[key]
        self._used.forget(layer_id)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take the layers' events for parts of one step."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def close(self) -> None:
        """Let go of viewer and layers. Idempotent."""
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        with self.hold():
            self.points = None
            self.shapes = None

    def _key(self) -> PlaneKey:
        key = self.key
        if key is None:
            self._follower.source()  # says what is missing
            raise LayerError("No plane is shown; choose an image layer.")
        return key

    def _parts(self) -> tuple[ViewerModel, Any]:
        viewer, image = self._viewer(), self._follower.image
        if viewer is None or image is None:
            raise LayerError("There is no image; open one first.")
        return viewer, image

    def _read(self, plane: Plane) -> list[Mark]:
        image = self._follower.image
        marks: list[Mark] = []
        if self._points is not None:
            marks += read_points(
                self._points, image, plane, by_numbers=self._by_numbers
            )
        if self._shapes is not None:
            marks += read_shapes(
                self._shapes, image, plane, by_numbers=self._by_numbers
            )
        return marks

    @property
    def _by_numbers(self) -> bool:
        viewer = self._viewer()
        return viewer is not None and goes_by_numbers(viewer)

    @property
    def _layers(self) -> tuple[Points | None, Shapes | None]:
        return self._points, self._shapes

    def _home(self, mark: Mark) -> Points | Shapes:
        if isinstance(mark, PointMark):
            return self.ensure_points()
        return self.ensure_shapes()

    def _add(self, marks: Sequence[Mark], plane: Plane) -> None:
        for mark in marks:
            self._home(mark)  # is there, before anything is added
        if marks:
            image = self._follower.image
            by_numbers = self._by_numbers
            add_marks(*self._layers, image, plane, marks, by_numbers=by_numbers)

    def _remove(self, marks: Sequence[Mark], plane: Plane) -> None:
        if marks:
            image = self._follower.image
            by_numbers = self._by_numbers
            remove_marks(*self._layers, image, plane, marks, by_numbers=by_numbers)

    def _choose(self, old: Any, chosen: Any, kind: type[Points | Shapes]) -> None:
        """Take the user's choice; a layer that he leaves for none is not taken up."""
        new: Any = real(chosen)
        if new is not None:
            check_prompt_layer(self._viewer(), new, kind)
            self._left.discard(new.unique_id)
        elif old is not None:
            self._left.add(old.unique_id)
        self._follow(old, new, kind)

    def _follow(self, old: Any, new: Any, kind: type[Points | Shapes]) -> None:
        if new is old:
            return
        for layer, act in ((old, "disconnect"), (new, "connect")):
            if layer is not None:
                getattr(layer.events.data, act)(self._on_edit)
                getattr(layer.events.features, act)(self._on_edit)
                if kind is Points:
                    getattr(layer.events.set_data, act)(self._on_drawn)
                for name in PLACE_EVENTS:
                    getattr(getattr(layer.events, name), act)(self._on_placed)
        if kind is Points:
            self._points = new
        else:
            self._shapes = new
        self.layers_changed.emit()
        self.sync(by_user=False)

    def _on_edit(self, event: Any = None) -> None:
        action = getattr(event, "action", None)
        if getattr(action, "value", action) not in _UNFINISHED:
            self.sync(by_user=True)

    def _on_placed(self, event: Any = None) -> None:
        self.sync(by_user=False)

    def _on_drawn(self, event: Any = None) -> None:
        # Points are hidden and shown one by one without an event of their own. New
        # ones are drawn, too, but their features are not complete by then.
        points = self._points
        shown = None if points is None else points.shown
        before, self._seen = self._seen, None if shown is None else shown.copy()
        if shown is None or before is None or len(before) != len(shown):
            return
        if (before != shown).any():
            self.sync(by_user=False)

    def _on_removed(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        if self._points is not None and self._points not in viewer.layers:
            self.points = None
            self.layer_removed.emit("points")
        if self._shapes is not None and self._shapes not in viewer.layers:
            self.shapes = None
            self.layer_removed.emit("shapes")
