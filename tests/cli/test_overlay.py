"""The picture to check a result: its size, outlines and cost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image

from napari_sam3.cli import overlay
from napari_sam3.cli.overlay import colour_of, draw_overlay, zoom_of
from napari_sam3.core.prompt import Prompt


@pytest.mark.parametrize(
    ("shape", "zoom"), [((1, 1), 4), ((420, 300), 3), ((900, 900), 1), ((1, 4096), 1)]
)
def test_small_images_are_enlarged(shape, zoom):
    assert zoom_of(shape) == zoom
    prompt = Prompt(points=[[0, 0]], labels=[1], box=(-3, -3, 9, 9))
    labels = np.zeros(shape, np.uint16)
    labels[0, 0] = 1
    picture = draw_overlay(np.zeros((*shape, 3), np.uint8), labels, [prompt])
    assert picture.size == (shape[1] * zoom, shape[0] * zoom)


def test_outlines_stand_out_on_dark_and_bright_images():
    labels = np.zeros((400, 400), np.uint16)
    labels[100:200, 100:200] = 1
    prompt = Prompt(points=[[150, 150]], labels=[1])
    for grey in (0, 255):
        rgb = np.full((400, 400, 3), grey, np.uint8)
        picture = np.asarray(draw_overlay(rgb, labels, [prompt]))
        zoom = zoom_of(labels.shape)
        across = picture[110 * zoom, 90 * zoom : 110 * zoom]
        assert (across == colour_of(1)).all(axis=-1).sum() >= 3
        if grey:
            assert (across.max(axis=-1) < 150).any()  # the dark line around it
        assert (picture[: 90 * zoom] == grey).all()


def test_large_images_are_reduced_and_outlined_where_objects_are():
    labels = np.zeros((6000, 9001), np.uint16)
    labels[2000:4000, 5000:8000] = 1
    labels[5000, 100] = 2  # less than a pixel of the picture
    prompts = [Prompt(points=[[2100, 5100]], labels=[1], box=(1900, 4900, 4100, 8100))]
    prompts.append(Prompt(points=[[200, 8800]], labels=[1]))
    rgb = np.zeros((*labels.shape, 3), np.uint8)
    picture = np.asarray(draw_overlay(rgb, labels, prompts))
    assert picture.shape == (2730, 4096, 3)
    zoom = zoom_of(labels.shape)
    assert zoom == 4096 / 9001
    outline = (picture == colour_of(1)).all(axis=-1)
    row, col = round(3000 * zoom), round(6500 * zoom)
    across = np.flatnonzero(outline[row, round(4950 * zoom) : round(8050 * zoom)])
    across = across + round(4950 * zoom)
    assert abs(across[0] - 5000 * zoom) <= 1
    assert abs(across[-1] + 1 - 8000 * zoom) <= 1
    down = np.flatnonzero(outline[round(1950 * zoom) : round(4050 * zoom), col])
    down = down + round(1950 * zoom)
    assert abs(down[0] - 2000 * zoom) <= 1
    assert abs(down[-1] + 1 - 4000 * zoom) <= 1
    assert (picture[int(5000 * zoom), int(100 * zoom)] == colour_of(2)).all()
    clicked = picture[round(200 * zoom), round(8800 * zoom)]
    assert (clicked == 255).all()  # the middle of the plus sign


def test_wide_outlines_cost_no_more_than_thin_ones():
    labels = np.zeros((1000, 1000), np.uint16)
    labels[100:900, 100:900] = 1
    spot = (slice(100, 900), slice(100, 900))
    seconds = []
    for unit in (1, 20):
        picture = Image.new("RGB", (1000, 1000))
        start = time.process_time()
        overlay._outline(picture, labels, 1, spot, 1, unit)
        seconds.append(time.process_time() - start)
    # The square of the width would be hundreds of times as much, not twice.
    assert seconds[1] < 10 * seconds[0]


def test_neighbours_have_different_colours():
    assert len({colour_of(label) for label in range(1, 9)}) == 8
