"""Which parts of a large plane a network is shown, at which resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.picture import Picture
from napari_sam3.core.prediction import LOGIT_LIMIT, Prediction
from napari_sam3.core.prompt import Box, Prompt
from napari_sam3.core.resample import Grid, resample
from napari_sam3.core.windows import Window

__all__ = ["WHOLE_RATIO", "Lattice", "Patch", "patches", "whole_patch"]

#: Planes up to this side are shown whole as they are; the network reduces them.
_LARGEST_PLAIN = 4096
#: Planes that are larger than a window by no more than this are seen whole: a window
#: that leaves out their rim would show them hardly sharper.
WHOLE_RATIO = 4 / 3
#: How often the smallest windows enlarge what they show: three doublings.
_MAGNIFICATIONS = 3


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of a plane as an image for a network.

    Parameters
    ----------
    window : Window
        The part, within the plane.
    shape : tuple of int
        (rows, columns) of the image; smaller than the window if it is reduced.
    """

    window: Window
    shape: tuple[int, int]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """``(row0, col0, row1, col1)`` of the part in the plane, half-open."""
        window = self.window
        return (
            window.row0,
            window.col0,
            window.row0 + window.height,
            window.col0 + window.width,
        )

    @property
    def is_plain(self) -> bool:
        """Whether its pixels are those of the plane."""
        return self.shape == (self.window.height, self.window.width)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Pixels of the image per pixel of the plane, (rows, columns)."""
        return np.divide(self.shape, (self.window.height, self.window.width))

    def read(self, picture: Picture) -> NDArray[np.uint8]:
        """Return the image, shape (rows, columns, 3), RGB."""
        return picture.read(self.window, *self.shape)

    def holds(self, box: Box) -> bool:
        """Tell whether a box of the plane lies wholly in it."""
        mine = self.box
        return (
            mine[0] <= box[0]
            and mine[1] <= box[1]
            and box[2] <= mine[2]
            and box[3] <= mine[3]
        )

    def place(self, prompt: Prompt) -> Prompt:
        """Bring a prompt from pixels of the plane to pixels of the image.

        Background clicks outside are left out, and an earlier mask that lies beside
        the part: they say nothing here.
        """
        origin = np.array([self.window.row0, self.window.col0], np.float64)
        scale = self.scale
        points = (prompt.points + 0.5 - origin) * scale - 0.5
        inside = ((points >= -0.5) & (points <= np.array(self.shape) - 0.5)).all(axis=1)
        seen = inside | prompt.labels
        mask_box = _moved(prompt.mask_box, origin, scale)
        hint = prompt.size_hint
        is_beside = mask_box is not None and not _meets(mask_box, self.shape)
        return Prompt(
            points[seen],
            prompt.labels[seen],
            _moved(prompt.box, origin, scale),
            None if is_beside else prompt.mask_logits,
            None if is_beside else mask_box,
            None if hint is None else hint.scaled(float(np.sqrt(scale.prod()))),
        )

    def lift(
        self, prediction: Prediction, shape: tuple[int, int], low_res: int
    ) -> Prediction:
        """Bring a prediction from pixels of the image to pixels of the plane.

        Parameters
        ----------
        prediction : Prediction
            Of the image.
        shape : tuple of int
            (rows, columns) of the plane.
        low_res : int
            Side of the low-resolution logits over the plane.
        """
        edges = self.box
        if self.is_plain and edges == (0, 0, *shape):
            return replace(prediction, seen=edges)
        if not prediction.logits.size:
            nothing = np.full((1, 1), -LOGIT_LIMIT, np.float32)
            prediction = replace(prediction, logits=nothing, bbox=(0, 0, 1, 1))
        elif not self.is_plain:
            # A network's crop may be far larger than its mask; enlarged, it would
            # fill the memory.
            prediction = prediction.trimmed()
        tall, wide = 1 / self.scale
        row0, col0, row1, col1 = prediction.bbox
        top = self.window.row0 + row0 * tall
        left = self.window.col0 + col0 * wide
        cells = Grid(
            top,
            left,
            (row1 - row0) * tall,
            (col1 - col0) * wide,
            row1 - row0,
            col1 - col0,
        )
        bbox = (
            max(int(np.floor(top + 1e-9)), edges[0]),
            max(int(np.floor(left + 1e-9)), edges[1]),
            min(int(np.ceil(top + cells.height - 1e-9)), edges[2]),
            min(int(np.ceil(left + cells.width - 1e-9)), edges[3]),
        )
        height, width = bbox[2] - bbox[0], bbox[3] - bbox[1]
        logits = prediction.logits
        if not self.is_plain:
            pixels = Grid(bbox[0], bbox[1], height, width, height, width)
            logits = resample(*self._continued(logits, cells, prediction.bbox), pixels)
        frame = Grid(0, 0, *shape, low_res, low_res)
        return replace(
            prediction,
            logits=logits,
            bbox=bbox,
            low_res=resample(prediction.logits, cells, frame),
            seen=edges,
        )

    def _continued(
        self,
        logits: NDArray[np.float32],
        cells: Grid,
        bbox: tuple[int, int, int, int],
    ) -> tuple[NDArray[np.float32], Grid]:
        """Let logits go on beyond the part's border, or they would fade before it."""
        above, left = int(bbox[0] == 0), int(bbox[1] == 0)
        below, right = int(bbox[2] == self.shape[0]), int(bbox[3] == self.shape[1])
        tall, wide = cells.height / cells.rows, cells.width / cells.cols
        grid = Grid(
            cells.row0 - above * tall,
            cells.col0 - left * wide,
            cells.height + (above + below) * tall,
            cells.width + (left + right) * wide,
            cells.rows + above + below,
            cells.cols + left + right,
        )
        return np.pad(logits, ((above, below), (left, right)), mode="edge"), grid


