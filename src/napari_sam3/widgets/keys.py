"""The keys that act while a panel is open."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from napari.components import ViewerModel
from napari.settings import get_settings
from napari.utils.notifications import show_info

from napari_sam3.widgets import commands

__all__ = ["KEYS", "Command", "Keys", "key_table", "keys_of"]

#: Something to do with a viewer.
Command = Callable[[Any], None]

#: Letters that neither napari nor its layers use, so that they work whichever
#: layer is active. `tests/widgets/test_keys.py` watches over that.
KEYS: dict[str, Command] = {
    "K": commands.accept,
    "Q": commands.flip,
    "N": commands.next_candidate,
    "Shift+N": commands.previous_candidate,
    "U": commands.undo,
    "Shift+U": commands.redo,
    "W": commands.clear,
    "G": commands.refine,
    "J": commands.switch_mode,
}


class Keys:
    """The keys of one viewer, bound as long as one of its panels is open.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Held weakly.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = weakref.ref(viewer)
        self._panels = 0
        self._bound: dict[str, Command] = {}

    def of(self, command: Command) -> str:
        """Return a command's key as text, empty if it has none."""
        keys = [key for key, bound in self._bound.items() if bound is command]
        return keys[0].replace("Shift+", "⇧") if keys else ""

    def hold(self) -> None:
        """Bind the keys; called by each panel."""
        self._panels += 1
        viewer = self._viewer()
        if self._panels > 1 or viewer is None:
            return
        taken = _shortcuts()
        for key, command in KEYS.items():
            if key not in taken and _bind(viewer, key, command):
                self._bound[key] = command
        missing = [key for key in KEYS if key not in self._bound]
        if missing:
            show_info(
                f"Other functions have the keys {', '.join(missing)} here; use the "
                "panel's buttons instead."
            )

    def release(self) -> bool:
        """Unbind them if no panel is left.

        Returns
        -------
        bool
            Whether that was the last one.
        """
        self._panels -= 1
        if self._panels > 0:
            return False
        viewer = self._viewer()
        for key, command in self._bound.items():
            if viewer is None:
                break
            unbound = viewer.bind_key(key, None)
            if unbound is not None and unbound is not command:
                viewer.bind_key(key, unbound)  # somebody else's by now
        self._bound = {}
        return True


# By id, as in `attach`.
_KEYS: dict[int, Keys] = {}


def keys_of(viewer: ViewerModel) -> Keys:
    """Return the one `Keys` of a viewer.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Not a proxy of it.

    Returns
    -------
    Keys
        Shared by its panels.
    """
    keys = _KEYS.get(id(viewer))
    if keys is None:
        keys = _KEYS[id(viewer)] = Keys(viewer)
        weakref.finalize(viewer, partial(_KEYS.pop, id(viewer), None))
    return keys


def key_table() -> str:
    """Return all keys with what they do, for reading."""
    lines = []
    for key, command in KEYS.items():
        words = (command.__doc__ or "").splitlines()[0].rstrip(".")
        lines.append(f"{key:9}{words}")
    return "\n".join(lines)


def _shortcuts() -> set[str]:
    """Return the keys that napari's actions have, as the user set them."""
    actions = get_settings().shortcuts.shortcuts
    return {str(key) for keys in actions.values() for key in keys}


def _bind(viewer: ViewerModel, key: str, command: Command) -> bool:
    try:
        viewer.bind_key(key, command)
    except ValueError:
        return False
    return True
