"""Boxes, lassos, and a user's own points, with the mouse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.hands import Hands
from tests.gui.desk import Desk

pytestmark = pytest.mark.gui


def test_a_box_by_dragging(desk):
    panel = desk.open()
    desk.push(panel.prompts.tools["box"])
    desk.drag([(9.5, 14.5), (20, 25), (29.5, 44.5)])
    desk.settle()
    assert len(desk.session.marks) == 1
    mask = np.zeros((64, 64), bool)
    mask[10:30, 15:45] = True
    np.testing.assert_array_equal(desk.session.preview.mask, mask)
    assert desk.sees_preview((20, 30))
    desk.press("K")
    desk.settle()
    np.testing.assert_array_equal(desk.session.labels.data, mask)
    assert len(desk.session.shapes.data) == 0  # its prompts are gone from the screen


def test_a_lasso_by_dragging_is_its_outline_and_not_its_box(desk):
    panel = desk.open()
    desk.push(panel.prompts.tools["lasso"])
    # A triangle: half of its box.
    corners = np.array([(10, 10), (50, 10), (50, 50), (10, 10)])
    steps = np.linspace(0, 1, 6)[:, None]
    path = [point for a, b in pairwise(corners) for point in a + (b - a) * steps]
    desk.drag(path)
    desk.settle()
    assert len(desk.session.marks) == 1
    mask = desk.session.preview.mask
    rows, cols = np.ogrid[:64, :64]
    away = np.abs(rows - cols) > 3  # from the long side
    inside = (rows > 13) & (rows < 47) & (cols > 13) & (cols < 47)
    np.testing.assert_array_equal(mask[inside & away], (cols < rows)[inside & away])
    assert 0.4 < mask.sum() / 41**2 < 0.6


@pytest.fixture
def crowd(make_viewer, engine, tracker):
    """Return a window with an image, and a user's points on its 100 cells."""
    viewer = make_viewer()
    viewer.add_image(np.zeros((200, 200), np.uint8), name="cells")
    grid = np.arange(10, 200, 20.0)
    spots = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1).reshape(-1, 2)
    viewer.add_points(
        spots,
        name="spots",
        features={"intensity": np.arange(100.0)},
        size=3,
        face_color="white",
    )
    desk = Desk(viewer, tracker)
    yield desk
    desk.__dict__.clear()


def state_of(layer) -> list[object]:
    features = layer.features.to_csv()
    return [layer.data.tolist(), features, layer.face_color.tolist(), layer.metadata]


def test_a_users_hundred_points_become_a_hundred_labels(crowd):
    spots = crowd.viewer.layers["spots"]
    before = state_of(spots)
    panel = crowd.open()
    crowd.push(panel.prompts.layers.header)
    crowd.choose(panel.prompts.points, "spots")
    crowd.push(panel.prompts.many)
    crowd.settle()
    assert crowd.session.points == spots
    assert panel.result.accept.text().startswith("Accept all")
    assert crowd.session.preview.is_many
    seen = crowd.colours(spots.data[:30] + (0, 4))
    assert len(np.unique(seen, axis=0)) > 10  # each in a colour of its own
    crowd.push(panel.result.accept)
    crowd.settle()
    labels = crowd.session.labels.data
    numbers = labels[tuple(spots.data.astype(int).T)]
    np.testing.assert_array_equal(numbers, np.arange(1, 101))
    assert set(np.bincount(labels.ravel())[1:]) == {113}  # pixels of a disc
    assert state_of(spots) == before
    crowd.push(panel.result.undo)
    assert not crowd.session.labels.data.any()
    assert state_of(spots) == before


def test_a_further_click_into_a_users_layer_is_a_further_object(crowd):
    panel = crowd.open()
    crowd.push(panel.prompts.layers.header)
    crowd.choose(panel.prompts.points, "spots")
    crowd.push(panel.prompts.many)
    crowd.push(panel.prompts.tools["object"])
    crowd.click((20, 20))  # between the others
    crowd.settle()
    assert len(crowd.session.marks) == 101
    assert crowd.session.preview.crop.max() == 101
    crowd.press("K")
    crowd.settle()
    assert crowd.session.labels.data[20, 20] == 101


def test_windows_do_not_take_each_others_mouse(make_viewer, engine, tracker):
    desks = []
    for name in ("left", "right"):
        viewer = make_viewer()
        viewer.title = name
        viewer.add_image(np.zeros((64, 64), np.uint8))
        desk = Desk(viewer, tracker)
        desk.hands = Hands(viewer)
        desk.open()
        desks.append(desk)
    left, right = desks
    left.click((20, 20))
    right.click((40, 40))
    right.press("K")
    left.settle()
    right.settle()
    assert left.session.labels is None
    assert left.session.preview.mask[20, 20]
    assert right.session.labels.data[40, 40] == 1
    for desk in desks:
        desk.__dict__.clear()