@dataclass(frozen=True, slots=True)
class Lattice:
    """The windows of a plane that may be shown to a network.

    Their sides are the network's, doubled and halved. Neighbours overlap by half, so
    that what is no larger than half a window lies wholly in one; and there are few
    of them, so that neighbouring objects share one.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the plane.
    view_size : int
        Side of the square that the network sees.
    """

    shape: tuple[int, int]
    view_size: int

    @property
    def is_needed(self) -> bool:
        """Whether the plane is larger than what the network sees."""
        return not self._is_all(self.view_size)

    def side(self, wanted: float, *, may_magnify: bool = False) -> int:
        """Return the smallest side of a window that is as large as wanted."""
        side = max(1, self.view_size >> (_MAGNIFICATIONS if may_magnify else 0))
        while side < wanted and side < max(self.shape):
            side *= 2
        return side

    def at(self, row: float, col: float, side: int) -> Patch:
        """Return the window of a side whose middle is nearest to a place."""
        if self._is_all(side):
            return whole_patch(self.shape, self.view_size)
        rows, cols = (min(side, length) for length in self.shape)
        row0, col0 = (
            _nearest_start(place - extent / 2, length - extent, max(1, side // 2))
            for place, extent, length in (
                (row, rows, self.shape[0]),
                (col, cols, self.shape[1]),
            )
        )
        return Patch(Window(row0, col0, rows, cols), self._shown(rows, cols, side))

    def all(self) -> list[Patch]:
        """Return the windows at full resolution, row by row."""
        side = self.view_size
        if not self.is_needed:
            return [whole_patch(self.shape, side)]
        rows, cols = (min(side, length) for length in self.shape)
        tops, lefts = (
            sorted({*range(0, last, max(1, side // 2)), last})
            for last in (self.shape[0] - rows, self.shape[1] - cols)
        )
        return [
            Patch(Window(row0, col0, rows, cols), self._shown(rows, cols, side))
            for row0 in tops
            for col0 in lefts
        ]

    def _is_all(self, side: int) -> bool:
        """Whether a window of that side may as well be the whole plane."""
        return max(self.shape) <= WHOLE_RATIO * side

    def _shown(self, rows: int, cols: int, side: int) -> tuple[int, int]:
        ratio = min(1.0, self.view_size / side)
        return max(1, round(rows * ratio)), max(1, round(cols * ratio))


def _nearest_start(wanted: float, last: int, step: int) -> int:
    """Return the multiple of a step, or the last place, that is nearest."""
    regular = min(max(0, round(wanted / step) * step), last)
    return min((regular, last), key=lambda start: abs(start - wanted))


def whole_patch(shape: tuple[int, int], view_size: int) -> Patch:
    """Return the whole plane as one patch.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the plane.
    view_size : int
        Side of the square that the network sees.

    Returns
    -------
    Patch
        As it is, up to 4096 pixels a side; larger ones at twice the resolution that
        the network sees, so that it can reduce them as it does others.
    """
    ratio = min(1.0, 2 * view_size / max(shape)) if max(shape) > _LARGEST_PLAIN else 1.0
    rows, cols = (max(1, round(length * ratio)) for length in shape)
    return Patch(Window(0, 0, *shape), (rows, cols))


def patches(
    shape: tuple[int, int], view_size: int, *, all_windows: bool = False
) -> list[Patch]:
    """Return what to embed of a plane before it is asked about.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the plane.
    view_size : int
        Side of the square that the network sees.
    all_windows : bool, optional
        Whether the windows at full resolution are wanted, too, where the plane is
        larger than the network sees.

    Returns
    -------
    list of Patch
        The whole plane first.
    """
    whole = whole_patch(shape, view_size)
    if not all_windows:
        return [whole]
    found = Lattice(shape, view_size).all()
    return [whole, *(patch for patch in found if patch != whole)]


def _meets(box: Box, shape: tuple[int, int]) -> bool:
    return box[0] < shape[0] and box[1] < shape[1] and box[2] > 0 and box[3] > 0


def _moved(
    box: Box | None, origin: NDArray[np.float64], scale: NDArray[np.float64]
) -> Box | None:
    if box is None:
        return None
    corners = (np.reshape(box, (2, 2)) - origin) * scale
    row0, col0, row1, col1 = corners.ravel().tolist()
    return row0, col0, row1, col1
