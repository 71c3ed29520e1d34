"""Where layers lie: data coordinates, the world, and other layers' data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pint
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import LayerError

__all__ = [
    "Affine",
    "check_unmixed",
    "data_to_world",
    "goes_by_numbers",
    "map_points",
    "unit_factors",
]

#: Length of the vectors that a layer's transform is measured with: long, so that
#: a layer far from the origin loses no digits; a power of two, so that dividing
#: by it loses none either.
_PROBE = 2.0**20


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A map from n coordinates to n others.

    Parameters
    ----------
    matrix : ndarray of shape (n, n) and dtype float64
        Its columns are where the unit vectors point.
    offset : ndarray of shape (n,) and dtype float64
        Where the origin goes.
    """

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __call__(self, points: ArrayLike) -> NDArray[np.float64]:
        """Map points, shape (N, n) or (n,)."""
        return np.asarray(points, np.float64) @ self.matrix.T + self.offset

    def then(self, after: Affine) -> Affine:
        """Return the map that does this one, and then the other one."""
        return Affine(after.matrix @ self.matrix, after(self.offset))

    def inverse(self) -> Affine:
        """Return the way back."""
        matrix = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return Affine(matrix, -matrix @ self.offset)

    def on(self, axes: Sequence[int]) -> Affine:
        """Return the map of some axes among themselves.

        It says the truth where the others have no part in it; see `mixes`.
        """
        picked = list(axes)
        return Affine(self.matrix[np.ix_(picked, picked)], self.offset[picked])

    def mixes(self, axes: Sequence[int]) -> bool:
        """Whether these axes and the others have a part in each other.

        A millionth of the steps is taken for rounding: of the axis that goes astray,
        and of those that it strays among, which may be far smaller.
        """
        chosen = np.zeros(len(self.offset), np.bool_)
        chosen[list(axes)] = True
        foreign = chosen[:, None] != chosen
        steps = np.linalg.norm(self.matrix, axis=0)
        across = np.linalg.norm(self.matrix, axis=1)
        least = np.minimum(steps, across[:, None])
        return bool((np.abs(self.matrix) > 1e-6 * least)[foreign].any())


def unit_factors(units: Sequence[Any], target: Sequence[Any]) -> NDArray[np.float64]:
    """Return what numbers in some units are multiplied with to be in others.

    Parameters
    ----------
    units, target : sequence of pint.Unit
        One per axis; the last axes belong together.

    Returns
    -------
    ndarray of shape (len(units),) and dtype float64
        All ones where lengths would have to be pixels, or the like: napari then
        takes all numbers as they are, too.

    Examples
    --------
    >>> registry = pint.get_application_registry()
    >>> unit_factors([registry.um, registry.nm], [registry.nm, registry.nm])
    array([1000.,    1.])
    """
    factors = np.ones(len(units))
    shared = min(len(units), len(target))
    registry = pint.get_application_registry()
    for axis in range(-shared, 0):
        source, wanted = units[axis], target[axis]
        if source == wanted:
            continue
        if source.dimensionality != wanted.dimensionality:
            return np.ones(len(units))
        factors[axis] = registry.convert(1.0, source, wanted)
    return factors


def data_to_world(layer: Layer, units: Sequence[Any] | None = None) -> Affine:
    """Return where a layer's data lies in the world.

    Scale, translate, rotate, shear and affine are all in it. The axis of the
    colours of an RGB image does not count.

    Parameters
    ----------
    layer : napari.layers.Layer
        With n axes.
    units : sequence of pint.Unit, optional
        Units of the world, one per axis; the last n count. Without them the
        world has the layer's own.

    Returns
    -------
    Affine
        From n data coordinates to n world coordinates.
    """
    ndim = layer.ndim
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)))
    ends = [layer.data_to_world(probe) for probe in np.eye(ndim) * _PROBE]
    matrix = (np.asarray(ends).T - origin[:, None]) / _PROBE
    if units is not None:
        factors = unit_factors(layer.units, units)
        matrix, origin = matrix * factors[:, None], origin * factors
    return Affine(matrix, origin)


def map_points(
    source: Layer, points: ArrayLike, target: Layer, *, by_numbers: bool = False
) -> NDArray[np.float64]:
    """Bring data coordinates of one layer to those of another one.

    Parameters
    ----------
    source : napari.layers.Layer
        Whose data coordinates they are.
    points : array_like of shape (N, source.ndim)
        Pixel centres have whole numbers.
    target : napari.layers.Layer
        Whose data coordinates they become.
    by_numbers : bool, optional
        Whether units do not count; see `goes_by_numbers`.

    Returns
    -------
    ndarray of shape (N, target.ndim) and dtype float64
        Layers with unlike numbers of axes share the last ones, as in napari. On
        axes that the source lacks the points lie at 0 in the world.
    """
    coordinates = np.asarray(points, np.float64).reshape(-1, source.ndim)
    units = None if by_numbers else target.units
    world = data_to_world(source, units)(coordinates)
    shared = min(source.ndim, target.ndim)
    places = np.zeros((len(world), target.ndim))
    places[:, target.ndim - shared :] = world[:, source.ndim - shared :]
    return data_to_world(target).inverse()(places)


def goes_by_numbers(viewer: ViewerModel) -> bool:
    """Tell whether napari draws the layers of a viewer without regard to units.

    It does so as soon as two of them cannot be converted into each other on an axis,
    such as pixels and micrometres.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        With its layers.

    Returns
    -------
    bool
        All lengths are numbers then, even of layers whose units would go together.
    """
    return viewer.dims.units is None


def check_unmixed(layer: Layer, axes: tuple[int, int]) -> None:
    """Refuse a layer that is turned or sheared out of the plane that is shown.

    napari draws it as if it were not, so clicks would not be where they seem.

    Parameters
    ----------
    layer : napari.layers.Layer
        Any.
    axes : tuple of int
        Which of its axes are shown.

    Raises
    ------
    LayerError
        If rotate, shear or affine mix an axis that is shown with one that is not.
    """
    if data_to_world(layer).mixes(axes):
        raise LayerError(
            f"{layer.name!r} is rotated or sheared out of the plane that is shown, "
            "so no plane of its data is; reset rotate, shear and affine of the layer, "
            "or resample it to straight axes."
        )
