"""What is kept of an object is checked, and the same after JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.errors import PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.hint import SizeHint
from napari_sam3.core.look import Look, Tint, ramp
from napari_sam3.core.marks import BoxMark, PointMark
from napari_sam3.core.record import ObjectRecord, Plane

PLANE = Plane((1, 2), (5, None, None))
RECORD = ObjectRecord(
    label=3,
    plane=PLANE,
    dialogue=Dialogue((Step((PointMark(1, 2),)), Step((BoxMark(0, 0, 9, 9),), 1))),
    finish=Finish(max_hole_area=math.inf, keep_clicked=True),
    model="nano",
    fingerprint="nano-0123",
    score=0.93,
    version="0.1",
    created="2026-01-31T12:00:00+00:00",
    alone=False,
    look=Look((Tint((0, 4000), 0.5), Tint((1, 2), 1, ramp((255, 0, 255)))), True),
    channels=("nuclei", "membranes"),
    field=(0.0, 10.0, 500.0, 700.0),
    whole=True,
)


@pytest.mark.parametrize(
    "plane",
    [PLANE, Plane((0, 1), (None, None)), Plane((3, 1), (0, None, 7, None))],
)
def test_a_plane_survives_json(plane):
    again = Plane.from_json(json.loads(json.dumps(plane.to_json())))
    assert again == plane
    assert hash(again) == hash(plane)
    assert again.ndim == len(plane.index)


def test_a_planes_numbers_become_pythons():
    plane = Plane(np.array([1, 2]), (np.int64(5), None, None))
    assert plane == PLANE
    assert type(plane.index[0]) is type(plane.axes[0]) is int


@pytest.mark.parametrize(
    ("axes", "index"),
    [
        ((0, 1), (5, None, None)),
        ((1, 1), (5, None, None)),
        ((1, 2), (None, None, None)),
        ((1,), (5, None)),
        ((1, 3), (5, None, None)),
        ((1, 2), (-1, None, None)),
    ],
)
def test_what_is_no_plane_is_refused(axes, index):
    with pytest.raises(PromptError):
        Plane(axes, index)


@pytest.mark.parametrize("axes", [[1.0, 2], ["1", 2], [True, 2]])
def test_a_plane_has_whole_numbers(axes):
    with pytest.raises(PromptError, match="must be whole numbers"):
        Plane.from_json({"axes": axes, "index": [5, None, None]})


def test_a_record_survives_json():
    text = json.dumps(RECORD.to_json(), allow_nan=False)
    assert ObjectRecord.from_json(json.loads(text)) == RECORD
    assert RECORD.key == (3, PLANE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 0}, "count from 1"),
        ({"score": math.nan}, "give a finite number"),
        ({"created": "yesterday"}, "give date, time and time zone"),
        ({"created": "2026-01-31T12:00:00"}, "give date, time and time zone"),
    ],
)
def test_what_could_not_be_used_is_refused(change, message):
    with pytest.raises(PromptError, match=message):
        replace(RECORD, **change)


@pytest.mark.parametrize(
    "key", sorted(RECORD.to_json().keys() - {"look", "channels", "field", "whole"})
)
def test_every_entry_is_needed(key):
    data = RECORD.to_json()
    del data[key]
    with pytest.raises(PromptError, match=f'has no "{key}"; add it'):
        ObjectRecord.from_json(data)


@pytest.mark.parametrize("key", RECORD.to_json()["finish"])
def test_every_entry_of_the_finish_is_needed(key):
    data = RECORD.to_json()
    del data["finish"][key]
    with pytest.raises(PromptError, match=f'The finish has no "{key}"'):
        ObjectRecord.from_json(data)


def test_a_finish_that_is_none_is_refused():
    data = RECORD.to_json()
    data["finish"]["max_sprinkle_area"] = -1
    with pytest.raises(PromptError, match="max_sprinkle_area is -1"):
        ObjectRecord.from_json(data)


def test_older_records_do_not_say_what_the_model_saw():
    unknown = replace(RECORD, look=None)
    assert "look" not in unknown.to_json()
    assert ObjectRecord.from_json(unknown.to_json()) == unknown
    assert ObjectRecord.from_json({**RECORD.to_json(), "look": None}) == unknown


def test_a_look_that_is_none_is_refused():
    data = RECORD.to_json()
    data["look"]["channels"][0]["gamma"] = 0
    with pytest.raises(PromptError, match=r"gamma is 0.0; give a positive number"):
        ObjectRecord.from_json(data)


@pytest.mark.parametrize("field", ["all", [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, None]])
def test_a_field_of_view_has_four_numbers(field):
    data = RECORD.to_json() | {"field": field}
    with pytest.raises(PromptError, match="row0, col0, row1, col1"):
        ObjectRecord.from_json(data)


def test_what_did_not_matter_is_left_out_and_older_records_are_read():
    plain = replace(RECORD, look=None, channels=(), field=None, whole=False)
    data = plain.to_json()
    assert not {"look", "channels", "field", "whole"} & set(data)
    assert ObjectRecord.from_json(data) == plain


def test_what_was_known_of_the_size_survives_json():
    dialogue = replace(RECORD.dialogue, size_hint=SizeHint((20, 31.4), 512))
    record = replace(RECORD, dialogue=dialogue, area=np.int64(400))
    again = ObjectRecord.from_json(json.loads(json.dumps(record.to_json())))
    assert again == record
    assert again.dialogue.size_hint == SizeHint((20, 31.4), 512)
    assert again.area == 400


def test_records_of_older_versions_know_no_size():
    data = RECORD.to_json()
    assert not {"area", "size_hint"} & data.keys()
    again = ObjectRecord.from_json(data)
    assert (again.area, again.dialogue.size_hint) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("area", 0),
        ("area", "400"),
        ("size_hint", [20]),
        ("size_hint", {"sizes_px": [0], "view_px": None}),
    ],
)
def test_sizes_that_are_none_are_refused(name, value):
    with pytest.raises(PromptError):
        ObjectRecord.from_json({**RECORD.to_json(), name: value})
