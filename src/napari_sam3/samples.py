"""Images to try the plugin on: File ▸ Open Sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["make_stack", "open_nuclei", "open_stack"]

_NUCLEI = Path(__file__).parent / "data" / "demo.png"
_STACK_SHAPE = (12, 256, 256)
#: µm per voxel, as in a confocal stack.
_STACK_SCALE = (1.5, 0.3, 0.3)
_CELLS = 40


def open_nuclei() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the nuclei that ship with the package, as napari wants samples.

    Returns
    -------
    list of tuple
        One image layer, (420, 420, 3) uint8.
    """
    from PIL import Image

    with Image.open(_NUCLEI) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return [(pixels, {"name": "nuclei", "rgb": True}, "image")]


def open_stack() -> list[tuple[Any, dict[str, Any], str]]:
    """Return a synthetic z-stack, as napari wants samples.

    Returns
    -------
    list of tuple
        One image layer, axes (z, row, column), with units.
    """
    about = {
        "name": "cells (z-stack)",
        "scale": _STACK_SCALE,
        "units": ("µm", "µm", "µm"),
        "axis_labels": ("z", "y", "x"),
        "contrast_limits": (0, 4000),
    }
    return [(make_stack(), about, "image")]


def make_stack(seed: int = 3) -> NDArray[np.uint16]:
    """Draw bright, blurred ellipsoids on a noisy ground.

    Parameters
    ----------
    seed : int, optional
        The same one gives the same stack.

    Returns
    -------
    ndarray of shape (12, 256, 256) and dtype uint16
        Axes (z, row, column); the cells differ in size, brightness and depth, and
        do not overlap.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    size_um = np.array(_STACK_SHAPE) * _STACK_SCALE
    grid_um = np.ogrid[tuple(slice(0, n) for n in _STACK_SHAPE)]
    axes_um = [axis * step for axis, step in zip(grid_um, _STACK_SCALE, strict=True)]
    stack = np.zeros(_STACK_SHAPE, np.float32)
    for centre, radii in _place_cells(rng, size_um):
        distance = sum(
            ((axis - c) / r) ** 2
            for axis, c, r in zip(axes_um, centre, radii, strict=True)
        )
        stack[distance <= 1] = rng.uniform(1200, 3200)
    stack = gaussian_filter(stack, (0.5, 1.5, 1.5))
    noisy = rng.poisson(stack + 250) + rng.normal(0, 40, _STACK_SHAPE)
    return np.clip(noisy, 0, 65535).astype(np.uint16)


def _place_cells(
    rng: np.random.Generator, size_um: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return centres and radii in µm of ellipsoids that keep apart."""
    cells: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    # A fixed number of tries: in a full stack it may be fewer cells.
    for _ in range(50 * _CELLS):
        if len(cells) == _CELLS:
            break
        radii = rng.uniform((2.5, 3.5, 3.5), (5.0, 7.0, 7.0))
        centre = rng.uniform(0, size_um)
        reach = radii.max()
        if all(
            np.hypot(*(centre - other)[1:]) > reach + others.max() + 1
            or abs(centre[0] - other[0]) > radii[0] + others[0] + 1
            for other, others in cells
        ):
            cells.append((centre, radii))
    return cells
