"""Reading one plane of an image file."""

from __future__ import annotations

import logging
import math
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import FileError, ImageError, Sam3Error

if TYPE_CHECKING:
    from PIL.Image import Image
    from tifffile import TiffFile

__all__ = ["read_rgb"]

#: First bytes of TIFF and BigTIFF, either byte order; LSM, STK and others too.
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
#: More channels than these are planes, to be picked from.
_MOST_CHANNELS = 4
#: Held while Pillow's limit, which is the whole process's, is lifted.
_LIMIT_LOCK = threading.Lock()


def read_rgb(
    path: Path,
    *,
    plane: int | None = None,
    contrast_limits: Sequence[float] | None = None,
) -> NDArray[np.uint8]:
    """Read one plane of an image file as RGB.

    Parameters
    ----------
    path : Path
        TIFF, or what Pillow reads: PNG, JPEG and others.
    plane : int, optional
        Which one of several, counted from 0 in the order of the file, through all
        axes but rows, columns and up to four channels.
    contrast_limits : sequence of float, optional
        As for `to_rgb`.

    Returns
    -------
    ndarray of shape (rows, columns, 3) and dtype uint8

    Raises
    ------
    FileError
        If the file is missing, damaged, or of no known format.
    ImageError
        If the plane has to be picked, or is not there, or is no image.
    """
    from napari_sam3.core.image import to_rgb

    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({error.strerror}); check the path."
        ) from error
    if not start:
        raise FileError(f"{path} is empty; save or copy the image again.")
    with _quiet():
        is_tiff = start in _TIFF_MAGIC
        pixels, axis = _read_tiff(path, plane) if is_tiff else _read_other(path, plane)
    return to_rgb(pixels, contrast_limits=contrast_limits, channel_axis=axis)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep readers from talking past us: what matters ends as an error."""
    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _any_size() -> Iterator[None]:
    """Let Pillow open images of any size.

    Its limit protects servers from files of strangers; here the user names the
    file. Threads that read take turns, so that each finds the limit as it was.
    """
    from PIL import Image

    with _LIMIT_LOCK:
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _read_tiff(path: Path, plane: int | None) -> tuple[Any, int | None]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as tif:
            return _read_series(tif, plane)
    except (Sam3Error, MemoryError):
        raise
    # A damaged file can break a decoder anywhere, with any exception.
    except Exception as error:
        if "imagecodecs" not in str(error):
            raise _unreadable(path, error) from error
        codec_error = error
    try:
        # Pillow has some of the codecs that tifffile lacks on its own.
        return _read_other(path, plane)
    except FileError:
        raise FileError(
            f"{path} is compressed in a way that needs another package "
            f"({codec_error}); pip install imagecodecs, or save it uncompressed."
        ) from codec_error


def _read_series(tif: TiffFile, plane: int | None) -> tuple[NDArray[Any], int | None]:
    """Return a plane and its channel axis, of a file's first image."""
    series = tif.series[0]
    axes, shape = series.axes, series.shape
    if not {"X", "Y"} <= set(axes):
        raise ImageError(
            f"The image has the axes {axes} and the shape {shape}, without rows and "
            "columns; save it as a two-dimensional TIFF."
        )
    keep = [axes.index("Y"), axes.index("X")]
    for channel in "SC":
        size = shape[axes.index(channel)] if channel in axes else 0
        if 1 < size <= _MOST_CHANNELS and len(keep) == 2:
            keep.append(axes.index(channel))
    others = [axis for axis in range(len(axes)) if axis not in keep]
    sizes = [shape[axis] for axis in others]
    picked = _pick(plane, math.prod(sizes), f"axes {axes}, shape {shape}")
    index: list[Any] = [slice(None)] * len(axes)
    for axis, position in zip(others, np.unravel_index(picked, sizes), strict=True):
        index[axis] = int(position)
    left = tuple(shape[axis] for axis in sorted(keep))
    page = series.pages[picked] if len(series.pages) == math.prod(sizes) else None
    if page is not None and page.shape == left and sorted(others) == others:
        array = page.asarray()
    else:
        array = _whole(tif)[tuple(index)]
    # What is left stands in the file's order; to_rgb wants channels told apart.
    order = [sorted(keep).index(axis) for axis in keep]
    return np.array(array.transpose(order)), -1 if len(keep) == 3 else None


def _whole(tif: TiffFile) -> Any:
    """Return the first image's array, mapped from the file where that is possible."""
    series = tif.series[0]
    if series.dataoffset is not None:
        return tif.filehandle.memmap_array(
            tif.byteorder + series.dtype.char, series.shape, series.dataoffset
        )
    return series.asarray()


def _read_other(path: Path, plane: int | None) -> tuple[Image, None]:
    from PIL import Image

    try:
        with _any_size(), Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            image.seek(_pick(plane, count, f"{image.format} of {count} images"))
            return image.copy(), None
    except (Sam3Error, MemoryError):
        raise
    # As above: any exception is possible, and all mean the same.
    except Exception as error:
        raise _unreadable(path, error) from error


def _pick(plane: int | None, count: int, what: str) -> int:
    if plane is None and count > 1:
        raise ImageError(
            f"The file has {count} planes ({what}); pick one with --plane INDEX, "
            f"0 to {count - 1}."
        )
    if plane is not None and not 0 <= plane < count:
        raise ImageError(
            f"There is no plane {plane} ({what}); --plane INDEX goes from 0 to "
            f"{count - 1}."
        )
    return plane or 0


def _unreadable(path: Path, error: Exception) -> FileError:
    detail = " ".join(str(error).split()) or type(error).__name__
    return FileError(
        f"{path} cannot be read as an image ({detail[:200]}); give a TIFF, PNG or "
        "JPEG file that other programs open."
    )
