"""``napari-sam3 demo`` and ``napari-sam3 models``."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.cli import demo, window
from napari_sam3.cli.drafts import to_prompts
from napari_sam3.cli.overlay import NEGATIVE, POSITIVE, colour_of, zoom_of
from napari_sam3.cli.prompt_files import read_prompts


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Folder that the demo wrote into, as a process without a display."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    done = subprocess.run(
        [sys.executable, "-m", "napari_sam3.cli", "demo", "-o", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CI": "true"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout


@pytest.fixture
def prompts():
    return list(to_prompts(read_prompts(demo.DEMO_PROMPTS)).values())


def test_the_data_are_small_and_varied(prompts):
    assert demo.DEMO_IMAGE.stat().st_size < 300_000
    assert "CC0" in demo.DEMO_IMAGE.with_name("README.md").read_text(encoding="utf-8")
    assert any(prompt.box for prompt in prompts)
    assert any(len(prompt.negative) for prompt in prompts)


def test_every_click_is_in_its_mask_and_no_negative_one(result, prompts):
    labels = tifffile.imread(result[0] / "labels.tif")
    for number, prompt in enumerate(prompts, 1):
        for row, col in prompt.positive.astype(int):
            assert labels[row, col] == number
        for row, col in prompt.negative.astype(int):
            assert labels[row, col] != number
        if prompt.box is not None:
            row0, col0, row1, col1 = map(int, prompt.box)
            inside = (labels[row0:row1, col0:col1] == number).sum()
            assert inside > 0.8 * (labels == number).sum() > 0


def test_the_overlay_shows_every_outline_and_click(result, prompts):
    labels = tifffile.imread(result[0] / "labels.tif")
    zoom = zoom_of(labels.shape)
    picture = np.asarray(Image.open(result[0] / "overlay.png"))
    assert picture.shape == (labels.shape[0] * zoom, labels.shape[1] * zoom, 3)
    for number, prompt in enumerate(prompts, 1):
        rows, cols = np.nonzero(labels == number)
        rows0, cols0 = rows.min() * zoom, cols.min() * zoom
        area = picture[rows0 : rows.max() * zoom, cols0 : cols.max() * zoom]
        assert (area == colour_of(number)).all(axis=-1).sum() > 2 * zoom * len(
            set(rows)
        )
        for row, col in prompt.points:
            spot = picture[int(row * zoom) - 9 :, int(col * zoom) - 9 :][:24, :24]
            fill = (
                POSITIVE if (row, col) in set(map(tuple, prompt.positive)) else NEGATIVE
            )
            assert (spot == fill).all(axis=-1).sum() > 20


def test_scores_times_and_the_missing_window_are_printed(result, prompts):
    folder, out = result
    lines = out.splitlines()
    assert len([line for line in lines if line.split()[0].isdecimal()]) == len(prompts)
    assert any("import torch" in line for line in lines)
    assert f"wrote {folder / 'overlay.png'}" in lines
    assert lines[-1] == "napari was not opened: this is an automated run (CI is set)."


def test_the_demo_can_be_gone_on_from(result, sam3, tmp_path):
    (line,) = [line for line in result[1].splitlines() if line.startswith("Go on with")]
    command = shlex.split(line.partition("napari-sam3 segment ")[2])
    command[-3], command[-1] = str(tmp_path / "mine.tif"), str(tmp_path / "mine.png")
    done = sam3("segment", *command)
    assert (done.code, done.err) == (0, "")
    assert tifffile.imread(tmp_path / "mine.tif")[340, 212] == 1
    again = ["--prompts", result[0] / "demo.json", "-o", tmp_path / "again.tif"]
    assert sam3("segment", result[0] / "demo.png", *again).code == 0
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "again.tif"),
        tifffile.imread(result[0] / "labels.tif"),
    )


def test_no_window_is_not_mentioned_if_none_was_wanted(sam3, tmp_path):
    done = sam3("demo", "--no-window", "-o", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert "napari was not" not in done.out


# ---- the window -------------------------------------------------------------


def test_what_stands_in_the_way_of_a_window_is_told(monkeypatch):
    screen = {"DISPLAY": ":0"}
    assert "no display" in window.why_no_window({}, "linux")
    assert "no display" in window.why_no_window({"DISPLAY": ""}, "linux")
    assert "automated" in window.why_no_window({**screen, "CI": "1"}, "linux")
    monkeypatch.setattr(window, "find_spec", lambda name: None)
    reason = window.why_no_window(screen, "linux")
    assert "no Qt" in reason
    assert "napari-sam3[all]" in reason
    monkeypatch.setattr(window, "find_spec", {"PySide6": 1}.get)
    assert window.why_no_window(screen, "linux") is None
    assert window.why_no_window({"WAYLAND_DISPLAY": "wayland-0"}, "linux") is None
    assert window.why_no_window({}, "darwin") is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "sys.stderr.write('qt.qpa: no display :7\\nplugins'); os.abort()",
            "no display :7",
        ),
        ("raise OSError('no Qt\\nhelp')", "OSError: no Qt"),
        ("sys.exit(1)", "no message"),
    ],
)
def test_a_window_that_breaks_is_no_failure(
    script, words, monkeypatch, tmp_path, capsys
):
    script = f"import os, sys; {script}"
    monkeypatch.setattr(window, "why_no_window", lambda: None)
    real = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **kw: real([command[0], "-c", script], **kw)
    )
    demo._open_window(tmp_path / "labels.tif")
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("napari was not opened: it stopped with: ")
    assert words in out


class Viewer:
    """Remembers the layers that it is given."""

    def __init__(self):
        self.layers = {}

    def __getattr__(self, name):
        def add(data, **options):
            self.layers[options["name"]] = (name, data, options)
            return SimpleNamespace()

        return add


def check_layers(layers, prompts):
    kind, clicks, options = layers["clicks"]
    assert kind == "add_points"
    assert len(clicks) == sum(len(prompt.points) for prompt in prompts)
    assert len(options["face_color"]) == len(clicks)
    first = next(prompt.box for prompt in prompts if prompt.box)
    # A box's edges lie half a pixel beside the centres that napari counts.
    np.testing.assert_allclose(np.ravel(layers["boxes"][1][0]), np.array(first) - 0.5)


def test_image_prompts_and_labels_become_layers(result, prompts):
    viewer = Viewer()
    window.add_layers(viewer, result[0] / "labels.tif")
    assert list(viewer.layers) == ["image", "labels", "boxes", "clicks"]
    check_layers(viewer.layers, prompts)


def test_napari_takes_the_layers(result):
    components = pytest.importorskip("napari.components")
    viewer = components.ViewerModel()
    window.add_layers(viewer, result[0] / "labels.tif")
    assert [layer.name for layer in viewer.layers] == [
        "image",
        "labels",
        "boxes",
        "clicks",
    ]
    assert viewer.layers["boxes"].nshapes == 2
