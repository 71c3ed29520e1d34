"""What is encoded while the user is not waiting for anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from napari_sam3.core.journal import Plane
from napari_sam3.core.tracker import WindowTracker
from napari_sam3.viewer.engine import Engine, ModelChoice, Tell
from napari_sam3.viewer.inference import Cancelled, News
from napari_sam3.viewer.sources import Channel, PlaneKey, PlaneSource

__all__ = ["beside", "fetch_ahead", "neighbours"]

#: Seconds of rest before anything is encoded: the user may be on the way to
#: somewhere else. Told in steps of so many.
_PAUSE, _STEP = 0.3, 0.02


def neighbours(source: PlaneSource) -> Iterator[PlaneSource]:
    """Return the planes next to one, along every axis that is not shown.

    Parameters
    ----------
    source : PlaneSource
        The plane.

    Yields
    ------
    PlaneSource
        One step up and one down on each axis, the last axes first: z before time,
        as images usually have them. A plane whose other channels do not move along
        with it has none.
    """
    plane = source.key.plane
    hidden = [axis for axis, at in enumerate(plane.index) if at is not None]
    for axis in reversed(hidden):
        for step in (1, -1):
            channels = [_moved(one, axis, step) for one in source.channels]
            if all(one is not None for one in channels):
                key = PlaneKey(source.key.layer_id, _stepped(plane, axis, step))
                kept = tuple(one for one in channels if one is not None)
                yield replace(source, key=key, channels=kept)


def beside(source: PlaneSource) -> Iterator[PlaneSource]:
    """Return the same plane with the field of view moved by half of its length.

    Parameters
    ----------
    source : PlaneSource
        The plane.

    Yields
    ------
    PlaneSource
        With the field right of it, left, below, and above, where the plane goes on.
    """
    if source.box is None or source.whole:
        return
    row0, col0, row1, col1 = source.box
    rows, cols = source.shape
    step = max(row1 - row0, col1 - col0) / 2
    for down, across, goes_on in (
        (0, step, col1 < cols),
        (0, -step, col0 > 0),
        (step, 0, row1 < rows),
        (-step, 0, row0 > 0),
    ):
        if goes_on:
            box = (row0 + down, col0 + across, row1 + down, col1 + across)
            yield replace(source, box=box)


def fetch_ahead(
    engine: Engine, choice: ModelChoice, source: PlaneSource, tell: Tell
) -> None:
    """Encode what is shown, then what is next to it, as far as memory goes.

    First the field of view, then that of the neighbouring planes, then those beside it.

    Runs on the inference thread. Nothing that is remembered makes way for it.

    Parameters
    ----------
    engine : Engine
        With the models; one that is not loaded yet is not loaded for this.
    choice : ModelChoice
        The model.
    source : PlaneSource
        The plane that is shown.
    tell : callable
        Takes `News`, and ends it as soon as something else is to do.
    """
    until = time.monotonic() + _PAUSE
    while time.monotonic() < until:
        tell(News("resting"))
        time.sleep(_STEP)
    tracker = engine.loaded(choice)
    if tracker is None or (isinstance(tracker, WindowTracker) and not source.whole):
        return  # the latter encodes nothing in advance: planes were read in vain

    def go_on() -> None:
        if not engine.fetches_ahead:  # it was turned off meanwhile
            raise Cancelled
        tell(News("resting"))

    for one in (source, *neighbours(source), *beside(source)):
        go_on()
        if not engine.scenes.has_room:
            return
        # A large part may take seconds to read, and a click would wait for it.
        there = replace(one, before_read=go_on)
        engine.scenes.encode_ahead(tracker, there, tell, may_free=False)


def _stepped(plane: Plane, axis: int, step: int) -> Plane:
    index = list(plane.index)
    at = index[axis]
    assert at is not None
    index[axis] = at + step
    return Plane(plane.axes, tuple(index))


def _moved(channel: Channel, axis: int, step: int) -> Channel | None:
    """Return a channel one plane further, None if there is none."""
    array, plane = channel.levels[0], channel.plane
    at = plane.index[axis] if axis < len(plane.index) else None
    if at is None or not 0 <= at + step < array.shape[axis]:
        return None
    return replace(channel, plane=_stepped(plane, axis, step))
