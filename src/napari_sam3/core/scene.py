"""A plane, ready to be asked about by whichever model."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from napari_sam3.core.patches import Patch
from napari_sam3.core.picture import Picture
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.prompt import Box
from napari_sam3.core.tracker import Tracker, WindowTracker
from napari_sam3.core.zoom import Zoom

__all__ = ["Scene", "open_scene"]


class Scene(NamedTuple):
    """What to ask about a plane, and of what.

    Attributes
    ----------
    tracker : Tracker
        Who is asked.
    embedding : Embedding
        What it is asked about.
    """

    tracker: Tracker
    embedding: Embedding


def open_scene(
    tracker: Tracker,
    picture: Picture,
    embed: Callable[[Patch], Embedding],
    *,
    field: Box | None = None,
    whole: bool = False,
    on_first: Callable[[list[Prediction]], object] | None = None,
) -> Scene:
    """Open a plane of any size. Nothing is read or encoded before it is asked about.

    Parameters
    ----------
    tracker : Tracker
        The model. A `WindowTracker` chooses its windows itself, others get them from
        a `Zoom`.
    picture : Picture
        The plane.
    embed : callable
        Gets a `Patch`, returns its embedding; called when an answer needs it.
    field : tuple of float, optional
        ``(row0, col0, row1, col1)`` of the plane that the user sees.
    whole : bool, optional
        Whether to answer from the whole plane only.
    on_first : callable, optional
        Called with the first answers of a prompt if a closer look follows.

    Returns
    -------
    Scene
        For any number of questions.
    """
    if isinstance(tracker, WindowTracker):
        if not whole:
            return Scene(tracker, tracker.open(picture))
        tracker = tracker.without_windows()
    zoom = Zoom(
        tracker, picture.shape, embed, field=field, whole=whole, on_first=on_first
    )
    return Scene(zoom, zoom.embedding())
