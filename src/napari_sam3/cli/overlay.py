"""A picture to check a result: image, prompts and outlines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_sam3.core.prompt import Box, Prompt

__all__ = ["NEGATIVE", "POSITIVE", "colour_of", "draw_overlay", "zoom_of"]

_Colour = tuple[int, int, int]

#: Fills of the clicks' markers.
POSITIVE = (0, 200, 60)
NEGATIVE = (230, 20, 30)
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)

#: Told apart on dark and on bright images, by most colour-blind people, and from
#: the green and red of the clicks.
_COLOURS: tuple[_Colour, ...] = (
    (255, 225, 25),
    (0, 200, 255),
    (255, 90, 220),
    (255, 150, 30),
    (110, 130, 255),
    (150, 255, 230),
    (255, 190, 200),
    (190, 100, 255),
)
#: Small images are enlarged so that their longer side has about this many pixels.
_SIDE = 1280
_MOST_ZOOM = 4
#: Large ones are reduced to this: a picture to look at, quick to draw and to open.
_MOST_SIDE = 4096
#: Larger pictures get thicker lines and larger markers.
_UNITS = 840
#: From this size on, in units, an object has room for its number.
_ROOMY = 60
_FILL = 0.18
_DARKENING = 0.55


def zoom_of(shape: tuple[int, int]) -> float:
    """Return how many times an image is enlarged, or that it is reduced.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    float
        1, 2, 3 or 4; less than 1 if the longer side has more than 4096 pixels.
    """
    if max(shape) > _MOST_SIDE:
        return _MOST_SIDE / max(shape)
    return min(max(_SIDE // max(shape), 1), _MOST_ZOOM)


def colour_of(label: int) -> _Colour:
    """Return the RGB colour of a label, 1 or higher."""
    return _COLOURS[(label - 1) % len(_COLOURS)]


def draw_overlay(
    rgb: NDArray[np.uint8],
    labels: NDArray[np.unsignedinteger],
    prompts: Sequence[Prompt],
) -> Image.Image:
    """Draw outlines and prompts over an image.

    Parameters
    ----------
    rgb : ndarray of shape (rows, columns, 3) and dtype uint8
        The image.
    labels : ndarray of shape (rows, columns) and unsigned dtype
        0 background; label i belongs to the i-th prompt.
    prompts : sequence of Prompt
        One per object.

    Returns
    -------
    PIL.Image.Image
        RGB, `zoom_of` times as large, to the nearest pixel. Each object has an
        outline and a box of its own colour, and its label; green plus signs are
        clicks on it, red minus signs those beside it, ringed in that colour.
    """
    zoom = zoom_of((labels.shape[0], labels.shape[1]))
    rows, cols = (max(round(side * zoom), 1) for side in labels.shape)
    size = (cols, rows)
    # Lines and markers grow with the picture, which is looked at as a whole.
    unit = max(1.0, max(size) / _UNITS)
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC)
    spots = list(_spots(labels))
    for label, spot in spots:
        _outline(picture, labels, label, spot, zoom, unit)
    draw = ImageDraw.Draw(picture)
    for label, prompt in enumerate(prompts, 1):
        if prompt.box is not None:
            _draw_box(draw, prompt.box, colour_of(label), zoom, unit)
    for label, prompt in enumerate(prompts, 1):
        for (row, col), is_object in zip(prompt.points, prompt.labels, strict=True):
            centre = ((col + 0.5) * zoom, (row + 0.5) * zoom)
            _draw_click(draw, centre, bool(is_object), colour_of(label), unit)
    for label, spot in spots:
        place = _number_place(prompts[label - 1], spot, zoom, unit)
        _draw_number(draw, label, place, size, unit)
    return picture


def _spots(
    labels: NDArray[np.unsignedinteger],
) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Yield the labels that are there, and the rows and columns they take."""
    from scipy.ndimage import find_objects

    for label, spot in enumerate(find_objects(labels.astype(np.int32)), 1):
        if spot is not None:
            yield label, spot


def _outline(
    picture: Image.Image,
    labels: NDArray[np.unsignedinteger],
    label: int,
    spot: tuple[slice, slice],
    zoom: float,
    unit: float,
) -> None:
    """Tint an object, and draw its edge with a dark line around it."""
    from scipy.ndimage import maximum_filter, minimum_filter

    width = round(2 * unit)
    whole, (left, top) = _enlarge(labels[spot] == label, spot, zoom, width + 1)
    # Two passes of running extremes each: a wide line costs no more than a thin one.
    core = minimum_filter(whole, 2 * width + 1) > 0
    around = maximum_filter(whole, 2 * round(unit) + 1) > 0
    region = (left, top, left + whole.shape[1], top + whole.shape[0])
    colours = np.array(picture.crop(region), np.float32)
    colour = np.array(colour_of(label), np.float32)
    colours[around & (whole == 0)] *= 1 - _DARKENING
    colours[core] = (1 - _FILL) * colours[core] + _FILL * colour
    colours[(whole > 0) & ~core] = colour
    picture.paste(Image.fromarray(colours.astype(np.uint8)), (left, top))


