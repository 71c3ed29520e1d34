"""Where our layers go in the layer list, and how they get there unnoticed."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

__all__ = ["OWN_KEY", "above_pictures", "insert_quietly", "lying_on", "role_of"]

#: Our entry in the metadata of layers.
OWN_KEY = "napari_sam3"


def role_of(layer: Layer) -> str | None:
    """Return what a layer is to us, such as "preview"; None for other layers."""
    own = layer.metadata.get(OWN_KEY)
    role = own.get("role") if isinstance(own, dict) else None
    return role if isinstance(role, str) else None


def lying_on(image: Image) -> dict[str, Any]:
    """Return the arguments that put a new layer where an image is, with its units."""
    return {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        # A copy: layers would share the object.
        "affine": np.array(image.affine.affine_matrix),
        "units": image.units,
        "axis_labels": image.axis_labels,
    }


def above_pictures(viewer: ViewerModel) -> int:
    """Return the place above all images and labels.

    Points and shapes that lie above them stay above the new layer; previews
    don't count, so new labels come to lie below them.
    """
    pictures = [
        place
        for place, layer in enumerate(viewer.layers)
        if isinstance(layer, Image | Labels) and role_of(layer) != "preview"
    ]
    return pictures[-1] + 1 if pictures else 0


def insert_quietly(viewer: ViewerModel, index: int, layer: Layer) -> None:
    """Insert a layer; the user's selection and active layer stay what they are.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        With at least one layer, which keeps its camera and its sliders.
    index : int
        Place in the layer list.
    layer : napari.layers.Layer
        The new one.
    """
    selection = viewer.layers.selection
    selected, active = set(selection), selection.active
    # napari selects what is inserted. Nobody shall see that: layer controls
    # would flicker, and key bindings change under the user's hands.
    with selection.events.blocker_all():
        viewer.layers.insert(index, layer)
        if active is None:
            selection.clear()
        else:
            selection.active = active
        selection.update(selected)
