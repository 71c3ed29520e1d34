"""Prompt layers in the viewer's units, so that clicks land where they are made."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from napari_sam3.viewer.geometry import unit_factors

__all__ = ["keep_in_world_units", "set_units"]

#: Keepers live as long as their layers: events hold them weakly.
_KEEPERS: weakref.WeakKeyDictionary[Layer, _Keeper] = weakref.WeakKeyDictionary()


def keep_in_world_units(viewer: ViewerModel, layer: Layer) -> None:
    """Give a layer the viewer's units from now on; it stays where it is drawn.

    The viewer has the smallest unit of all its layers. napari draws layers in other
    units where they belong, but its tools take the cursor's position, which is in
    the viewer's, for one in the layer's: over an image in micrometres and one in
    nanometres each click would lie a thousand times too far away.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        With the layer; held weakly.
    layer : napari.layers.Layer
        Its data, scale, translate, rotate and shear are not touched; the ratio of the
        units goes into its affine.
    """
    if layer not in _KEEPERS:
        _KEEPERS[layer] = _Keeper(viewer, layer)


def set_units(layer: Layer, units: Sequence[Any]) -> None:
    """Give a layer other units in which it lies at the same place.

    Parameters
    ----------
    layer : napari.layers.Layer
        With n axes.
    units : sequence of pint.Unit
        One per axis. Nothing happens where they cannot be converted.
    """
    factors = unit_factors(layer.units, units)
    if tuple(units) == tuple(layer.units) or not _can_convert(layer.units, units):
        return
    matrix = np.diag([*factors, 1.0]) @ layer.affine.affine_matrix
    # Who listens shall not see one without the other.
    with layer.events.blocker_all():
        layer.units = tuple(units)
        layer.affine = matrix
    layer.events.units()
    layer.events.affine()


def _can_convert(units: Sequence[Any], target: Sequence[Any]) -> bool:
    return len(units) == len(target) and all(
        mine.dimensionality == theirs.dimensionality
        for mine, theirs in zip(units, target, strict=True)
    )


class _Keeper:
    """Follows the units of a viewer with one layer."""

    def __init__(self, viewer: ViewerModel, layer: Layer) -> None:
        self._viewer = weakref.ref(viewer)
        self._layer = weakref.ref(layer)
        # If layers cannot agree on units, napari takes all numbers as they are. Then
        # it has to be those of the image again.
        self._without = tuple(layer.units)
        viewer.dims.events.units.connect(self.follow)
        self.follow()

    def follow(self, event: Any = None) -> None:
        """Take over the viewer's units."""
        viewer, layer = self._viewer(), self._layer()
        if viewer is None or layer is None or layer not in viewer.layers:
            return
        world = viewer.dims.units
        units = self._without if world is None else world[-layer.ndim :]
        set_units(layer, units)
