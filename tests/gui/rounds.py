"""Takes panels, layers and windows away from under a running model, 20 times each.

A program of its own, so that a crash is seen: ``python -m tests.gui.rounds panel``.
It says nothing but "20 of 20 clean" if all is well.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import napari
import numpy as np
from napari.settings import get_settings
from napari.utils.notifications import notification_manager

from napari_sam3.models.loading import load_torch_libraries
from napari_sam3.viewer.engine import Engine
from napari_sam3.viewer.inference import Job
from tests.fakes import FakeTracker
from tests.gui.desk import Desk
from tests.viewer.studio import SECONDS, Gate

ROUNDS = 20


class Rounds:
    """What happens in all of them, with a model that waits in the middle."""

    def __init__(self) -> None:
        self.tracker = FakeTracker()
        self.engine = Engine(build=lambda **_: self.tracker)
        self.random = np.random.default_rng(0)

    def begin(self, number: int) -> Gate:
        """Have the model wait in the middle of the next image."""
        # As NAPARI_ASYNC=1 does, in every other round.
        get_settings().experimental.async_ = number % 2 == 1
        gate = self.tracker.on_block = Gate()
        return gate

    def pixels(self) -> np.ndarray:
        return self.random.integers(0, 255, (64, 64), np.uint8)

    def add_image(self, desk: Desk) -> Any:
        return desk.viewer.add_image(self.pixels(), name="cells")

    def click(self, desk: Desk, gate: Gate) -> None:
        """Click on the image when the model is in the middle of it."""
        desk.until(gate.entered.is_set)
        desk.push(desk.panel.prompts.tools["object"])
        desk.click((20, 20))
        assert desk.session.busy
        assert len(desk.session.marks) == 1

    def wipe(self, desk: Desk) -> None:
        """Delete all points, when napari has drawn them all.

        With NAPARI_ASYNC=1 napari 0.9.2 fails if there are less points than when it
        began to draw.
        """
        desk.settle()
        points = desk.session.points
        points.selected_data = set(range(len(points.data)))
        points.remove_selected()

    def end(self, number: int, gate: Gate, take_away: Callable[[], object]) -> None:
        """Take something away before the answer, with it, or just before it is seen."""
        if number % 3 == 0:
            take_away()
            gate.opened.set()
        elif number % 3 == 1:
            gate.opened.set()
            take_away()
        else:
            gate.opened.set()
            self.check_idle()
            take_away()
        self.check_idle()
        self.tracker.on_block = None

    def check_idle(self) -> None:
        """Wait until the thread has done all that it was asked before."""
        lane = self.engine.thread.lane()
        lane.submit(Job(lambda tell: None))
        assert lane.fetch(SECONDS) is not None, "the thread hangs"
        lane.close()


def close_panels(rounds: Rounds) -> None:
    desk = Desk(napari.Viewer(show=True))
    image = rounds.add_image(desk)
    gone = []
    for number in range(ROUNDS):
        gate = rounds.begin(number)
        image.data = rounds.pixels()
        desk.open(wait=False)
        rounds.click(desk, gate)
        gone.append(weakref.ref(desk.panel))
        desk.panel = None
        rounds.end(number, gate, desk.close_dock)
        desk.dock = None
        desk.settle()
        assert not desk.viewer.keymap
        # Unless the answer came before the mouse did.
        assert desk.session.preview is None or number % 3
        rounds.wipe(desk)
    gc.collect()
    assert [panel() for panel in gone] == [None] * ROUNDS
    desk.open()
    check_works(desk)
    desk.viewer.close()


def delete_layers(rounds: Rounds) -> None:
    desk = Desk(napari.Viewer(show=True))
    desk.open()
    layers = desk.viewer.layers
    for number in range(ROUNDS):
        gate = rounds.begin(number)
        image = rounds.add_image(desk)
        rounds.click(desk, gate)
        layers.selection = {image}
        rounds.end(number, gate, layers.remove_selected)
        desk.settle()
        assert desk.session.image is None
        assert desk.session.preview is None
        assert len(rounds.engine.cache) == 0
        rounds.wipe(desk)
    rounds.add_image(desk)
    check_works(desk)
    desk.viewer.close()


def close_windows(rounds: Rounds) -> None:
    gone = []
    for number in range(ROUNDS):
        gate = rounds.begin(number)
        desk = Desk(napari.Viewer(show=True))
        rounds.add_image(desk)
        desk.open(wait=False)
        rounds.click(desk, gate)
        gone += [weakref.ref(desk.session), weakref.ref(desk.panel)]
        closed = []
        desk.session.closed.connect(partial(closed.append, number))
        # By a script, or with the window's own ✕.
        close = desk.viewer.close if number % 4 < 2 else desk.hands.window.close
        rounds.end(number, gate, close)
        assert closed == [number]  # at once: nothing may be painted any more
        desk.tidy()
        desk.__dict__.clear()
    gc.collect()
    assert [one() for one in gone] == [None] * 2 * ROUNDS
    assert len(rounds.engine.cache) == 0


def check_works(desk: Desk) -> None:
    """Make an object as if nothing had happened."""
    desk.viewer.reset_view()
    desk.push(desk.panel.prompts.tools["object"])
    desk.click((40, 40))
    desk.settle()
    desk.press("K")
    desk.settle()
    assert desk.session.labels.data[40, 40] == 1


SCENARIOS = {"panel": close_panels, "layer": delete_layers, "window": close_windows}


def main(scenario: str) -> None:
    load_torch_libraries()
    gc.freeze()  # napari collects garbage often; what is there now will stay
    rounds = Rounds()
    engine = "napari_sam3.viewer.session.shared_engine"
    with patch(engine, lambda: rounds.engine):
        SCENARIOS[scenario](rounds)
    notes = [note.message for note in notification_manager.records]
    assert notes == [], notes
    rounds.check_idle()
    print(f"{ROUNDS} of {ROUNDS} clean")


if __name__ == "__main__":
    main(sys.argv[1])
