"""New objects get numbers that nothing else has."""

from __future__ import annotations

import gc
import weakref

import dask.array
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam3.core.errors import LayerError, StateError
from napari_sam3.viewer.label_ids import KeptIds, LabelIds, scan


def one(value):
    return np.array([value])


@pytest.fixture
def layer():
    data = np.zeros((20, 30), np.uint16)
    data[3, 4] = 6
    return ViewerModel().add_labels(data)


def test_the_first_number_comes_after_all_others(layer):
    ids = LabelIds(layer)

    assert ids.needs_scan
    assert ids.known is None
    assert ids.next_id() == 7
    assert ids.known == 6
    assert ids.next_id() == 7  # nothing was written
    assert list(ids.next_ids(3)) == [7, 8, 9]


def test_an_empty_layer_begins_with_one():
    assert LabelIds(Labels(np.zeros((4, 4), np.uint16))).next_id() == 1


def test_what_is_written_counts(layer):
    ids = LabelIds(layer)
    ids.next_id()

    layer.data_setitem((one(1), one(1)), 9)
    assert ids.known == 9
    layer.data_setitem((np.array([1, 2, 3]), np.array([5, 5, 5])), np.array([3, 40, 7]))
    assert ids.known == 40


@pytest.mark.parametrize("paint", ["paint", "fill", "polygon"])
def test_what_is_painted_by_hand_counts(layer, paint):
    ids = LabelIds(layer)
    ids.next_id()

    if paint == "paint":
        layer.paint((10, 10), 50)
    elif paint == "fill":
        layer.fill((10, 10), 50)
    else:
        layer.paint_polygon([(2, 2), (2, 9), (9, 9)], 50)

    assert ids.next_id() == 51


def test_a_step_of_several_strokes_counts(layer):
    ids = LabelIds(layer)
    with layer.block_history():
        layer.data_setitem((one(1), one(1)), 12)
        layer.data_setitem((one(2), one(1)), 8)

    assert ids.next_id() == 13


def test_numbers_of_erased_objects_are_not_given_again(layer):
    ids = LabelIds(layer)
    ids.next_id()
    layer.data_setitem((one(1), one(1)), 9)
    layer.undo()

    assert ids.next_id() == 10  # redo brings 9 back


def test_the_selected_label_stays(layer):
    layer.selected_label = 4

    LabelIds(layer).next_id()

    assert layer.selected_label == 4


def test_other_data_is_looked_through_again(layer):
    ids = LabelIds(layer)
    ids.next_id()

    layer.data = np.full((4, 4), 3, np.uint16)

    assert ids.needs_scan
    assert ids.next_id() == 4


def test_a_scan_in_the_background_is_combined_with_painting(layer):
    ids = LabelIds(layer)
    array, generation = ids.array, ids.generation
    layer.data_setitem((one(1), one(1)), 9)

    assert ids.learn(scan(array[:, 5:]), generation)

    assert not ids.needs_scan
    assert ids.next_id() == 10


def test_a_scan_of_former_data_is_left_alone(layer):
    ids = LabelIds(layer)
    generation = ids.generation
    layer.data = np.full((4, 4), 3, np.uint16)

    assert not ids.learn(500, generation)

    assert ids.needs_scan
    assert ids.next_id() == 4


def test_in_place_edits_count_after_forget(layer):
    ids = LabelIds(layer)
    ids.next_id()
    layer.data[5, 5] = 80

    ids.forget()

    assert ids.next_id() == 81


def test_a_full_type_says_how_to_go_on():
    layer = Labels(np.array([[0, 254]], np.uint8))
    ids = LabelIds(layer)

    assert ids.next_id() == 255
    with pytest.raises(LayerError, match="Convert data type"):
        ids.next_ids(2)


@pytest.mark.parametrize("disconnect", [True, False])
def test_following_a_layer_does_not_keep_it(disconnect):
    layer = Labels(np.zeros((4, 4), np.uint16))
    ids, gone = LabelIds(layer), weakref.ref(layer)

    if disconnect:
        ids.disconnect()
        ids.disconnect()
    else:
        del ids
    del layer
    gc.collect()

    assert gone() is None


