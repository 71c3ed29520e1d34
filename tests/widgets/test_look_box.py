"""Contrast, inversion and channels in the panel."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_sam3 import attach
from napari_sam3.viewer.settings import read_settings, save_setting
from napari_sam3.widgets.look_box import LookBox

CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


@pytest.fixture
def box(qtbot, session) -> LookBox:
    box = LookBox(session)
    qtbot.addWidget(box)
    box.refresh()
    return box


@pytest.fixture
def stains(viewer, session):
    """Add three more images beside "cells", one of them of another size."""
    image = session.image
    for name, shape in (("dapi", (64, 64)), ("gfp", (64, 64)), ("small", (9, 9))):
        viewer.add_image(np.zeros(shape, np.uint16), name=name)
    session.image = image


def choose(combo, text: str) -> None:
    index = combo.findText(text)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def lines(box: LookBox) -> dict[str, bool]:
    items = [box.channels.item(i) for i in range(box.channels.count())]
    return {item.text(): item.checkState() == CHECKED for item in items}


def check(box: LookBox, text: str, state: Qt.CheckState = CHECKED) -> None:
    (item,) = box.channels.findItems(text, Qt.MatchFlag.MatchExactly)
    item.setCheckState(state)


def test_it_shows_what_the_session_has(session, box):
    assert box.contrast.currentText() == "as shown"
    assert box.source.currentText() == "this image alone"
    assert not box.inverted.isChecked()
    assert box.channels.isHidden()
    session.contrast, session.inverted = "percentiles", True
    box.refresh()
    assert box.contrast.currentText() == "automatic"
    assert box.inverted.isChecked()


def test_it_sets_what_the_session_has(session, box):
    choose(box.contrast, "automatic")
    box.inverted.click()
    assert (session.contrast, session.inverted) == ("percentiles", True)
    choose(box.contrast, "as shown")
    box.inverted.click()
    assert (session.contrast, session.inverted) == ("shown", False)


def test_only_the_contrast_is_remembered(session, box):
    choose(box.contrast, "automatic")
    box.inverted.click()
    assert read_settings().contrast == "percentiles"


def test_layers_are_blended_by_checking_them(session, viewer, stains, box):
    choose(box.source, "image layers")
    assert lines(box) == {"small": False, "gfp": False, "dapi": False, "cells": True}
    assert session.channels is None
    check(box, "gfp")
    assert session.channels == [viewer.layers["cells"], viewer.layers["gfp"]]
    check(box, "dapi")
    assert lines(box) == {"small": False, "gfp": True, "dapi": True, "cells": True}
    check(box, "gfp", UNCHECKED)
    check(box, "dapi", UNCHECKED)
    assert session.channels is None
    assert box.source.currentText() == "image layers"
    choose(box.source, "this image alone")
    assert box.channels.isHidden()


def test_the_image_itself_is_always_seen(session, viewer, stains, box):
    choose(box.source, "image layers")
    check(box, "gfp")
    check(box, "cells", UNCHECKED)
    assert lines(box)["cells"]
    assert session.channels == [viewer.layers["cells"], viewer.layers["gfp"]]


def test_what_cannot_be_blended_is_told_and_not_checked(session, stains, box, notes):
    choose(box.source, "image layers")
    check(box, "small")
    assert "9 x 9 pixels" in notes[-1]
    assert not lines(box)["small"]
    assert session.channels is None


def test_rgb_layers_are_no_channels(session, viewer, box):
    image = session.image
    viewer.add_image(np.zeros((64, 64, 3), np.uint8), rgb=True, name="colours")
    session.image = image
    choose(box.source, "image layers")
    assert lines(box) == {"cells": True}


@pytest.fixture
def stack(viewer, session, box):
    """Choose an image with 40 planes in z and 4 channels."""
    session.image = viewer.add_image(
        np.zeros((40, 4, 32, 32), np.uint16), axis_labels=("z", "c", "y", "x")
    )
    box.refresh()
    return session.image


def test_planes_of_an_axis_are_blended(session, stack, box):
    choose(box.source, "axis c (4)")
    assert session.channels == 1
    assert list(lines(box).values()) == [True, True, True, False]
    check(box, "plane 0", UNCHECKED)
    assert session.channels == (1, (1, 2))
    check(box, "plane 3")
    assert session.channels == (1, (1, 2, 3))
    choose(box.source, "this image alone")
    assert session.channels is None


def test_a_fourth_plane_is_refused(session, stack, box, notes):
    choose(box.source, "axis c (4)")
    check(box, "plane 3")
    assert "choose up to 3" in notes[-1]
    assert list(lines(box).values()) == [True, True, True, False]


def test_without_any_plane_there_would_be_no_picture(session, stack, box):
    session.channels = (1, (2,))
    box.refresh()
    check(box, "plane 2", UNCHECKED)
    assert lines(box)["plane 2"]
    assert session.channels == (1, (2,))


def test_only_short_axes_that_are_not_shown_are_offered(session, stack, box, viewer):
    texts = [box.source.itemText(i) for i in range(box.source.count())]
    assert texts == ["this image alone", "image layers", "axis c (4)"]
    viewer.dims.order = (0, 2, 1, 3)
    box.refresh()
    texts = [box.source.itemText(i) for i in range(box.source.count())]
    assert texts == ["this image alone", "image layers"]


def test_an_axis_that_a_script_chose_is_shown(session, stack, box):
    session.channels = 0
    box.refresh()
    assert box.source.currentText() == "axis 0"
    assert list(lines(box).values())[:5] == [True, True, True, False, False]


def test_without_an_image_there_is_nothing_to_blend(viewer, session, box):
    viewer.layers.clear()
    box.refresh()
    assert box.source.currentText() == "this image alone"
    choose(box.source, "image layers")
    assert lines(box) == {}


def test_the_panel_has_it(panel, session):
    session.inverted = True
    assert panel.look.inverted.isChecked()


def test_hints_are_a_check_box_that_is_remembered(session, box):
    assert box.hints.isChecked()
    box.hints.click()
    assert not session.use_hints
    assert not read_settings().use_hints
    assert "s.use_hints = False" in session.as_python()
    session.use_hints = True
    box.refresh()
    assert box.hints.isChecked()


def test_a_session_begins_with_what_is_remembered(viewer):
    save_setting("use_hints", False)
    session = attach(viewer)
    assert not session.use_hints
    session.close()
