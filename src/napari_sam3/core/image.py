"""Turning what microscopes record into what networks see: uint8 RGB."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.core.errors import ImageError
from napari_sam3.core.scaling import between, over_black, stretch, tiles

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["check_rgb", "to_rgb"]

_MAX_CHANNELS = 4


def to_rgb(
    image: ArrayLike | Image,
    *,
    contrast_limits: Sequence[float] | None = None,
    channel_axis: int | None = None,
) -> NDArray[np.uint8]:
    """Bring any plane to uint8 RGB.

    Parameters
    ----------
    image : array_like or PIL.Image.Image
        One plane of any bool, integer or float dtype and byte order, of shape
        (rows, columns), (rows, columns, channels) or (channels, rows, columns)
        with one to four channels. One channel is grey; two are shown in
        magenta and green; three are red, green, blue; four have alpha too,
        and what is not opaque is laid over black. Alpha is full at the highest
        value of an integer dtype and at 1.0 of a float dtype.
    contrast_limits : sequence of float, optional
        ``(low, high)``, finite and increasing, in the image's own values: ``low``
        and below become 0, ``high`` and above 255. Without them bool becomes 0 and
        255, uint8 stays as it is, bit for bit, and other dtypes are stretched
        between the darkest and the brightest 0.1 % of the finite values.
        Planes of more than a million values are sampled on a regular grid, so
        the same plane always gives the same result. If nearly all values are
        equal, all of them count: from the minimum to the maximum. The limits
        are common to red, green and blue, which keeps their balance; each of
        two channels has its own. (Three stains of unlike brightness are better
        scaled one by one and stacked.)
    channel_axis : int, optional
        Axis of the channels, of -3 to 2. Without it the last axis of a
        three-dimensional array holds them if its size is 1 to 4, else the first
        one if its size is.

    Returns
    -------
    ndarray of shape (rows, columns, 3) and dtype uint8
        RGB, C-contiguous, and never a view of ``image``. NaN and -inf are 0,
        +inf is 255; a constant plane that has to be stretched is 0 everywhere.

    Raises
    ------
    ImageError
        If the array is no such plane, or the limits are no such numbers.

    Examples
    --------
    >>> to_rgb(np.array([[100, 200, 300]], np.uint16))[0].tolist()
    [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
    >>> to_rgb(np.array([[0.0, 0.5, 9.0]]), contrast_limits=(0, 1))[0, :, 0].tolist()
    [0, 128, 255]
    """
    if hasattr(image, "shape"):
        # A lazy stack is refused before all of it is read.
        _axis_of_channels(tuple(image.shape), channel_axis)
    planes = _channels_last(_as_array(image), channel_axis)
    colours = planes[..., :3]
    if contrast_limits is not None:
        limits = np.array([_checked_limits(contrast_limits)])
    elif planes.shape[2] == 2:
        limits = np.array([stretch(planes[..., channel]) for channel in (0, 1)])
    else:
        limits = np.array([stretch(colours)])
    unchanged = planes.dtype == np.uint8 and contrast_limits is None

    rgb = np.empty((*planes.shape[:2], 3), np.uint8)
    for tile in tiles(planes.shape[:2]):
        scaled = colours[tile] if unchanged else _scaled(colours[tile], limits)
        if planes.shape[2] <= 2:
            # Magenta is red and blue, grey is all of them. One by one: NumPy takes
            # five times as long to repeat a value three times itself.
            for channel in range(3):
                rgb[tile][..., channel] = scaled[..., channel % planes.shape[2]]
        else:
            rgb[tile] = scaled
        if planes.shape[2] == _MAX_CHANNELS:
            rgb[tile] = over_black(rgb[tile], planes[(*tile, 3)])
    return rgb


def check_rgb(image: NDArray[np.uint8] | Image) -> NDArray[np.uint8]:
    """Take an image that needs no scaling, and refuse any other.

    Parameters
    ----------
    image : ndarray of dtype uint8, or PIL.Image.Image
        Of shape (rows, columns, 3), or (rows, columns) for grey. Pillow's
        images of any mode up to 8 bits are converted as by `to_rgb`.

    Returns
    -------
    ndarray of shape (rows, columns, 3) and dtype uint8
        A C-contiguous copy: changing ``image`` later does not change it.

    Raises
    ------
    ImageError
        If the image is empty or has another dtype or shape; see `to_rgb`.

    Examples
    --------
    >>> check_rgb(np.array([[7, 8]], np.uint8)).tolist()
    [[[7, 7, 7], [8, 8, 8]]]
    """
    array = _as_array(image)
    # Pillow's images with alpha, or of one bit, are 8-bit images all the same.
    if _is_pillow(image) and array.dtype in (np.uint8, np.bool_):
        return to_rgb(array)
    if array.dtype != np.uint8 or (array.ndim != 2 and array.shape[2:] != (3,)):
        raise ImageError(
            f"The image has the dtype {array.dtype} and the shape {array.shape}, not "
            "uint8 and (rows, columns, 3) or (rows, columns); convert it with "
            "napari_sam3.to_rgb(image) first."
        )
    if array.ndim == 2:
        return np.repeat(array[..., np.newaxis], 3, axis=2)
    return np.array(array, order="C")


def _is_pillow(image: Any) -> bool:
    # An array is the common case, and needs no Pillow to be loaded.
    if isinstance(image, np.ndarray):
        return False
    from PIL.Image import Image

    return isinstance(image, Image)


def _as_array(image: Any) -> NDArray[Any]:
    """Return the pixels, at least one, of bool, integers or floats."""
    try:
        array = np.asarray(_simple_mode(image) if _is_pillow(image) else image)
    except (OSError, SyntaxError, TypeError, ValueError) as error:
        raise ImageError(
            f"The image cannot be read as an array ({error}); give a NumPy array "
            "or save it as PNG or TIFF."
        ) from error
    if isinstance(image, str | PurePath):
        raise ImageError(
            f"The image is a path, {str(image)!r}; read the file first, for instance "
            "with skimage.io.imread, and give the array."
        )
    if array.dtype.kind not in "biuf":
        raise ImageError(
            f"The image's dtype is {array.dtype}; give an array of bool, integers "
            "or floats, such as np.abs(image) of complex numbers."
        )
    if array.size == 0:
        raise ImageError(
            f"The image of shape {array.shape} is empty; give at least one pixel."
        )
    return array


def _simple_mode(image: Image) -> Image:
    """Bring palettes, inks and alpha to RGB or RGBA."""
    alpha = image.has_transparency_data
    # Pillow would clip I;16, I and F, its modes of more than 8 bits.
    if image.mode[0] in "IF" or (image.mode in ("1", "L", "RGB") and not alpha):
        return image
    return image.convert("RGBA" if alpha else "RGB")


def _channels_last(array: NDArray[Any], channel_axis: int | None) -> NDArray[Any]:
    """Return a view of shape (rows, columns, channels)."""
    axis = _axis_of_channels(array.shape, channel_axis)
    return array[..., np.newaxis] if axis is None else np.moveaxis(array, axis, -1)


def _axis_of_channels(shape: tuple[int, ...], given: int | None) -> int | None:
    if len(shape) == 2 and given is None:
        return None
    if len(shape) != 3:
        raise ImageError(
            f"The image's shape is {shape}, not (rows, columns), or with channels "
            "three-dimensional; pick one plane, such as image[0], and give "
            "channel_axis only if there are channels."
        )
    if given is not None and given not in range(-3, 3):
        raise ImageError(f"There is no channel_axis {given!r}; give 0, 1 or 2.")
    axis = given
    if axis is None:
        axis = -1 if shape[-1] <= _MAX_CHANNELS else 0
    if shape[axis] > _MAX_CHANNELS:
        raise ImageError(
            f"The image's shape is {shape}, with more than {_MAX_CHANNELS} channels; "
            "pick one plane, such as image[0], or up to three channels, such as "
            "image[..., :3]."
        )
    return axis


def _checked_limits(limits: Any) -> tuple[float, float]:
    try:
        numbers = np.asarray(limits).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.shape != (2,) or not -np.inf < numbers[0] < numbers[1] < np.inf:
        raise ImageError(
            "Contrast limits must be two finite numbers (low, high) with low < high, "
            f"not {limits!r}."
        )
    return float(numbers[0]), float(numbers[1])


def _scaled(values: NDArray[Any], limits: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Map limits of shape (1 or channels, 2) to 0 and 255."""
    scaled = between(values, limits[:, 0], limits[:, 1])
    scaled *= 255
    # Halves go up, as 127.5 would look like a coincidence if it went to even.
    scaled += 0.5
    return scaled.astype(np.uint8)
