"""From where a plane is looked at: the field of view, and what follows from it."""

from __future__ import annotations

import weakref
from contextlib import suppress
from dataclasses import replace
from functools import partial
from uuid import UUID

from napari.components import ViewerModel

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.asking import Asking
from napari_sam3.viewer.choice import ModelChoice
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.field import Field, visible_field
from napari_sam3.viewer.follower import ImageFollower
from napari_sam3.viewer.prefetch import fetch_ahead
from napari_sam3.viewer.replies import ManyReply, Reply
from napari_sam3.viewer.sources import PlaneKey, PlaneSource
from napari_sam3.viewer.window_outline import WindowOutline

__all__ = ["Outlook"]

_CAMERA_EVENTS = ("center", "zoom")


class Outlook:
    """Knows what the user sees of the shown plane, and shows what the model saw.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.
    follower : ImageFollower
        Of the image.
    engine : Engine
        That encodes ahead, if it is made to.
    asking : Asking
        The way to its thread.

    Attributes
    ----------
    answered : PlaneSource or None
        How the plane was looked at for the answer that came last.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        follower: ImageFollower,
        engine: Engine,
        asking: Asking,
    ) -> None:
        self._viewer = weakref.ref(viewer)
        self._follower = follower
        self._engine = engine
        self._asking = asking
        self._outline = WindowOutline()
        self._begun: dict[PlaneKey, Field | None] = {}
        self._window: tuple[int, int, int, int] | None = None
        self.answered: PlaneSource | None = None
        self._ahead: tuple[PlaneSource, ModelChoice] | None = None
        for name in _CAMERA_EVENTS:
            getattr(viewer.scene.camera.events, name).connect(self._on_camera)

    @property
    def window(self) -> tuple[int, int, int, int] | None:
        """Part of the plane that the model saw for the mask that is shown."""
        return self._window

    def framed(self, source: PlaneSource, *, has_prompts: bool) -> PlaneSource:
        """Add the field of view: that in which the prompts of the plane began.

        Were it the present one, a mask would change when the user looks around.
        """
        box = self._visible(source.key)
        if not has_prompts:
            self._begun.pop(source.key, None)
        elif source.key in self._begun:
            box = self._begun[source.key]
        else:
            self._begun[source.key] = box
        return replace(source, box=box)

    def show(self, source: PlaneSource | None, reply: Reply | ManyReply | None) -> None:
        """Show which window of a large plane was in use; None hides it."""
        seen = reply.seen if isinstance(reply, Reply) else None
        self._window = seen
        viewer, image = self._viewer(), self._follower.image
        if viewer is None or image is None or source is None:
            self._outline.hide()
            return
        # nano's windows fit each object: frames around masks would only be in the way.
        is_framed = isinstance(reply, Reply) and reply.is_windowed
        is_whole = seen == (0, 0, *source.shape)
        box = seen if is_framed and not is_whole else None
        if box is None:
            self._outline.hide()
        else:
            self._outline.show(viewer, image, source.key.plane, box)

    def in_words(self, source: PlaneSource, reply: Reply | ManyReply) -> str:
        """Say which part of the plane was seen, for the status line."""
        if not isinstance(reply, Reply) or reply.seen is None:
            return ""
        row0, col0, row1, col1 = reply.seen
        if (row0, col0, row1, col1) == (0, 0, *source.shape):
            return ""
        return f" · window {row1 - row0} × {col1 - col0} px"

    def fetch_ahead(self, source: PlaneSource, choice: ModelChoice) -> None:
        """Encode what may be wanted next, while nothing else is to do."""
        if self._engine.fetches_ahead:
            self._ahead = (source, choice)
            self._asking.offer(partial(fetch_ahead, self._engine, choice, source))

    def forget(self, layer_id: UUID) -> None:
        """Let go of a layer's data."""
        if self.answered is not None and self.answered.is_of(layer_id):
            self.answered = None
        if self._ahead is not None and self._ahead[0].is_of(layer_id):
            self._ahead = None
            self._asking.drop_offer()
        for key in [key for key in self._begun if key.layer_id == layer_id]:
            del self._begun[key]

    def close(self) -> None:
        """Take the outline away, and let go of the viewer. Idempotent."""
        self._outline.remove()
        self._ahead = self.answered = None
        viewer = self._viewer()
        if viewer is not None:
            for name in _CAMERA_EVENTS:
                emitter = getattr(viewer.scene.camera.events, name)
                emitter.disconnect(self._on_camera)

    def _on_camera(self, event: object = None) -> None:
        """Encode the part that the user has moved to, once the view rests."""
        if self._ahead is None or self._asking.is_asking:
            return
        source, choice = self._ahead
        # As it is seen now: contrast may have changed since.
        with suppress(LayerError):
            now = self._follower.source()
            if now.key == source.key:
                self.fetch_ahead(replace(now, box=self._visible(now.key)), choice)

    def _visible(self, key: PlaneKey) -> Field | None:
        viewer, image = self._viewer(), self._follower.image
        if viewer is None or image is None:
            return None
        return visible_field(viewer, image, key.plane)
