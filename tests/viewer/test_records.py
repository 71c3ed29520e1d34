"""The journal goes where the Labels layer goes, and harms nothing else in it."""

from __future__ import annotations

import json
import time

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from napari_sam3.core.dialogue import Dialogue
from napari_sam3.core.errors import LayerError
from napari_sam3.core.finish import Finish
from napari_sam3.core.journal import Journal, ObjectRecord, Plane
from napari_sam3.core.marks import MaskMark, PointMark
from napari_sam3.viewer.records import (
    forget,
    read_journal,
    write_record,
    write_records,
)

PLANES = [Plane((1, 2), (z, None, None)) for z in range(3)]


def record(label, plane=PLANES[0], score=0.5, marks=None, model="nano"):
    marks = marks or [PointMark(3, 4), PointMark(5, 6, False)]
    return ObjectRecord(
        label=label,
        plane=plane,
        dialogue=Dialogue().advance(marks),
        finish=Finish(),
        model=model,
        fingerprint="nano-0123",
        score=score,
        version="0.1.0",
        created="2026-01-31T12:00:00+00:00",
    )


@pytest.fixture
def layer():
    return ViewerModel().add_labels(np.zeros((3, 8, 10), np.uint16), name="cells")


def row(layer, label):
    table = layer.features
    return table[table["index"] == label].iloc[0]


def test_a_layer_without_notes_has_an_empty_journal(layer):
    assert read_journal(layer) == Journal()
    assert layer.metadata == {}
    assert layer.features.empty


def test_records_are_read_again(layer):
    records = [record(4), record(7), record(4, PLANES[1])]

    write_records(layer, records[:2])
    write_record(layer, records[2])

    assert read_journal(layer) == Journal(records)


def test_notes_are_what_json_has(layer):
    write_records(layer, [record(4), record(7)])
    text = json.dumps(layer.metadata)

    other = Labels(layer.data, metadata=json.loads(text))

    assert read_journal(other) == read_journal(layer)
    assert layer.metadata["napari_sam3"] == Journal([record(4), record(7)]).to_json()


def test_copies_of_a_layer_go_their_own_way(layer):
    write_record(layer, record(4))
    copy = Layer.create(*layer.as_layer_data_tuple())
    assert read_journal(copy) == Journal([record(4)])

    write_record(copy, record(5))

    assert read_journal(layer) == Journal([record(4)])
    assert list(layer.features["index"]) == [4]


def test_a_record_takes_the_place_of_the_one_before(layer):
    write_record(layer, record(4, score=0.5))

    write_record(layer, record(4, score=0.9))

    assert read_journal(layer) == Journal([record(4, score=0.9)])
    assert list(layer.features["index"]) == [4]
    assert row(layer, 4)["sam3_score"] == 0.9


def test_what_is_read_can_be_changed_without_harm(layer):
    write_record(layer, record(4))

    read_journal(layer).add(record(5))

    assert read_journal(layer) == Journal([record(4)])


def test_notes_changed_by_others_are_read_anew(layer):
    write_record(layer, record(4))
    read_journal(layer)

    layer.metadata = {"napari_sam3": Journal([record(9)]).to_json()}

    assert read_journal(layer) == Journal([record(9)])


def test_features_have_a_row_for_each_object(layer):
    mask = MaskMark.from_mask(np.ones((2, 2), bool), (0, 0, 2, 2), 0.4)

    write_records(
        layer,
        [
            record(4, score=0.75),
            record(7, PLANES[0], score=0.5, marks=[mask, PointMark(1, 1)]),
            record(7, PLANES[1], score=0.25, model="sam3"),
        ],
    )

    table = layer.features
    assert table["index"].dtype == np.int64
    assert table["sam3_score"].dtype == np.float64
    assert table.to_dict("list") == {
        "index": [4, 7],
        "sam3_score": [0.75, 0.25],
        "sam3_model": ["nano", "sam3"],
        "sam3_prompts": [2, 3],
    }


