"""Measure the window: from a click to the painted mask, and whether it ever freezes.

Run ``xvfb-run -a python -m benchmarks.window`` (or without xvfb-run at a screen), on a
machine that does nothing else.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.hands import Hands
from benchmarks.sample import draw_sample

__all__ = ["main"]

#: How long a finger rests on the button.
_PRESS_SECONDS = 0.06
#: How long the window is watched after each click.
_REST_SECONDS = 0.25
_BEAT_MS = 2
_STAGES = ("release to question", "question to answer", "answer to painted")


class Click(NamedTuple):
    """One click.

    Attributes
    ----------
    painted_s : float
        From the release of the button until the canvas was painted.
    gap_s : float
        The longest time that the GUI thread handled no timer, meanwhile.
    stages_s : tuple of float
        Parts of ``painted_s``; empty without a mask.
    """

    painted_s: float
    gap_s: float
    stages_s: tuple[float, ...] = ()


class Watch:
    """Sees when the canvas is painted, and how regularly a timer is handled."""

    def __init__(self, canvas: Any) -> None:
        from qtpy.QtCore import QEvent, QObject, QTimer

        class Filter(QObject):  # type: ignore[misc]
            def eventFilter(this, watched: Any, event: Any) -> bool:  # noqa: N802, N805
                if event.type() == QEvent.Type.Paint:
                    self.painted_at = time.perf_counter()
                return False

        self.painted_at = 0.0
        self.longest = 0.0
        self._filter = Filter()
        canvas.installEventFilter(self._filter)
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setInterval(_BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def restart(self) -> None:
        """Forget the longest gap."""
        self.longest, self._last = 0.0, time.perf_counter()

    def run(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Let the window work until something is so."""
        from qtpy.QtWidgets import QApplication

        deadline = time.perf_counter() + seconds
        while not until():
            QApplication.processEvents()
            # Else this loop would keep the other thread from Python's lock.
            time.sleep(0.0005)
            if time.perf_counter() > deadline:
                raise TimeoutError("the window did not answer")

    def rest(self, seconds: float) -> None:
        """Let the window work for some time."""
        end = time.perf_counter() + seconds
        self.run(lambda: time.perf_counter() > end)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now


