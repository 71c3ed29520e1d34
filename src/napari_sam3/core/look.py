"""What a model sees of an image: how its values become colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError, PromptError
from napari_sam3.core.plain_json import entry
from napari_sam3.core.scaling import over_black, stretch, tiles
from napari_sam3.core.tint import Tint, ramp

__all__ = ["MAX_CHANNELS", "Look", "Tint", "ramp"]

#: As many as a picture has colours.
MAX_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Look:
    """How one to three channels become RGB.

    The colours of the channels are added up. It depends on nothing else than the
    values of a pixel, so a window of a plane looks like that part of the plane.

    Parameters
    ----------
    tints : tuple of Tint, optional
        One per channel. None at all are for an RGB image whose colours are taken as
        they are: integers up to the highest value of their dtype, floats up to 1.
    inverted : bool, optional
        Whether dark and bright are exchanged at last: 255 - RGB.

    Raises
    ------
    ImageError
        If there are more than three channels.

    Examples
    --------
    >>> Look((Tint((0, 4000)),)).render([np.array([[0, 1000, 9000]])])[0, :, 0].tolist()
    [0, 64, 255]
    """

    tints: tuple[Tint, ...] = (Tint(),)
    inverted: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no picture."""
        object.__setattr__(self, "tints", tuple(self.tints))
        object.__setattr__(self, "inverted", bool(self.inverted))
        if len(self.tints) > MAX_CHANNELS:
            raise ImageError(
                f"There are {len(self.tints)} channels; blend up to {MAX_CHANNELS}."
            )

    @property
    def is_resolved(self) -> bool:
        """Whether the limits of all channels are known."""
        return all(tint.limits is not None for tint in self.tints)

    def resolved(self, samples: Sequence[NDArray[Any]]) -> Look:
        """Return this look with limits for channels that have none.

        Parameters
        ----------
        samples : sequence of ndarray
            Values of each channel, of any shape; of an RGB image (rows, columns, 3
            or 4). Those of channels that have limits are not looked at.

        Returns
        -------
        Look
            With limits as `to_rgb` finds them: 0 and 1 for bool, 0 and 255 for uint8,
            else those that leave out the lowest and the highest 0.1 % of the finite
            values. Where all values are equal, they are the lower limit.

        Raises
        ------
        ImageError
            If the number of samples is another than that of channels, or a sample
            has values that are no numbers.
        """
        if len(samples) != len(self.tints) and not self.is_resolved:
            raise ImageError(
                f"There are {len(samples)} samples for {len(self.tints)} channels; "
                "give one each."
            )
        if self.is_resolved:
            return self
        pairs = zip(self.tints, samples, strict=True)
        return replace(
            self,
            tints=tuple(
                tint if tint.limits else replace(tint, limits=_robust_limits(sample))
                for tint, sample in pairs
            ),
        )

    def render(self, planes: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        """Return the picture.

        Parameters
        ----------
        planes : sequence of ndarray
            One per channel, each (rows, columns) of bool, integers or floats. An RGB
            image is one plane of shape (rows, columns, 3 or 4): limits and gamma are
            common to its colours then, and what is not opaque is laid over black.

        Returns
        -------
        ndarray of shape (rows, columns, 3) and dtype uint8
            C-contiguous, and never a view of the planes. NaN and -inf are at the low
            end of their channel, +inf at its high end.

        Raises
        ------
        ImageError
            If limits are missing, or the planes are not as described.
        """
        arrays = [_numbers(plane) for plane in planes]
        self._check(arrays)
        rows, cols = arrays[0].shape[:2]
        rgb = np.empty((rows, cols, 3), np.uint8)
        for tile in tiles((rows, cols)):
            self._paint(rgb[tile], [array[tile] for array in arrays])
        if self.inverted:
            np.subtract(255, rgb, out=rgb)
        return rgb

    def _check(self, arrays: Sequence[NDArray[Any]]) -> None:
        if not self.is_resolved:
            raise ImageError(
                "The contrast limits are not known yet; call look.resolved(samples)."
            )
        shapes = [array.shape for array in arrays]
        wanted = max(1, len(self.tints))
        if wanted == len(shapes) == 1 and shapes[0][2:] in ((3,), (4,)):
            if self.tints and self.tints[0].colors is not None:
                raise ImageError("An RGB image has its own colours; give it no others.")
        elif not self.tints:
            raise ImageError(
                f"The planes have the shapes {shapes}; give one of shape "
                "(rows, columns, 3) or (rows, columns, 4)."
            )
        elif len(shapes) != wanted or len({*shapes}) > 1 or len(shapes[0]) != 2:
            raise ImageError(
                f"The planes have the shapes {shapes}; give {wanted}, one per channel, "
                "of the same shape (rows, columns)."
            )

    def _paint(self, rgb: NDArray[np.uint8], tile: Sequence[NDArray[Any]]) -> None:
        if tile[0].ndim == 3:
            rgb[...] = self._colours(tile[0])
        elif len(tile) > 1:
            # Three times 255 is more than 8 bits hold.
            total = np.zeros(rgb.shape, np.uint16)
            for tint, values in zip(self.tints, tile, strict=True):
                total += tint.render(values)
            rgb[...] = np.minimum(total, 255, out=total)
        elif self.tints[0].colors is not None:
            rgb[...] = self.tints[0].render(tile[0])
        else:
            # One by one: NumPy takes five times as long to repeat a value itself.
            grey = self.tints[0].levels(tile[0])
            for channel in range(3):
                rgb[..., channel] = grey

    def _colours(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours of an RGB or RGBA image."""
        tint = self.tints[0] if self.tints else Tint(_full_range(values.dtype))
        rgb = tint.levels(values[..., :3])
        return over_black(rgb, values[..., 3]) if values.shape[2] == 4 else rgb

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has."""
        return {
            "channels": [tint.to_json() for tint in self.tints],
            "inverted": self.inverted,
        }

    @classmethod
    def from_json(cls, data: Any) -> Look:
        """Read what `to_json` made; a PromptError says what is wrong."""
        channels = entry(data, "channels", list, "A look")
        inverted = entry(data, "inverted", bool, "A look")
        try:
            return cls(tuple(map(Tint.from_json, channels)), inverted)
        except ImageError as error:
            raise PromptError(str(error)) from error


def _numbers(plane: Any) -> NDArray[Any]:
    array = np.asarray(plane)
    if array.dtype.kind not in "biuf" or array.size == 0:
        raise ImageError(
            f"A channel has the dtype {array.dtype} and the shape {array.shape}; give "
            "at least one pixel, of bool, integers or floats."
        )
    return array


def _robust_limits(sample: Any) -> tuple[float, float]:
    values = np.asarray(sample)
    if values.size == 0:
        return 0.0, 1.0
    values = _numbers(values)
    if values.ndim == 3 and values.shape[2] == 4:
        values = values[..., :3]  # opacity is no brightness
    low, high = stretch(values if values.ndim in (2, 3) else values.reshape(1, -1))
    if low == high:
        # Where numbers are huge, the next larger one is further than 1 away.
        beyond = max(low + 1, math.nextafter(low, math.inf))
        high = beyond if math.isfinite(beyond) else high
    return low, high


def _full_range(dtype: np.dtype[Any]) -> tuple[float, float]:
    return 0.0, float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
