"""The prompts of all accepted objects, to keep, to read and to run again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import FileError, PromptError
from napari_sam3.core.files import write_atomically
from napari_sam3.core.plain_json import entry, layout
from napari_sam3.core.record import ObjectRecord, Plane

__all__ = ["Journal", "ObjectRecord", "Plane", "agreement"]

#: What the file says it is.
_FORMAT = "napari-sam3 prompts"
#: Number of the schema; it rises when older versions could not read it.
_VERSION = 1


class Journal(Mapping[tuple[int, Plane], ObjectRecord]):
    """Records of objects by label and plane.

    Parameters
    ----------
    records : iterable of ObjectRecord
        Of equal label and plane the last one counts.

    Notes
    -----
    As JSON, in UTF-8, with one object of the image per entry of ``"objects"``,
    ordered by label and plane::

        {
            "format": "napari-sam3 prompts",
            "format_version": 1,
            "objects": [
                {
                    "label": 1,
                    "plane": {"axes": [1, 2], "index": [5, null, null]},
                    "model": "nano",
                    "fingerprint": "nano-0123456789ab",
                    "score": 0.93,
                    "version": "0.1.0",
                    "created": "2026-01-31T12:00:00+00:00",
                    "alone": true,
                    "shape": [512, 512],
                    "finish": {
                        "mask_threshold": 0.0,
                        "max_hole_area": 256.0,
                        "max_sprinkle_area": 0.0,
                        "keep_clicked": false,
                    },
                    "steps": [
                        {
                            "marks": [
                                {
                                    "kind": "point",
                                    "row": 60.0,
                                    "col": 70.0,
                                    "positive": true,
                                }
                            ],
                            "choice": 0,
                        }
                    ],
                }
            ],
        }

    ``axes`` are those of the image's data that are shown as rows and columns,
    ``index`` where the plane lies on the other ones. All coordinates are pixels
    of the plane, rows first; a pixel's centre has whole numbers. Each step's
    marks were placed together, and ``choice`` is the candidate that was shown
    then, 0 the first. Marks are, by their ``"kind"``:

    ``point``
        ``row``, ``col``, ``positive`` (true on the object).
    ``box``
        ``row0``, ``col0``, ``row1``, ``col1``: half-open pixel edges.
    ``outline``
        ``vertices``: a list of [row, col].
    ``mask``
        An object that was there and got refined: ``bbox`` as of a box, ``score``,
        and ``runs``: row by row, how many pixels are background, then how many
        are object, and so on in turns.

    Areas of ``finish`` are in pixels; null is without limit. ``alone`` is false
    for objects that were made many at once, from one step and without
    candidates. ``shape`` is (rows, columns) of the plane, or null.

    Six more entries are only there where they say something. ``look`` is how the
    model saw the pixels: ``channels``, a list of ``limits`` ([low, high], or null for
    robust percentiles), ``gamma`` and ``colors`` (null for grey, the brightest colour
    of a ramp such as "#ff00ff", or a table of 256 RGB colours in base64), and
    ``inverted``; ``channels`` of the object itself are their names, where there are
    several. ``field`` is the part of the plane that the user saw, [row0, col0,
    row1, col1], from which the model's windows follow. ``whole`` is true where it saw
    the whole plane at once. ``area`` is how many pixels the mask has. ``size_hint`` is
    what the model was told of the size: ``sizes_px``, square roots of the areas of
    objects accepted before, and ``view_px``, the shorter side of what the user saw of
    the plane, or null. Entries that are not named here are left out when it is
    read.
    """

    def __init__(self, records: Iterable[ObjectRecord] = ()) -> None:
        self._records = {record.key: record for record in records}

    def __getitem__(self, key: tuple[int, Plane]) -> ObjectRecord:
        """Return the record of a label in a plane."""
        return self._records[key]

    def __iter__(self) -> Iterator[tuple[int, Plane]]:
        """Go through labels and planes in the order in which they were added."""
        return iter(self._records)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def add(self, record: ObjectRecord) -> ObjectRecord | None:
        """Add a record.

        Parameters
        ----------
        record : ObjectRecord
            Of an accepted object.

        Returns
        -------
        ObjectRecord or None
            The one of the same label and plane, whose place it takes.
        """
        replaced = self._records.get(record.key)
        self._records[record.key] = record
        return replaced

    def remove(self, label: int, plane: Plane) -> ObjectRecord | None:
        """Remove a record, and return it; None if there is none."""
        return self._records.pop((label, plane), None)

    def for_label(self, label: int) -> list[ObjectRecord]:
        """Return the records of a label in all planes, in order of the planes."""
        found = [record for record in self._records.values() if record.label == label]
        return sorted(found, key=_order)

    def to_json(self) -> dict[str, Any]:
        """Return values that JSON has; the same ones for equal journals."""
        records = sorted(self._records.values(), key=_order)
        return {
            "format": _FORMAT,
            "format_version": _VERSION,
            "objects": [record.to_json() for record in records],
        }

    @classmethod
    def from_json(cls, data: Any) -> Journal:
        """Read what `to_json` made.

        Parameters
        ----------
        data : object
            As a JSON reader gives it.

        Raises
        ------
        PromptError
            If it is something else; the message says where.
        """
        if not isinstance(data, dict) or data.get("format") != _FORMAT:
            raise PromptError(
                f'it does not say "format": "{_FORMAT}"; choose a file that '
                "napari-sam3 exported."
            )
        version = entry(data, "format_version", int, "The file")
        if version > _VERSION:
            raise PromptError(
                f"it has the format {version}, but this napari-sam3 reads up to "
                f"{_VERSION}; update napari-sam3."
            )
        journal = cls()
        objects = entry(data, "objects", list, "The file")
        for number, item in enumerate(objects, 1):
            try:
                twin = journal.add(ObjectRecord.from_json(item))
            except PromptError as error:
                raise PromptError(f"object {number}: {error}") from error
            if twin is not None:
                raise PromptError(
                    f"object {number} has the label {twin.label} in the same plane as "
                    "an object before; remove one of both."
                )
        return journal

    def save(self, path: Path | str) -> None:
        """Write a file, whole or not at all.

        Parameters
        ----------
        path : path or str
            An earlier file of that name is replaced.

        Raises
        ------
        FileError
            If it cannot be written.
        """
        text = layout(self.to_json()) + "\n"
        write_atomically(Path(path), lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, path: Path | str) -> Journal:
        """Read a file.

        Parameters
        ----------
        path : path or str
            That `save` wrote.

        Raises
        ------
        FileError
            If it cannot be read, is damaged, or is of a newer version.
        """
        path = Path(path)
        try:
            # Editors of Windows mark UTF-8 with a byte order mark.
            return cls.from_json(json.loads(path.read_text(encoding="utf-8-sig")))
        except OSError as error:
            raise FileError(
                f"{path} cannot be read ({error.strerror}); check the path."
            ) from error
        except PromptError as error:
            raise FileError(f"{path} holds no prompts: {error}") from error
        except (ValueError, RecursionError) as error:
            raise FileError(
                f"{path} is not JSON ({error}); it is damaged; use another copy of it."
            ) from error


def _order(record: ObjectRecord) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    plane = record.plane
    return record.label, plane.axes, tuple(-1 if i is None else i for i in plane.index)


def agreement(
    mask_a: NDArray[np.bool_],
    bbox_a: tuple[int, int, int, int],
    mask_b: NDArray[np.bool_],
    bbox_b: tuple[int, int, int, int],
) -> float:
    """Return how far two masks are the same: their intersection over union.

    Parameters
    ----------
    mask_a, mask_b : ndarray of dtype bool
        Crops of the same plane.
    bbox_a, bbox_b : tuple of int
        ``(row0, col0, row1, col1)`` of the crops, half-open.

    Returns
    -------
    float
        0 to 1; 1 also if both are empty.

    Examples
    --------
    >>> row = np.ones((1, 4), bool)
    >>> agreement(row, (0, 0, 1, 4), row[:, :2], (0, 2, 1, 4))
    0.5
    """
    row0, col0 = max(bbox_a[0], bbox_b[0]), max(bbox_a[1], bbox_b[1])
    row1, col1 = min(bbox_a[2], bbox_b[2]), min(bbox_a[3], bbox_b[3])
    shared = 0
    if row1 > row0 and col1 > col0:
        parts = (
            mask[row0 - top : row1 - top, col0 - left : col1 - left]
            for mask, (top, left, _, _) in ((mask_a, bbox_a), (mask_b, bbox_b))
        )
        shared = int(np.logical_and(*parts).sum())
    union = int(mask_a.sum()) + int(mask_b.sum()) - shared
    return shared / union if union else 1.0
