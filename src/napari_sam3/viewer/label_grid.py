"""How the pixels of a plane of an image lie in a Labels layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer.geometry import Affine, map_points
from napari_sam3.viewer.lookup import Box, clipped, joined, lookup, moved, trimmed
from napari_sam3.viewer.planes import to_data

__all__ = ["LabelGrid", "Window", "label_grid"]

#: Differences of position, in pixels over the whole plane, that nobody sees.
_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle in one plane of an n-dimensional array.

    Parameters
    ----------
    axes : tuple of int
        Axes of the array that are its rows and its columns.
    index : tuple of int or None
        Where it lies on the array's other axes; None on its own.
    box : tuple of int
        ``(row0, col0, row1, col1)``, half-open.
    """

    axes: tuple[int, int]
    index: tuple[int | None, ...]
    box: Box

    @property
    def key(self) -> tuple[int | slice, ...]:
        """The window as a basic index of the array."""
        row0, col0, row1, col1 = self.box
        key: list[Any] = list(self.index)
        key[self.axes[0]] = slice(row0, row1)
        key[self.axes[1]] = slice(col0, col1)
        return tuple(key)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Tell whether an array of that shape has the window."""
        ends: list[int] = [0 if at is None else at + 1 for at in self.index]
        ends[self.axes[0]], ends[self.axes[1]] = self.box[2:]
        return len(shape) == len(ends) and bool(np.all(np.less_equal(ends, shape)))

    def turned(self, array: NDArray[Any]) -> NDArray[Any]:
        """Bring what `key` selects to (rows, columns), or the other way round."""
        return array.T if self.axes[0] > self.axes[1] else array

    def read(self, array: Any) -> NDArray[Any]:
        """Return the window's pixels, shape (rows, columns); a view if it can be."""
        return self.turned(np.asarray(array[self.key]))

    def indices(
        self, rows: NDArray[np.intp], cols: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], ...]:
        """Return indices of the array, one array per axis, for pixels of the window."""
        parts = [np.full(len(rows), at or 0, np.intp) for at in self.index]
        parts[self.axes[0]] = rows + self.box[0]
        parts[self.axes[1]] = cols + self.box[1]
        return tuple(parts)


@dataclass(frozen=True, slots=True, eq=False)
class LabelGrid:
    """A plane of an image, seen from a Labels layer.

    Parameters
    ----------
    array : array_like
        The layer's data.
    axes, index
        Which plane of the array it is, as in `Window`.
    to_array : Affine
        From (row, col) of the image's plane to (row, col) of the array's.
    image_shape : tuple of int
        (rows, columns) of the image's plane.
    """

    array: Any
    axes: tuple[int, int]
    index: tuple[int | None, ...]
    to_array: Affine
    image_shape: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the array's plane."""
        return int(self.array.shape[self.axes[0]]), int(self.array.shape[self.axes[1]])

    def window(self, *boxes: Box) -> Window:
        """Return the smallest window that holds boxes of the image's pixels."""
        box = joined(moved(box, self.to_array) for box in boxes)
        return Window(self.axes, self.index, clipped(box, self.shape))

    def sample(self, crop: NDArray[Any], bbox: Box, window: Window) -> NDArray[Any]:
        """Look up what a crop of the image says about the pixels of a window.

        Parameters
        ----------
        crop : ndarray of shape (h, w)
            Mask or numbers, in pixels of the image.
        bbox : tuple of int
            Of the crop in the image's plane.
        window : Window
            Of the array.

        Returns
        -------
        ndarray of the window's shape and the crop's dtype
            The nearest pixel of the crop for each pixel; 0 outside the crop.
        """
        return lookup(crop, bbox[:2], window.box, self.to_array.inverse())

    def to_image(
        self, mask: NDArray[np.bool_], window: Window
    ) -> tuple[NDArray[np.bool_], Box] | None:
        """Bring a mask of a window to pixels of the image; the reverse of `sample`.

        Returns
        -------
        mask : ndarray of shape (h, w) and dtype bool
            Of the part that is inside the image.
        bbox : tuple of int
            Where it is; None instead of both if there is no such part.
        """
        bbox = clipped(moved(window.box, self.to_array.inverse()), self.image_shape)
        return trimmed(lookup(mask, window.box[:2], bbox, self.to_array), bbox)