def _enlarge(
    mask: NDArray[np.bool_], spot: tuple[slice, slice], zoom: float, margin: int
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Bring an object to the picture's scale, with a margin around it.

    Parameters
    ----------
    mask : ndarray of dtype bool
        The object in its crop.
    spot : tuple of slice
        The crop's rows and columns in the image.
    zoom : float
        From the image to the picture.
    margin : int
        In pixels of the picture.

    Returns
    -------
    mask : ndarray of dtype uint8
        0 or 1.
    corner : tuple of int
        (x, y) of its first pixel in the picture.
    """
    (top, bottom), (left, right) = (
        (math.floor(s.start * zoom) - margin, math.ceil(s.stop * zoom) + margin)
        for s in spot
    )
    padding = math.ceil(margin / zoom) + 2
    padded = Image.fromarray(np.pad(mask, padding).astype(np.uint8) * 255)
    box = (
        left / zoom - spot[1].start + padding,
        top / zoom - spot[0].start + padding,
        right / zoom - spot[1].start + padding,
        bottom / zoom - spot[0].start + padding,
    )
    # Smooth, as steps of enlarged pixels would look like the model's doing.
    smooth = np.asarray(
        padded.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
    )
    # What is reduced to less than half a pixel stays as a dot.
    return (smooth >= min(128, smooth.max())).astype(np.uint8), (left, top)


def _draw_box(
    draw: ImageDraw.ImageDraw, box: Box, colour: _Colour, zoom: float, unit: float
) -> None:
    row0, col0, row1, col1 = (round(edge * zoom) for edge in box)
    row1, col1 = row1 - 1, col1 - 1
    corners = [(col0, row0), (col1, row0), (col1, row1), (col0, row1), (col0, row0)]
    draw.line(corners, fill=_BLACK, width=round(2 * unit) + 2, joint="curve")
    for start, end in pairwise(corners):
        _dash(draw, start, end, colour, unit)


def _dash(
    draw: ImageDraw.ImageDraw,
    start: tuple[int, int],
    end: tuple[int, int],
    colour: _Colour,
    unit: float,
) -> None:
    """Draw a dashed line, to be told from outlines."""
    length = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    step = round(12 * unit)
    for begin in range(0, length, step):
        stop = min(begin + 2 * step // 3, length)
        ends = [
            (
                start[0] + (end[0] - start[0]) * part / length,
                start[1] + (end[1] - start[1]) * part / length,
            )
            for part in (begin, stop)
        ]
        draw.line(ends, colour, round(2 * unit))


def _draw_click(
    draw: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    is_object: bool,
    colour: _Colour,
    unit: float,
) -> None:
    """Draw a green disc with a plus, or a red one with a minus.

    Its ring has the colour of the object that it speaks of.
    """
    x, y = centre
    fill = POSITIVE if is_object else NEGATIVE
    for radius, paint in ((9, _BLACK), (8, colour), (6, _BLACK), (5.5, fill)):
        reach = radius * unit
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), paint)
    arm, half = 3.5 * unit, 0.7 * unit
    draw.rectangle((x - arm, y - half, x + arm, y + half), _WHITE)
    if is_object:
        draw.rectangle((x - half, y - arm, x + half, y + arm), _WHITE)


def _number_place(
    prompt: Prompt, spot: tuple[slice, slice], zoom: float, unit: float
) -> tuple[float, float]:
    """Return where a number begins: in the object, or beside it if it is small."""
    rows, cols = spot
    sides = (rows.stop - rows.start, cols.stop - cols.start)
    if min(sides) * zoom < _ROOMY * unit:
        return cols.stop * zoom + 2 * unit, rows.start * zoom
    if len(prompt.positive):
        row, col = prompt.positive[0]
    else:
        row, col = (rows.start + rows.stop) / 2, (cols.start + cols.stop) / 2
    return (col + 0.5) * zoom + 10 * unit, (row + 0.5) * zoom - 8 * unit


def _draw_number(
    draw: ImageDraw.ImageDraw,
    label: int,
    place: tuple[float, float],
    size: tuple[int, int],
    unit: float,
) -> None:
    """Write a label, but within the picture."""
    font = ImageFont.load_default(16 * unit)
    stroke = max(1, round(2 * unit))
    left, top, right, bottom = draw.textbbox(
        (0, 0), str(label), font, stroke_width=stroke
    )
    x = max(0.0, min(place[0], size[0] - (right - left))) - left
    y = max(0.0, min(place[1], size[1] - (bottom - top))) - top
    draw.text(
        (x, y),
        str(label),
        _WHITE,
        font,
        stroke_width=stroke,
        stroke_fill=_BLACK,
    )
