"""Arrays of any kind give the same pixels, and only those that are asked for."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel

from napari_sam3.core.errors import LayerError
from napari_sam3.core.journal import Plane
from napari_sam3.core.look import Look, Tint
from napari_sam3.core.windows import Window
from napari_sam3.viewer import sources
from napari_sam3.viewer.engine import Engine, ModelChoice
from napari_sam3.viewer.jobs import Question, answer
from napari_sam3.viewer.sources import Channel, PlaneKey, PlaneSource, plane_source
from tests.fakes import FakeTracker
from tests.viewer.test_engine import silent

SHAPE = (6, 70, 90)
LIMITED = Look((Tint((0, 4000)),))


class Counting:
    """An array that notes how many values were read of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype
        self.ndim = array.ndim
        self.read = 0

    def __getitem__(self, index: object) -> np.ndarray:
        part = self.array[index]
        self.read += part.size
        return part


def stack(shape=SHAPE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 4000, shape, np.uint16)


def kinds(array: np.ndarray, folder) -> dict[str, object]:
    mapped = np.memmap(folder / "stack.dat", array.dtype, "w+", shape=array.shape)
    mapped[:] = array
    chunks = tuple(max(1, n // 3) for n in array.shape)
    stored = zarr.create_array({}, shape=array.shape, chunks=chunks, dtype=array.dtype)
    stored[:] = array
    return {
        "numpy": array,
        "memmap": mapped,
        "dask": da.from_array(array, chunks=chunks),
        "zarr": stored,
        "own": Counting(array),
    }


def source_of(
    *levels: object, plane: Plane, look: Look = LIMITED, **rest
) -> PlaneSource:
    key = PlaneKey(ViewerModel().add_image(np.zeros((2, 2))).unique_id, plane)
    return PlaneSource(key, (Channel(levels, plane),), look, **rest)


@pytest.mark.parametrize("kind", ["numpy", "memmap", "dask", "zarr", "own"])
@pytest.mark.parametrize(
    "plane",
    [
        Plane((1, 2), (4, None, None)),
        Plane((2, 1), (0, None, None)),
        Plane((0, 2), (None, 69, None)),
        Plane((2, 0), (None, 3, None)),
    ],
)
def test_all_kinds_of_arrays_and_axes_give_the_same_pixels(kind, plane, tmp_path):
    array = stack()
    source = source_of(kinds(array, tmp_path)[kind], plane=plane)
    index = tuple(slice(None) if at is None else at for at in plane.index)
    pixels = array[index]
    expected = pixels if plane.axes[0] < plane.axes[1] else pixels.T
    assert source.shape == expected.shape
    np.testing.assert_array_equal(source.read(), LIMITED.render([expected]))
    rows, cols = expected.shape
    window = Window(rows // 3, cols // 4, rows // 2, cols // 2)
    part = source.picture({}, "a").read(window, rows // 2, cols // 2)
    r, c = window.row0, window.col0
    cut = expected[r : r + rows // 2, c : c + cols // 2]
    np.testing.assert_array_equal(part, LIMITED.render([cut]))


def test_colours_stay_last_when_rows_and_columns_change_places():
    colours = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    plane = Plane((1, 0), (None, None))
    key = PlaneKey(ViewerModel().add_image(colours).unique_id, plane)
    source = PlaneSource(key, (Channel((colours,), plane, rgb=True),), Look(()))
    np.testing.assert_array_equal(source.read(), colours.swapaxes(0, 1))


def test_coarser_levels_may_have_fewer_planes():
    fine = np.zeros((10, 512, 512), np.uint8)
    coarse = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((256, 256), np.uint8)
    for at in range(10):
        plane = Plane((1, 2), (at, None, None))
        source = source_of(fine, coarse, plane=plane, look=Look((Tint((0, 255)),)))
        shown = source.picture().read(Window(0, 0, 512, 512), 64, 64)
        assert (shown == at // 2).all()


def test_a_level_that_only_some_channels_have_alike_is_not_read():
    plane = Plane((0, 1), (None, None))
    fine = np.full((512, 512), 50, np.uint8)
    by_two, by_four = fine[::2, ::2] + 100, fine[::4, ::4] + 100
    look = Look((Tint((0, 255)), Tint((0, 255))))
    key = PlaneKey(ViewerModel().add_image(fine).unique_id, plane)
    channels = (Channel((fine, by_two), plane), Channel((fine, by_four), plane))
    shown = (
        PlaneSource(key, channels, look).picture().read(Window(0, 0, 512, 512), 32, 32)
    )
    assert (shown == 100).all()


def test_a_level_that_is_not_coarser_is_none_of_the_pyramid():
    fine = np.full((512, 512), 50, np.uint8)
    odd = np.full((1024, 100), 150, np.uint8)
    coarse = np.full((128, 128), 50, np.uint8)
    source = source_of(
        fine,
        odd,
        coarse,
        plane=Plane((0, 1), (None, None)),
        look=Look((Tint((0, 255)),)),
    )
    for side in (16, 100, 500):
        shown = source.picture().read(Window(0, 0, 512, 512), side, side)
        assert (shown == 50).all()


@pytest.mark.parametrize("at", [6, 99])
def test_a_plane_that_is_not_there_is_refused(at):
    layer = ViewerModel().add_image(stack())
    with pytest.raises(LayerError, match="no plane"):
        plane_source(layer, Plane((1, 2), (at, None, None)), 0)


# ---- checksums --------------------------------------------------------------


def test_only_arrays_in_memory_have_a_checksum(tmp_path):
    plane = Plane((1, 2), (4, None, None))
    sums = {
        kind: source_of(array, plane=plane).checksum()
        for kind, array in kinds(stack(), tmp_path).items()
    }
    assert sums.pop("numpy") is not None
    assert set(sums.values()) == {None}


def test_views_of_mapped_files_are_no_arrays_in_memory(tmp_path):
    mapped = kinds(stack(), tmp_path)["memmap"]
    for view in (mapped[1:], np.asarray(mapped)[::2], mapped.view(np.ndarray).T):
        assert source_of(view, plane=Plane((1, 2), (0, None, None))).checksum() is None


@pytest.mark.parametrize("rgb", [False, True])
def test_large_planes_have_no_checksum(rgb, monkeypatch):
    pixels = np.zeros((40, 50, 3) if rgb else (40, 50), np.uint16)
    plane = Plane((0, 1), (None, None))
    layer_id = ViewerModel().add_image(np.zeros((2, 2))).unique_id
    channel = Channel((pixels,), plane, rgb)
    source = PlaneSource(PlaneKey(layer_id, plane), (channel,))
    monkeypatch.setattr(sources, "_SUMMED_BYTES", pixels.nbytes)
    assert source.checksum() is not None
    monkeypatch.setattr(sources, "_SUMMED_BYTES", pixels.nbytes - 1)
    assert source.checksum() is None


def test_every_channel_counts_in_the_checksum():
    plane = Plane((0, 1), (None, None))
    one, two = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    key = PlaneKey(ViewerModel().add_image(one).unique_id, plane)
    source = PlaneSource(key, (Channel((one,), plane), Channel((two,), plane)))
    before = source.checksum()
    two[3, 4] = 1
    assert source.checksum() != before


# ---- what is read -----------------------------------------------------------


def test_making_a_source_and_a_picture_reads_nothing():
    array = Counting(stack())
    source_of(array, plane=Plane((1, 2), (4, None, None))).picture({}, "a")
    assert array.read == 0


def test_limits_are_found_from_samples_once():
    array = Counting(
        np.random.default_rng(0).integers(0, 4000, (5000, 6000), np.uint16)
    )
    plane = Plane((0, 1), (None, None))
    source = source_of(array, plane=plane, look=Look())
    memo: dict[object, np.ndarray] = {}
    for _ in range(3):
        first = source.picture(memo, "a").read(Window(0, 0, 40, 40), 40, 40)
    assert array.read <= 9 * 512**2 + 512**2
    # The same limits, with and without a memory of them.
    np.testing.assert_array_equal(
        source.picture().read(Window(0, 0, 40, 40), 40, 40), first
    )


def test_the_samples_come_from_all_over_the_plane_or_a_coarser_level():
    fine = np.zeros((4000, 4000), np.uint16)
    fine[2000:, 2000:] = 1000
    fine[-1, -1] = 60_000
    plane = Plane((0, 1), (None, None))
    (tint,) = source_of(fine, plane=plane, look=Look()).resolved_look().tints
    assert tint.limits == (0, 1000)
    coarse = Counting(fine[::16, ::16].copy())
    source = source_of(Counting(fine), coarse, plane=plane, look=Look())
    assert source.resolved_look().tints[0].limits == (0, 1000)
    assert coarse.read == 250**2
    assert source.channels[0].levels[0].read == 0


def test_before_each_part_is_read_the_reading_can_end():
    array = Counting(stack((3000, 3000)))

    def stop() -> None:
        raise InterruptedError

    plane = Plane((0, 1), (None, None))
    picture = source_of(array, plane=plane, before_read=stop).picture({}, "a")
    with pytest.raises(InterruptedError):
        picture.read(Window(0, 0, 3000, 3000), 100, 100)
    assert array.read == 0


def test_a_plane_that_is_read_whole_is_not_remembered():
    source = source_of(stack((1100, 900)), plane=Plane((0, 1), (None, None)))
    picture = source.picture()
    first = picture.read(Window(0, 0, 1100, 900), 1100, 900)
    assert first.shape == (1100, 900, 3)
    assert all(not hasattr(level, "_memo") for level in picture.levels)


# ---- clicks -----------------------------------------------------------------


def clicked(source: PlaneSource, *places: tuple[float, float]) -> list[tuple]:
    """Return the answers of a new engine to clicks one after the other."""
    from napari_sam3.core.dialogue import Dialogue
    from napari_sam3.core.finish import Finish
    from napari_sam3.core.marks import PointMark

    fake = FakeTracker(radius=9, tolerance=80, view_size=128, low_res_size=32)
    engine = Engine(build=lambda **_: fake)
    found = []
    for place in places:
        dialogue = Dialogue().advance([PointMark(*place)])
        question = Question(source, ModelChoice(), dialogue, Finish())
        reply = answer(engine, question, silent)
        found.append((reply.bbox, reply.mask.tobytes(), reply.scores, reply.seen))
    return found


@pytest.mark.parametrize("kind", ["memmap", "dask", "zarr", "own"])
def test_answers_are_the_same_of_any_array_and_whatever_is_known(kind, tmp_path):
    array = np.random.default_rng(3).integers(0, 4000, (1, 1500, 1400), np.uint16)
    plane = Plane((1, 2), (0, None, None))
    places = [(700, 700), (130, 1290), (705, 690), (1499, 3), (700, 700)]
    box = (600.0, 600.0, 800.0, 820.0)
    by_numpy = clicked(source_of(array, plane=plane, box=box), *places)
    lazily = clicked(
        source_of(kinds(array, tmp_path)[kind], plane=plane, box=box), *places
    )
    assert lazily == by_numpy
    alone = [clicked(source_of(array, plane=plane, box=box), one)[0] for one in places]
    assert alone == by_numpy
    assert by_numpy[0] == by_numpy[-1]


@pytest.mark.parametrize("side", [2_000, 6_000])
def test_what_a_click_reads_does_not_grow_with_the_plane(side):
    levels = tuple(
        Counting(np.zeros((side >> n, side >> n), np.uint16)) for n in range(6)
    )
    plane = Plane((0, 1), (None, None))
    box = (side / 2, side / 2, side / 2 + 300, side / 2 + 300)
    clicked(source_of(*levels, plane=plane, box=box), (side / 2 + 9, side / 2 + 9))
    read = sum(level.read for level in levels)
    assert 0 < read <= 9 * 512**2
