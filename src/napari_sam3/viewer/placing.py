"""From positions that a script gives to prompts on the shown plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError, PromptError
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import BoxMark, OutlineMark, PointMark
from napari_sam3.core.prompt import as_floats
from napari_sam3.viewer.geometry import Affine, data_to_world
from napari_sam3.viewer.label_pyramid import full_size
from napari_sam3.viewer.planes import shown_plane, to_plane_px

__all__ = ["box_mark", "outline_mark", "point_marks", "positions_px", "show_plane_of"]


def point_marks(
    viewer: ViewerModel,
    image: Image,
    plane: Plane,
    positions: Any,
    *,
    positive: bool,
    world: bool,
) -> list[PointMark]:
    """Make clicks of positions; see `positions_px`."""
    points_px = positions_px(viewer, image, plane, positions, world=world)
    return [PointMark(_rounded(r), _rounded(c), positive) for r, c in points_px]


def box_mark(
    viewer: ViewerModel, image: Image, plane: Plane, box: Any, *, world: bool
) -> BoxMark:
    """Make a box prompt.

    Parameters
    ----------
    viewer, image, plane
        What the box is about.
    box : sequence of 4 floats
        ``(row0, col0, row1, col1)``: half-open edges in pixels of the plane, or
        two opposite corners in world coordinates of the shown axes.
    world : bool
        Which of the two.

    Raises
    ------
    PromptError
        If these are no four finite numbers.
    """
    edges = as_floats(box, "Box edges")
    if edges.shape != (4,):
        raise PromptError(
            f"A box has four edges, not the shape {edges.shape}; "
            "give (row0, col0, row1, col1)."
        )
    if world:
        row0, col0, row1, col1 = edges
        corners = [(row0, col0), (row0, col1), (row1, col0), (row1, col1)]
        # Corners have pixel centres as whole numbers, edges are half a pixel off.
        corners_px = positions_px(viewer, image, plane, corners, world=True) + 0.5
        edges = np.concatenate([corners_px.min(axis=0), corners_px.max(axis=0)])
    return BoxMark(*map(_rounded, edges))


def outline_mark(
    viewer: ViewerModel, image: Image, plane: Plane, vertices: Any, *, world: bool
) -> OutlineMark:
    """Make an outline of its vertices; see `positions_px`."""
    vertices_px = positions_px(viewer, image, plane, vertices, world=world)
    return OutlineMark(tuple((_rounded(r), _rounded(c)) for r, c in vertices_px))


def positions_px(
    viewer: ViewerModel, image: Image, plane: Plane, positions: Any, *, world: bool
) -> NDArray[np.float64]:
    """Bring positions to pixels of the shown plane.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Tells which plane is shown.
    image : napari.layers.Image
        In whose pixels the answer is.
    plane : Plane
        The shown one.
    positions : array_like of shape (N, 2) or (N, ndim)
        Data or world coordinates: of the two shown axes, or of all.
    world : bool
        Whether they are world coordinates.

    Returns
    -------
    ndarray of shape (N, 2)
        (row, col); pixel centres are whole numbers.

    Raises
    ------
    PromptError
        If the shape does not fit, or a position is on another plane.
    """
    array = as_floats(positions, "Positions")
    ndim = viewer.dims.ndim if world else len(plane.index)
    if array.ndim != 2 or array.shape[1] not in (2, ndim):
        raise PromptError(
            f"Positions have the shape {array.shape}; give (row, col) of the shown "
            f"plane, or all {ndim} coordinates."
        )
    if array.shape[1] == 2:
        if not world:
            return array
        array = _in_shown_plane(viewer, array)
    data = _world(viewer, image).inverse()(array[:, -image.ndim :]) if world else array
    points_px, is_on_plane = to_plane_px(plane, data)
    if not is_on_plane.all() and len(data) == 1:
        raise PromptError(
            f"The position {array.tolist()[0]} is on no plane of {image.name!r}, which "
            f"has the shape {_sizes(image)}; planes are counted from 0."
        )
    if not is_on_plane.all():
        raise PromptError(
            f"The positions {array.tolist()} are on different planes; give those of "
            "one plane at a time."
        )
    return points_px


def show_plane_of(
    viewer: ViewerModel, image: Image, positions: Any, *, world: bool
) -> None:
    """Move the viewer's sliders to the plane of the first position.

    Positions of two coordinates are on the shown plane, so nothing moves; other
    parameters as in `positions_px`.
    """
    array = np.atleast_2d(as_floats(positions, "Positions"))
    if array.ndim != 2 or not len(array) or array.shape[1] in (0, 2):
        return
    if array.shape[1] != (viewer.dims.ndim if world else image.ndim):
        return  # `positions_px` says what is wrong
    to_world = _world(viewer, image)
    data = to_world.inverse()(array[:1, -image.ndim :]) if world else array[:1]
    if _is_shown(viewer, image, data):
        return
    lacking = viewer.dims.ndim - image.ndim
    point = np.asarray(viewer.dims.point, np.float64)
    point[lacking:] = to_world(data)[0]
    axes = list(viewer.dims.not_displayed)
    viewer.dims.set_point(axes, [float(point[axis]) for axis in axes])


def _is_shown(viewer: ViewerModel, image: Image, data: NDArray[np.float64]) -> bool:
    try:
        plane = shown_plane(viewer, image)
    except LayerError:
        return False  # the slider may be beside the image
    return bool(to_plane_px(plane, data)[1].all())


def _world(viewer: ViewerModel, image: Image) -> Affine:
    return data_to_world(image, viewer.dims.units)


def _in_shown_plane(
    viewer: ViewerModel, shown: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Complete world coordinates of the shown axes by where the sliders are."""
    full = np.tile(np.asarray(viewer.dims.point, np.float64), (len(shown), 1))
    full[:, list(viewer.dims.displayed)] = shown
    return full


def _rounded(value: float) -> float:
    # As the layers' prompts are read: round trips through a transform leave noise.
    return float(np.round(value, 6)) + 0.0


def _sizes(image: Image) -> tuple[int, ...]:
    return tuple(int(size) for size in full_size(image.data).shape[: image.ndim])
