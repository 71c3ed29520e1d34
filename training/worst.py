"""Pictures of the objects that fared worst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from training.data import LabelledImage
from training.protocol import object_region
from training.regions import Bounds, Region, around
from training.user import ObjectResult, Turn

__all__ = ["draw_worst", "frame_of", "worst"]

_COLUMNS = 5
#: Side of a picture, of its text below, and between pictures, in pixels.
_SIDE, _TEXT, _GAP = 220, 42, 8
#: Room around the object, as a share of its longer side, and at least in pixels.
_MARGIN_SHARE, _MARGIN = 0.4, 8
#: A mask that is taken for all of a colony is shown up to this many sides of the
#: object, or the object would be a dot.
_MOST_SIDES = 5
_TRUTH, _PREDICTED = (0, 220, 255), (255, 140, 0)
_POSITIVE, _NEGATIVE = (60, 255, 60), (255, 50, 50)


def worst(
    results: Sequence[ObjectResult], click: int, count: int = 10
) -> list[ObjectResult]:
    """Return the objects with the lowest IoU after ``click`` clicks, worst first."""
    return sorted(results, key=lambda one: _reached(one, click))[:count]


def _reached(result: ObjectResult, click: int) -> float:
    return result.clicks[min(click, len(result.clicks)) - 1]


def frame_of(truth: Region, turn: Turn) -> Bounds:
    """Return the square of the image that a picture shows; it may reach beyond."""
    row0, col0, row1, col1 = truth.bounds
    side = max(row1 - row0, col1 - col0)
    reach = _MOST_SIDES * side // 2
    near = np.array([row0 - reach, col0 - reach, row1 + reach, col1 + reach])
    shown = [truth, turn.chosen.region]
    shown += [Region(np.ones((1, 1), bool), c.row, c.col) for c in turn.clicks]
    top, left, bottom, right = np.clip(around(*shown), [*near[:2]] * 2, [*near[2:]] * 2)
    size = int(max(bottom - top, right - left))
    size += 2 * max(_MARGIN, round(_MARGIN_SHARE * side))
    top, left = (top + bottom - size) // 2, (left + right - size) // 2
    return int(top), int(left), int(top) + size, int(left) + size


def draw_worst(
    results: Sequence[ObjectResult], images: Sequence[LabelledImage], click: int
) -> Image.Image:
    """Draw the ten worst objects of ``click`` clicks on one sheet.

    Parameters
    ----------
    results : sequence of ObjectResult
        Measured with their masks kept.
    images : sequence of LabelledImage
        Theirs.
    click : int
        One of the protocol's `SHOWN_CLICKS`.

    Returns
    -------
    PIL.Image.Image
        The outline of the object is cyan, that of the mask orange; clicks on the
        object are green crosses, those on the background red bars.
    """
    chosen = worst(results, click)
    by_name = {(image.dataset, image.name): image for image in images}
    rows = -(-len(chosen) // _COLUMNS)
    step = (_SIDE + _GAP, _SIDE + _TEXT + _GAP)
    size = (_COLUMNS * step[0] + _GAP, rows * step[1] + _GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for index, result in enumerate(chosen):
        row, col = divmod(index, _COLUMNS)
        corner = (_GAP + col * step[0], _GAP + row * step[1])
        image = by_name[result.dataset, result.image]
        turn = result.shown[click]
        sheet.paste(_draw_object(image, result.label, turn), corner)
        pen.multiline_text(
            (corner[0], corner[1] + _SIDE + 2), _caption(result, turn), fill="black"
        )
    return sheet


def _caption(result: ObjectResult, turn: Turn) -> str:
    name = PurePosixPath(result.image).name.removesuffix(".png")
    return (
        f"IoU {turn.iou:.3f}, predicted {turn.chosen.score:.3f}\n"
        f"{result.dataset[:34]}\n{name.removesuffix('.labels')[-26:]} #{result.label}"
    )


def _draw_object(image: LabelledImage, label: int, turn: Turn) -> Image.Image:
    truth = object_region(image, label)
    frame = frame_of(truth, turn)
    pixels = _enlarge(_cut(image.image, frame), Image.Resampling.BILINEAR).copy()
    for region, colour in ((turn.chosen.region, _PREDICTED), (truth, _TRUTH)):
        mask = Image.fromarray(region.within(frame).astype(np.uint8) * 255)
        large = _enlarge(np.asarray(mask), Image.Resampling.NEAREST) > 127
        outline = large & ~ndimage.binary_erosion(large, iterations=2)
        pixels[outline] = colour
    picture = Image.fromarray(pixels)
    _draw_clicks(picture, turn, frame)
    return picture


def _cut(image: NDArray[np.uint8], frame: Bounds) -> NDArray[np.uint8]:
    """Return a frame of the image, stretched to the range of its values."""
    row0, col0, row1, col1 = frame
    rows = np.arange(row0, row1)
    cols = np.arange(col0, col1)
    inside = np.ix_(
        (rows >= 0) & (rows < image.shape[0]), (cols >= 0) & (cols < image.shape[1])
    )
    part = image[max(row0, 0) : max(row1, 0), max(col0, 0) : max(col1, 0)]
    low, high = np.percentile(part, (0.5, 99.5))
    stretched = np.clip((part - low) * (255 / max(high - low, 1)), 0, 255)
    result = np.full((row1 - row0, col1 - col0, 3), 127, np.uint8)
    result[inside] = stretched.astype(np.uint8)
    return result


def _enlarge(pixels: NDArray[np.uint8], method: Image.Resampling) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((_SIDE, _SIDE), method))


def _draw_clicks(picture: Image.Image, turn: Turn, frame: Bounds) -> None:
    pen = ImageDraw.Draw(picture)
    scale = _SIDE / (frame[2] - frame[0])
    for click in turn.clicks:
        y = (click.row + 0.5 - frame[0]) * scale
        x = (click.col + 0.5 - frame[1]) * scale
        colour = _POSITIVE if click.positive else _NEGATIVE
        pen.line((x - 5, y, x + 5, y), fill=colour, width=2)
        if click.positive:
            pen.line((x, y - 5, x, y + 5), fill=colour, width=2)
