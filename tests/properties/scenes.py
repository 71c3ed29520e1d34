"""Drawing images that lie anywhere, and where their discs are: the truth apart.

Nothing here uses the package's own geometry: places come from napari's layers,
point by point, and from pint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import dask.array
import numpy as np
import pint
import zarr
from hypothesis import strategies as st
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray

LENGTHS = ("nm", "um", "mm")
TIMES = ("s", "ms")
#: Ground and disc of each dtype.
VALUES: dict[str, tuple[float, float]] = {
    "u1": (20, 220),
    "u2": (300, 5000),
    "i2": (-500, 900),
    "i4": (-70_000, 100_000),
    "f4": (1e-4, 9e-4),
    "f8": (-5.0, 1e4),
    "?": (0, 1),
    ">u2": (7, 40_000),
    ">f4": (0.1, 0.7),
}
COLOURED = {"u1": VALUES["u1"], "u2": (2000, 60_000), "f4": (0.1, 0.9)}
#: Discs of a scene lie in strips, one each, so that none touches another.
STRIPS, STRIP = 5, 14
POINT_WAYS = ("click", "click", "click", "px", "all px", "world", "all world")
AREA_WAYS = ("drawn box", "box", "world box", "outline")


@dataclass(frozen=True)
class Place:
    """Keywords of a layer: where it lies, and in which units."""

    scale: tuple[float, ...]
    translate: tuple[float, ...]
    rotate: NDArray[np.float64]
    shear: NDArray[np.float64]
    affine: NDArray[np.float64]
    units: tuple[str, ...]

    @property
    def keywords(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Visit:
    """A plane that is looked at, and how its disc is prompted."""

    is_transposed: bool
    hidden_first: bool
    index: tuple[float, ...]  # where the sliders are: image's planes, or between
    centre: tuple[float, float]  # in the strip: along it from its middle, across 0-1
    radius: float
    way: str
    thickness: float
    from_3d: bool
    other_axes: bool


@dataclass(frozen=True)
class Scene:
    """An image, layers beside it, and what is done."""

    shape: tuple[int, ...]
    axes: tuple[int, int]
    dtype: str
    is_inverted: bool
    rgb: bool
    store: str
    levels: str
    place: Place
    prompts: Place | None
    beside: tuple[tuple[int, ...], Place] | None
    visits: tuple[Visit, ...]

    @property
    def hidden(self) -> tuple[int, ...]:
        return tuple(a for a in range(len(self.shape)) if a not in self.axes)


def rarely(often: int) -> st.SearchStrategy[bool]:
    """Draw True once in so often; hypothesis likes the ends of a range better."""
    return st.sampled_from(range(often)).map((often // 2).__eq__)


@st.composite
def places(
    draw: st.DrawFn, ndim: int, axes: tuple[int, int], kinds: tuple[str, ...]
) -> Place:
    """Draw where a layer lies; `axes` are those that are shown."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = 10 ** rng.uniform(-3, 3, ndim)
    if draw(st.booleans()):  # else as unlike as can be
        scale = scale[:1] * rng.uniform(0.3, 3, ndim)
    scale *= np.where(rng.random(ndim) < 0.2, -1, 1)
    translate = scale * rng.uniform(-1000, 1000, ndim)
    rotate, shear, affine = np.eye(ndim), np.eye(ndim), np.eye(ndim + 1)
    kind = draw(st.sampled_from(kinds))
    hidden = [axis for axis in range(ndim) if axis not in axes]
    groups = {
        "straight": [],
        "in plane": [sorted(axes)],
        "apart": [sorted(axes), hidden],
        "mixed": [list(range(ndim))],
    }[kind]
    for group in groups:
        for first, second in pairwise(group):
            angle = rng.choice([rng.uniform(-np.pi, np.pi), np.pi / 2, np.pi, 0])
            turn = np.eye(ndim)
            cos, sin = np.cos(angle), np.sin(angle)
            turn[np.ix_((first, second), (first, second))] = [[cos, -sin], [sin, cos]]
            rotate = turn @ rotate
            shear[first, second] = rng.choice([0, rng.uniform(-0.7, 0.7)])
        part = np.ix_(group, group)
        affine[part] += rng.uniform(-0.25, 0.25, (len(group), len(group))) * rng.choice(
            [0, 1]
        )
    affine[:ndim, ndim] = scale * rng.uniform(-100, 100, ndim) * rng.choice([0, 1])
    return Place(
        tuple(scale), tuple(translate), rotate, shear, affine, ("pixel",) * ndim
    )


