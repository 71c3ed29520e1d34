"""The Points and Shapes layers that hold prompts, made to go with an image."""

from __future__ import annotations

from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_sam3.viewer.layer_marks import (
    add_marks,
    as_read,
    read_points,
    read_shapes,
    remove_marks,
)
from napari_sam3.viewer.polarity import (
    COLUMN,
    NEGATIVE,
    POSITIVE,
    POSITIVE_SYMBOL,
    empty_polarity,
    flip_polarity,
    is_owned,
    polarity_of,
    set_polarity,
)
from napari_sam3.viewer.stacking import OWN_KEY, lying_on
from napari_sam3.viewer.world_units import keep_in_world_units

__all__ = [
    "POINTS_NAME",
    "SHAPES_NAME",
    "add_marks",
    "as_read",
    "create_points",
    "create_shapes",
    "flip_polarity",
    "is_owned",
    "polarity_of",
    "read_points",
    "read_shapes",
    "remove_marks",
    "set_polarity",
]

POINTS_NAME, SHAPES_NAME = "SAM3 points", "SAM3 shapes"

#: Blue and orange, which all eyes tell apart (Okabe and Ito's palette).
_COLOURS = {POSITIVE: "#56b4e9", NEGATIVE: "#e69f00"}
_SHAPE_COLOUR = "#f0e442"
#: Sizes in parts of the image's longer side, and what they may be on the screen.
_POINT_SIZE, _EDGE_WIDTH = 1 / 50, 1 / 250
_SCREEN_SIZES = (5, 16)


def create_points(viewer: ViewerModel, image: Image) -> Points:
    """Add a layer for clicks on an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Of the image.
    image : napari.layers.Image
        Whose axes and place the layer gets. Its units are the viewer's, whatever
        comes: see `keep_in_world_units`.

    Returns
    -------
    napari.layers.Points
        Empty; its feature ``polarity`` says positive or negative, and colours
        and symbols show it.
    """
    layer = viewer.add_points(
        name=POINTS_NAME,
        features=empty_polarity(),
        feature_defaults={COLUMN: POSITIVE},
        face_color=COLUMN,
        face_color_cycle=_COLOURS,
        border_color="black",
        border_width=0.1,
        symbol=POSITIVE_SYMBOL,
        size=_longer_side(viewer, image) * _POINT_SIZE,
        canvas_size_limits=_SCREEN_SIZES,
        **_like(image),
    )
    keep_in_world_units(viewer, layer)
    return layer


def create_shapes(viewer: ViewerModel, image: Image) -> Shapes:
    """Add a layer for boxes and outlines on an image.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Of the image.
    image : napari.layers.Image
        Whose axes and place the layer gets, in the viewer's units.

    Returns
    -------
    napari.layers.Shapes
        Empty.
    """
    layer = viewer.add_shapes(
        name=SHAPES_NAME,
        edge_color=_SHAPE_COLOUR,
        face_color="transparent",
        **_like(image),
    )
    layer.current_edge_width = _longer_side(viewer, image) * _EDGE_WIDTH
    keep_in_world_units(viewer, layer)
    return layer


def _like(image: Image) -> dict[str, Any]:
    """Return what makes a layer one for the prompts of an image."""
    return {
        **lying_on(image),
        "ndim": image.ndim,
        "metadata": {OWN_KEY: {"role": "prompts"}},
    }


def _longer_side(viewer: ViewerModel, image: Image) -> float:
    """Return the size of the image on the axes that are shown, in its pixels."""
    low, high = image.extent.data
    shown = [axis - viewer.dims.ndim for axis in viewer.dims.displayed]
    sizes = [high[axis] - low[axis] + 1 for axis in shown if axis >= -image.ndim]
    return float(max(sizes, default=1))
