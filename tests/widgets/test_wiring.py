"""Connections that end together and keep nothing alive."""

from __future__ import annotations

import gc
import weakref

from napari.components import ViewerModel
from psygnal import Signal

from napari_sam3.widgets.wiring import Wiring


class Speaker:
    said = Signal()


class Listener:
    def __init__(self) -> None:
        self.heard = 0

    def hear(self, event: object = None) -> None:
        self.heard += 1


def test_both_kinds_of_signals_are_cut():
    speaker, viewer, listener, wiring = Speaker(), ViewerModel(), Listener(), Wiring()
    wiring.connect(speaker.said, listener.hear)
    wiring.connect(viewer.layers.events.inserted, listener.hear)
    speaker.said.emit()
    viewer.add_points()
    assert listener.heard == 2
    wiring.cut()
    wiring.cut()
    speaker.said.emit()
    viewer.add_points()
    assert listener.heard == 2


def test_a_listener_that_is_gone_is_no_matter():
    speaker, listener, wiring = Speaker(), Listener(), Wiring()
    wiring.connect(speaker.said, listener.hear)
    end = weakref.ref(listener)
    del listener
    gc.collect()
    assert end() is None
    wiring.cut()
