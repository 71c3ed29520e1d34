"""The journal of a Labels layer: kept in the layer, so that it goes where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import pandas as pd
from napari.layers import Labels

from napari_sam3.core.errors import LayerError, PromptError
from napari_sam3.core.journal import Journal, ObjectRecord, Plane
from napari_sam3.core.marks import MaskMark
from napari_sam3.viewer.stacking import OWN_KEY

__all__ = ["forget", "read_journal", "write_record", "write_records"]

#: What our columns hold for rows without a record.
_COLUMNS: Mapping[str, Any] = {
    "sam3_score": float("nan"),
    "sam3_model": "",
    "sam3_prompts": 0,
}

#: Notes of a layer that were read already: by identity, with what they say. To
#: read a thousand takes long enough to be felt.
_KNOWN: WeakKeyDictionary[Labels, dict[int, tuple[Any, ObjectRecord]]] = (
    WeakKeyDictionary()
)


def read_journal(layer: Labels) -> Journal:
    """Return the records of a layer's objects.

    Parameters
    ----------
    layer : napari.layers.Labels
        Its ``metadata["napari_sam3"]`` holds them as `Journal.to_json` gives
        them.

    Returns
    -------
    Journal
        Empty if there is no such entry. Adding to it changes nothing in the
        layer; see `write_records`.

    Raises
    ------
    LayerError
        If the entry is not ours or damaged.
    """
    known = _KNOWN.get(layer, {})
    read: dict[int, tuple[Any, ObjectRecord]] = {}
    notes = _notes(layer)["objects"]
    for number, note in enumerate(notes, 1):
        found = known.get(id(note))
        if found is None or found[0] is not note:
            try:
                found = note, ObjectRecord.from_json(note)
            except PromptError as error:
                raise _unreadable(layer, f"object {number}: {error}") from error
        read[id(note)] = found
    journal = Journal(record for _, record in read.values())
    if len(journal) < len(notes):
        raise _unreadable(layer, "two records are of the same object")
    _KNOWN[layer] = read
    return journal


def write_record(layer: Labels, record: ObjectRecord) -> None:
    """Keep the record of one object; see `write_records`."""
    write_records(layer, [record])


def write_records(layer: Labels, records: Iterable[ObjectRecord]) -> None:
    """Keep records of objects, in place of those of the same label and plane.

    They go to the layer's metadata; its features get a row for each object with
    score (the lowest of its planes), model and number of prompts. Other
    columns and rows of the features stay.

    Parameters
    ----------
    layer : napari.layers.Labels
        With the objects.
    records : iterable of ObjectRecord
        Any number.

    Raises
    ------
    LayerError
        If the layer has an entry that is not ours or damaged; it stays as it is.
    """
    added = list(records)
    if not added:
        return
    journal = read_journal(layer)
    for record in added:
        journal.add(record)
    _keep(layer, journal, {record.label for record in added})


def forget(layer: Labels, label: int, plane: Plane) -> None:
    """Drop the record of an object in one plane, if there is one.

    Parameters
    ----------
    layer : napari.layers.Labels
        With the object.
    label : int
        Its number.
    plane : Plane
        Of the image.

    Raises
    ------
    LayerError
        As in `write_records`.
    """
    journal = read_journal(layer)
    if journal.remove(label, plane) is not None:
        _keep(layer, journal, {label})


def _notes(layer: Labels) -> dict[str, Any]:
    """Return the layer's entry, its outer form checked."""
    if OWN_KEY not in layer.metadata:
        return Journal().to_json()
    notes = layer.metadata[OWN_KEY]
    try:
        Journal.from_json(
            {**notes, "objects": []} if isinstance(notes, dict) else notes
        )
    except PromptError as error:
        raise _unreadable(layer, str(error)) from error
    if not isinstance(notes.get("objects"), list):
        raise _unreadable(layer, 'its "objects" are no list')
    return notes


def _unreadable(layer: Labels, reason: str) -> LayerError:
    return LayerError(
        f"The layer {layer.name!r} has notes that cannot be read ({reason}), so new "
        f"ones would destroy them; take them away with viewer.layers[{layer.name!r}]"
        f".metadata.pop({OWN_KEY!r}), or choose another Labels layer."
    )


def _keep(layer: Labels, journal: Journal, labels: set[int]) -> None:
    """Put a journal into the layer; ``labels`` are those whose records changed."""
    known = {record.key: (note, record) for note, record in _KNOWN[layer].values()}
    pairs = []
    for key, record in journal.items():
        note, earlier = known.get(key, (None, None))
        pairs.append((note if earlier is record else record.to_json(), record))
    notes = {**_notes(layer), "objects": [note for note, _ in pairs]}
    table = _tabulated(layer.features, journal, labels)
    # Another object each time: copies of the layer share the one that they got.
    layer.metadata[OWN_KEY] = notes
    layer.features = table
    _KNOWN[layer] = {id(pair[0]): pair for pair in pairs}


def _tabulated(
    features: pd.DataFrame, journal: Journal, labels: set[int]
) -> pd.DataFrame:
    """Return the features with what the journal says of some labels."""
    # Without an index napari takes the number of the row for the label.
    numbers = list(features.get("index", range(len(features))))
    foreign = features.drop(columns=["index", *_COLUMNS], errors="ignore")
    ours = {
        name: list(features[name]) if name in features else [default] * len(numbers)
        for name, default in _COLUMNS.items()
    }
    records: dict[int, list[ObjectRecord]] = {label: [] for label in sorted(labels)}
    for record in journal.values():
        if record.label in records:
            records[record.label].append(record)
    rows = {number: row for row, number in enumerate(numbers)}
    for label in [one for one, found in records.items() if found and one not in rows]:
        rows[label] = len(numbers)
        numbers.append(label)
        for name, default in _COLUMNS.items():
            ours[name].append(default)
    for label in records.keys() & rows.keys():
        for name, value in _summary(records[label]).items():
            ours[name][rows[label]] = value
    # Rows that are new have no values in the columns of others.
    foreign = foreign.reset_index(drop=True).reindex(range(len(numbers)))
    table = pd.concat([pd.DataFrame({"index": numbers, **ours}), foreign], axis=1)
    lost = [rows[one] for one, found in records.items() if not found and one in rows]
    empty = [row for row in lost if foreign.iloc[row].isna().all()]
    return table.drop(index=empty).reset_index(drop=True)


def _summary(records: list[ObjectRecord]) -> Mapping[str, Any]:
    """Return what our columns say of an object, from its records of all planes."""
    if not records:
        return _COLUMNS
    marks = [mark for record in records for mark in record.dialogue.marks]
    return {
        "sam3_score": min(record.score for record in records),
        "sam3_model": records[-1].model,
        "sam3_prompts": sum(not isinstance(mark, MaskMark) for mark in marks),
    }
