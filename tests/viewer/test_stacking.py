"""Our layers come without disturbing anybody."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam3.viewer.stacking import above_pictures, insert_quietly, role_of


@pytest.fixture
def viewer():
    viewer = ViewerModel()
    viewer.add_image(np.zeros((8, 10)), name="cells")
    viewer.add_points(name="clicks")
    viewer.add_shapes(name="boxes")
    return viewer


def empty(role=None):
    return Labels(np.zeros((8, 10), np.uint8), metadata={"napari_sam3": {"role": role}})


@pytest.mark.parametrize("selected", [[], ["clicks"], ["cells", "boxes"]])
def test_the_selection_stays(viewer, selected):
    viewer.layers.selection = {viewer.layers[name] for name in selected}
    before = set(viewer.layers.selection), viewer.layers.selection.active
    seen = []
    viewer.layers.selection.events.connect(seen.append)

    insert_quietly(viewer, 1, empty())

    assert len(viewer.layers) == 4
    assert (set(viewer.layers.selection), viewer.layers.selection.active) == before
    assert seen == []


def test_pictures_are_images_and_labels_but_no_previews(viewer):
    assert above_pictures(ViewerModel()) == 0
    assert above_pictures(viewer) == 1
    viewer.layers.insert(2, empty())
    assert above_pictures(viewer) == 3
    viewer.layers.append(empty("preview"))
    assert above_pictures(viewer) == 3


@pytest.mark.parametrize("entry", [None, "text", {}, {"role": 3}])
def test_layers_of_others_have_no_role(entry):
    layer = Labels(np.zeros((2, 2), int), metadata={"napari_sam3": entry})

    assert role_of(layer) is None
    assert role_of(empty("preview")) == "preview"
