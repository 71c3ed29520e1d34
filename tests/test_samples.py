"""Samples to try the plugin on."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from skimage.measure import label

from napari_sam3.samples import make_stack, open_nuclei, open_stack


def opened(sample) -> Layer:
    viewer = ViewerModel()
    ((data, about, kind),) = sample()
    return viewer.add_layer(Layer.create(data, about, kind))


def test_nuclei_are_an_rgb_image():
    layer = opened(open_nuclei)
    assert layer.rgb
    assert layer.data.shape == (420, 420, 3)
    assert layer.data.dtype == np.uint8


def test_the_stack_knows_its_size():
    layer = opened(open_stack)
    assert not layer.rgb
    assert layer.data.shape == (12, 256, 256)
    assert layer.data.dtype == np.uint16
    assert tuple(layer.scale) == (1.5, 0.3, 0.3)
    assert {str(unit) for unit in layer.units} == {"micrometer"}
    assert layer.axis_labels == ("z", "y", "x")


def test_the_stack_is_always_the_same():
    assert np.array_equal(make_stack(), make_stack())
    assert not np.array_equal(make_stack(), make_stack(seed=4))


def test_every_plane_of_the_stack_has_cells_and_they_differ():
    stack = make_stack()
    cells = [label(plane > 900).max() for plane in stack]
    assert min(cells) >= 3
    assert not np.array_equal(stack[2] > 900, stack[9] > 900)
