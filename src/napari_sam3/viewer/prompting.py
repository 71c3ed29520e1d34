"""Prompts from Python: the verbs that place them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image

from napari_sam3.core.errors import StateError
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import Mark
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.placing import (
    box_mark,
    outline_mark,
    point_marks,
    show_plane_of,
)
from napari_sam3.viewer.polarity import flip_polarity
from napari_sam3.viewer.workspace import Workspace

__all__ = ["Prompting"]


class Prompting(Workspace):
    """The part of a session that places prompts, as clicks in the window do."""

    def add_point(
        self, position: Sequence[float], positive: bool = True, *, world: bool = False
    ) -> None:
        """Click on the object, or on the background.

        Parameters
        ----------
        position : sequence of float
            ``(row, col)`` in data coordinates of the shown plane, or a full
            position with all coordinates; the viewer then moves to its plane.
        positive : bool, optional
            Whether it is on the object.
        world : bool, optional
            Whether it is in world coordinates.

        Raises
        ------
        PromptError
            If it is no such position.
        LayerError
            If there is no image, or no plane of it is shown.
        """
        self.add_points([position], positive, world=world)

    def add_points(
        self, positions: Any, positive: bool = True, *, world: bool = False
    ) -> None:
        """Click several times at once: one step; see `add_point`.

        Parameters
        ----------
        positions : array_like of shape (N, 2) or (N, ndim)
            Of one plane.
        positive, world : bool, optional
            As in `add_point`.
        """
        self._go_to(positions, world)
        place = (self.viewer, *self._place())
        self.change(add=point_marks(*place, positions, positive=positive, world=world))

    def add_box(self, box: Sequence[float], *, world: bool = False) -> None:
        """Draw a box around the object.

        Parameters
        ----------
        box : sequence of float
            ``(row0, col0, row1, col1)`` of the shown plane, half-open pixel
            edges; or two opposite corners in world coordinates.
        world : bool, optional
            Which of the two.
        """
        self.change(add=[box_mark(self.viewer, *self._place(), box, world=world)])

    def add_outline(self, vertices: Any, *, world: bool = False) -> None:
        """Draw the object's outline: a mask, not its bounding box.

        Parameters
        ----------
        vertices : array_like of shape (N, 2) or (N, ndim)
            At least three, as in `add_point`.
        world : bool, optional
            Whether they are in world coordinates.
        """
        self._go_to(vertices, world)
        place = (self.viewer, *self._place())
        self.change(add=[outline_mark(*place, vertices, world=world)])

    def change(self, add: Iterable[Mark] = (), remove: Iterable[Mark] = ()) -> None:
        """Add and remove prompts on the shown plane as one step.

        Parameters
        ----------
        add, remove : iterable of PointMark, BoxMark or OutlineMark
            In pixels of the plane.
        """
        self._place()  # says what is missing before anything changes
        self._bench.drafting.change(list(add), list(remove))

    @property
    def use_hints(self) -> bool:
        """Whether new objects are expected to be like those that were accepted.

        nano then prefers masks of about their size, and of a size that fits the view.
        It holds for objects that begin after it is set; see `SizeHint`.
        """
        return self._bench.hints.is_used

    @use_hints.setter
    def use_hints(self, value: bool) -> None:
        if not isinstance(value, bool | np.bool_):
            raise StateError(f"use_hints is {value!r}; give True or False.")
        if bool(value) != self._bench.hints.is_used:
            self._bench.hints.is_used = bool(value)
            self._bench.script.add(f"s.use_hints = {bool(value)}")
            self._bench.changed.emit()

    def flip(self) -> None:
        """Turn the selected points, or else the next click, into the opposite."""
        flip_polarity(self._bench.drafting.ensure_points())
        self._bench.changed.emit()

    def clear(self) -> None:
        """Drop the prompts of the shown plane; accepted objects stay."""
        if self._bench.drafting.draft != Draft():
            self._bench.take_step(Draft())
            self._bench.drafting.next_is_object()
            self._bench.echo("s.clear()")

    def next_candidate(self, step: int = 1) -> None:
        """Show the next of the candidates, or with -1 the one before.

        Raises
        ------
        StateError
            If there is nothing to choose from.
        """
        preview, draft = self.preview, self._bench.drafting.draft
        if preview is None or preview.candidates < 2:
            raise StateError("There are no other candidates; click on an object first.")
        # Not the one that is shown: it may be about to change.
        chosen = min(draft.dialogue.steps[-1].choice, preview.candidates - 1)
        choice = (chosen + step) % preview.candidates
        self._bench.take_step(replace(draft, dialogue=draft.dialogue.choose(choice)))
        self._bench.visit()
        self._bench.script.choose(choice - chosen)

    def start_clicking(self, positive: bool = True) -> None:
        """Make the points layer active, so that the next click is a prompt."""
        self._bench.prepare_layers()
        self._activate(self._bench.drafting.ensure_points(), "add")
        self.polarity = positive

    def start_box(self) -> None:
        """Make the shapes layer active, so that the next drag is a box."""
        self._activate(self._bench.drafting.ensure_shapes(), "add_rectangle")

    def start_lasso(self) -> None:
        """Make the shapes layer active, so that the next drag is an outline."""
        self._activate(self._bench.drafting.ensure_shapes(), "add_polygon_lasso")

    def _activate(self, layer: Any, mode: str) -> None:
        self.viewer.layers.selection.active = layer
        layer.mode = mode

    def _place(self) -> tuple[Image, Plane]:
        """Return image and shown plane, or say what is missing."""
        source = self._bench.follower.source()
        return self._bench.image, source.key.plane

    def _go_to(self, positions: Any, world: bool) -> None:
        show_plane_of(self.viewer, self._bench.image, positions, world=world)
