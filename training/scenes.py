"""Label images of made-up objects, one family of shapes per image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage.measure import label as connected_components

from training.shapes import MAKERS, Body, log_uniform, rasterize, smooth_noise

MIN_AREA = 12
MAX_OBJECTS = 250


@dataclass
class Scene:
    """Labels of an image with the structure that the labels do not tell.

    Attributes
    ----------
    labels : np.ndarray, int32, shape (size, size)
        0 is background.
    lumen : np.ndarray, bool, shape (size, size)
        Hollow inside of labelled objects.
    membrane : np.ndarray, bool, shape (size, size)
        Walls between neighbouring cells, labelled or not.
    diameter : float
        Typical diameter of the objects in pixels.
    family : str
        Key in `FAMILIES`.
    """

    labels: np.ndarray
    lumen: np.ndarray
    membrane: np.ndarray
    diameter: float
    family: str


@dataclass
class Canvas:
    """The label image while objects are put on it.

    Attributes
    ----------
    labels : np.ndarray, int32, shape (size, size)
    lumen : np.ndarray, bool, shape (size, size)
    count : int
        Labels handed out so far.
    """

    labels: np.ndarray
    lumen: np.ndarray = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        """Start without lumens."""
        self.lumen = np.zeros(self.labels.shape, bool)


def _put(
    canvas: Canvas,
    bodies: list[Body],
    centre: np.ndarray,
    *,
    overlap: float,
    gap: int,
    behind: bool,
) -> bool:
    """Draw an object unless more than `overlap` of it meets what is there.

    Returns
    -------
    bool
        Whether it was drawn.
    """
    size = canvas.labels.shape[0]
    margin = 2 + max(p.width or 0 for b in bodies for p in b.parts) / 2 + gap
    points = np.concatenate([p.points for b in bodies for p in b.parts]) + centre
    low = np.maximum(np.floor(points.min(0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points.max(0) + margin), size).astype(int)
    if (high - low < 3).any():
        return False
    shape = (int(high[0] - low[0]), int(high[1] - low[1]))
    masks = [rasterize(b, low - centre, shape) for b in bodies]
    window = (slice(low[0], high[0]), slice(low[1], high[1]))
    labels, lumen = canvas.labels[window], canvas.lumen[window]
    whole = np.logical_or.reduce(masks)
    taken = labels > 0
    reach = whole
    if gap:
        filtered = Image.fromarray(whole).convert("L")
        filtered = filtered.filter(ImageFilter.MaxFilter(2 * gap + 1))
        reach = np.asarray(filtered) > 0
    if (taken & reach).sum() > overlap * reach.sum():
        return False
    free = ~taken if behind else np.ones_like(taken)
    for drawn, body in zip(masks, bodies, strict=True):
        mask = drawn & free
        lumen[mask] = body.role == "lumen"
        if body.role == "own":
            canvas.count += 1
            labels[mask] = canvas.count
        elif body.role == "hole":
            labels[mask] = 0
    return True


def _scatter(rng: np.random.Generator, size: int, family: str, r: float) -> Scene:
    """Put objects of one family at random, sparse to crowded."""
    canvas = Canvas(np.zeros((size, size), np.int32))
    crowded = rng.random() < 0.3
    coverage = log_uniform(rng, 0.8, 1.6) if crowded else log_uniform(rng, 0.05, 0.9)
    wanted = np.clip(coverage * size**2 / (np.pi * r**2), 1, MAX_OBJECTS)
    spread = rng.uniform(0, 0.35)
    overlap = rng.choice([0.1, 0.4] if crowded else [0.0, 0.0, 0.05, 0.25])
    gap = int(rng.integers(1, 4)) if overlap == 0 and rng.random() < 0.6 else 0
    clumped = rng.random() < 0.25
    hubs = rng.uniform(0, size, (int(rng.integers(1, 5)), 2))
    seed = int(rng.integers(2**32))
    failures = 0
    while canvas.count < wanted and failures < 25:
        radius = float(np.clip(r * np.exp(rng.normal(0, spread)), 4, size / 2))
        bodies = MAKERS[family](rng, np.random.default_rng(seed), radius)
        centre = rng.uniform(-0.3 * r, size + 0.3 * r, 2)
        if clumped:
            reach = 2 * r + 0.12 * size
            centre = hubs[rng.integers(len(hubs))] + rng.normal(0, reach, 2)
        drawn = _put(
            canvas,
            bodies,
            centre,
            overlap=overlap,
            gap=gap,
            behind=rng.random() < 0.5,
        )
        # Many misses in a row tell that the image is full.
        failures = 0 if drawn else failures + 1
    none = np.zeros((size, size), bool)
    return Scene(canvas.labels, canvas.lumen, none, 2 * r, family)


def boundaries(labels: np.ndarray) -> np.ndarray:
    """Pixels of objects that have another label to any of the four sides.

    Parameters
    ----------
    labels : np.ndarray, integer, shape (h, w)
        0 is background.

    Returns
    -------
    np.ndarray, bool, shape (h, w)
    """
    edge = np.zeros(labels.shape, bool)
    rows = labels[1:] != labels[:-1]
    columns = labels[:, 1:] != labels[:, :-1]
    edge[1:] |= rows
    edge[:-1] |= rows
    edge[:, 1:] |= columns
    edge[:, :-1] |= columns
    return edge & (labels > 0)


def _nearest_seed(rng: np.random.Generator, size: int, spacing: float) -> np.ndarray:
    """Voronoi cells, int32 (size, size), of warped and jittered or random seeds."""
    pad = int(spacing) + 4
    full = size + 2 * pad
    if rng.random() < 0.6:
        axis = np.arange(0, full, spacing, dtype=float)
        grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
        shift = rng.choice([0.0, 0.5]) * spacing
        grid[:, 1] += shift * (np.round(grid[:, 0] / spacing) % 2)
        seeds = grid + rng.normal(0, spacing * rng.uniform(0.05, 0.35), grid.shape)
    else:
        seeds = rng.uniform(0, full, (int((full / spacing) ** 2) + 2, 2))
    ys, xs = np.clip(seeds.round().astype(int), 0, full - 1).T
    away = np.ones((full, full), bool)
    away[ys, xs] = False
    where = ndimage.distance_transform_edt(
        away, return_distances=False, return_indices=True
    )
    number = np.zeros((full, full), np.int32)
    number[ys, xs] = np.arange(1, len(ys) + 1)
    cells = number[where[0], where[1]]
    strength = spacing * rng.uniform(0, 0.12)
    y, x = np.mgrid[pad : pad + size, pad : pad + size]
    y = y + strength * smooth_noise(rng, size, max(spacing / 2, 4))
    x = x + strength * smooth_noise(rng, size, max(spacing / 2, 4))
    y, x = (np.clip(a.round().astype(int), 0, full - 1) for a in (y, x))
    return cells[y, x]


def _tissue(rng: np.random.Generator, size: int, r: float) -> Scene:
    """Cells that fill the plane, with walls between them."""
    labels = _nearest_seed(rng, size, 2 * r)
    away = ndimage.distance_transform_edt(~boundaries(labels))
    half = rng.uniform(0.6, 1 + 0.12 * min(r, 40))
    membrane = away < half
    if rng.random() < 0.35:
        # Holes in the sheet; the walls of the missing cells go with them.
        kept = rng.random(labels.max() + 1) > rng.uniform(0.05, 0.6)
        labels = np.where(kept[labels], labels, 0)
        membrane &= labels > 0
    if rng.random() < 0.5:
        labels = np.where(membrane, 0, labels)
    none = np.zeros((size, size), bool)
    return Scene(labels, none, membrane, 2 * r, "tissue")


def _regions(rng: np.random.Generator, size: int, r: float) -> Scene:
    """Irregular regions: the components of thresholded smooth noise."""
    noise = smooth_noise(rng, size, 2 * r)
    noise = noise + rng.uniform(0, 0.3) * smooth_noise(rng, size, max(r / 2, 3))
    mask = noise > rng.uniform(0.2, 1.2)
    labels = connected_components(mask, connectivity=1).astype(np.int32)
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < max(MIN_AREA, 0.15 * r**2)] = 0
    none = np.zeros((size, size), bool)
    return Scene(labels, none, none, 2 * r, "regions")


FAMILIES = (*MAKERS, "tissue", "regions")


def tidy(labels: np.ndarray) -> np.ndarray:
    """Keep the largest fragment of every label, drop specks and renumber.

    Parameters
    ----------
    labels : np.ndarray, integer, shape (h, w)
        0 is background.

    Returns
    -------
    np.ndarray, int32, shape (h, w)
        Labels 1 to n, each connected through its sides.
    """
    pieces = connected_components(labels, background=0, connectivity=1)
    areas = np.bincount(pieces.ravel())
    owner = np.zeros(len(areas), np.int64)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    np.maximum.at(largest, owner, areas)
    kept = (areas >= MIN_AREA) & (areas == largest[owner])
    kept[0] = False
    # Fragments of equal size: the first one stays.
    kept[kept] = np.isin(
        np.flatnonzero(kept), _first(owner[kept], np.flatnonzero(kept))
    )
    number = np.cumsum(kept) * kept
    return number[pieces].astype(np.int32)


def _first(owners: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """Pick the first of `pieces`, int (n,), of every distinct owner."""
    return pieces[np.unique(owners, return_index=True)[1]]


def draw_scene(rng: np.random.Generator, size: int, family: str | None = None) -> Scene:
    """Draw objects of one family, of a random size and density.

    Parameters
    ----------
    rng : np.random.Generator
        Source of all that is random.
    size : int
        Side of the image.
    family : str, optional
        One of `FAMILIES`; at random if not given.

    Returns
    -------
    Scene
        With at least one label, numbered from 1 without gaps.
    """
    family = family or FAMILIES[rng.integers(len(FAMILIES))]
    while True:
        r = log_uniform(rng, 10, size / 2) / 2
        if family == "tissue":
            scene = _tissue(rng, size, max(r, 6))
        elif family == "regions":
            scene = _regions(rng, size, max(r, 6))
        else:
            # Thin things need room to be more than a speck.
            small = {"filament": 12, "ring": 8, "amoeba": 8, "rod": 7}
            scene = _scatter(rng, size, family, max(r, small.get(family, 5)))
        scene.labels = tidy(scene.labels)
        scene.lumen &= scene.labels > 0
        # The tip of something at the border shows too little to be of use.
        if (scene.labels > 0).sum() > max(0.4 * r**2, 2 * MIN_AREA):
            return scene
