"""A session without a window, whose clicks are timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from benchmarks.stand_ins import Subject
from napari_sam3.core.store import EmbeddingStore
from napari_sam3.viewer.choice import ModelChoice
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.session import Session

__all__ = ["FIELD", "Studio"]

#: Side of the part of a plane that the canvas shows, in pixels.
FIELD = 1024
#: Longer than any step takes, in seconds.
_PATIENCE = 600.0


class Studio:
    """A viewer without a window, an engine of its own, and a session of both.

    Parameters
    ----------
    subject : Subject
        Who answers.
    store : EmbeddingStore, optional
        Where embeddings are kept; by default in memory only.

    Raises
    ------
    RuntimeError
        By `click`, if no mask comes.
    """

    def __init__(self, subject: Subject, store: EmbeddingStore | None = None) -> None:
        from napari.components import ViewerModel

        self.engine = Engine(
            lambda **_: subject.tracker,
            get_weights=lambda *_, **__: None,
            store=store,
        )
        self.viewer = ViewerModel()
        self.viewer.canvas.size = (FIELD, FIELD)
        choice = ModelChoice(subject.tracker.model_id, "cpu")
        self.session = Session(self.viewer, engine=self.engine, choice=choice)

    def __enter__(self) -> Studio:
        """Return it; the session and its thread end with the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the session and its thread."""
        self.session.close()
        self.engine.thread.stop()

    def open(self, data: Any, field: tuple[float, float] | None = None) -> Any:
        """Show an image in place of the one before, and wait until it is encoded.

        Parameters
        ----------
        data : array_like or sequence of array_like
            A plane or a stack; or the levels of a pyramid.
        field : tuple of float, optional
            (row, col) in the middle of the canvas; by default the canvas stays.

        Returns
        -------
        napari.layers.Image
        """
        if field is not None:
            self.look_at(*field)
        before = self.session.image
        if before is not None:
            self.clear()  # or its prompts would be asked about in the new image
        layer = self.viewer.add_image(
            data, name="cells", multiscale=isinstance(data, list | tuple)
        )
        self.session.image = layer
        if before is not None:
            self.viewer.layers.remove(before)
        self.session.start_clicking()
        if field is not None:
            self.look_at(*field)  # layers that come and go move the camera
        self.session.wait(_PATIENCE)
        return layer

    def look_at(self, row: float, col: float) -> None:
        """Move the canvas: it shows `FIELD` pixels around a place."""
        camera = self.viewer.scene.camera
        camera.zoom, camera.center = 1.0, (0.0, row, col)

    def forget(self) -> None:
        """Know nothing of the image any more, neither pixels nor embeddings."""
        self.clear()
        image = self.session.image
        if image is not None:
            self.engine.scenes.forget_layer(image.unique_id)

    def clear(self) -> None:
        """Take the prompts away, and wait until nothing is left to do."""
        self.session.clear()
        self.session.wait(_PATIENCE)

    def click(self, position: Sequence[float], step: int | None = None) -> float:
        """Click, and wait for the preview.

        Parameters
        ----------
        position : sequence of float
            (row, col) of the plane.
        step : int, optional
            Plane to go to before, along the first axis; that is timed, too.

        Returns
        -------
        float
            Seconds until the mask lay in the preview's layer.
        """
        start = time.perf_counter()
        if step is not None:
            self.viewer.dims.set_current_step(0, step)
        self.session.add_point(tuple(position))
        self.session.wait(_PATIENCE)
        seconds = time.perf_counter() - start
        if self.session.preview is None:
            raise RuntimeError(
                f"A click at {position} gave no mask ({self.session.status.text}); "
                "click on a cell."
            )
        return seconds
