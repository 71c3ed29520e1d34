"""Planes of a stack, and colours, in a window."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gui.desk import PLUGIN, Desk

pytestmark = pytest.mark.gui

both_slicings = pytest.mark.parametrize("slicing", ["at once", "async"], indirect=True)


@pytest.fixture
def stack(make_viewer, engine, tracker):
    """Return a window with the sample of a stack, dark so that previews are seen."""
    viewer = make_viewer()
    (image,) = viewer.open_sample(PLUGIN, "stack")
    image.contrast_limits = (60_000, 65_535)
    desk = Desk(viewer, tracker)
    desk.open()
    yield desk
    desk.__dict__.clear()


def go_to(desk, z: int) -> None:
    desk.viewer.dims.set_current_step(0, z)
    desk.settle()


@both_slicings
def test_prompts_belong_to_their_plane(stack):
    go_to(stack, 3)
    stack.click((3, 60, 60))
    stack.settle()
    assert stack.sees_preview((3, 60, 64))
    assert len(stack.session.marks) == 1
    preview = stack.viewer.layers["SAM3 preview"]
    # Whatever comes when: it is nowhere else, not even for a moment.
    assert preview.extent.data[:, 0].tolist() == [0, 0]
    assert preview.data_to_world((0, 0, 0))[0] == pytest.approx(3 * 1.5)
    go_to(stack, 10)
    assert stack.session.marks == ()
    assert stack.session.preview is None
    assert not stack.sees_preview((10, 60, 64))
    stack.click((10, 60, 90))
    stack.settle()
    (prompt,) = stack.tracker.prompts[-1:]
    np.testing.assert_allclose(prompt.positive, [(60, 90)], atol=0.5)
    assert stack.sees_preview((10, 60, 94))
    assert not stack.sees_preview((10, 60, 64))
    go_to(stack, 3)
    assert stack.sees_preview((3, 60, 64))
    assert not stack.sees_preview((3, 60, 94))


@both_slicings
def test_objects_are_written_into_their_planes(stack):
    image = stack.image
    for z in (3, 10):
        go_to(stack, z)
        stack.click((z, 60, 60 + z))
        stack.press("K")
        stack.settle()
    labels = stack.session.labels
    assert labels.data.shape == image.data.shape
    np.testing.assert_array_equal(labels.scale, image.scale)
    planes = [int(plane.max()) for plane in labels.data]
    assert planes == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 0]
    assert (labels.data[3, 60, 63], labels.data[10, 60, 70]) == (1, 2)
    # What is undone is the last step of the shown plane.
    go_to(stack, 3)
    stack.press("U")
    stack.settle()
    assert (labels.data[3].max(), labels.data[10].max()) == (0, 2)


def test_other_axes_may_be_shown(stack):
    stack.viewer.dims.order = (1, 0, 2)
    go_to(stack, 3)
    stack.viewer.dims.set_current_step(1, 100)
    stack.viewer.reset_view()
    stack.settle()
    stack.click((6, 100, 60))
    stack.press("K")
    stack.settle()
    assert stack.session.labels.data[6, 100, 60] == 1
    assert set(np.nonzero(stack.session.labels.data)[1]) == {100}


def test_colours_are_no_planes(make_viewer, engine, tracker):
    viewer = make_viewer()
    (image,) = viewer.open_sample(PLUGIN, "nuclei")
    tracker.radius = 12
    desk = Desk(viewer, tracker)
    desk.open()
    desk.click((100, 200))
    desk.settle()
    np.testing.assert_array_equal(tracker.images[-1], image.data)
    preview = desk.viewer.layers["SAM3 preview"]
    beside = [(100, 208), (100, 216)]  # one in the mask, none under the marker
    seen = desk.colours(beside).astype(int)
    preview.visible = False
    change = np.abs(desk.colours(beside) - seen).max(axis=1)
    assert change[0] > 30
    assert change[1] == 0
    desk.press("K")
    desk.settle()
    assert desk.session.labels.data.shape == (420, 420)
    assert desk.session.labels.data[100, 200] == 1
    desk.__dict__.clear()