def test_a_layer_does_not_keep_its_follower(layer):
    ids = LabelIds(layer)
    gone = weakref.ref(ids)
    del ids
    gc.collect()

    assert gone() is None
    layer.data_setitem((one(1), one(1)), 9)


def test_after_disconnecting_nothing_is_followed(layer):
    ids = LabelIds(layer)
    ids.next_id()
    ids.disconnect()

    layer.data_setitem((one(1), one(1)), 9)

    assert ids.known == 6
    with pytest.raises(StateError, match="another"):
        ids.next_id()


def test_layers_that_are_left_are_followed_on(layer):
    viewer = ViewerModel()
    viewer.add_layer(layer)
    kept = KeptIds()
    ids = kept.take(layer)
    ids.learn(6)

    kept.leave(layer, ids, viewer)
    layer.data_setitem((one(1), one(1)), 9)

    assert kept.take(layer) is ids
    assert ids.known == 9
    kept.leave(layer, ids, None)  # the user's own
    assert kept.take(layer) is not ids


def test_layers_that_left_the_viewer_are_let_go(layer):
    viewer = ViewerModel()
    viewer.add_layer(layer)
    kept = KeptIds()
    ids, gone = kept.take(layer), weakref.ref(layer)
    kept.leave(layer, ids, viewer)

    kept.sort_out(viewer)
    assert ids.array is not None
    viewer.layers.remove(layer)
    kept.sort_out(viewer)

    assert ids.array is None
    assert kept.take(layer) is not ids
    assert gone() is layer


def test_of_several_sizes_the_full_one_counts():
    data = np.zeros((20, 30), np.uint16)
    data[3, 5] = 6
    layer = Labels([data, data[::2, ::2].copy()])

    assert LabelIds(layer).next_id() == 7


def kinds():
    rng = np.random.default_rng(0)
    array = rng.integers(0, 900, (7, 40, 50)).astype(np.uint16)
    array[3, 17, 29] = 1000
    stored = zarr.create_array(
        zarr.storage.MemoryStore(), shape=array.shape, chunks=(2, 16, 16), dtype="u2"
    )
    stored[:] = array
    return {
        "numpy": array,
        "transposed": array.T,
        "reversed": array[::-1, :, ::-1],
        "one axis": array.ravel(),
        "zarr": stored,
        "dask": dask.array.from_array(array, chunks=(3, 11, 50)),
    }


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("room", [1, 700, 2**24])
def test_scan_sees_every_pixel_of_any_array(monkeypatch, kind, room):
    monkeypatch.setattr("napari_sam3.viewer.label_ids._BLOCK", room * 2)
    calls = []

    # Few pixels at a time are many calls, so only a part of the array is used.
    array = kinds()[kind]
    if room == 1:
        array = array[2:4, 16:19] if array.ndim > 1 else array[3 * 2000 + 800 :][:100]
        expected = int(np.asarray(array).max())
    else:
        expected = 1000
    found = scan(array, lambda done, total: calls.append((done, total)))

    assert found == expected
    total = calls[-1][1]
    assert calls == [(done, total) for done in range(total + 1)]


@pytest.mark.parametrize("shape", [(0, 5), (4, 0)])
def test_scan_of_nothing(shape):
    assert scan(np.zeros(shape, np.uint16)) == 0


def test_scan_does_not_count_negative_numbers():
    assert scan(np.full((3, 3), -5)) == 0


def test_scan_is_ended_by_its_report():
    def cancel(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(np.zeros((3, 3), np.uint8), cancel)


def test_scan_reads_whole_chunks_once():
    class Counting:
        shape, dtype, chunks = (64, 64), np.dtype(np.uint8), (16, 16)

        def __init__(self):
            self.read = np.zeros(self.shape, int)

        def __getitem__(self, key):
            self.read[key] += 1
            assert all(one.start % 16 == 0 for one in key)
            return np.zeros(self.shape, np.uint8)[key]

    array = Counting()

    scan(array)

    assert (array.read == 1).all()
