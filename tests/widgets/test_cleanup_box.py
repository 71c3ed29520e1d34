"""Areas in pixels and in µm²."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import Cleanup
from napari_sam3.viewer.settings import read_settings
from napari_sam3.widgets.cleanup_box import CleanupBox


@pytest.fixture
def box(qtbot, session) -> CleanupBox:
    box = CleanupBox(session)
    qtbot.addWidget(box)
    box.refresh()
    return box


def units(box: CleanupBox) -> list[str]:
    return [box.unit.itemText(i) for i in range(box.unit.count())]


def choose_unit(box: CleanupBox, index: int) -> None:
    box.unit.setCurrentIndex(index)
    box.unit.activated.emit(index)


@pytest.fixture
def measured(viewer, session, box):
    """Have the image measured: 0.5 µm by 0.5 µm a pixel."""
    session.image.scale = (0.5, 0.5)
    session.image.units = ("µm", "µm")
    box.refresh()
    return box


def test_it_shows_what_the_session_has(session, box):
    session.cleanup = Cleanup(100, 30, True)
    box.refresh()
    assert (box.holes.text(), box.sprinkles.text()) == ("100 px", "30 px")
    assert box.keep_clicked.isChecked()


def test_it_sets_what_the_session_has(session, box):
    box.holes.setValue(40)
    box.sprinkles.setValue(9)
    box.keep_clicked.click()
    assert session.cleanup == Cleanup(40, 9, True)


def test_zero_is_off(box):
    box.holes.setValue(0)
    assert box.holes.text() == "off"


def test_square_micrometres_only_where_pixels_have_a_size(box, session):
    assert units(box) == ["px"]


def test_changing_the_unit_keeps_the_area(measured, session):
    assert units(measured) == ["px", "µm²"]
    choose_unit(measured, 1)
    assert session.cleanup == Cleanup(64, 0, unit="µm²")  # 256 pixels
    assert measured.holes.text() == "64.00 µm²"
    choose_unit(measured, 0)
    assert session.cleanup == Cleanup(256, 0)


def test_without_units_one_can_still_go_back_to_pixels(measured, viewer, session):
    choose_unit(measured, 1)
    session.image = viewer.add_image(np.zeros((64, 64), np.uint8))
    measured.refresh()
    assert units(measured) == ["px", "µm²"]
    choose_unit(measured, 0)
    assert session.cleanup.unit == "px"
    assert units(measured) == ["px"]


def test_only_pixels_are_remembered(measured):
    measured.holes.setValue(100)
    choose_unit(measured, 1)
    measured.holes.setValue(3)
    assert read_settings().max_hole_area == 100


def test_the_wheel_changes_nothing(box, session, qtbot):
    class Wheel:
        ignored = False

        def ignore(self) -> None:
            self.ignored = True

    for widget in (box.holes, box.unit):
        wheel = Wheel()
        widget.wheelEvent(wheel)
        assert wheel.ignored


def test_it_is_folded_until_it_is_wanted(box):
    assert box.content.isHidden()
    box.header.click()
    assert not box.content.isHidden()
    box.header.click()
    assert box.content.isHidden()