class Desk:
    """A window with an image, a session, and a points layer of no meaning."""

    def __init__(self, size: int) -> None:
        import napari

        from napari_sam3 import attach

        picture = draw_sample(size).image[..., 1].astype(np.uint16) * 200
        self.viewer = napari.Viewer(show=True)
        self.image = self.viewer.add_image(picture, name="cells")
        self.other = self.viewer.add_image(
            picture[::-1], name="other cells", visible=False
        )
        self.plain = self.viewer.add_points(ndim=2, size=20, name="plain points")
        self.hands = Hands(self.viewer)
        self.watch = Watch(self.hands.canvas)
        self.viewer.layers.selection.active = self.image
        self.watch.rest(1.0)
        self.watch.restart()
        start = time.perf_counter()
        self.session = attach(self.viewer)
        self.watch.run(lambda: not self.session.busy, 120)
        self.loading_s = time.perf_counter() - start
        self.loading_gap_s = self.watch.longest
        self._asked = self._shown = 0.0
        self.session.started.connect(self._on_started)
        self.session.preview_changed.connect(self._on_preview)
        self.session.start_clicking()
        self.viewer.scene.camera.zoom = 1.2
        self.viewer.scene.camera.center = (size / 2, size / 2)
        self.watch.rest(1.0)

    def plain_click(self, position: Sequence[float]) -> Click:
        """Click into the points layer that means nothing: what napari itself takes."""
        self._activate(self.plain)
        self.watch.restart()
        released = self._click(position)
        self.watch.run(lambda: self.watch.painted_at > released)
        painted = self.watch.painted_at
        self.watch.rest(_REST_SECONDS)
        return Click(painted - released, self.watch.longest)

    def prompt_click(self, position: Sequence[float]) -> Click:
        """Click into the session's points layer, and wait for the mask."""
        self._activate(self.session.points)
        self._asked = self._shown = 0.0
        self.watch.restart()
        released = self._click(position)
        self.watch.run(lambda: self.watch.painted_at > self._shown > 0)
        asked, shown, painted = self._asked, self._shown, time.perf_counter()
        self.watch.rest(_REST_SECONDS)
        stages = (asked - released, shown - asked, painted - shown)
        return Click(painted - released, self.watch.longest, stages)

    def encode(self, position: Sequence[float] | None = None) -> Click:
        """Have an image encoded that is not known, and watch the window meanwhile.

        With a position, click there while it is encoded, and wait for the mask.
        """
        self.session.clear()
        self.watch.run(lambda: not self.session.busy)
        self.session.cache_budget = 1  # then only the newest embedding stays
        self.session.image = self.other
        self.watch.run(lambda: not self.session.busy)
        self._activate(self.session.points)
        self.watch.restart()
        start = time.perf_counter()
        self._shown = 0.0
        self.session.image = self.image
        if position is None:
            self.watch.run(lambda: not self.session.busy)
        else:
            self._click(position)
            self.watch.run(lambda: self.watch.painted_at > self._shown > 0)
        return Click(time.perf_counter() - start, self.watch.longest)

    def close(self) -> None:
        """Close the window."""
        self.session.close()
        self.viewer.close()

    def _activate(self, layer: Any) -> None:
        self.viewer.layers.selection.active = layer
        layer.mode = "add"
        self.watch.rest(_REST_SECONDS)

    def _click(self, position: Sequence[float]) -> float:
        self.hands.hover(self.image, position)
        self.watch.rest(_PRESS_SECONDS)
        self.hands.button(self.image, position, down=True)
        self.watch.rest(_PRESS_SECONDS)
        released = time.perf_counter()
        self.hands.button(self.image, position, down=False)
        return released

    def _on_started(self) -> None:
        self._asked = self._asked or time.perf_counter()

    def _on_preview(self, preview: object) -> None:
        if preview is not None:
            self._shown = time.perf_counter()


def main(argv: list[str] | None = None) -> int:
    """Measure and print tables.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="side of the image")
    parser.add_argument("--clicks", type=int, default=40)
    arguments = parser.parse_args(argv)
    bench = Desk(arguments.size)
    generator = np.random.default_rng(0)
    plain, prompts, encodings, hasty = [], [], [], []
    for turn in range(arguments.clicks):
        place = arguments.size / 2 + generator.uniform(-180, 180, (3, 2))
        plain.append(bench.plain_click(place[0]))
        if turn % 4 == 0:
            encodings.append(bench.encode())
            hasty.append(bench.encode(place[2]))
        prompts.append(bench.prompt_click(place[1]))
    _report(bench, plain, prompts, encodings, hasty)
    bench.close()
    return 0


def _report(
    bench: Desk,
    plain: list[Click],
    prompts: list[Click],
    encodings: list[Click],
    hasty: list[Click],
) -> None:
    print("| ms | median | 95 % | longest |\n|---|--:|--:|--:|")
    _row("click to mask painted", [click.painted_s for click in prompts])
    for place, name in enumerate(_STAGES):
        _row(f"· {name}", [click.stages_s[place] for click in prompts])
    _row("click to point painted, napari alone", [click.painted_s for click in plain])
    _row("window blocked by a click", [click.gap_s for click in prompts])
    _row("window blocked by a click, napari alone", [click.gap_s for click in plain])
    _row("encoding", [click.painted_s for click in encodings])
    _row("window blocked while encoding", [click.gap_s for click in encodings])
    _row("encoding, with a click meanwhile", [click.painted_s for click in hasty])
    _row("window blocked by that", [click.gap_s for click in hasty])
    print(
        f"\nModel loaded and image encoded in {bench.loading_s:.1f} s; "
        f"the window was blocked for {1000 * bench.loading_gap_s:.0f} ms at most."
    )


def _row(name: str, seconds: Sequence[float]) -> None:
    median, most, longest = 1000 * np.percentile(seconds, (50, 95, 100))
    print(f"| {name} | {median:.0f} | {most:.0f} | {longest:.0f} |")


if __name__ == "__main__":
    raise SystemExit(main())
