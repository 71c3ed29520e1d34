"""Polygons are filled as scikit-image fills them, but quickly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.draw import polygon

from napari_sam3.core.polygon import fill_polygon

SHAPE = (12, 15)
places = st.tuples(st.integers(-6, 34), st.integers(-6, 40))


def filled(*vertices: tuple[float, float], shape=SHAPE) -> np.ndarray:
    return fill_polygon(np.array(vertices, np.float64), shape)


def by_skimage(vertices: np.ndarray, shape=SHAPE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[polygon(*vertices.T, shape)] = True
    return mask


def near_edge(vertices: np.ndarray) -> np.ndarray:
    """Tell which pixel centres lie on the polygon's edge, but for rounding."""
    centres = np.stack(np.indices(SHAPE), -1)[:, :, None]
    start, end = vertices, np.roll(vertices, -1, axis=0)
    along = end - start
    length = np.maximum((along**2).sum(-1), 1e-12)
    share = (((centres - start) * along).sum(-1) / length).clip(0, 1)
    gaps = centres - (start + share[..., None] * along)
    return (np.hypot(*np.moveaxis(gaps, -1, 0)) < 1e-6).any(-1)


def test_a_rectangle_holds_its_edge():
    expected = np.zeros(SHAPE, bool)
    expected[2:6, 3:9] = True
    assert np.array_equal(filled((2, 3), (2, 8), (5, 8), (5, 3)), expected)
    assert np.array_equal(
        filled((1.5, 2.5), (1.5, 8.5), (5.5, 8.5), (5.5, 2.5)), expected
    )


def test_what_is_outside_the_image_is_cut_off():
    assert filled((-50, -50), (-50, 99), (99, 99), (99, -50)).all()
    assert not filled((20, 20), (20, 30), (30, 20)).any()


def test_what_is_enclosed_twice_is_outside():
    ring = [
        (0, 0),
        (0, 9),
        (9, 9),
        (9, 0),
        (0, 0),
        (3, 3),
        (3, 6),
        (6, 6),
        (6, 3),
        (3, 3),
    ]
    assert not filled(*ring)[4:6, 4:6].any()
    assert filled(*ring)[1, 1:9].all()


def test_a_line_has_the_pixels_that_it_passes():
    mask = filled((2, 3), (2, 8), (2, 5))
    assert not mask.any()  # even a horizontal one encloses nothing
    upright = filled((2, 3), (8, 3), (5, 3))
    assert np.argwhere(upright).tolist() == [[row, 3] for row in range(2, 9)]


@given(st.lists(places, min_size=3, max_size=9))
def test_it_is_scikit_images_polygon(corners):
    vertices = np.array(corners, np.float64) / 2.5
    ours, theirs = fill_polygon(vertices, SHAPE), by_skimage(vertices)
    decided = ~near_edge(vertices)
    assert np.array_equal(ours & decided, theirs & decided)


@pytest.mark.parametrize("size", [400, 2000])
def test_a_fine_outline_of_a_large_object(size):
    turn = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    radius = 0.45 * size
    vertices = size / 2 + radius * np.stack([np.sin(turn), np.cos(turn)], 1)
    mask = fill_polygon(vertices, (size, size))
    assert mask.sum() == pytest.approx(np.pi * radius**2, rel=2e-3)
