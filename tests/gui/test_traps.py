"""What goes wrong in plugins like this one: lost clicks, leaks, silent errors."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from tests.gui.desk import SECONDS, messages
from tests.viewer.studio import Gate, disc

pytestmark = pytest.mark.gui


def new_image(desk, name: str = "other") -> None:
    """Add an image that is not encoded yet, drawn black, and work on it."""
    pixels = np.random.default_rng(0).integers(0, 99, (64, 64), np.uint8)
    layer = desk.viewer.add_image(pixels, name=name, contrast_limits=(99, 255))
    desk.session.image = layer
    desk.session.start_clicking()


@pytest.fixture
def places(tracker) -> np.ndarray:
    """Return 30 places, (30, 2), whose discs do not touch, in a wild order."""
    tracker.radius = 4
    grid = np.stack(np.mgrid[5:60:11, 4:64:11][:, :5, :6], axis=-1).reshape(-1, 2)
    return np.random.default_rng(1).permutation(grid)


def check_none_is_lost(desk, places: np.ndarray) -> None:
    found = [(mark.row, mark.col) for mark in desk.session.marks]
    np.testing.assert_allclose(found, places, atol=0.1)
    expected = np.zeros((64, 64), bool)
    for row, col in found:
        expected |= disc(expected.shape, row, col, 4)
    np.testing.assert_array_equal(desk.session.preview.mask, expected)
    seen = desk.colours(places + (0, 3))
    assert (seen == seen[0]).all()
    assert desk.sees_preview(places[0] + (0, 3))


def test_no_click_is_lost_while_the_image_is_encoded(desk, places):
    desk.open()
    gate = desk.tracker.on_block = Gate()
    new_image(desk)
    desk.until(gate.entered.is_set)
    for place in places:
        desk.click(place)
        assert desk.session.preview is None
    assert desk.session.busy
    gate.opened.set()
    desk.settle()
    # All of them are asked about, and not one after the other.
    assert len(desk.tracker.prompts[-1].points) == 30
    check_none_is_lost(desk, places)


def test_no_click_is_lost_while_a_mask_is_computed(desk, places):
    desk.open()
    gate = desk.tracker.on_predict = Gate()
    desk.click(places[0])
    desk.until(gate.entered.is_set)
    for place in places[1:]:
        desk.click(place)
    gate.opened.set()
    desk.settle()
    check_none_is_lost(desk, places)


def test_the_window_works_while_the_image_is_encoded(desk):
    desk.open()
    gate = desk.tracker.on_block = Gate()
    new_image(desk)
    desk.until(gate.entered.is_set)
    desk.until(desk.panel.status.cancel.isVisible)
    assert desk.panel.status.text.text() == "encoding…"
    desk.push(desk.panel.status.cancel)
    assert desk.panel.status.text.text() == "cancelled"
    gate.opened.set()
    desk.settle()
    desk.click((20, 20))
    desk.settle()
    assert desk.session.preview.mask[20, 20]


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_pixels_of_a_deleted_layer_are_given_back(desk, kind):
    desk.open()
    new_image(desk)
    for turn in range(5):
        desk.click((10 + 10 * turn, 30))
        desk.settle()
        desk.press("K")
        desk.settle()
    layer = desk.viewer.layers["other"] if kind == "image" else desk.session.labels
    pixels = weakref.ref(layer.data)
    desk.viewer.layers.remove(layer)
    del layer
    desk.tracker.images.clear()
    desk.settle()
    desk.click((40, 40))
    desk.settle()
    gc.collect()
    assert pixels() is None


def test_an_error_of_the_model_is_told_with_a_remedy(desk):
    panel = desk.open()

    def fail(prompts) -> None:
        raise RuntimeError("the model is broken")

    desk.tracker.on_predict = fail
    desk.click((20, 20))
    desk.settle()
    text = (
        "RuntimeError: the model is broken. This is not your mistake; please report "
        "it with what you did."
    )
    assert messages() == [text]
    assert panel.status.text.text() == f"⚠ {text}"
    assert not desk.sees_preview((20, 24))
    desk.tracker.on_predict = None
    desk.click((20, 40))
    desk.settle()
    assert desk.sees_preview((20, 24))
    assert desk.sees_preview((20, 44))
    assert messages() == [text]


def test_a_full_memory_is_told_with_a_remedy(desk):
    desk.open()

    def fill(done: int, total: int) -> None:
        raise MemoryError

    desk.tracker.on_block = fill
    new_image(desk)
    desk.settle()
    (text,) = messages()
    assert text.startswith("The memory")
    assert "is too small for this image" in text
    assert "; choose a smaller model" in text


def test_what_cannot_be_done_is_told(desk):
    desk.open()
    desk.press("K", "N", "G")
    assert len(messages()) == 3
    assert all("; " in text for text in messages())


def test_a_window_closes_while_many_objects_are_computed(desk):
    panel = desk.open()
    desk.push(panel.prompts.many)
    gate = desk.tracker.on_predict = Gate()
    for place in np.ndindex(5, 5):
        desk.click(np.array(place) * 10 + 10)
    desk.until(gate.entered.is_set)
    session = desk.session
    desk.viewer.close()
    gate.opened.set()
    desk.tidy()
    session.wait(SECONDS)
    assert session.preview is None
    assert session.labels is None
    assert messages() == []
