"""How an accepted object came to be: its plane, prompts, and model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from napari_sam3.core.dialogue import Dialogue
from napari_sam3.core.errors import ModelError, PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.look import Look
from napari_sam3.core.plain_json import entry
from napari_sam3.core.prompt import Box

__all__ = ["ObjectRecord", "Plane"]


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane of an image with any number of axes.

    Parameters
    ----------
    axes : tuple of int
        Which axes of the data are shown as (row, col).
    index : tuple of int or None
        Per axis of the data the index that is shown; None for those two.

    Raises
    ------
    PromptError
        If they do not fit each other.

    Examples
    --------
    >>> Plane((1, 2), (5, None, None)).ndim
    3
    """

    axes: tuple[int, int]
    index: tuple[int | None, ...]

    def __post_init__(self) -> None:
        """Bring numpy's numbers to Python's, and hold both to each other."""
        axes = tuple(int(axis) for axis in self.axes)
        index = tuple(None if i is None else int(i) for i in self.index)
        shown = [axis for axis, i in enumerate(index) if i is None]
        if sorted(axes) != shown or len(shown) != 2:
            raise PromptError(
                f"The axes {axes} and the index {index} are no plane; give two axes, "
                "and None in the index for these two alone."
            )
        if any(i is not None and i < 0 for i in index):
            raise PromptError(f"The index {index} is negative; count from the start.")
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "index", index)

    @property
    def ndim(self) -> int:
        """How many axes the data has."""
        return len(self.index)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has: the two fields as lists."""
        return {"axes": list(self.axes), "index": list(self.index)}

    @classmethod
    def from_json(cls, data: Any) -> Plane:
        """Read what `to_json` made; a PromptError says what is wrong."""
        axes = entry(data, "axes", list, "A plane")
        index = entry(data, "index", list, "A plane")
        if not all(type(i) is int for i in axes + [i for i in index if i is not None]):
            raise PromptError('"axes" and "index" of a plane must be whole numbers.')
        return cls(tuple(axes), tuple(index))


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """What made an accepted object, so that it can be made again.

    Parameters
    ----------
    label : int
        Its id in the labels layer.
    plane : Plane
        Where it lies.
    dialogue : Dialogue
        Its prompts, in pixels of the plane.
    finish : Finish
        Threshold and clean-up.
    model : str
        Catalog id of the model.
    fingerprint : str
        The model's id and a hash of its weights.
    score : float
        Predicted intersection over union with the true object.
    version : str
        Of this software.
    created : str
        Date and time in ISO 8601 with their time zone, UTC.
    alone : bool
        Whether it was made with candidates to choose from; False if it was
        one of many objects at once, which each get the best guess for one step.
    shape : tuple of int, optional
        (rows, columns) of the plane that the prompts were placed on; None if that
        is not known.
    look : Look, optional
        What the model saw of the image; None if that is not known.
    channels : tuple of str
        What the colours were blended from, if from several; empty else.
    field : tuple of float, optional
        ``(row0, col0, row1, col1)`` of the plane: the part that the user saw, for
        models that look at windows which follow it.
    whole : bool
        Whether the model saw the whole plane at once instead of windows.
    area : int, optional
        Pixels of the mask; None if that is not known.

    Raises
    ------
    PromptError
        If a field is not usable.
    """

    label: int
    plane: Plane
    dialogue: Dialogue
    finish: Finish
    model: str
    fingerprint: str
    score: float
    version: str
    created: str
    alone: bool = True
    shape: tuple[int, int] | None = None
    look: Look | None = None
    channels: tuple[str, ...] = ()
    field: Box | None = None
    whole: bool = False
    area: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be read again."""
        object.__setattr__(self, "label", int(self.label))
        object.__setattr__(self, "score", float(self.score))
        if self.label < 1:
            raise PromptError(f"The label {self.label} is no object; count from 1.")
        if not math.isfinite(self.score):
            raise PromptError(f"The score is {self.score}; give a finite number.")
        if self.area is not None:
            object.__setattr__(self, "area", int(self.area))
            if self.area < 1:
                raise PromptError(
                    f"The area is {self.area}; give the pixels of the mask, or None."
                )
        try:
            offset = datetime.fromisoformat(self.created).utcoffset()
        except ValueError:
            offset = None
        if offset is None:
            raise PromptError(
                f'"created" is {self.created!r}; give date, time and time zone, such '
                "as 2026-01-31T12:00:00+00:00."
            )

    @property
    def key(self) -> tuple[int, Plane]:
        """What a journal finds it by."""
        return self.label, self.plane

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has; `Journal` describes them."""
        return {
            "label": self.label,
            "plane": self.plane.to_json(),
            "model": self.model,
            "fingerprint": self.fingerprint,
            "score": self.score,
            "version": self.version,
            "created": self.created,
            "alone": self.alone,
            "shape": None if self.shape is None else list(self.shape),
            "finish": _finish_to_json(self.finish),
            **({} if self.look is None else {"look": self.look.to_json()}),
            **({"channels": list(self.channels)} if self.channels else {}),
            **({} if self.field is None else {"field": list(self.field)}),
            **({"whole": True} if self.whole else {}),
            **({} if self.area is None else {"area": self.area}),
            **self.dialogue.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> ObjectRecord:
        """Read what `to_json` made; a PromptError says what is wrong."""
        owner = "An object"
        return cls(
            label=entry(data, "label", int, owner),
            plane=Plane.from_json(entry(data, "plane", dict, owner)),
            dialogue=Dialogue.from_json(data),
            finish=_finish_from_json(entry(data, "finish", dict, owner)),
            model=entry(data, "model", str, owner),
            fingerprint=entry(data, "fingerprint", str, owner),
            score=entry(data, "score", float, owner),
            version=entry(data, "version", str, owner),
            created=entry(data, "created", str, owner),
            alone=entry(data, "alone", bool, owner),
            shape=_shape_from_json(data, owner),
            look=_look_from_json(data),
            channels=_channels_from_json(data),
            field=_field_from_json(data),
            whole="whole" in data and entry(data, "whole", bool, owner),
            area=entry(data, "area", int, owner) if "area" in data else None,
        )


def _shape_from_json(data: dict[str, Any], owner: str) -> tuple[int, int] | None:
    """Read (rows, columns), or null where they are not known."""
    if "shape" in data and data["shape"] is None:
        return None
    shape = entry(data, "shape", list, owner)
    if len(shape) != 2 or not all(type(one) is int and one > 0 for one in shape):
        raise PromptError(
            f'"shape" is {shape!r}; give [rows, columns] of the plane, or null.'
        )
    return shape[0], shape[1]


def _look_from_json(data: dict[str, Any]) -> Look | None:
    """Read what the model saw; older files do not say it."""
    look = data.get("look")
    return None if look is None else Look.from_json(look)


def _channels_from_json(data: dict[str, Any]) -> tuple[str, ...]:
    names = data.get("channels", [])
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise PromptError(f'"channels" is {names!r}; give a list of names, or none.')
    return tuple(names)


def _field_from_json(data: dict[str, Any]) -> Box | None:
    """Read what the user saw; it is only there where it mattered."""
    field = data.get("field")
    if field is None:
        return None
    are_numbers = isinstance(field, list) and all(
        type(one) in (int, float) and math.isfinite(one) for one in field
    )
    if not are_numbers or len(field) != 4:
        raise PromptError(
            f'"field" is {field!r}; give [row0, col0, row1, col1], or leave it out.'
        )
    row0, col0, row1, col1 = map(float, field)
    return row0, col0, row1, col1


_AREAS = ("max_hole_area", "max_sprinkle_area")


def _finish_to_json(finish: Finish) -> dict[str, Any]:
    areas = {name: getattr(finish, name) for name in _AREAS}
    return {
        "mask_threshold": finish.mask_threshold,
        # JSON knows no infinity.
        **{name: area if math.isfinite(area) else None for name, area in areas.items()},
        "keep_clicked": finish.keep_clicked,
    }


def _finish_from_json(data: dict[str, Any]) -> Finish:
    owner = "The finish"
    threshold = entry(data, "mask_threshold", float, owner)
    hole, sprinkle = (
        math.inf
        if name in data and data[name] is None
        else entry(data, name, float, owner)
        for name in _AREAS
    )
    keep_clicked = entry(data, "keep_clicked", bool, owner)
    try:
        return Finish(threshold, hole, sprinkle, keep_clicked)
    except ModelError as error:
        raise PromptError(str(error)) from error
