"""What keys, command palette and buttons do; each takes a viewer.

The first lines of the docstrings are the words in the list of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam3.core.errors import StateError
from napari_sam3.viewer.follower import real
from napari_sam3.viewer.label_search import label_at
from napari_sam3.viewer.session import Session
from napari_sam3.widgets.attach import attach
from napari_sam3.widgets.telling import told

if TYPE_CHECKING:
    # napari gives commands their viewer by this very annotation.
    import napari

__all__ = [
    "accept",
    "clear",
    "flip",
    "next_candidate",
    "previous_candidate",
    "redo",
    "refine",
    "refine_selected",
    "show_python",
    "switch_mode",
    "undo",
]


def accept(viewer: napari.Viewer) -> None:
    """Accept the mask, or all masks: write them into the labels."""
    with told():
        attach(viewer).accept_when_ready()


def next_candidate(viewer: napari.Viewer) -> None:
    """Show the next candidate."""
    with told():
        attach(viewer).next_candidate()


def previous_candidate(viewer: napari.Viewer) -> None:
    """Show the previous candidate."""
    with told():
        attach(viewer).next_candidate(-1)


def flip(viewer: napari.Viewer) -> None:
    """Switch between object and background: selected points, else the next click."""
    with told():
        session = attach(viewer)
        if session.points is None:
            session.start_clicking(positive=not session.polarity)
        else:
            session.flip()


def undo(viewer: napari.Viewer) -> None:
    """Take back the last step: a prompt, a choice, an accepted object."""
    with told():
        attach(viewer).undo()


def redo(viewer: napari.Viewer) -> None:
    """Take the step again that was taken back."""
    with told():
        attach(viewer).redo()


def clear(viewer: napari.Viewer) -> None:
    """Wipe the prompts of this object; accepted objects stay."""
    with told():
        attach(viewer).clear()


def refine(viewer: napari.Viewer) -> None:
    """Refine the object under the mouse, else the one whose label is selected."""
    with told():
        session = attach(viewer)
        _refine(session, _object_under_mouse(session) or _selected_object(session))


def refine_selected(viewer: napari.Viewer) -> None:
    """Refine the object whose number is selected in the Labels layer."""
    with told():
        session = attach(viewer)
        _refine(session, _selected_object(session))


def switch_mode(viewer: napari.Viewer) -> None:
    """Switch between one object and many objects."""
    with told():
        session = attach(viewer)
        session.mode = "one" if session.mode == "many" else "many"


def show_python(viewer: napari.Viewer) -> None:
    """Show what was done as Python."""
    from napari_sam3.widgets.text_dialog import show_text

    with told():
        text = attach(viewer).as_python()
        window = getattr(real(viewer), "window", None)
        if window is None:
            raise StateError("There is no window to show it in; print it instead.")
        show_text("What you did, as Python", text, window.main_menu.window())


def _refine(session: Session, label: int) -> None:
    session.refine(label)
    # So that the next click corrects it, wherever the user came from.
    session.start_clicking()


def _object_under_mouse(session: Session) -> int:
    labels = session.labels
    if labels is None:
        return 0
    viewer = session.viewer
    return label_at(labels, viewer.cursor.position, viewer.dims.units)


def _selected_object(session: Session) -> int:
    if session.labels is None:
        raise StateError("There are no objects yet; choose a Labels layer first.")
    return int(session.labels.selected_label)
