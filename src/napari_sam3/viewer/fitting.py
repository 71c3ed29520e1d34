"""Which layers can hold the prompts of an image."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_sam3.core.errors import LayerError
from napari_sam3.viewer.follower import check_listed
from napari_sam3.viewer.prompt_layers import is_owned

__all__ = ["check_prompt_layer", "fitting_layer"]


def check_prompt_layer(
    viewer: ViewerModel | None, layer: Any, kind: type[Points | Shapes]
) -> None:
    """Refuse what the user cannot mean as a layer of prompts.

    Raises
    ------
    LayerError
        If it is of another kind, or not in the viewer.
    """
    is_of_kind = isinstance(layer, kind)
    if not is_of_kind:
        raise LayerError(f"{layer!r} is no {kind.__name__} layer; choose one.")
    check_listed(viewer, layer)


def fitting_layer(
    viewer: ViewerModel,
    image: Image,
    kind: type[Points | Shapes],
    current: Points | Shapes | None,
    *,
    but: Container[object] = (),
) -> Any:
    """Return what holds the prompts when another image is chosen.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        With the layers.
    image : napari.layers.Image
        The other one.
    kind : type
        Of the layer.
    current : napari.layers.Points or napari.layers.Shapes, optional
        What held them so far.
    but : container, optional
        The ``unique_id`` of layers that are not wanted.

    Returns
    -------
    napari.layers.Points, napari.layers.Shapes or None
        The current one, if the user chose it or it has the image's axes; else one of
        ours that has them. None if there is none: it is made when it is needed.
    """
    if current is not None and not is_owned(current):
        return current
    ours = [one for one in viewer.layers if isinstance(one, kind) and is_owned(one)]
    fitting = [
        one for one in ours if one.ndim == image.ndim and one.unique_id not in but
    ]
    if current in fitting:
        return current
    return fitting[-1] if fitting else None
