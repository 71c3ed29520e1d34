"""What a newcomer does: open a sample, open the panel, click once."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.cli.demo import DEMO_PROMPTS
from napari_sam3.cli.drafts import to_prompts
from napari_sam3.cli.prompt_files import read_prompts
from napari_sam3.viewer.engine import Engine
from tests.gui.desk import PLUGIN, Desk, action, messages

pytestmark = pytest.mark.gui


@pytest.fixture
def beginner(make_viewer, monkeypatch):
    """Return an empty window in which nothing stands in for the real model."""
    engine = Engine()
    monkeypatch.setattr("napari_sam3.viewer.session.shared_engine", lambda: engine)
    desk = Desk(make_viewer())
    yield desk
    desk.__dict__.clear()
    engine.thread.stop()


def test_a_sample_the_panel_and_one_click_are_enough(beginner):
    window = beginner.viewer.window
    action(window.file_menu, "Open Sample", PLUGIN, "Nuclei").trigger()
    (image,) = beginner.viewer.layers
    action(window.layers_menu, "Segment", "Segment with SAM 3").trigger()
    beginner.settle()
    assert beginner.session.status.text == "ready: click on an object"

    # A nucleus around which the demo has a box.
    prompts = to_prompts(read_prompts(DEMO_PROMPTS)).values()
    box = np.array(next(p.box for p in prompts if p.box is not None))
    centre = (box[:2] + box[2:]) / 2 - 0.5
    beginner.click(centre)
    beginner.settle()
    mask = beginner.session.preview.mask
    rows, cols = np.nonzero(mask)
    found = np.array([rows.min(), cols.min(), rows.max() + 1, cols.max() + 1])
    np.testing.assert_allclose(found, box, atol=6)  # of 51 by 26 pixels
    assert beginner.session.preview.score > 0.5
    pixels = np.argwhere(mask)[::7]
    seen = beginner.colours(pixels).astype(int)
    beginner.viewer.layers["SAM3 preview"].visible = False
    change = np.abs(beginner.colours(pixels) - seen).max(axis=1)
    assert (change > 20).mean() > 0.8  # some are under the click's marker
    assert messages() == []

    beginner.press("K")
    beginner.settle()
    assert beginner.session.image == image
    np.testing.assert_array_equal(beginner.session.labels.data > 0, mask)


def test_a_stack_works_just_as_well(beginner):
    (image,) = beginner.viewer.open_sample(PLUGIN, "stack")
    beginner.open()
    z = beginner.viewer.dims.current_step[0]
    plane = image.data[z]
    beginner.click((z, *np.unravel_index(plane.argmax(), plane.shape)))
    beginner.settle()
    mask = beginner.session.preview.mask
    assert 30 < mask.sum() < 3000
    assert np.median(plane[mask]) > 3 * np.median(plane[~mask])
    assert messages() == []
