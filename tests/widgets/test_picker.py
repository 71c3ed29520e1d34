"""Picking objects with the mouse."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def labels(viewer, session, panel):
    """Return a layer with two objects that is written to."""
    data = np.zeros((64, 64), np.uint16)
    data[10:20, 10:20] = 1
    data[40:50, 40:50] = 7
    session.labels = viewer.add_labels(data)
    return session.labels


def test_without_labels_there_is_nothing_to_pick(panel):
    assert not panel.result.refine.isEnabled()


def test_the_next_click_picks_what_is_refined(viewer, session, panel, labels, settle):
    panel.result.refine.click()
    assert viewer.layers.selection.active is labels
    assert labels.mode == "pick"
    assert panel.result.refine.text() == "Click on it…"
    labels.selected_label = 7  # what napari's tool does with a click
    settle()
    assert session.refining == 7
    assert labels.mode == "pan_zoom"
    assert viewer.layers.selection.active is session.points
    assert panel.result.accept.text() == "Accept as object 7  K"
    assert panel.result.refine.text() == "Refine  G"


def test_the_number_that_is_selected_already_can_be_picked(
    session, panel, labels, settle
):
    labels.selected_label = 1
    panel.result.refine.click()
    labels.selected_label = 1
    settle()
    assert session.refining == 1


@pytest.mark.parametrize("way_out", ["button", "tool", "layer", "panel"])
def test_there_are_ways_out(viewer, session, panel, labels, way_out):
    labels.selected_label = 7
    panel.result.refine.click()
    match way_out:
        case "button":
            panel.result.refine.click()
        case "tool":
            labels.mode = "paint"
        case "layer":
            viewer.layers.selection.active = session.image
        case "panel":
            panel.end()
    assert not panel.result.picker.is_picking
    assert labels.selected_label == 7
    assert session.refining is None
    labels.selected_label = 1
    assert session.refining is None


def test_background_can_be_tried_again(session, panel, labels, settle):
    panel.result.refine.click()
    labels.selected_label = 0
    assert panel.result.picker.is_picking
    labels.selected_label = 7
    settle()
    assert session.refining == 7
