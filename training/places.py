"""Where training windows lie, and what labels show in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam3.core.windows import Window
from training.data import LabelledImage

__all__ = [
    "click_inside",
    "covered",
    "fitted_window",
    "ladder_window",
    "read_labels",
    "view_window",
]

#: Sizes (square root of the area) in pixels of the window, in which the objects of
#: ladder windows are shown. Specks teach no shape, but that a clump of small
#: objects is not what was clicked.
_OBJECT_SIZES, _SPECK_SIZES = (5, 170), (1.2, 6)
_SPECK_SHARE = 0.3
#: The same in windows of which the object is not the centre, per 128 pixels.
_VIEWED_SIZES = (7, 70)


def click_inside(
    image: LabelledImage, index: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose a pixel of an object: mostly deep inside, sometimes anywhere."""
    row0, col0, row1, col1 = image.boxes[index]
    step = max(1, int(max(row1 - row0, col1 - col0)) // 96)
    inside = image.labels[row0:row1:step, col0:col1:step] == image.ids[index]
    if not inside.any():  # a filament that the coarse grid misses
        step = 1
        inside = image.labels[row0:row1, col0:col1] == image.ids[index]
    if rng.random() < 0.6:
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
        depth = depth + rng.random(depth.shape) * rng.choice((0.01, 0.3 * depth.max()))
        depth[~inside] = -1
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        rows, cols = np.nonzero(inside)
        pick = rng.integers(len(rows))
        row, col = rows[pick], cols[pick]
    return np.array([row0 + row * step, col0 + col * step], np.float64)


def ladder_window(
    image: LabelledImage,
    index: int,
    click_px: NDArray[np.float64],
    size: int,
    rng: np.random.Generator,
) -> Window:
    """Centre a window on a click, the object anywhere from a speck to too large."""
    sizes = _SPECK_SIZES if rng.random() < _SPECK_SHARE else _OBJECT_SIZES
    shown = np.exp(rng.uniform(*np.log(sizes)))
    side = np.sqrt(image.areas[index]) * size / shown
    longest = 1.6 * max(image.labels.shape)
    side = int(np.clip(side, 32, max(longest, 48)))
    stretch = np.exp(rng.normal(0, 0.08))
    height, width = max(16, int(side * stretch)), max(16, int(side / stretch))
    corner = np.round(click_px + 0.5 - np.array([height, width]) / 2).astype(int)
    return Window(int(corner[0]), int(corner[1]), height, width)


def fitted_window(image: LabelledImage, index: int, rng: np.random.Generator) -> Window:
    """Fit a window to an object, more or less well, or to a wrong mask of it."""
    row0, col0, row1, col1 = image.boxes[index]
    longest = max(row1 - row0, col1 - col0)
    ratios, shift = ((1.3, 2.4), 0.1) if rng.random() < 0.6 else ((0.7, 4.0), 0.25)
    side = max(24.0, longest * np.exp(rng.uniform(*np.log(ratios))))
    stretch = np.exp(rng.normal(0, 0.08))
    height, width = max(16, int(side * stretch)), max(16, int(side / stretch))
    off = rng.normal(0, shift, 2) * longest
    row = (row0 + row1) / 2 + off[0] - height / 2
    col = (col0 + col1) / 2 + off[1] - width / 2
    return Window(int(row), int(col), height, width)


def view_window(
    image: LabelledImage, index: int, size: int, rng: np.random.Generator
) -> Window:
    """Show an object anywhere in a window, as an embedding of a whole plane does."""
    row0, col0, row1, col1 = image.boxes[index]
    shown = np.exp(rng.uniform(*np.log(_VIEWED_SIZES)))
    side = np.sqrt(image.areas[index]) * size / shown
    least = 1.2 * max(row1 - row0, col1 - col0)
    side = int(max(min(side, 1.6 * max(image.labels.shape)), least, 32))
    # The whole object shows, wherever it lies.
    row, col = (
        rng.integers(high - side, low + 1) for low, high in ((row0, row1), (col0, col1))
    )
    return Window(int(row), int(col), side, side)


def read_labels(
    labels: NDArray[np.int32], window: Window, size: int
) -> NDArray[np.int32]:
    """Sample labels in a window at ``size`` x ``size`` cells, 0 beyond the image."""
    rows = np.floor(window.row0 + (np.arange(size) + 0.5) * window.height / size)
    cols = np.floor(window.col0 + (np.arange(size) + 0.5) * window.width / size)
    rows, cols = rows.astype(int), cols.astype(int)
    row_in = (rows >= 0) & (rows < labels.shape[0])
    col_in = (cols >= 0) & (cols < labels.shape[1])
    result = np.zeros((size, size), np.int32)
    result[np.ix_(row_in, col_in)] = labels[np.ix_(rows[row_in], cols[col_in])]
    return result


def covered(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the share of each four by four cells that is covered."""
    # Sums of slices take a tenth of the time of a mean over axes.
    cells = inside.view(np.uint8)
    rows = cells[::4] + cells[1::4] + cells[2::4] + cells[3::4]
    counts = rows[:, ::4] + rows[:, 1::4] + rows[:, 2::4] + rows[:, 3::4]
    return counts.astype(np.float32) / np.float32(16)
