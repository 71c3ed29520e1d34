"""The prompts of a session are kept, and come back from a file as they were."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.core.dialogue import Dialogue, Step
from napari_sam3.core.errors import FileError, PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.journal import Journal, ObjectRecord, Plane, agreement
from napari_sam3.core.marks import MaskMark, OutlineMark, PointMark

FLAT = Plane((0, 1), (None, None))
THIRD = Plane((1, 2), (3, None, None))
NINTH = Plane((1, 2), (9, None, None))


def record(label=1, plane=FLAT, **changes) -> ObjectRecord:
    steps = Dialogue((Step((PointMark(1.25, 2), PointMark(3, 4, False))),))
    known = ObjectRecord(
        label,
        plane,
        steps,
        Finish(),
        model="nano",
        fingerprint="nano-0123",
        score=0.93,
        version="0.1",
        created="2026-01-31T12:00:00+00:00",
    )
    return replace(known, **changes)


def rich() -> Journal:
    mask = MaskMark.from_mask(np.eye(40, dtype=bool), (0, 0, 40, 40))
    turn = np.linspace(0, 6, 50)
    outline = OutlineMark(np.stack([9 + np.sin(turn), 9 + np.cos(turn)], 1))
    steps = Dialogue((Step((mask,)), Step((outline, PointMark(1, 2)), 2)))
    return Journal([record(2, NINTH), record(), record(2, THIRD, dialogue=steps)])


# ---- a mapping --------------------------------------------------------------


def test_records_are_found_by_label_and_plane():
    one, other = record(1, THIRD), record(1, NINTH)
    journal = Journal([one, other])
    assert journal[1, THIRD] is one
    assert list(journal) == [(1, THIRD), (1, NINTH)]
    assert len(journal) == 2
    assert (1, FLAT) not in journal


def test_a_record_takes_the_place_of_another():
    journal = Journal()
    first, second = record(score=0.5), record(score=0.6)
    assert journal.add(first) is None
    assert journal.add(second) is first
    assert list(journal.values()) == [second]


def test_records_are_removed():
    journal = Journal([record()])
    assert journal.remove(1, FLAT) == record()
    assert journal.remove(1, FLAT) is None
    assert not journal


def test_a_label_may_lie_in_several_planes():
    journal = Journal([record(1, NINTH), record(2, THIRD), record(1, THIRD)])
    assert [found.plane for found in journal.for_label(1)] == [THIRD, NINTH]
    assert journal.for_label(7) == []


# ---- files ------------------------------------------------------------------


def test_a_journal_comes_back(tmp_path):
    path = tmp_path / "prompts.json"
    for journal in (Journal(), rich()):
        journal.save(path)
        assert Journal.load(path) == journal
    assert Journal.load(str(path)) == rich()


def test_a_file_is_the_same_for_the_same_records(tmp_path):
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    rich().save(one)
    Journal(reversed(list(rich().values()))).save(other)
    assert one.read_bytes() == other.read_bytes()


def test_a_file_can_be_read_by_people(tmp_path):
    path = tmp_path / "prompts.json"
    Journal([record()]).save(path)
    assert path.read_text(encoding="utf-8") == (
        """\
{
  "format": "napari-sam3 prompts",
  "format_version": 1,
  "objects": [
    {
      "label": 1,
      "plane": {"axes": [0, 1], "index": [null, null]},
      "model": "nano",
      "fingerprint": "nano-0123",
      "score": 0.93,
      "version": "0.1",
      "created": "2026-01-31T12:00:00+00:00",
      "alone": true,
      "shape": null,
      "finish": {"mask_threshold": 0.0, "max_hole_area": 256.0, \
"max_sprinkle_area": 0.0, "keep_clicked": false},
      "steps": [
        {
          "marks": [
            {"kind": "point", "row": 1.25, "col": 2.0, "positive": true},
            {"kind": "point", "row": 3.0, "col": 4.0, "positive": false}
          ],
          "choice": 0
        }
      ]
    }
  ]
}
"""
    )


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "prompts.json"
    rich().save(path)

    def fail(self, target):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(FileError, match=r"cannot be written .Permission denied"):
        Journal().save(path)
    monkeypatch.undo()
    assert Journal.load(path) == rich()
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_entries_are_left_out(tmp_path):
    data = rich().to_json() | {"note": "mine"}
    data["objects"][0]["note"] = "a large one"
    path = tmp_path / "prompts.json"
    path.write_text("\ufeff" + json.dumps(data), encoding="utf-8")
    assert Journal.load(path) == rich()


def changed(**entries):
    return json.dumps(rich().to_json() | entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON .*use another copy"),
        (changed()[:-40], "is not JSON .*use another copy"),
        ("[" * 100_000, "is not JSON .*use another copy"),
        (b"\xff\xfe{}", "is not JSON .*use another copy"),
        ("[]", "holds no prompts: .*choose a file that napari-sam3 exported"),
        ("{}", "holds no prompts: .*choose a file that napari-sam3 exported"),
        (changed(format="other"), "choose a file that napari-sam3 exported"),
        (
            changed(format_version=2),
            "the format 2, .* reads up to 1; update napari-sam3",
        ),
        (changed(format_version="1"), '"format_version" of the file is .*give a whole'),
        (changed(objects={}), '"objects" of the file is .*; give a list'),
        (changed(objects=[{}]), 'object 1: An object has no "label"; add it'),
        (changed(objects=[record().to_json()] * 2), "object 2 has the label 1 in the"),
        (changed(objects=[record().to_json(), 3]), "object 2: An object must be an"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, text, message):
    path = tmp_path / "prompts.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FileError, match=message) as caught:
        Journal.load(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(
        FileError, match=r"cannot be read .No such file.*check the path"
    ):
        Journal.load(tmp_path / "none.json")


def test_json_that_is_no_journal_is_refused():
    with pytest.raises(PromptError, match="choose a file"):
        Journal.from_json(None)


# ---- agreement --------------------------------------------------------------

WHOLE = np.ones((4, 4), bool)


@pytest.mark.parametrize(
    ("corner", "expected"), [((0, 0), 1), ((2, 0), 8 / 24), ((4, 0), 0), ((9, 9), 0)]
)
def test_agreement_is_the_shared_part(corner, expected):
    row, col = corner
    value = agreement(WHOLE, (0, 0, 4, 4), WHOLE, (row, col, row + 4, col + 4))
    assert value == pytest.approx(expected)
    assert type(value) is float


def test_agreement_does_not_depend_on_the_crops():
    padded = np.pad(WHOLE, ((3, 1), (2, 5)))
    assert agreement(WHOLE, (3, 2, 7, 6), padded, (0, 0, 8, 11)) == 1
    assert agreement(padded, (0, 0, 8, 11), WHOLE, (3, 2, 7, 6)) == 1


def test_two_empty_masks_agree():
    nothing = np.zeros((2, 2), bool)
    assert agreement(nothing, (0, 0, 2, 2), nothing, (5, 5, 7, 7)) == 1
    assert agreement(nothing, (0, 0, 2, 2), WHOLE, (0, 0, 4, 4)) == 0
