"""What prompt layers hold, as marks in pixels of one plane, and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.marks import BoxMark, Mark, OutlineMark, PointMark
from napari_sam3.viewer.outlines import box_corners, mark_of, settle
from napari_sam3.viewer.placement import Placement, place
from napari_sam3.viewer.polarity import change_polarity, polarities, polarity_of

__all__ = ["add_marks", "as_read", "read_points", "read_shapes", "remove_marks"]

#: Decimals of a pixel that clicks keep. What transforms add and take away again
#: is smaller, so that the same point is the same mark each time.
_POINT_DECIMALS = 6

#: How far shapes may end up from where they were put, in pixels.
_DIGITS_PX = 0.1


def read_points(
    layer: Points, image: Image, plane: Plane, *, by_numbers: bool = False
) -> list[PointMark]:
    """Return the clicks on a plane.

    Parameters
    ----------
    layer : napari.layers.Points
        Any. Points that are not ``shown`` do not count; the layer's own
        visibility does not matter. If it lacks the image's first axes, its
        points are on all planes.
    image : napari.layers.Image
        Whose plane it is.
    plane : Plane
        Of the image's data. A point is on it if napari shows it there, or if it is
        at most half a plane away: see `Placement.sees`.
    by_numbers : bool, optional
        Whether units do not count; see `goes_by_numbers`.

    Returns
    -------
    list of PointMark
        In the layer's order, in pixels rounded to a millionth, so that reading
        again gives equal marks.

    Raises
    ------
    LayerError
        If the layer cannot lie over this plane.
    """
    return [mark for _, mark in _points(layer, image, plane, by_numbers)]


def read_shapes(
    layer: Shapes, image: Image, plane: Plane, *, by_numbers: bool = False
) -> list[BoxMark | OutlineMark]:
    """Return the boxes and outlines on a plane.

    Parameters
    ----------
    layer : napari.layers.Shapes
        Any. Lines are ignored, and what holds no area.
    image : napari.layers.Image
        Whose plane it is.
    plane : Plane
        Of the image's data. A shape is on it if all its vertices are.
    by_numbers : bool, optional
        Whether units do not count; see `goes_by_numbers`.

    Returns
    -------
    list of BoxMark or OutlineMark
        In the layer's order, in pixels rounded to a hundredth, which is what
        napari's float32 vertices are good for. Rectangles along rows and columns
        are boxes; ellipses, paths and all other areas are outlines.

    Raises
    ------
    LayerError
        If the layer cannot lie over this plane.
    """
    return [mark for _, mark in _shapes(layer, image, plane, by_numbers)]


def as_read(mark: Mark) -> Mark:
    """Return a mark as it will come back from a layer: rounded.

    Parameters
    ----------
    mark : PointMark, BoxMark, OutlineMark or MaskMark
        Of one plane.

    Returns
    -------
    PointMark, BoxMark, OutlineMark or MaskMark
        Masks are no part of a layer and stay as they are.

    Examples
    --------
    >>> as_read(BoxMark(0, 0, 10.1234, 20))
    BoxMark(row0=0.0, col0=0.0, row1=10.12, col1=20.0)
    """
    match mark:
        case PointMark(row, col):
            row, col = np.round([row, col], _POINT_DECIMALS) + 0.0
            return replace(mark, row=float(row), col=float(col))
        case BoxMark(row0, col0, row1, col1):
            return BoxMark(*settle(np.array([row0, col0, row1, col1])).tolist())
        case OutlineMark(vertices):
            pairs = settle(np.array(vertices)).tolist()
            return OutlineMark(tuple((row, col) for row, col in pairs))
    return mark


def add_marks(
    points: Points | None,
    shapes: Shapes | None,
    image: Image,
    plane: Plane,
    marks: Sequence[Mark],
    *,
    by_numbers: bool = False,
) -> None:
    """Put marks on a plane; reading gives them back, as `as_read` rounds them.

    What the layers hold already, their selection, and what the next click will
    be stay as they are. Each layer tells of it once.

    Parameters
    ----------
    points : napari.layers.Points or None
        Gets the clicks.
    shapes : napari.layers.Shapes or None
        Gets boxes as rectangles and outlines as polygons.
    image : napari.layers.Image
        Whose plane it is.
    plane : Plane
        Of the image's data.
    marks : sequence of Mark
        Masks among them are left out: no layer holds them.
    by_numbers : bool, optional
        As in `read_points`.

    Raises
    ------
    LayerError
        If a layer is missing or cannot lie over this plane. Nothing is added then.
    """
    clicks = [mark for mark in marks if isinstance(mark, PointMark)]
    areas = [mark for mark in marks if isinstance(mark, BoxMark | OutlineMark)]
    over, around = (
        place(_present(layer), image, plane, by_numbers=by_numbers) if wanted else None
        for layer, wanted in ((points, clicks), (shapes, areas))
    )
    if around is not None:
        _check_digits(_present(shapes), around, areas)
    if over is not None:
        _add_points(_present(points), over, clicks)
    if around is not None:
        _add_shapes(_present(shapes), around, areas)


def remove_marks(
    points: Points | None,
    shapes: Shapes | None,
    image: Image,
    plane: Plane,
    marks: Iterable[Mark],
    *,
    by_numbers: bool = False,
) -> None:
    """Take marks away from a plane; the last item first where several are equal.

    Parameters
    ----------
    points : napari.layers.Points or None
        Loses the clicks.
    shapes : napari.layers.Shapes or None
        Loses boxes and outlines.
    image : napari.layers.Image
        Whose plane it is.
    plane : Plane
        Of the image's data.
    marks : iterable of Mark
        One item goes for each. What is not there is left out.
    by_numbers : bool, optional
        As in `read_points`.

    Raises
    ------
    LayerError
        If a layer cannot lie over this plane. Nothing is removed then.
    """
    unwanted = Counter(as_read(mark) for mark in marks)
    clicks = [mark for mark in unwanted if isinstance(mark, PointMark)]
    areas = [mark for mark in unwanted if isinstance(mark, BoxMark | OutlineMark)]
    found: list[tuple[Layer, list[int]]] = []
    for layer, read, concerned in ((points, _points, clicks), (shapes, _shapes, areas)):
        if layer is None or not concerned:
            continue
        indices = []
        for index, mark in reversed(read(layer, image, plane, by_numbers)):
            if unwanted[mark] > 0:
                unwanted[mark] -= 1
                indices.append(index)
        found.append((layer, sorted(indices)))
    # Both were read before either changes: all goes, or nothing.
    for layer, indices in found:
        if indices:
            layer.remove(indices)


def _points(
    layer: Points, image: Image, plane: Plane, by_numbers: bool
) -> list[tuple[int, PointMark]]:
    """Return the clicks on a plane with their places in the layer."""
    data = np.asarray(layer.data, np.float64)
    placement = place(layer, image, plane, by_numbers=by_numbers)
    # napari draws no point whose place is not a number, either.
    somewhere = np.isfinite(data).all(axis=1)
    counted = np.flatnonzero(placement.sees(data) & layer.shown & somewhere)
    pixels = np.round(placement.px(data[counted]), _POINT_DECIMALS) + 0.0
    signs = polarities(layer)[counted].tolist()
    return [
        (index, PointMark(row, col, sign))
        for index, (row, col), sign in zip(
            counted.tolist(), pixels.tolist(), signs, strict=True
        )
    ]


def _shapes(
    layer: Shapes, image: Image, plane: Plane, by_numbers: bool
) -> list[tuple[int, BoxMark | OutlineMark]]:
    """Return the areas on a plane with their places in the layer."""
    placement = place(layer, image, plane, by_numbers=by_numbers)
    found = []
    for index, (kind, data) in enumerate(
        zip(layer.shape_type, layer.data, strict=True)
    ):
        if placement.sees(data).all():
            mark = mark_of(str(kind), placement.px(data))
            if mark is not None:
                found.append((index, mark))
    return found


def _add_points(
    layer: Points, placement: Placement, marks: Sequence[PointMark]
) -> None:
    before, upcoming = len(layer.data), polarity_of(layer)
    new = placement.data([(mark.row, mark.col) for mark in marks])
    signs = [mark.positive for mark in marks]
    with layer.events.data.blocker(), layer.events.features.blocker():
        # Not `layer.add`: it would select them.
        layer.data = np.concatenate([layer.data, new])
        if signs != [upcoming] * len(signs):
            rows = range(before, before + len(marks))
            change_polarity(layer, rows, signs, upcoming)
    # Only now all is as it shall be, and who listens may know.
    layer.data = layer.data


def _add_shapes(
    layer: Shapes, placement: Placement, marks: Sequence[BoxMark | OutlineMark]
) -> None:
    kinds = ["rectangle" if isinstance(m, BoxMark) else "polygon" for m in marks]
    vertices = [placement.data(_vertices(mark)) for mark in marks]
    layer.add(vertices, shape_type=kinds)


def _vertices(mark: BoxMark | OutlineMark) -> NDArray[np.float64]:
    corners = box_corners(mark) if isinstance(mark, BoxMark) else mark.vertices
    return np.asarray(corners, np.float64)


def _check_digits(
    layer: Shapes, placement: Placement, marks: Sequence[BoxMark | OutlineMark]
) -> None:
    """Refuse to add shapes that napari, which keeps 7 digits, would put elsewhere."""
    for mark in marks:
        wanted = _vertices(mark)
        kept = placement.data(wanted).astype(np.float32).astype(np.float64)
        off = np.abs(placement.px(kept) - wanted).max()
        if off > _DIGITS_PX or not placement.sees(kept).all():
            raise LayerError(
                f"{layer.name!r} lies so far from the image, or in so small units, "
                "that napari cannot keep the shape where it belongs; make a new layer, "
                "with the image selected."
            )


def _present(layer: Any) -> Any:
    if layer is None:
        raise LayerError(
            "There is no layer for this prompt; choose one, or let the panel make one."
        )
    return layer
