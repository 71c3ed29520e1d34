"""How one channel is shown: limits, gamma, and colours."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError, PromptError
from napari_sam3.core.plain_json import entry, is_number
from napari_sam3.core.scaling import between

__all__ = ["Tint", "ramp"]

#: Levels of a channel, and how many bytes their colours take.
_LEVELS = 256
_COLOUR_BYTES = 3 * _LEVELS
_WHITE = (255, 255, 255)
#: Bytes per value up to which a table of all values is the quicker way.
_TABLE_ITEMSIZE = 2


def ramp(color: Sequence[int]) -> bytes:
    """Return the colours from black to a colour.

    Parameters
    ----------
    color : sequence of int
        Its red, green and blue, 0 to 255.

    Returns
    -------
    bytes
        256 x 3, as `Tint` has them.

    Examples
    --------
    >>> list(ramp((255, 0, 128))[-3:])
    [255, 0, 128]
    """
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    return (levels[:, None] * np.asarray(color) + 0.5).astype(np.uint8).tobytes()


@dataclass(frozen=True, slots=True)
class Tint:
    """How one channel is shown, as napari does it: limits, then gamma, then colours.

    Parameters
    ----------
    limits : tuple of float, optional
        ``(low, high)`` in the channel's own values: ``low`` and below get the first
        colour, ``high`` and above the last one. If they are equal, only what is above
        them gets the last one. Without them `Look.resolved` finds robust ones.
    gamma : float, optional
        Exponent of where a value lies between the limits; above 1 it darkens.
    colors : bytes, optional
        256 x 3 uint8, red, green and blue, from low to high; without them grey. Those
        of grey become None, so that equal tints are equal.

    Raises
    ------
    ImageError
        If the limits are not finite or fall, gamma is not positive, or the colours
        are no such bytes.
    """

    limits: tuple[float, float] | None = None
    gamma: float = 1.0
    colors: bytes | None = None

    def __post_init__(self) -> None:
        """Bring numbers to Python's, and refuse what shows nothing."""
        if self.limits is not None:
            low, high = map(float, self.limits)
            if not -math.inf < low <= high < math.inf:
                raise ImageError(
                    f"The contrast limits are {(low, high)}; give two finite numbers, "
                    "the lower one first."
                )
            object.__setattr__(self, "limits", (low, high))
        object.__setattr__(self, "gamma", float(self.gamma))
        if not 0 < self.gamma < math.inf:
            raise ImageError(f"gamma is {self.gamma}; give a positive number.")
        if self.colors is not None and len(self.colors) != _COLOUR_BYTES:
            raise ImageError(
                f"The colours have {len(self.colors)} bytes; give 256 x 3, from low "
                "to high."
            )
        if self.colors == ramp(_WHITE):
            object.__setattr__(self, "colors", None)

    def levels(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return which of the 256 colours each value gets.

        Parameters
        ----------
        values : ndarray of any shape
            Of bool, integers or floats.

        Returns
        -------
        ndarray of the values' shape and dtype uint8
            0 for NaN.

        Raises
        ------
        ImageError
            If the limits are not known.
        """
        if self.limits is None:
            raise ImageError(
                "The contrast limits are not known yet; call look.resolved(samples)."
            )
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        if values.dtype.kind == "f" or values.dtype.itemsize > _TABLE_ITEMSIZE:
            return _computed(values, self.limits, self.gamma)
        native = values.dtype.newbyteorder("=")
        keys = values.astype(native, copy=False).view(f"u{native.itemsize}")
        return _table(native, self.limits, self.gamma)[keys]

    def render(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours of values, one axis more than `levels`, of size 3."""
        colors = ramp(_WHITE) if self.colors is None else self.colors
        palette = np.frombuffer(colors, np.uint8).reshape(_LEVELS, 3)
        return palette[self.levels(values)]

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has.

        Colours are null for grey, ``"#ff00ff"`` for those from black to one colour,
        and the base64 text of their bytes else.
        """
        colors = None
        if self.colors is not None:
            last = self.colors[-3:]
            is_ramp = self.colors == ramp(tuple(last))
            colors = f"#{last.hex()}" if is_ramp else _as_text(self.colors)
        limits = None if self.limits is None else list(self.limits)
        return {"limits": limits, "gamma": self.gamma, "colors": colors}

    @classmethod
    def from_json(cls, data: Any) -> Tint:
        """Read what `to_json` made; a PromptError says what is wrong."""
        owner = "A channel"
        limits = data.get("limits") if isinstance(data, dict) else None
        if limits is not None:
            limits = entry(data, "limits", list, owner)
            if len(limits) != 2 or not all(map(is_number, limits)):
                raise PromptError(f'"limits" is {limits!r}; give [low, high], or null.')
        gamma = entry(data, "gamma", float, owner)
        colors = data.get("colors")
        if colors is not None:
            colors = _colors_of(entry(data, "colors", str, owner))
        try:
            return cls(None if limits is None else tuple(limits), gamma, colors)
        except ImageError as error:
            raise PromptError(str(error)) from error


def _computed(
    values: NDArray[Any], limits: tuple[float, float], gamma: float
) -> NDArray[np.uint8]:
    scaled = between(values, *limits)
    if gamma != 1:
        scaled **= gamma
    scaled *= _LEVELS - 1
    scaled += 0.5  # halves go up
    return scaled.astype(np.uint8)


@lru_cache(maxsize=16)
def _table(
    dtype: np.dtype[Any], limits: tuple[float, float], gamma: float
) -> NDArray[np.uint8]:
    """Return the levels of all values that a dtype has, by their bits."""
    keys = np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}")
    return _computed(keys.view(dtype), limits, gamma)


def _as_text(colors: bytes) -> str:
    return base64.b64encode(colors).decode("ascii")


def _colors_of(text: str) -> bytes:
    try:
        if text.startswith("#") and len(text) == 7:
            return ramp(tuple(bytes.fromhex(text[1:])))
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise PromptError(
            f'"colors" is {text[:20]!r}; give a colour such as "#ff00ff", base64 of '
            "256 x 3 bytes, or null."
        ) from error