def label_grid(labels: Labels, image: Image, plane: Plane) -> LabelGrid:
    """Find the plane of a Labels layer that lies on a plane of an image.

    Parameters
    ----------
    labels : napari.layers.Labels
        Of a multiscale one, the full size is meant.
    image : napari.layers.Image
        Whose pixels masks are in.
    plane : Plane
        Of the image.

    Returns
    -------
    LabelGrid
        Valid until one of the layers is moved or gets other data.

    Raises
    ------
    LayerError
        If the layer has no plane there.
    """
    lacking = max(0, labels.ndim - image.ndim)
    if any(size > 1 for size in labels.data.shape[:lacking]):
        raise LayerError(
            f"The layer {labels.name!r} has {labels.ndim} dimensions and the image "
            f"{image.name!r} only {image.ndim}, so it is open which plane is meant; "
            f"choose a Labels layer with {image.ndim} dimensions, or a new one."
        )
    rows, cols = image_shape = _plane_shape(image, plane)
    corners_px = np.array([[0, 0], [rows, 0], [0, cols]], np.float64)
    origin, *ends = map_points(image, to_data(plane, corners_px), labels)
    spans = np.array(ends) - origin  # of the rows and of the columns, (2, ndim)
    axes = _axes(spans)
    if axes is None:
        raise LayerError(
            f"The layer {labels.name!r} has no plane along the shown plane of "
            f"{image.name!r}: it lies askew, or lacks an axis; choose another Labels "
            "layer, or a new one."
        )
    index = tuple(
        None if axis in axes else 0 if axis < lacking else int(np.rint(origin[axis]))
        for axis in range(labels.ndim)
    )
    _check_reached(labels, image, index)
    picked = list(axes)
    to_array = _snapped(spans[:, picked].T / image_shape, origin[picked], image_shape)
    array = labels.data[0] if labels.multiscale else labels.data
    return LabelGrid(array, axes, index, to_array, image_shape)


def _plane_shape(image: Image, plane: Plane) -> tuple[int, int]:
    data = image.data[0] if image.multiscale else image.data
    return int(data.shape[plane.axes[0]]), int(data.shape[plane.axes[1]])


def _axes(spans: NDArray[np.float64]) -> tuple[int, int] | None:
    """Return the axes that the image's rows and columns run along, rows first."""
    used = np.flatnonzero((np.abs(spans) > _TOLERANCE).any(axis=0))
    if len(used) != 2:
        return None
    first, second = (int(axis) for axis in used)
    straight = spans[0, first] * spans[1, second]
    crossed = spans[0, second] * spans[1, first]
    if np.isclose(straight, crossed):
        return None  # rows and columns run along one line
    return (first, second) if abs(straight) >= abs(crossed) else (second, first)


def _check_reached(labels: Labels, image: Image, index: tuple[int | None, ...]) -> None:
    for axis, at in enumerate(index):
        if at is not None and not 0 <= at < labels.data.shape[axis]:
            raise LayerError(
                f"The layer {labels.name!r} does not reach the shown plane of "
                f"{image.name!r}, which would be number {at} of "
                f"{labels.data.shape[axis]} on axis {axis}; choose another Labels "
                "layer, or a new one."
            )


def _snapped(
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    image_shape: tuple[int, int],
) -> Affine:
    """Free a grid of rounding errors that would move pixels."""
    size = max(image_shape)
    shift = np.rint(offset)
    same = np.abs(matrix - np.eye(2)).max() * size
    if same + np.abs(offset - shift).max() < _TOLERANCE:
        return Affine(np.eye(2), shift)
    if max(abs(matrix[0, 1]), abs(matrix[1, 0])) * size < _TOLERANCE:
        matrix = np.diag(np.diag(matrix))
    return Affine(matrix, offset)
