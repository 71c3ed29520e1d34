"""Pictures of widgets: numbered, and with few colours, so that they stay small."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["chosen_folder", "numbered", "point", "to_image", "with_few_colours"]

#: Colours, of 256, that stay exactly what they are: those of the panel.
_EXACT = 24
#: Of the clicks, which are small: blue on the object, orange on the background.
_CLICKS = ((86, 180, 233), (230, 159, 0))


def chosen_folder(argv: Sequence[str] | None, description: str) -> Path:
    """Read from the command line where pictures go.

    Parameters
    ----------
    argv : sequence of str or None
        Arguments; None for those of the process.
    description : str
        What the program does.

    Returns
    -------
    Path
        By default ``docs/images``; made if it is not there.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(__file__).resolve().parent / "images",
        help="folder for them",
    )
    folder: Path = parser.parse_args(argv).out
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def numbered(panel: Any, parts: Sequence[Any]) -> Image.Image:
    """Return a picture of a widget with a number beside each of its parts.

    Parameters
    ----------
    panel : QWidget
        Shown; the picture ends below its last part.
    parts : sequence of QWidget
        From the first to the last.

    Returns
    -------
    PIL.Image.Image
        In RGB.
    """
    from qtpy.QtCore import QRect, Qt
    from qtpy.QtGui import QColor, QFont, QPainter, QPixmap

    size, margin, end = 26, 38, parts[-1]
    shot = panel.grab()
    height = end.mapTo(panel, point(0, end.height())).y() + size // 2
    canvas = QPixmap(shot.width() + margin, height)
    canvas.fill(QColor("white"))
    painter = QPainter(canvas)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.drawPixmap(margin, 0, shot)
    font = QFont(panel.font())
    font.setPixelSize(15)
    font.setBold(True)
    painter.setFont(font)
    for number, part in enumerate(parts, 1):
        top = part.mapTo(panel, point(0, 0)).y()
        badge = QRect(5, top, size, size)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor("#0072b2"))
        painter.drawEllipse(badge)
        painter.setPen(QColor("white"))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, str(number))
    painter.end()
    return to_image(canvas)


def with_few_colours(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette."""
    palette = _palette(picture)
    return picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)


def _palette(picture: Image.Image) -> Image.Image:
    """Choose few colours for a picture: the frequent ones, and others for the rest."""
    pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    frequent = colours[np.argsort(counts)[::-1][:_EXACT]]
    # By their roots, or else a large image leaves nothing for small points on it.
    coarse, counts = np.unique(pixels & 0xF8, axis=0, return_counts=True)
    sample = np.repeat(coarse + 4, np.sqrt(counts).astype(int) + 1, axis=0)[None]
    exact = np.concatenate([_CLICKS, frequent])
    others = Image.fromarray(sample).quantize(256 - len(exact), kmeans=4)
    palette = Image.new("P", (1, 1))
    palette.putpalette([*exact.ravel().tolist(), *others.getpalette()])
    return palette


def to_image(pixmap: Any) -> Image.Image:
    """Return what a QPixmap shows."""
    from qtpy.QtGui import QImage

    image = pixmap.toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    if hasattr(bits, "setsize"):
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    return Image.fromarray(pixels.copy())


def point(x: int, y: int) -> Any:
    """Return a QPoint."""
    from qtpy.QtCore import QPoint

    return QPoint(x, y)