def with_units(place: Place, units: tuple[str, ...]) -> Place:
    """Give a place other units, with the same numbers.

    Axes that are turned into each other become more alike: a nanometre wide and a
    kilometre high, 64 bits do not tell where a pixel of a turned image is.
    """
    linear = place.affine[:-1, :-1]
    is_turned = any(
        (matrix != np.diag(np.diag(matrix))).any()
        for matrix in (place.rotate, place.shear, linear)
    )
    if not is_turned or len(set(units)) == 1:
        return replace(place, units=units)
    scale = np.array(place.scale)
    ratio = np.abs(scale[0] / scale) ** 0.85
    return replace(
        place,
        scale=tuple(scale * ratio),
        translate=tuple(place.translate * ratio),
        units=tuple("um" if unit == "mm" else unit for unit in units),
    )


@st.composite
def unit_families(draw: st.DrawFn, ndim: int) -> list[tuple[str, ...]]:
    """Draw for each axis which units layers may have on it."""
    kind = draw(st.sampled_from(["pixel", "length", "length", "each"]))
    if kind == "pixel":
        return [("pixel",)] * ndim
    if kind == "length":
        return [LENGTHS] * ndim
    return [draw(st.sampled_from([("pixel",), LENGTHS, TIMES])) for _ in range(ndim)]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Draw a scene."""
    ndim = draw(st.integers(2, 5))
    axes = tuple(sorted(draw(st.permutations(range(ndim)))[:2]))
    sizes = [STRIPS * STRIP + draw(st.integers(0, 3)), draw(st.integers(9, 24))]
    if draw(st.booleans()):
        sizes.reverse()
    hidden_sizes = iter(draw(st.tuples(*[st.integers(1, 4)] * (ndim - 2))))
    shape = tuple(
        sizes[axes.index(axis)] if axis in axes else next(hidden_sizes)
        for axis in range(ndim)
    )
    rgb = draw(st.sampled_from([False, False, False, True]))
    families = draw(unit_families(ndim + 2))

    def units(count: int) -> tuple[str, ...]:
        return tuple(draw(st.sampled_from(family)) for family in families[-count:])

    common = ("straight", "in plane", "in plane", "apart")
    kinds = ("mixed",) if draw(rarely(14)) else common
    place = with_units(draw(places(ndim, axes, kinds)), units(ndim))
    prompts = None
    if draw(st.booleans()):
        prompts = with_units(*draw(prompt_places(ndim, axes, units)))
    beside = None
    if draw(st.booleans()):
        beside = draw(besides(shape, units, place))
    visits = draw(st.lists(visits_of(shape, axes), min_size=STRIPS, max_size=STRIPS))
    return Scene(
        shape=shape,
        axes=axes,
        dtype=draw(st.sampled_from(list(COLOURED if rgb else VALUES))),
        is_inverted=draw(st.booleans()),
        rgb=rgb,
        store=draw(st.sampled_from(["numpy", "numpy", "turned", "dask", "zarr"])),
        levels=draw(st.sampled_from(["one", "one", "means", "strided"])),
        place=place,
        prompts=prompts,
        beside=beside,
        visits=tuple(visits),
    )


@st.composite
def prompt_places(
    draw: st.DrawFn, ndim: int, axes: tuple[int, int], units: Any
) -> tuple[Place, tuple[str, ...]]:
    """Draw where a layer of prompts lies that the user made."""
    count = draw(st.sampled_from([ndim] * 8 + [ndim - 1, ndim - 1, 2, ndim + 1]))
    count = max(count, 2)
    mine = tuple(axis - (ndim - count) for axis in axes)
    known = mine if min(mine) >= 0 else (count - 2, count - 1)
    kinds = ("mixed",) if draw(rarely(12)) else ("straight", "in plane", "apart")
    return draw(places(count, known, kinds)), units(count)


@st.composite
def besides(
    draw: st.DrawFn, shape: tuple[int, ...], units: Any, place: Place
) -> tuple[tuple[int, ...], Place]:
    """Draw an image beside the one that is segmented, maybe with more axes."""
    more = draw(st.integers(0, 2))
    ndim = len(shape) + more
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = np.array([*rng.uniform(0.5, 2, more), *np.abs(place.scale)])
    scale *= 10 ** rng.uniform(-1, 1, ndim)
    translate = np.array([*np.zeros(more), *place.translate])
    its_units = units(ndim)
    if draw(rarely(6)):  # what no other layer has: napari then goes by numbers alone
        its_units = (*its_units[:-1], "volt")
    straight = Place(
        tuple(scale),
        tuple(translate),
        np.eye(ndim),
        np.eye(ndim),
        np.eye(ndim + 1),
        its_units,
    )
    return (*[3] * more, *[2] * len(shape)), straight


@st.composite
def visits_of(draw: st.DrawFn, shape: tuple[int, ...], axes: tuple[int, int]) -> Visit:
    """Draw what is looked at, and how it is prompted."""
    index = []
    for axis, size in enumerate(shape):
        if axis in axes:
            continue
        at = draw(st.integers(0, size - 1)) + draw(
            # Not just between two planes: there napari 0.9.2 slices one and paints,
            # when labels are written, into the other, as last digits have it.
            st.sampled_from([0, 0, 0.3, -0.4, 0.49, -0.49])
        )
        index.append(float(np.clip(at, 0, size - 1)))
    return Visit(
        is_transposed=draw(st.booleans()),
        hidden_first=draw(st.booleans()),
        index=tuple(index),
        centre=(draw(st.floats(-1, 1)), draw(st.floats(0, 1))),
        radius=draw(st.floats(2.5, 5)),
        way=draw(st.sampled_from([*POINT_WAYS, *AREA_WAYS])),
        thickness=draw(st.sampled_from([0, 0, 0, 1, 3])),
        from_3d=draw(rarely(20)),
        other_axes=draw(rarely(12)),
    )


# The pixels


def disc_of(scene: Scene, number: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the disc of a visit in its plane, axes as in the data, and its centre."""
    visit, size = scene.visits[number], [scene.shape[axis] for axis in scene.axes]
    along = int(size[1] >= STRIPS * STRIP)
    radius = min(visit.radius, (size[1 - along] - 1) / 2)
    centre = np.empty(2)
    centre[along] = (number + 0.5) * STRIP + visit.centre[0]
    centre[1 - along] = radius + visit.centre[1] * (size[1 - along] - 1 - 2 * radius)
    rows, cols = np.ogrid[: size[0], : size[1]]
    disc = np.hypot(rows - centre[0], cols - centre[1]) <= radius
    return disc, centre


