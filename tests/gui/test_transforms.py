"""Real clicks on images that are turned, stretched, in units, and transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint

from benchmarks.hands import Hands
from tests.gui.desk import Desk
from tests.properties.flood import FloodTracker
from tests.properties.scenes import world_of

pytestmark = pytest.mark.gui

#: Rows, columns and radius of the disc on plane 1.
DISC = (12.0, 40.0, 6.0)
PLACE = {
    "scale": (5, 0.5, 0.25),
    "translate": (-20, 300, 77),
    "rotate": [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]],
    "units": ("um", "um", "um"),
    "axis_labels": ("z", "y", "x"),
}


class WorldHands(Hands):
    """Hands that find what is drawn in other units than the viewer's."""

    def where(self, layer: Any, position: Any) -> Any:
        (world,) = world_of(self.viewer, layer, position)
        shown = world[list(self.viewer.dims.displayed)]
        camera, canvas = self.viewer.scene.camera, self.canvas
        size = np.array([canvas.height(), canvas.width()])
        row, col = (shown - camera.center[-2:]) * camera.zoom + size / 2
        return QPoint(round(col), round(row))


@pytest.fixture
def tracker() -> FloodTracker:
    return FloodTracker()


@pytest.fixture
def turned(make_viewer, engine, tracker):
    """Return a window with a stack in micrometres, beside a layer in nanometres."""
    viewer = make_viewer()
    rows, cols = np.ogrid[:30, :70]
    data = np.full((3, 30, 70), 20, np.uint8)
    data[1][np.hypot(rows - DISC[0], cols - DISC[1]) <= DISC[2]] = 200
    viewer.add_image(
        np.zeros((3, 9, 9), np.uint8),
        translate=(-20_000, 300_000, 77_000),
        units="nm",
        visible=False,
    )
    image = viewer.add_image(data, name="cells", contrast_limits=(0, 255), **PLACE)
    desk = Desk(viewer, tracker)
    desk.hands = WorldHands(viewer)
    viewer.dims.set_point(0, world_of(viewer, image, (1, 0, 0))[0, 0])
    yield desk
    desk.__dict__.clear()


def look(desk: Desk) -> None:
    desk.viewer.reset_view()
    desk.settle()


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1)])
def test_a_click_on_the_disc_gives_the_disc(turned, order):
    turned.viewer.dims.order = order
    turned.open()
    turned.session.image = image = turned.viewer.layers["cells"]
    look(turned)
    turned.session.start_clicking()
    look(turned)
    turned.click((1, *DISC[:2]), image)
    turned.settle()
    (mark,) = turned.session.marks
    seen = (mark.row, mark.col)[:: 1 if order == (0, 1, 2) else -1]
    # As good as a mouse is: half a pixel of the screen.
    np.testing.assert_allclose(seen, DISC[:2], atol=0.5)
    turned.press("K")
    turned.settle()
    labels = turned.session.labels
    where = np.argwhere(labels.data == 1)
    np.testing.assert_allclose(where.mean(axis=0), (1, *DISC[:2]), atol=0.5)
    assert len(where) == (image.data[1] == 200).sum()
    np.testing.assert_allclose(
        world_of(turned.viewer, labels, (1, 5, 6)),
        world_of(turned.viewer, image, (1, 5, 6)),
    )
    assert (labels.units, labels.axis_labels) == (image.units, image.axis_labels)


def test_3d_is_refused_in_words_and_2d_works_again(turned):
    turned.open()
    turned.session.image = image = turned.viewer.layers["cells"]
    look(turned)
    turned.session.start_clicking()
    turned.viewer.dims.ndisplay = 3
    turned.settle()
    assert turned.session.status.is_error
    assert "switch to 2D" in turned.session.status.text
    turned.viewer.dims.ndisplay = 2
    look(turned)
    assert not turned.session.status.is_error
    turned.click((1, *DISC[:2]), image)
    turned.settle()
    assert turned.session.preview.mask.sum() == (image.data[1] == 200).sum()