def test_other_features_stay(layer):
    layer.features = pd.DataFrame(
        {
            "index": [7, 2],
            "area": [10, 20],
            "kind": pd.Categorical(["a", "b"]),
        }
    )

    write_records(layer, [record(2, score=0.75), record(4, score=0.5)])

    table = layer.features
    assert list(table["index"]) == [7, 2, 4]
    assert table["area"].tolist()[:2] == [10, 20]
    assert np.isnan(table["area"].iloc[2])
    assert table["kind"].tolist()[:2] == ["a", "b"]
    assert isinstance(table["kind"].dtype, pd.CategoricalDtype)
    assert np.isnan(row(layer, 7)["sam3_score"])
    assert row(layer, 7)["sam3_prompts"] == 0
    assert row(layer, 2)["sam3_score"] == 0.75
    assert row(layer, 2)["area"] == 20


def test_features_without_index_keep_their_labels(layer):
    layer.features = {"area": [0, 11, 22, 33]}  # row 3 is of label 3

    write_records(layer, [record(3), record(9)])

    assert row(layer, 3)["area"] == 33
    assert list(layer.features["index"]) == [0, 1, 2, 3, 9]


def test_a_column_of_the_same_name_takes_any_values(layer):
    layer.features = pd.DataFrame({"index": [5, 6], "sam3_score": ["good", "bad"]})

    write_record(layer, record(6, score=0.75))

    assert layer.features["sam3_score"].tolist() == ["good", 0.75]


def test_forgetting_removes_record_and_row(layer):
    write_records(layer, [record(4), record(7), record(7, PLANES[1], score=0.75)])

    forget(layer, 4, PLANES[0])
    forget(layer, 7, PLANES[0])
    forget(layer, 99, PLANES[0])

    assert read_journal(layer) == Journal([record(7, PLANES[1], score=0.75)])
    assert list(layer.features["index"]) == [7]
    assert row(layer, 7)["sam3_score"] == 0.75


def test_forgetting_leaves_rows_with_values_of_others(layer):
    layer.features = {"index": [4], "area": [10]}
    write_record(layer, record(4))

    forget(layer, 4, PLANES[0])

    assert layer.features["area"].tolist() == [10]
    assert np.isnan(row(layer, 4)["sam3_score"])
    assert row(layer, 4)["sam3_model"] == ""


def damaged(change):
    notes = Journal([record(4), record(5)]).to_json()
    change(notes)
    return notes


@pytest.mark.parametrize(
    "notes",
    [
        "prompts of my own",
        {"role": "prompts"},
        damaged(lambda notes: notes.update(format_version=99)),
        damaged(lambda notes: notes.update(objects={})),
        damaged(lambda notes: notes.pop("objects")),
        damaged(lambda notes: notes["objects"][1].pop("label")),
        damaged(lambda notes: notes["objects"].append(notes["objects"][0])),
        damaged(lambda notes: notes["objects"].append(dict(notes["objects"][0]))),
    ],
)
def test_foreign_notes_are_refused_and_stay(layer, notes):
    layer.metadata["napari_sam3"] = notes
    before = json.dumps(notes)

    for use in (
        read_journal,
        lambda layer: write_record(layer, record(8)),
        lambda layer: forget(layer, 4, PLANES[0]),
    ):
        with pytest.raises(LayerError, match=r"cells.*metadata\.pop"):
            use(layer)

    assert json.dumps(layer.metadata["napari_sam3"]) == before
    assert layer.features.empty


def test_a_thousand_objects_do_not_slow_it_down(layer):
    write_records(layer, [record(label) for label in range(1, 1001)])
    times = []
    for label in range(1001, 1008):
        start = time.perf_counter()
        write_record(layer, record(label))
        times.append(time.perf_counter() - start)

    assert len(read_journal(layer)) == 1007
    # 5 ms on a quiet machine; a tenth of a second only if all were read again.
    assert min(times) < 0.05
