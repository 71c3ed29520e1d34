"""What nano has to beat: a classic method, chance, and itself without windows."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from napari_sam3.core.tracker import Tracker, WindowTracker
from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.nano.tracker import NanoTracker
from training.regions import Bounds, Region
from training.responders import Answer, Click, Question, Responder, TrackerResponder

__all__ = [
    "BASELINES",
    "RANDOM",
    "WATERSHED",
    "WHOLE",
    "OtsuWatershed",
    "build_baselines",
    "random_nano",
]

WATERSHED = "Otsu + watershed"
RANDOM = "random weights"
WHOLE = "without windows and focus"
#: All there are, as tables list them.
BASELINES = (WHOLE, WATERSHED, RANDOM)

_RANDOM_SEED = 0
#: Of the distances that the seeds are taken from: one seed for one lump.
_SMOOTHING = 1.5
_LEAST_DISTANCE = 4
#: Of the image, against noise.
_BLUR = 1.0
#: It cannot tell how good it is.
_SCORE = 0.5


class _Basins(NamedTuple):
    """One side of the threshold, cut where it is narrow.

    Attributes
    ----------
    depth : ndarray of shape (rows, columns) and dtype float64
        Distance to the other side; 0 there.
    labels : ndarray of shape (rows, columns) and dtype int32
        Watershed regions; 0 on the other side.
    """

    depth: NDArray[np.float64]
    labels: NDArray[np.int32]


class OtsuWatershed:
    """Otsu's threshold and a watershed of distances, seeded by the clicks.

    The side of the threshold on which a click lies is its foreground. A click on
    the object adds the watershed region that holds it, one on the background takes
    it away; a region with clicks of both kinds is divided between them by another
    watershed. In a box the threshold is found anew, and the largest component,
    its holes filled, is the object.
    """

    def __init__(self) -> None:
        self._grey = np.zeros((0, 0))
        self._is_bright = self._grey > 0
        self._basins = lru_cache(2)(self._compute)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Take an image of shape (rows, columns, 3)."""
        self._grey = ndimage.gaussian_filter(image.mean(axis=2), _BLUR)
        self._is_bright = self._grey > _threshold(self._grey)
        self._basins = lru_cache(2)(self._compute)

    def answer(self, question: Question) -> list[Answer]:
        """Segment; there is one candidate, and its score says nothing."""
        mask = np.zeros(self._grey.shape, np.bool_)
        clicks = list(question.clicks)
        seeds = clicks
        if question.box is not None:
            row0, col0, row1, col1 = question.box
            mask[row0:row1, col0:col1] = _largest(self._grey[row0:row1, col0:col1])
            # A background click must leave something of what the box promised.
            seeds = [*clicks, *_middle(mask, question.box)]
        for is_bright, number in {self._basin(click) for click in clicks}:
            basins = self._basins(is_bright)
            own = [one for one in seeds if self._basin(one) == (is_bright, number)]
            _apply(mask, basins, number, own)
        if question.box is not None:
            inside = np.zeros(mask.shape, np.bool_)
            inside[row0:row1, col0:col1] = True
            mask &= inside
        return [Answer(Region.trim(mask), _SCORE)]

    def _basin(self, click: Click) -> tuple[bool, int]:
        """Return the side of the threshold and the region that a click is in."""
        is_bright = bool(self._is_bright[click.row, click.col])
        return is_bright, int(self._basins(is_bright).labels[click.row, click.col])

    def _compute(self, is_bright: bool) -> _Basins:
        side = self._is_bright if is_bright else ~self._is_bright
        # The image's border is an edge, as it is for the user.
        depth = ndimage.distance_transform_edt(np.pad(side, 1))[1:-1, 1:-1]
        smooth = ndimage.gaussian_filter(depth, _SMOOTHING)
        peaks = peak_local_max(
            smooth,
            min_distance=_LEAST_DISTANCE,
            labels=side.astype(np.int32),
            exclude_border=False,
        )
        markers = np.zeros(side.shape, np.int32)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        regions = watershed(-smooth, markers, mask=side)
        # A lump next to a larger one has no peak of its own.
        rest = side & (regions == 0)
        regions[rest] = label(rest, connectivity=1)[rest] + len(peaks)
        return _Basins(depth, regions)


def _threshold(grey: NDArray[np.float64]) -> float:
    """Return Otsu's threshold; of a flat image its only value."""
    return float(threshold_otsu(grey)) if np.ptp(grey) else float(grey.flat[0])


def _largest(grey: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Segment a box: the side that is rarer on its rim, in one filled piece."""
    side = grey > _threshold(grey)
    rim = np.concatenate([side[0], side[-1], side[1:-1, 0], side[1:-1, -1]])
    if rim.mean() > 0.5:
        side = ~side
    lumps, count = label(side, connectivity=1, return_num=True)
    if not count:
        return np.ones(grey.shape, np.bool_)
    areas = np.bincount(lumps.ravel())
    areas[0] = 0
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(lumps == areas.argmax())
    return filled


def _middle(mask: NDArray[np.bool_], box: Bounds) -> list[Click]:
    """Return a click on the pixel deepest in what a box gave."""
    row0, col0, row1, col1 = box
    padded = np.pad(mask[row0:row1, col0:col1], 1)
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    return [Click(row0 + int(row), col0 + int(col), positive=True)]


def _apply(
    mask: NDArray[np.bool_], basins: _Basins, number: int, clicks: list[Click]
) -> None:
    """Add, take away or divide in place the region with these clicks."""
    region = basins.labels == number
    signs = {click.positive for click in clicks}
    if len(signs) == 1:
        mask[region] = signs.pop()
        return
    markers = np.zeros(region.shape, np.int32)
    for click in clicks:
        markers[click.row, click.col] = 1 if click.positive else 2
    parts = watershed(-basins.depth, markers, mask=region)
    mask[region] = parts[region] == 1


def random_nano(device: torch.device) -> NanoTracker:
    """Build nano's network with weights that nobody trained, the same ones always."""
    # Folding the normalisations draws numbers, too.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_RANDOM_SEED)
        return NanoTracker(NanoNet(), model_id="random", device=device)


def build_baselines(tracker: Tracker, *, whole: bool) -> dict[str, Responder]:
    """Build what a model is compared with.

    Parameters
    ----------
    tracker : Tracker
        The model. Windows can be taken from it if it has them, and random weights
        be given to it if it is nano.
    whole : bool
        Whether the model already answers from one view.

    Returns
    -------
    dict of str to Responder
        Some of `BASELINES`, in their order.
    """
    found: dict[str, Responder] = {WATERSHED: OtsuWatershed()}
    if isinstance(tracker, WindowTracker) and not whole:
        found[WHOLE] = TrackerResponder(tracker.without_windows())
    if isinstance(tracker, NanoTracker):
        random = random_nano(tracker.device)
        found[RANDOM] = TrackerResponder(random.without_windows() if whole else random)
    return {name: found[name] for name in BASELINES if name in found}
