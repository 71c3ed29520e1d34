"""Draw the pictures of docs/what-the-model-sees.md.

Run as ``python docs/looks.py``; no window is needed. Each panel is what nano gets to
see, with one click and the mask that it answers with. It writes
``docs/images/look-contrast.png`` and ``docs/images/look-channels.png``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from napari_sam3 import Session

__all__ = ["NAMES", "main"]

_ROOT = Path(__file__).resolve().parent.parent
_ZOOM, _GAP, _TITLE = 2, 8, 26
_RIM, _CLICK = (255, 210, 0), (86, 180, 233)
#: Where the nuclei are cut out, and the click, in pixels of the sample.
_CUT, _NUCLEUS = np.s_[180:400, 200:420], (78, 166)
#: Pixels along each side of the drawn cells, and clicks beside and on a nucleus.
_SIDE, _BODY, _CORE = 220, (125, 125), (110, 110)

#: The pictures.
NAMES = ("look-contrast.png", "look-channels.png")


def dark_field() -> NDArray[np.uint16]:
    """Return nuclei as a 16-bit camera might have them, with one hot pixel.

    Returns
    -------
    ndarray of shape (220, 220) and dtype uint16
        How much light the sample's nuclei hold back, as counts of 200 to 3,300.
    """
    from napari_sam3.samples import open_nuclei

    rgb = open_nuclei()[0][0]
    held_back = 255 - rgb[_CUT].astype(np.float64).mean(axis=2)
    counts = (200 + 12 * held_back).astype(np.uint16)
    counts[3, 3] = 65535
    return counts


def two_stains(seed: int = 4) -> NDArray[np.uint16]:
    """Draw cells with a nuclear and a cytoplasmic stain.

    Parameters
    ----------
    seed : int, optional
        The same one gives the same picture.

    Returns
    -------
    ndarray of shape (2, 220, 220) and dtype uint16
        Nuclei, then cytoplasm.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[:_SIDE, :_SIDE]
    stains = np.zeros((2, _SIDE, _SIDE))
    for row in range(38, _SIDE, 72):
        for col in range(38, _SIDE, 72):
            row_c, col_c = (row, col) + rng.uniform(-6, 6, 2)
            angle = np.arctan2(rows - row_c, cols - col_c)
            away = np.hypot(rows - row_c, cols - col_c)
            turn, lobes = rng.uniform(0, 6.3), rng.integers(2, 5)
            body = away < rng.uniform(28, 33) * (
                1 + 0.14 * np.sin(lobes * angle + turn)
            )
            nucleus = np.hypot(rows - row_c - 4, 1.3 * (cols - col_c + 3)) < 13
            stains[0][nucleus] = rng.uniform(1500, 2400)
            stains[1][body & ~nucleus] = rng.uniform(600, 1100)
    grain = gaussian_filter(rng.normal(0, 1, stains.shape), (0, 3, 3))
    stains *= 1 + 1.5 * grain
    blurred = np.array([gaussian_filter(stain, 1.4) for stain in stains]).clip(0)
    return rng.poisson(blurred + 150).astype(np.uint16)


def panel(session: Session, click: tuple[int, int]) -> Image.Image:
    """Return what the model sees, the click, and the rim of the mask it answers with.

    Parameters
    ----------
    session : Session
        With an image of two axes, and what is to be seen of it.
    click : tuple of int
        (row, col).

    Returns
    -------
    PIL.Image.Image
        Twice as large as the image.
    """
    from napari_sam3.viewer.looks import channel_planes, look_of
    from napari_sam3.viewer.planes import shown_plane

    session.clear()
    session.add_point(click)
    session.wait()
    image, sight = session.image, session.sight
    plane = shown_plane(session.viewer, image)
    channels = channel_planes(session.viewer, image, plane, sight)
    pixels = [layer.data for layer, _ in channels]
    rgb = look_of(channels, sight).resolved(pixels).render(pixels)
    shown = rgb.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    if session.preview is not None:
        mask = session.preview.mask.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
        shown[rim(mask)] = _RIM
    picture = Image.fromarray(shown)
    row, col = ((place + 0.5) * _ZOOM for place in click)
    ImageDraw.Draw(picture).ellipse(
        (col - 5, row - 5, col + 5, row + 5), fill=_CLICK, outline="white"
    )
    return picture


def rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a mask that have a neighbour beyond it."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask, iterations=2)


def beside_each_other(panels: Iterable[tuple[str, Image.Image]]) -> Image.Image:
    """Return pictures in a row, each below its title."""
    titled = list(panels)
    width, height = titled[0][1].size
    row = Image.new(
        "RGB", (len(titled) * (width + _GAP) - _GAP, height + _TITLE), "white"
    )
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(18)
    for place, (title, picture) in enumerate(titled):
        left = place * (width + _GAP)
        row.paste(picture, (left, _TITLE))
        draw.text((left, 0), title, fill="black", font=font)
    return row


def _contrast(session: Session) -> Any:
    """Yield one channel, seen in four ways."""
    layer = session.image
    yield "as shown", panel(session, _NUCLEUS)
    limits = layer.contrast_limits
    layer.contrast_limits = (200, 2600)
    yield "as shown, 200 to 2,600", panel(session, _NUCLEUS)
    layer.contrast_limits = limits
    session.contrast = "percentiles"
    yield "automatic", panel(session, _NUCLEUS)
    session.inverted = True
    yield "automatic, inverted", panel(session, _NUCLEUS)


def _channels(session: Session) -> Any:
    """Yield two channels, and both at once."""
    nuclei, cytoplasm = session.viewer.layers["nuclei"], session.viewer.layers["body"]
    both = [nuclei, cytoplasm]
    for title, image, channels, click in (
        ("nuclei alone", nuclei, None, _BODY),
        ("cytoplasm alone", cytoplasm, None, _BODY),
        ("both, the same click", nuclei, both, _BODY),
        ("both, on the nucleus", nuclei, both, _CORE),
    ):
        session.image = image
        session.channels = channels
        yield title, panel(session, click)


def main(argv: list[str] | None = None) -> int:
    """Draw all pictures.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default the process's.

    Returns
    -------
    int
        0.
    """
    from napari.components import ViewerModel

    from docs.pictures import chosen_folder, with_few_colours
    from napari_sam3 import attach

    folder = chosen_folder(argv, "Draw what the model sees.")
    grey, stained = ViewerModel(), ViewerModel()
    grey.add_image(dark_field(), name="nuclei")
    stains = two_stains()
    stained.add_image(stains[0], name="nuclei", colormap="magenta")
    stained.add_image(stains[1], name="body", colormap="green", blending="additive")
    for viewer, panels, name in zip(
        (grey, stained), (_contrast, _channels), NAMES, strict=True
    ):
        session = attach(viewer)
        picture = beside_each_other(panels(session))
        with_few_colours(picture).save(folder / name, optimize=True)
        session.close()
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))
    raise SystemExit(main())
