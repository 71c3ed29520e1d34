"""Prompts of many objects from a CSV or JSON file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_sam3.cli.drafts import KINDS, Draft
from napari_sam3.core.errors import FileError, PromptError

__all__ = ["read_prompts"]

_COLUMNS = ("object", "kind", "x", "y")
_BOX_COLUMNS = ("x1", "y1")
_KEYS = {"name", "points", "labels", "box"}


def read_prompts(path: Path) -> list[Draft]:
    """Read a file of prompts.

    Parameters
    ----------
    path : Path
        JSON if it ends with ``.json``, else CSV with the columns object, kind
        (point, negative or box), x, y and for boxes x1, y1, separated by commas,
        semicolons or tabs.

    Returns
    -------
    list of Draft
        In the order of their first mention.

    Raises
    ------
    FileError
        If the file cannot be read.
    PromptError
        If it does not hold what it should; the message says where.
    """
    reader = _read_json if path.suffix.lower() == ".json" else _read_csv
    try:
        # Excel marks UTF-8 with a byte order mark.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptError(f"{path} is not UTF-8 text; save it as such.") from error
    except OSError as error:
        raise FileError(
            f"{path} cannot be read ({error.strerror}); check the path."
        ) from error
    try:
        return reader(text)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error


def _read_csv(text: str) -> list[Draft]:
    first = text.partition("\n")[0]
    # Spreadsheets of many countries write semicolons.
    separator = max(",;\t", key=first.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        columns = [name.strip() for name in table.fieldnames or ()]
        missing = [name for name in _COLUMNS if name not in columns]
        if missing:
            raise PromptError(
                f"the column {missing[0]!r} is missing; the first line must be "
                "object,kind,x,y or object,kind,x,y,x1,y1."
            )
        table.fieldnames = columns
        drafts: dict[str, Draft] = {}
        for row in table:
            _add_row(drafts, row, table.line_num)
    except csv.Error as error:
        raise PromptError(f"it is not CSV ({error}); save the table again.") from error
    return list(drafts.values())


def _add_row(drafts: dict[str, Draft], row: Mapping[str, Any], line: int) -> None:
    name, kind = ((row[key] or "").strip() for key in ("object", "kind"))
    if not name:
        raise PromptError(f"line {line} names no object; number or name it.")
    if kind not in KINDS:
        raise PromptError(f"line {line} has the kind {kind!r}; use {', '.join(KINDS)}.")
    columns = ("x", "y") + (_BOX_COLUMNS if kind == "box" else ())
    try:
        numbers = [float(row.get(column) or "") for column in columns]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise PromptError(f"line {line} needs finite numbers in {', '.join(columns)}.")
    try:
        drafts.setdefault(name, Draft(name)).add(kind, numbers)
    except PromptError as error:
        raise PromptError(f"line {line}: {error}") from error


def _read_json(text: str) -> list[Draft]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"it is not JSON ({error}); see segment --help.") from error
    objects = content.get("objects") if isinstance(content, dict) else None
    if not isinstance(objects, list):
        raise PromptError('it has no list "objects"; see segment --help.')
    return [_to_draft(entry, number) for number, entry in enumerate(objects, 1)]


def _to_draft(entry: Any, number: int) -> Draft:
    try:
        if not isinstance(entry, dict) or not _KEYS.issuperset(entry):
            raise PromptError(f"give only the keys {', '.join(sorted(_KEYS))}.")
        draft = Draft(str(entry.get("name", number)))
        points = _list_of(entry.get("points", []), "points")
        labels = _list_of(entry.get("labels", [1] * len(points)), "labels")
        if len(labels) != len(points) or not all(label in (0, 1) for label in labels):
            raise PromptError("give one label, 1 or 0, for each of the points.")
        for point, label in zip(points, labels, strict=True):
            draft.add("point" if label else "negative", _numbers(point, "[x, y]"))
        if entry.get("box") is not None:
            draft.add("box", _numbers(entry["box"], "[x0, y0, x1, y1]"))
    except PromptError as error:
        raise PromptError(f"object {number}: {error}") from error
    return draft


def _list_of(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise PromptError(f'"{key}" must be a list.')
    return value


def _numbers(value: Any, form: str) -> list[float]:
    count = form.count(",") + 1
    if isinstance(value, list) and len(value) == count:
        try:
            # Texts and true or false are numbers for float(), but not here.
            numbers = [float(n) for n in value if type(n) in (int, float)]
        except OverflowError:
            numbers = []
        if len(numbers) == count and all(map(math.isfinite, numbers)):
            return numbers
    raise PromptError(f"{str(value)[:60]} is not {form} of finite numbers.")
