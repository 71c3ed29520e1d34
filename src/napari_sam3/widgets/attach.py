"""One session per viewer, whoever asks for it: panel, keys, palette or console."""

from __future__ import annotations

import sys
import weakref
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.utils.notifications import show_warning

from napari_sam3.core.errors import StateError
from napari_sam3.viewer.cleanup import Cleanup
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.remembered import beginning
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.settings import read_settings

__all__ = ["attach"]


@dataclass(eq=False, slots=True)
class _Desk:
    """A session with the Qt objects that serve it; they live as long."""

    session: Session
    servants: list[Any] = field(default_factory=list)


# By id: a viewer compares its fields when it is a key, and a proxy of it is a new
# object each time. An entry goes with its viewer or its session, so no id is used
# twice.
_DESKS: dict[int, _Desk] = {}


def attach(
    viewer: ViewerModel, model: str | None = None, device: str | None = None
) -> Session:
    """Return the session of a viewer; make it if there is none.

    It is the one that an open panel drives: what is done here is seen there.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        With a window or without; it is not kept alive by this.
    model : str, optional
        Catalog id or weights file; by default that of the settings, ``"nano"`` at
        first. Of a session that is there already, it is changed.
    device : str, optional
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``; likewise.

    Returns
    -------
    Session
        The same object each time, until it is closed.

    Raises
    ------
    StateError
        If it is no viewer.
    """
    viewer = real(viewer)
    if not isinstance(viewer, ViewerModel):
        raise StateError(f"{viewer!r} is no viewer; give napari's.")
    desk = _DESKS.get(id(viewer))
    if desk is None:
        desk = _open(viewer, model, device)
    else:
        if model is not None:
            desk.session.model = model
        if device is not None:
            desk.session.device = device
    if not desk.servants and _qt_runs():
        from napari_sam3.widgets.servants import servants_of

        desk.servants = servants_of(desk.session, viewer)
    return desk.session


def _open(viewer: ViewerModel, model: str | None, device: str | None) -> _Desk:
    settings = read_settings()
    begin = beginning(settings, model, device)
    session = Session(viewer, choice=begin.choice, fallback=begin.fallback)
    if not _DESKS:  # one budget for all, which may have been changed since
        session.cache_budget = settings.cache_mb * 2**20
        if session.store_budget is not None:
            session.store_budget = round(settings.store_gb * 2**30)
        session.fetches_ahead = settings.fetches_ahead
    session.cleanup = Cleanup(
        max_hole_area=settings.max_hole_area,
        max_sprinkle_area=settings.max_sprinkle_area,
        keep_clicked=settings.keep_clicked,
    )
    if session.overlap != settings.overlap:
        session.overlap = settings.overlap
    if session.contrast != settings.contrast:
        session.contrast = settings.contrast
    if session.use_hints != settings.use_hints:
        session.use_hints = settings.use_hints
    desk = _DESKS[id(viewer)] = _Desk(session)
    forget = partial(_forget, id(viewer))
    session.closed.connect(forget)
    weakref.finalize(viewer, forget)
    if begin.warning:
        show_warning(begin.warning)
    return desk


def _forget(key: int) -> None:
    _DESKS.pop(key, None)


def _qt_runs() -> bool:
    """Tell whether there is an application with an event loop, without importing Qt."""
    widgets = sys.modules.get("qtpy.QtWidgets")
    return widgets is not None and widgets.QApplication.instance() is not None
