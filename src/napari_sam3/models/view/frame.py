"""The square that a network sees, and how it lies in the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.prediction import LOGIT_LIMIT
from napari_sam3.core.resample import Grid, resample
from napari_sam3.models.view.resize import BAND_SIZE, interpolate, read_pixels

__all__ = ["Frame"]

#: Logit of what lies in a mask's padding: certainly not the object.
_PADDING_LOGIT = -10.0


@dataclass(frozen=True, slots=True)
class Frame:
    """An image in a network's square view.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.
    size : int
        Side of the view, in network pixels.
    inner : tuple of int
        (rows, columns) of the view that the image fills, from its upper left corner.
    """

    shape: tuple[int, int]
    size: int
    inner: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int], size: int, *, padded: bool) -> Frame:
        """Lay an image into a view.

        Parameters
        ----------
        shape : tuple of int
            (rows, columns) of the image.
        size : int
            Side of the view.
        padded : bool
            Whether to keep the image's proportions, as SAM 1 does; SAM 2 and SAM 3
            stretch it to the square.
        """
        inner = (size, size)
        if padded:
            scale = size / max(shape)
            rows, cols = (max(1, int(side * scale + 0.5)) for side in shape)
            inner = (rows, cols)
        return cls(shape, size, inner)

    def read(
        self,
        image: NDArray[np.uint8],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
    ) -> Tensor:
        """Bring an image into the view.

        Resized with antialiasing in float32, as SAM 3's predictor does it.

        Parameters
        ----------
        image : ndarray of shape (rows, columns, 3) and dtype uint8
            RGB.
        mean, std : tuple of float
            That the network's pixels are normalised with, of values from 0 to 1.
        device : torch.device
            Where to.

        Returns
        -------
        Tensor of shape (3, size, size) and dtype float32
            Zero, after normalisation, in the padding.
        """
        rows, cols = self.inner
        view = read_pixels(image, rows, cols)
        view = (view - _column(mean)) / _column(std)
        if self.inner != (self.size, self.size):
            view = F.pad(view, (0, self.size - cols, 0, self.size - rows))
        return view.to(device)

    def place(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Take places of the image into the view.

        Parameters
        ----------
        points : ndarray of shape (N, 2)
            (row, col) in image pixels.

        Returns
        -------
        ndarray of shape (N, 2) and dtype float32
            (x, y) in network pixels, before the half pixel that SAM adds to all
            coordinates inside the view.
        """
        scale = np.divide(self.inner, self.shape)
        return np.ascontiguousarray((points * scale)[:, ::-1], np.float32)

    def crop_of(self, logits: Tensor, floor: float) -> tuple[int, int, int, int] | None:
        """Return the box of the image outside of which no logit is above a floor.

        Cells of the padding count as far as `enlarge` looks at them.

        Parameters
        ----------
        logits : Tensor of shape (cells, cells)
            Over the view.
        floor : float
            A logit.

        Returns
        -------
        tuple of int or None
            Half-open (row0, col0, row1, col1); None if there is nothing above.
        """
        counts = [self._cells(logits, axis) for axis in (0, 1)]
        down, across = (math.ceil(count + 0.5) for count in counts)
        above = (logits[:down, :across] > floor).cpu()
        edges = []
        for axis, count in enumerate(counts):
            cells = torch.nonzero(above.any(dim=1 - axis))
            if not len(cells):
                return None
            # A cell's value reaches to the middles of its neighbours.
            pixels_per_cell = self.shape[axis] / count
            low = int((int(cells[0]) - 0.5) * pixels_per_cell)
            high = int((int(cells[-1]) + 1.5) * pixels_per_cell) + 1
            edges.append((max(low, 0), min(high, self.shape[axis])))
        (row0, col0), (row1, col1) = zip(*edges, strict=True)
        return row0, col0, row1, col1

    def enlarge(self, logits: Tensor, box: tuple[int, int, int, int]) -> Tensor:
        """Return logits at the image's resolution, of a part of it.

        Bilinear between the middles of cells, and constant beyond the outermost.

        Parameters
        ----------
        logits : Tensor of shape (cells, cells)
            Over the view.
        box : tuple of int
            The part, half-open (row0, col0, row1, col1).

        Returns
        -------
        Tensor of shape (row1 - row0, col1 - col0)
            Of the same dtype.
        """
        row0, col0, row1, col1 = box
        # Columns first: then what is copied most often are whole rows.
        logits = interpolate(logits, 1, self._places(logits, 1, col0, col1))
        places = self._places(logits, 0, row0, row1)
        step = max(1, BAND_SIZE // max(1, col1 - col0))
        if len(places) <= step:
            return interpolate(logits, 0, places)
        whole = logits.new_empty(len(places), col1 - col0)
        for start in range(0, len(places), step):
            band = places[start : start + step]
            whole[start : start + step] = interpolate(logits, 0, band)
        return whole

    def to_low_res(self, logits: Tensor) -> Tensor:
        """Return logits over the view as logits over the image alone, clamped.

        Parameters
        ----------
        logits : Tensor of shape (cells, cells)
            Over the view.

        Returns
        -------
        Tensor of the same shape
            What `Prediction.low_res` holds.
        """
        if self.inner != (self.size, self.size):
            cells = len(logits)
            small = Frame((cells, cells), self.size, self.inner)
            logits = small.enlarge(logits, (0, 0, cells, cells))
        return logits.clamp(-LOGIT_LIMIT, LOGIT_LIMIT)

    def mask_input(
        self,
        logits: NDArray[np.float32],
        box: tuple[float, float, float, float] | None,
        cells: int,
    ) -> NDArray[np.float32]:
        """Return an earlier mask as the network takes it.

        Parameters
        ----------
        logits : ndarray of shape (h, w) and dtype float32
            Over the image, or the part of it that ``box`` names.
        box : tuple of float, optional
            Half-open (row0, col0, row1, col1); beyond it is background.
        cells : int
            Side of what is returned.

        Returns
        -------
        ndarray of shape (cells, cells) and dtype float32
            Over the view.
        """
        rows, cols = self.shape
        if box is not None or logits.shape != (cells, cells):
            source = Grid(*_from_corners(box or (0, 0, rows, cols)), *logits.shape)
            target = Grid(0, 0, rows, cols, cells, cells)
            logits = resample(*_beyond_edges(logits, source, target), target)
        if self.inner == (self.size, self.size):
            return logits
        padded = np.full((cells, cells), _PADDING_LOGIT, np.float32)
        part = torch.from_numpy(logits.copy())
        for axis, side in enumerate(self.inner):
            ratio = self.size / side
            # Those whose middles lie in the image.
            count = max(1, math.ceil(cells / ratio - 0.5))
            middles = torch.arange(count, dtype=torch.float64) + 0.5
            part = interpolate(part, axis, middles * ratio - 0.5)
        padded[: part.shape[0], : part.shape[1]] = part.numpy()
        return padded

    def _places(self, logits: Tensor, axis: int, start: int, stop: int) -> Tensor:
        """Return where pixels of the image lie, as indices of cells along an axis."""
        middles = torch.arange(start, stop, dtype=torch.float64) + 0.5
        return middles * (self._cells(logits, axis) / self.shape[axis]) - 0.5

    def _cells(self, logits: Tensor, axis: int) -> float:
        """Return how many cells the image fills along an axis."""
        return logits.shape[axis] * self.inner[axis] / self.size


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)


def _from_corners(
    box: tuple[float, float, float, float],
) -> tuple[float, float, float, float]:
    row0, col0, row1, col1 = box
    return row0, col0, row1 - row0, col1 - col0


def _beyond_edges(
    logits: NDArray[np.float32], source: Grid, target: Grid
) -> tuple[NDArray[np.float32], Grid]:
    """Let a mask that ends at the image's edge go on beyond it.

    Else it would fade there: what lies beyond a mask is background.
    """
    room, sides = [], []
    for axis in (0, 1):
        low, length, count = source[axis], source[axis + 2], source[axis + 4]
        cell = length / count
        whole, cells = target[axis + 2], target[axis + 4]
        # As far as an antialiased cell of the target reaches.
        reach = math.ceil(max(1.0, whole / cells / cell)) + 1
        before = reach if low <= 0 else 0
        after = reach if low + length >= whole else 0
        room.append((before, after))
        sides.append((low - before * cell, length + (before + after) * cell))
    (row0, height), (col0, width) = sides
    logits = np.pad(logits, room, mode="edge")
    return logits, Grid(row0, col0, height, width, *logits.shape)