def plane_of(visit: Visit) -> tuple[int, ...]:
    """Return the hidden index that is shown."""
    return tuple(round(at) for at in visit.index)


def contrast_of(data: NDArray[Any]) -> tuple[float, float]:
    """Return contrast limits that show ground and discs apart."""
    return float(np.nanmin(data)), float(np.nanmax(data))


def pixels_of(scene: Scene) -> NDArray[Any]:
    """Return the image's pixels, with all discs."""
    ground, bright = (COLOURED if scene.rgb else VALUES)[scene.dtype]
    if scene.is_inverted:
        ground, bright = bright, ground
    data = np.full(scene.shape, ground, scene.dtype)
    for number, visit in enumerate(scene.visits):
        disc, _ = disc_of(scene, number)
        index: list[Any] = [slice(None)] * data.ndim
        for axis, at in zip(scene.hidden, plane_of(visit), strict=True):
            index[axis] = at
        data[tuple(index)][disc] = bright
    if data.dtype.kind == "f":
        data[(-1,) * data.ndim] = np.nan  # beside all discs
    if not scene.rgb:
        return data
    return np.stack([data, data, np.full_like(data, ground)], axis=-1)


def stored(scene: Scene, data: NDArray[Any]) -> Any:
    """Return the data as the scene keeps it: array or pyramid, lazy or not."""
    levels = [data]
    if scene.levels != "one":
        rows = len(scene.shape) - 2
        for _ in range(2):
            last = levels[-1]
            if min(last.shape[rows : rows + 2]) < 2:
                break
            levels.append(halved(last, rows, scene.levels))
    kept = [_kept(level, scene.store) for level in levels]
    return kept if scene.levels != "one" and len(kept) > 1 else kept[0]


