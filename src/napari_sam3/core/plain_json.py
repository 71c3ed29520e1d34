"""JSON that people can read: checked values out of it, short lines into it."""

from __future__ import annotations

import json
import math
import reprlib
from typing import Any, TypeVar

from napari_sam3.core.errors import PromptError

__all__ = ["entry", "is_number", "layout"]

_T = TypeVar("_T")

_KIND_NAMES = {
    bool: "true or false",
    dict: "an object",
    float: "a finite number",
    int: "a whole number",
    list: "a list",
    str: "a text",
}
#: Lists and objects that fit into this many characters stay on one line.
_LINE = 100


def is_number(value: Any) -> bool:
    """Tell whether a value read from JSON is a finite number; true is none."""
    if type(value) is int:
        # Python reads whole numbers of any size.
        return abs(value) < 2**63
    return type(value) is float and math.isfinite(value)


def entry(data: Any, key: str, kind: type[_T], owner: str) -> _T:
    """Take an entry out of an object that was read from JSON.

    Parameters
    ----------
    data : object
        What should be an object (a dict) with the entry.
    key : str
        Its name.
    kind : type
        What it must be: bool, dict, float (finite; whole numbers are taken),
        int, list or str.
    owner : str
        What messages call ``data``, such as ``"A point"``.

    Returns
    -------
    object of type ``kind``
        The entry.

    Raises
    ------
    PromptError
        If ``data`` is no object, or has no such entry.
    """
    if not isinstance(data, dict):
        raise PromptError(
            f"{owner} must be an object in braces, not {reprlib.repr(data)}."
        )
    if key not in data:
        raise PromptError(f'{owner} has no "{key}"; add it.')
    value = data[key]
    if kind is float and is_number(value):
        value = float(value)
    elif type(value) is not kind or (kind in (int, float) and not is_number(value)):
        raise PromptError(
            f'"{key}" of {owner[0].lower()}{owner[1:]} is {reprlib.repr(value)}; '
            f"give {_KIND_NAMES[kind]}."
        )
    return value


def layout(value: Any, indent: int = 0) -> str:
    """Write JSON with one thing per line, and short or flat things on one line.

    Parameters
    ----------
    value : object
        Of dicts, lists, strings, finite numbers, booleans and None.
    indent : int
        Spaces before lines after the first one.

    Returns
    -------
    str
        The same text for the same value.

    Examples
    --------
    >>> print(layout({"a": [1, 2], "b": [{"c": 50 * "-"}, {"d": 50 * "-"}]}))
    {
      "a": [1, 2],
      "b": [
        {"c": "--------------------------------------------------"},
        {"d": "--------------------------------------------------"}
      ]
    }
    """
    line = json.dumps(value, allow_nan=False)
    if len(line) <= _LINE or not isinstance(value, dict | list):
        return line
    if isinstance(value, list) and not any(isinstance(v, dict | list) for v in value):
        return line
    inner = indent + 2
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}: {layout(v, inner)}" for k, v in value.items()]
        opened, closed = "{", "}"
    else:
        parts = [layout(part, inner) for part in value]
        opened, closed = "[", "]"
    gap = "\n" + " " * inner
    return f"{opened}{gap}{f',{gap}'.join(parts)}\n{' ' * indent}{closed}"
