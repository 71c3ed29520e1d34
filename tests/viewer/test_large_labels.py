"""Labels that are lazy, in several sizes, or larger than memory are written, too."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel
from napari.settings import get_settings

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.viewer import label_search, label_store, scanning
from napari_sam3.viewer.label_grid import label_grid
from napari_sam3.viewer.label_ids import LabelIds
from napari_sam3.viewer.label_overlay import OverlaidArray
from napari_sam3.viewer.label_search import find_in, label_at
from napari_sam3.viewer.label_store import empty_labels, scratch_array
from napari_sam3.viewer.labels import (
    Overlap,
    check_id,
    check_labels,
    create_labels,
    find_label,
    revert,
    write_object,
)
from napari_sam3.viewer.session import Session
from tests.viewer.studio import SECONDS, disc

FLAT = Plane((0, 1), (None, None))
SHAPE = np.array([[1, 0], [1, 0], [1, 1]], bool)


class CountingStore(zarr.storage.MemoryStore):
    """Remembers which chunks are read and written."""

    def __init__(self):
        super().__init__()
        self.read, self.written = set(), set()

    async def get(self, key, prototype, byte_range=None):
        self.read.add(key)
        return await super().get(key, prototype, byte_range)

    async def set(self, key, value, byte_range=None):
        self.written.add(key)
        await super().set(key, value, byte_range)

    def forget(self):
        self.read.clear()
        self.written.clear()


def counted(shape, chunks, zarr_format=3):
    store = CountingStore()
    array = zarr.create_array(
        store, shape=shape, chunks=chunks, dtype="u2", zarr_format=zarr_format
    )
    store.forget()
    return array, store


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def notes(monkeypatch):
    told = []
    for module in ("label_data", "label_making"):
        monkeypatch.setattr(f"napari_sam3.viewer.{module}.show_info", told.append)
    return told


def big_image(viewer, shape=(20_000, 20_000)):
    """Add an image that takes no memory, and is not drawn."""
    pixels = np.broadcast_to(np.uint8(0), shape)
    return viewer.add_image(pixels, contrast_limits=(0, 255), visible=False)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_only_the_chunks_under_an_object_are_touched(viewer, zarr_format):
    image = viewer.add_image(np.zeros((5, 400, 400), np.uint8))
    array, store = counted((5, 400, 400), (1, 50, 50), zarr_format)
    labels = viewer.add_labels(array)
    plane = Plane((1, 2), (3, None, None))
    store.forget()
    mask = disc((40, 40), 20, 20, 15)

    edit = write_object(labels, image, plane, mask, (80, 180, 120, 220), 7)

    chunks = {f"{3}/{row}/{col}" for row in (1, 2) for col in (3, 4)}
    if zarr_format == 2:
        chunks = {one.replace("/", ".") for one in chunks}
    assert {key.removeprefix("c/") for key in store.written} == chunks
    assert {key.removeprefix("c/") for key in store.read} == chunks
    np.testing.assert_array_equal(array[3, 80:120, 180:220] == 7, mask)
    store.forget()
    revert(labels, edit)
    assert {key.removeprefix("c/") for key in store.read} == chunks
    assert not array[:].any()


def test_a_large_hidden_plane_is_not_read(viewer):
    image = big_image(viewer, (9000, 9000))
    array, store = counted((9000, 9000), (500, 500))
    labels = viewer.add_labels(array, visible=False)
    store.forget()

    write_object(labels, image, FLAT, SHAPE, (2, 3, 5, 5), 7)

    assert store.read == {"c/0/0"}
    assert LabelIds(labels).array is array
    np.testing.assert_array_equal(array[2:5, 3:5] == 7, SHAPE)


def pyramids():
    def stored(array):
        level = zarr.create_array(
            zarr.storage.MemoryStore(), shape=array.shape, chunks=(16, 16), dtype="u2"
        )
        level[:] = array
        return level

    full = np.zeros((101, 130), np.uint16)
    views = [full, full[::2, ::2], full[::4, ::4]]
    return {
        "views": views,
        "copies": [one.copy() for one in views],
        "zarr": [stored(one) for one in views],
        "dask": [dask.array.from_array(one, chunks=40) for one in views],
        "odd views": [full, full[1::2, 1::2]],
    }


@pytest.mark.parametrize("kind", pyramids())
def test_all_sizes_show_what_is_written(viewer, notes, kind):
    image = viewer.add_image(np.zeros((101, 130), np.uint8))
    labels = viewer.add_labels(pyramids()[kind], multiscale=True)
    labels.data_level = 0
    mask = disc((41, 53), 20, 26, 18)
    painted = []
    labels.events.paint.connect(lambda event: painted.extend(event.value))
    bbox = (11, 21, 52, 74)

    edit = write_object(labels, image, FLAT, mask, bbox, 7)

    expected = np.zeros((101, 130), bool)
    expected[11:52, 21:74] = mask
    for level, step in zip(labels.data, (1, 2, 4), strict=False):
        first = 1 if kind == "odd views" and step > 1 else 0
        seen = expected[first::step, first::step]
        np.testing.assert_array_equal(np.asarray(level[:]) == 7, seen)
    ((box, where, before, after),) = painted
    np.testing.assert_array_equal(expected[box], where)
    assert (before == 0).all()
    assert (after == 7).all()
    assert label_at(labels, (31, 47)) == 7
    assert label_at(labels, (-4, 47)) == 0
    again = revert(labels, edit)
    assert not any(np.asarray(level[:]).any() for level in labels.data)
    revert(labels, again)
    mask_now, bbox_now = find_label(labels, image, FLAT, 7)
    np.testing.assert_array_equal(mask_now, expected[13:50, 29:66])
    assert bbox_now == (13, 29, 50, 66)


@pytest.mark.parametrize("async_", [False, True])
def test_what_is_shown_of_several_sizes_is_new(async_):
    get_settings().experimental.async_ = async_
    try:
        viewer = ViewerModel()
        image = viewer.add_image(np.zeros((60, 80), np.uint8))
        full = np.zeros((60, 80), np.uint16)
        labels = viewer.add_labels([full.copy(), full[::2, ::2].copy()])
        asked = []
        labels.events.reload.connect(asked.append)

        write_object(labels, image, FLAT, np.ones((9, 9), bool), (20, 20, 29, 29), 7)

        if async_:
            assert asked
        else:
            assert labels.get_value((24, 24))[1] == 7
    finally:
        get_settings().experimental.async_ = False


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_planes_of_a_stack_in_several_sizes(viewer, at):
    image = viewer.add_image(np.zeros((4, 60, 80), np.uint8))
    full = np.zeros((4, 60, 80), np.uint16)
    labels = viewer.add_labels([full, full[::2, ::2, ::2].copy()], multiscale=True)
    plane = Plane((2, 1), (at, None, None))

    write_object(labels, image, plane, np.ones((8, 12), bool), (10, 20, 18, 32), 7)

    assert (full[at, 20:32, 10:18] == 7).all()
    assert (full == 7).sum() == 8 * 12
    coarse = labels.data[1]
    assert (coarse == 7).sum() == (0 if at % 2 else 4 * 6)
    assert (coarse == full[::2, ::2, ::2]).all()


def test_a_size_that_breaks_takes_all_back(viewer):
    class Broken(np.ndarray):
        def __setitem__(self, key, value):
            raise OSError("disk full")

    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    full = np.zeros((60, 80), np.uint16)
    sizes = [full, full[::2, ::2].copy(), full[::4, ::4].copy().view(Broken)]
    labels = viewer.add_labels(sizes, multiscale=True)

    with pytest.raises(LayerError, match=r"disk full.*choose"):
        write_object(labels, image, FLAT, np.ones((9, 9), bool), (20, 20, 29, 29), 7)

    assert not full.any()
    assert not sizes[1].any()


def test_dask_is_written_over_and_stays_as_it_is(viewer, notes):
    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    below, store = counted((60, 80), (20, 20))
    below[30:34, 30:34] = 3
    store.forget()
    labels = viewer.add_labels(dask.array.from_zarr(below))
    ids = LabelIds(labels)
    assert ids.next_id() == 4

    ones = np.ones((9, 9), bool)
    edit = write_object(labels, image, FLAT, ones, (26, 26, 35, 35), 4)

    assert not ids.needs_scan  # the numbers are the same
    assert ids.next_id() == 5
    assert edit.size == 81 - 16  # the other object keeps its pixels
    assert label_at(labels, (27, 27)) == 4
    assert int(labels.get_value((27, 27))) == 4
    assert not store.written
    assert "dask" in notes[0]
    assert "save" in notes[0]
    labels.undo()  # napari's own
    np.testing.assert_array_equal(np.asarray(labels.data), below[:])
    labels.paint((10, 10), 9)  # and its brush
    assert label_at(labels, (10, 10)) == 9
    write_object(labels, image, FLAT, SHAPE, (2, 3, 5, 5), 10)
    assert len(notes) == 1


def test_what_the_brush_did_to_dask_stays(viewer, notes):
    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    labels = viewer.add_labels(dask.array.zeros((60, 80), dtype=np.uint16, chunks=20))
    labels.paint((10, 10), 9)

    write_object(labels, image, FLAT, SHAPE, (2, 3, 5, 5), 10)

    assert label_at(labels, (10, 10)) == 9
    labels.undo()
    assert label_at(labels, (2, 3)) == 0
    labels.undo()
    assert label_at(labels, (10, 10)) == 0


def test_many_edits_of_dask_cost_no_more_than_one(viewer, notes):
    computed = []

    def block(block_info=None):
        computed.append(block_info)
        return np.zeros((20, 20), np.uint16)

    lazy = dask.array.map_blocks(
        block, chunks=((20,) * 5, (20,) * 5), dtype=np.uint16, meta=np.zeros((0, 0))
    ).astype(np.uint16)
    array = OverlaidArray(lazy)
    for row in range(40):
        array[row, 3:9] = row
    assert len(computed) == 25  # the block, once
    computed.clear()

    assert array[30, 5] == 30
    assert array[39, 2:5].tolist() == [0, 39, 39]

    assert not computed


def keys():
    rng = np.random.default_rng(0)
    fancy = tuple(rng.integers(-4, 4, (3, 20)))
    return [
        (),
        3,
        -1,
        (slice(1, 4), 2),
        (..., slice(None, None, -2)),
        (slice(5, 1, -1), slice(None), slice(-3, None)),
        (slice(2, 2), 1),
        (1, 2, 3),
        fancy,
        (np.zeros(0, int),) * 3,
    ]


@pytest.mark.parametrize("key", keys(), ids=str)
def test_overlaid_arrays_are_indexed_as_numpys(monkeypatch, key):
    monkeypatch.setattr("napari_sam3.viewer.label_overlay._SIDE", 3)
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 99, (6, 7, 8)).astype(np.uint16)
    array = OverlaidArray(truth.copy())
    for number in range(100, 105):  # some blocks are held, some are not
        corner = tuple(slice(at, at + 2) for at in rng.integers(0, 5, 3))
        array[corner] = truth[corner] = number

    np.testing.assert_array_equal(array[key], truth[key])
    array[key] = 200
    truth[key] = 200
    np.testing.assert_array_equal(np.asarray(array), truth)
    assert array.shape == truth.shape
    assert array.size == truth.size


@pytest.mark.parametrize("key", [9, (0, 0, 0, 0), 1.5, (np.array([9]),) * 3])
def test_overlaid_arrays_refuse_what_numpy_refuses(key):
    with pytest.raises(IndexError):
        OverlaidArray(np.zeros((3, 3, 3), np.uint8))[key]


def test_new_labels_of_a_large_plane_have_several_sizes(viewer, notes):
    image = big_image(viewer, (20_000, 10_001))

    labels = create_labels(viewer, image)

    assert labels.multiscale
    shapes = [level.shape for level in labels.data]
    assert shapes[:2] == [(20_000, 10_001), (10_000, 5_001)]
    assert max(shapes[-1]) <= 1024
    assert labels.data.dtype == np.uint16
    assert labels.extent.data.tolist() == image.extent.data.tolist()
    (note,) = notes
    assert "save" in note
    assert "brush" in note
    check_labels(labels, image)
    mask = disc((50, 50), 25, 25, 20)
    write_object(labels, image, FLAT, mask, (15_000, 7_000, 15_050, 7_050), 1)
    assert label_at(labels, (15_025, 7_025)) == 1
    stored = sum(len(level.store._store_dict) for level in labels.data)
    assert stored <= 4 * len(shapes)  # chunks, and what describes them


def test_new_labels_of_many_planes_are_packed(viewer, notes):
    image = big_image(viewer, (300, 2048, 2048))
    viewer.dims.order = (1, 0, 2)

    labels = create_labels(viewer, image)

    assert not labels.multiscale
    assert labels.data.chunks == (300, 1, 512)  # planes as they are shown
    assert "brush" not in notes[0]
    write_object(labels, image, Plane((0, 2), (None, 7, None)), SHAPE, (2, 3, 5, 5), 4)
    assert (labels.data[2:5, 7, 3:5] == 4).sum() == 4


def test_small_labels_stay_in_memory(viewer, notes):
    image = big_image(viewer, (40, 2000, 2000))

    labels = create_labels(viewer, image)

    assert type(labels.data) is np.ndarray
    assert not notes


def test_without_zarr_a_temporary_file_does(viewer, notes, monkeypatch):
    monkeypatch.setattr(label_store, "has_zarr", lambda: False)
    image = big_image(viewer, (8_500, 64))

    labels = create_labels(viewer, image)

    assert [type(level) for level in labels.data][:1] == [np.memmap]
    assert "temporary file" in notes[0]
    write_object(labels, image, FLAT, SHAPE, (8_002, 3, 8_005, 5), 4)
    assert (labels.data[0] == 4).sum() == 4
    assert labels.data[1][4002, 2] == 4


def test_a_disk_without_room_names_the_way_out(monkeypatch):
    monkeypatch.setattr(label_store, "has_zarr", lambda: False)

    with pytest.raises(LayerError, match="pip install zarr"):
        scratch_array((2**22, 2**22), np.uint16)


def test_memory_without_room_names_the_way_out(monkeypatch):
    def no_memory(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(label_store.np, "zeros", no_memory)

    with pytest.raises(LayerError, match="zarr"):
        empty_labels((10, 10), np.uint16)


@pytest.fixture
def wide(viewer):
    """Add an image whose labels get several sizes, with a name of its own."""
    return viewer.add_image(np.zeros((60, 8300), np.uint8), name="wide")


@pytest.fixture
def session(viewer, wide, engine):
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    yield session
    session.close()


def test_a_session_writes_large_labels(session, viewer, notes, tmp_path):
    session.add_point((30, 40))
    assert session.accept() == 1
    session.add_point((30, 7000))
    assert session.accept() == 2
    labels = session.labels
    assert labels.multiscale
    expected = np.zeros((60, 8300), np.uint16)
    expected[disc((60, 8300), 30, 40)] = 1
    expected[disc((60, 8300), 30, 7000)] = 2
    np.testing.assert_array_equal(labels.data[0][:], expected)

    session.undo()
    assert label_at(labels, (30, 7000)) == 0
    session.redo()
    session.refine(1)
    session.wait(SECONDS)
    session.add_point((33, 40))
    assert session.accept() == 1
    assert label_at(labels, (37, 40)) == 1

    session.save_labels(tmp_path / "wide.tif")
    saved = tifffile.imread(tmp_path / "wide.tif")
    np.testing.assert_array_equal(saved, labels.data[0][:])
    assert (tmp_path / "wide.prompts.json").exists()


@pytest.mark.parametrize("kind", ["dask", "pyramid", "dask pyramid"])
def test_a_session_writes_into_lazy_layers_of_the_user(session, viewer, notes, kind):
    full = np.zeros((60, 8300), np.uint16)
    full[:3, :3] = 8
    sizes = [full, full[::2, ::2].copy()]
    if "dask" in kind:
        sizes = [dask.array.from_array(one, chunks=50) for one in sizes]
    layer = viewer.add_labels(sizes if "pyramid" in kind else sizes[0], name="mine")
    session.labels = layer

    session.add_point((30, 40))
    assert session.accept() == 9
    session.add_point((30, 300))
    assert session.accept() == 10
    session.undo()

    expected = np.where(disc((60, 8300), 30, 40), 9, full)
    expected[:3, :3] = 8
    written = layer.data[0] if layer.multiscale else layer.data
    np.testing.assert_array_equal(np.asarray(written), expected)
    assert full.max() == (8 if "dask" in kind else 9)
    assert layer.features["index"].tolist() == [9]


def test_layers_made_here_are_never_looked_through(session, viewer, notes, monkeypatch):
    scanned = []
    monkeypatch.setattr(scanning, "scan", lambda array, _: scanned.append(array) or 0)
    session.add_point((30, 40))
    session.accept()
    made = session.labels
    session.labels = other = viewer.add_labels(np.zeros((60, 8300), np.uint16))
    session.wait(SECONDS)
    session.labels = made

    session.add_point((30, 300))
    assert session.accept() == 2

    assert len(scanned) == 1
    assert scanned[0] is other.data


@pytest.fixture
def quick_search(monkeypatch):
    """Have planes count as large, and squares around a click be small."""
    monkeypatch.setattr(label_search, "_QUICK", 1000)
    monkeypatch.setattr(label_search, "_MARGIN", 4)
    monkeypatch.setattr(label_search, "_FAR", 64)


def test_in_a_large_plane_an_object_is_looked_for_near_a_click(viewer, quick_search):
    image = viewer.add_image(np.zeros((400, 400), np.uint8))
    array, store = counted((400, 400), (20, 20))
    array[200:230, 100:160] = 4
    labels = viewer.add_labels(array, visible=False)
    grid = label_grid(labels, image, FLAT)
    store.forget()

    mask, bbox = find_in(grid, 4, near=(215, 120, 216, 121))

    assert bbox == (200, 100, 230, 160)
    assert mask.all()
    assert len(store.read) < 100  # of 400


@pytest.mark.parametrize("near", [(350, 350, 351, 351), (900, 900, 901, 901)])
def test_what_is_not_near_is_looked_for_everywhere(viewer, quick_search, near):
    image = viewer.add_image(np.zeros((400, 400), np.uint8))
    array = np.zeros((400, 400), np.uint16)
    array[:30, :60] = 4
    labels = viewer.add_labels(array)
    told = []

    grid = label_grid(labels, image, FLAT)
    _, bbox = find_in(grid, 4, near, lambda done, total: told.append((done, total)))

    assert bbox == (0, 0, 30, 60)
    assert told[-1][0] == told[-1][1] > 0
    # At the image's edge an object ends; no more is read.
    told.clear()
    assert find_in(grid, 4, (1, 1, 2, 2), lambda *one: told.append(one))[1] == bbox
    assert not told


def test_a_search_is_ended_by_its_report(viewer):
    image = viewer.add_image(np.zeros((40, 40), np.uint8))
    labels = viewer.add_labels(np.zeros((40, 40), np.uint16))

    def cancel(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_in(label_grid(labels, image, FLAT), 4, report=cancel)


def test_overlap_counts_in_several_sizes(viewer, notes):
    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    full = np.zeros((60, 80), np.uint16)
    full[20:30, 20:30] = 3
    labels = viewer.add_labels([full, full[::2, ::2].copy()], multiscale=True)
    ones = np.ones((10, 10), bool)

    kept = write_object(labels, image, FLAT, ones, (25, 20, 35, 30), 4)
    taken = write_object(
        labels, image, FLAT, ones, (15, 20, 25, 30), 5, Overlap.REPLACE
    )

    assert kept.size == 50
    assert taken.size == 100
    np.testing.assert_array_equal(labels.data[1], full[::2, ::2])


def test_numbers_must_fit_all_sizes(viewer):
    full = np.zeros((60, 80), np.uint16)
    labels = viewer.add_labels([full, full[::2, ::2].astype(np.uint8)])

    check_id(labels, 255)
    with pytest.raises(LayerError, match=r"uint8.*255"):
        check_id(labels, 256)


@pytest.mark.parametrize("axes", [(0, 1), (1, 0)])
def test_others_learn_of_strokes_in_the_order_of_the_data(viewer, axes):
    image = viewer.add_image(np.zeros((60, 80), np.uint8))
    full = np.arange(60 * 80).reshape(60, 80).astype(np.uint16)
    before = full.copy()
    labels = viewer.add_labels([full, full[::2, ::2]], multiscale=True)
    painted = []
    labels.events.paint.connect(lambda event: painted.extend(event.value))

    edit = write_object(
        labels,
        image,
        Plane(axes, (None, None)),
        SHAPE,
        (2, 3, 5, 5),
        9999,
        Overlap.REPLACE,
    )
    revert(labels, edit)

    (box, where, old, new), (box2, where2, old2, new2) = painted
    np.testing.assert_array_equal(before[box][where], old)
    assert (new == 9999).all()
    np.testing.assert_array_equal(before[box2][where2], new2)
    assert (old2 == 9999).all()
    np.testing.assert_array_equal(full, before)
