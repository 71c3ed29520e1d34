"""``napari-sam3 demo`` opens napari, as a person at a screen sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion

from napari_sam3.cli.demo import DEMO_IMAGE, DEMO_PROMPTS
from napari_sam3.cli.drafts import to_prompts
from napari_sam3.cli.overlay import colour_of
from napari_sam3.cli.prompt_files import read_prompts

pytestmark = pytest.mark.gui

HANDS = Path(__file__).with_name("hands")
GREEN, RED = (50, 205, 50), (255, 0, 0)


def run_demo(folder: Path, environment: dict[str, str]) -> list[str]:
    """Call the command; it has to succeed whether a window opens or not."""
    done = subprocess.run(
        [sys.executable, "-m", "napari_sam3.cli", "demo", "-o", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=240,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Traceback" not in done.stdout
    return done.stdout.splitlines()


@dataclass
class Seen:
    """What was on the screen before the window was closed."""

    lines: list[str]
    facts: dict[str, object]
    canvas: np.ndarray
    labels: np.ndarray

    def at(self, points: np.ndarray) -> np.ndarray:
        """Colours, (N, 3), drawn where pixels of the image, (N, 2), are."""
        middle = np.array(self.canvas.shape[:2]) / 2
        places = (points - self.facts["centre"]) * self.facts["zoom"] + middle
        return self.canvas[tuple(places.astype(int).T)].astype(int)


def is_close(colours: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(colours - np.array(colour)).max(axis=-1) <= 30


@pytest.fixture(scope="module")
def seen(desktop, tmp_path_factory) -> Seen:
    folder = tmp_path_factory.mktemp("window")
    lines = run_demo(
        folder / "out",
        {
            **desktop,
            "PYTHONPATH": str(HANDS),
            "HANDS_WRITE": str(folder / "seen"),
            "NAPARI_CONFIG": str(folder / "settings.yaml"),
        },
    )
    # Says what went wrong, if anything did.
    assert lines[-1] == "Opening napari; close its window to go on."
    return Seen(
        lines,
        json.loads((folder / "seen.json").read_text(encoding="utf-8")),
        np.asarray(Image.open(folder / "seen.png")),
        tifffile.imread(folder / "out" / "labels.tif"),
    )


def test_the_window_holds_the_layers_and_nothing_complains(seen):
    assert seen.facts["title"] == "napari-sam3 demo"
    assert seen.facts["layers"] == ["image", "labels", "boxes", "clicks"]
    assert seen.facts["hidden"] == seen.facts["messages"] == []


def test_the_whole_image_is_drawn_in_its_colours(seen):
    image = np.asarray(Image.open(DEMO_IMAGE).convert("RGB")).astype(int)
    corners = np.array([(1, 1), (1, -2), (-2, 1), (-2, -2)]) % image.shape[:2]
    assert (np.abs(seen.at(corners) - image[tuple(corners.T)]).max(axis=-1) < 40).all()
    free = ~binary_dilation(seen.labels > 0, iterations=8)
    points = np.argwhere(free)
    # Some are under boxes and markers, the others between two pixels' colours.
    error = np.abs(seen.at(points) - image[free]).mean(axis=-1)
    assert np.median(error) < 3
    assert (error < 20).mean() > 0.97


def test_every_object_is_outlined_in_the_colour_of_the_overlay(seen):
    for number in range(1, seen.labels.max() + 1):
        mask = seen.labels == number
        inside = binary_erosion(mask)
        outline = is_close(seen.at(np.argwhere(mask & ~inside)), colour_of(number))
        assert outline.mean() > 0.7, number
        deep = binary_erosion(mask, iterations=5)
        filled = is_close(seen.at(np.argwhere(deep)), colour_of(number))
        assert filled.mean() < 0.05, number


def test_every_click_is_marked_as_what_it_is(seen):
    for prompt in to_prompts(read_prompts(DEMO_PROMPTS)).values():
        assert is_close(seen.at(prompt.positive), GREEN).all()
        assert is_close(seen.at(prompt.negative), RED).all()


# ---- without a display, which Linux can be ----------------------------------

on_linux = pytest.mark.skipif(
    sys.platform in {"darwin", "win32"}, reason="there is always a display"
)


@on_linux
def test_no_display_is_the_reason_given(desktop, tmp_path):
    screens = {"DISPLAY", "WAYLAND_DISPLAY"}
    blind = {name: desktop[name] for name in desktop.keys() - screens}
    assert run_demo(tmp_path, blind)[-1] == (
        "napari was not opened: there is no display; run the demo on a desktop to see "
        "it."
    )
    assert (tmp_path / "overlay.png").stat().st_size > 0


@on_linux
def test_a_display_that_cannot_be_reached_is_the_reason_given(desktop, tmp_path):
    lost = {**desktop, "DISPLAY": ":987", "QT_QPA_PLATFORM": "xcb"}
    last = run_demo(tmp_path, lost)[-1]
    assert last.startswith("napari was not opened: it stopped with: ")
    assert ":987" in last
    assert (tmp_path / "overlay.png").stat().st_size > 0