def halved(data: NDArray[Any], axis: int, how: str) -> NDArray[Any]:
    """Return the next level of a pyramid in two axes."""
    lead = (slice(None),) * axis
    if how == "strided":
        return data[(*lead, slice(None, None, 2), slice(None, None, 2))]
    rows, cols = data.shape[axis] // 2 * 2, data.shape[axis + 1] // 2 * 2
    parts = [
        data[(*lead, slice(r, rows, 2), slice(c, cols, 2))].astype(np.float64)
        for r in (0, 1)
        for c in (0, 1)
    ]
    return np.mean(parts, axis=0).astype(data.dtype)


def _kept(data: NDArray[Any], store: str) -> Any:
    if store == "dask":
        return dask.array.from_array(data, chunks=16)
    if store == "zarr":
        return zarr.array(data, chunks=tuple(min(16, size) for size in data.shape))
    if store == "turned":
        return np.asfortranarray(data)
    return data


# The truth


def world_of(viewer: ViewerModel, layer: Layer, data: Any) -> NDArray[np.float64]:
    """Return where napari draws data coordinates of a layer, shape (N, ndim)."""
    points = np.atleast_2d(np.asarray(data, np.float64))
    world = np.array([layer.data_to_world(point) for point in points])
    return world * factors(viewer, layer)


def data_of(viewer: ViewerModel, layer: Layer, world: Any) -> NDArray[np.float64]:
    """Return which data coordinates of a layer napari draws at places."""
    places_ = np.atleast_2d(np.asarray(world, np.float64))[:, -layer.ndim :]
    own = places_ / factors(viewer, layer)
    return np.array([layer.world_to_data(point) for point in own])


def factors(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    """Return what a layer's own lengths are in the viewer's units."""
    if viewer.dims.units is None:
        return np.ones(layer.ndim)
    convert = pint.get_application_registry().convert
    pairs = zip(layer.units, viewer.dims.units[-layer.ndim :], strict=True)
    return np.array([convert(1.0, mine, theirs) for mine, theirs in pairs])


def is_mixed(layer: Layer, axes: tuple[int, int]) -> bool:
    """Tell whether shown and hidden axes of a layer have to do with each other."""
    origin = np.array(layer.data_to_world(np.zeros(layer.ndim)))
    steps = [np.array(layer.data_to_world(s)) - origin for s in np.eye(layer.ndim)]
    chosen = np.isin(np.arange(layer.ndim), axes)
    for axis, step in enumerate(steps):
        foreign = np.abs(step[chosen != chosen[axis]])
        if foreign.size and foreign.max() > 1e-6 * np.abs(step).max():
            return True
    return False
