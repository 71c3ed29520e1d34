"""Connections that end together, whatever happens to the widget."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Wiring"]


class Wiring:
    """Connects bound methods to signals of psygnal or napari, and lets go of them.

    Qt's own signals do that by themselves; those two would call a widget that Qt
    has destroyed. Neither signals' owners nor methods' objects are kept alive.
    """

    def __init__(self) -> None:
        self._ends: list[tuple[Any, weakref.WeakMethod[Callable[..., object]]]] = []

    def connect(self, signal: Any, method: Callable[..., object]) -> None:
        """Connect a method to a signal."""
        signal.connect(method)
        self._ends.append((signal, weakref.WeakMethod(method)))

    def cut(self) -> None:
        """Disconnect all. Idempotent."""
        ends, self._ends = self._ends, []
        for signal, weak in ends:
            method = weak()
            if method is not None:
                signal.disconnect(method)
