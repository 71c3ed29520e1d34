"""Benchmarks of large planes: small ones, models without weights, fixed numbers."""

import mmap
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import large, large_stacks
from benchmarks.findings import (
    Finding,
    compared,
    findings_table,
    misses,
    percentile_finding,
)
from benchmarks.large_clicks import Read, measure_clicks, places, read_finding
from benchmarks.large_stacks import (
    LazyStack,
    flat_finding,
    measure_revisits,
    opening_finding,
    resident,
)
from benchmarks.pyramid import (
    CHUNK,
    REPEAT,
    Pyramid,
    cells_near,
    cut,
    draw_plane,
    make_pyramid,
)
from benchmarks.ratios import Comparison
from benchmarks.stand_ins import BlockCount, DiscTracker, Subject, subject
from benchmarks.studio import FIELD, Studio
from napari_sam3.core.store import EmbeddingStore
from tests.fakes import FakeTracker

SIDE = 2560
MIB = 2**20


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return make_pyramid(tmp_path_factory.mktemp("planes"), SIDE)


@pytest.fixture
def fake():
    tracker = FakeTracker(radius=20, view_size=FIELD)
    return Subject("fake", tracker, BlockCount(tracker))


def ratio(first_s, second_s):
    return Comparison("cold click", "large", "small", first_s, second_s)


# The plane


def test_each_level_holds_the_means_of_the_one_before(path):
    levels = Pyramid.open(path).levels
    assert [level.shape[0] for level in levels] == [2560, 1280, 640, 320]
    assert all(level.chunks == (min(CHUNK, level.shape[0]),) * 2 for level in levels)
    for fine, coarse in pairwise(levels):
        pixels = np.asarray(fine[:]).astype(float)
        means = pixels.reshape(len(pixels) // 2, 2, -1, 2).mean(axis=(1, 3))
        assert np.array_equal(coarse[:], np.floor(means))


@pytest.mark.parametrize("place", [(300, 300), (REPEAT, REPEAT), (2000, 700)])
def test_cells_are_where_they_are_said_to_be(path, place):
    plane = np.asarray(Pyramid.open(path).levels[0][:]).astype(float)
    for row, col in cells_near(*place, 4):
        inside = plane[row - 8 : row + 9, col - 8 : col + 9].mean()
        corner = plane[row + 44 : row + 52, col + 44 : col + 52].mean()
        assert inside > corner + 3000
        assert np.hypot(row - place[0], col - place[1]) < 200


def test_a_plane_that_is_there_is_not_written_again(path):
    before = (path / "0" / "c" / "0" / "0").stat().st_mtime_ns
    assert make_pyramid(path.parent, SIDE) == path
    assert (path / "0" / "c" / "0" / "0").stat().st_mtime_ns == before


def test_a_plane_that_was_not_finished_is_written_again(tmp_path):
    path = make_pyramid(tmp_path, 1024)
    chunk, marks = path / "0" / "c" / "0" / "0", path / "zarr.json"
    chunk.unlink()
    marks.write_text(marks.read_text().replace('"made"', '"other"'))
    assert make_pyramid(tmp_path, 1024) == path
    assert chunk.is_file()


def test_what_is_cut_out_has_the_same_pixels_in_the_same_chunks(path, tmp_path):
    large_plane = Pyramid.open(path)
    small, pixels = cut(large_plane, REPEAT, 0, FIELD, tmp_path / "small.zarr")
    assert np.array_equal(
        pixels, large_plane.levels[0][REPEAT : REPEAT + FIELD, :FIELD]
    )
    assert np.array_equal(small.levels[0][:], pixels)
    assert small.levels[0].chunks == large_plane.levels[0].chunks


def test_chunks_that_are_read_are_counted_as_they_are_stored(path):
    pyramid = Pyramid.open(path)
    assert pyramid.store.chunks == 0  # to open it is not to read it
    np.asarray(pyramid.levels[0][CHUNK - 1 : CHUNK + 1, :CHUNK])
    stored = sum((path / "0" / "c" / str(row) / "0").stat().st_size for row in range(2))
    assert (pyramid.store.chunks, pyramid.store.nbytes) == (2, stored)
    pyramid.store.restart()
    assert (pyramid.store.chunks, pyramid.store.nbytes) == (0, 0)


def test_places_are_fresh_and_away_from_the_border():
    found = places(20_000, 100)
    assert len(set(found)) == 100
    edges = np.array(found)
    assert (edges % REPEAT == 0).all()
    assert edges.min() >= 1280 - FIELD // 2
    assert edges.max() + FIELD // 2 + 1280 <= 20_000


def test_a_plane_without_room_is_refused():
    with pytest.raises(ValueError, match="give 1024 or more"):
        places(800, 1)


def test_planes_of_a_stack_differ_and_show_the_same_cells():
    stack = LazyStack(7)
    assert np.array_equal(stack[3, :200, 5], draw_plane(3, 512)[:200, 5])
    assert stack[2:4].shape == (2, 512, 512)
    assert not np.array_equal(stack[3], stack[4])
    assert np.corrcoef(stack[3].ravel(), stack[4].ravel())[0, 1] > 0.8


# Verdicts


def test_the_median_ratio_decides():
    assert compared(ratio((1.0, 1.1, 9.0), (1.0, 1.0, 1.0)), "nano", 1.2).holds
    assert compared(ratio((1.3, 1.3, 0.1), (1.0, 1.0, 1.0)), "nano", 1.2).holds is False
    assert compared(ratio((9.0,), (1.0,)), "nano").holds is None


def test_95_of_100_clicks_must_be_in_time():
    quick = [0.1] * 97
    assert percentile_finding("back", "nano", [*quick, *[9.0] * 3], 150).holds
    late = percentile_finding("back", "nano", [*quick, *[9.0] * 10], 150)
    assert late.holds is False


def test_the_click_that_reads_most_decides():
    modest = [Read(4, MIB)] * 20
    assert read_finding("cold", "nano", modest).holds
    found = read_finding("cold", "nano", [*modest, Read(33, 9 * MIB)])
    assert found.holds is False
    assert "at most 33 chunks, 9.0 MiB, decoded **16.5 MiB**" in found.figures


def growing(*, per_plane, until=1000):
    """Return memory that grows by so many bytes per plane, at first or for ever."""
    wave = [0, MIB, 0, -MIB]
    return [
        (n, 800 * MIB + per_plane * min(n, until) + wave[n // 10 % 4])
        for n in range(10, 1001, 10)
    ]


def test_memory_may_grow_while_caches_fill_but_not_later():
    assert flat_finding("nano", growing(per_plane=MIB, until=400)).holds
    leak = flat_finding("nano", growing(per_plane=64 * 2**10))
    assert leak.holds is False
    assert "**+64" in leak.figures


@pytest.mark.parametrize(
    ("first", "second", "holds"),
    [
        ((9.0, 12), (1.0, 0), True),
        ((9.0, 12), (1.0, 1), False),
        ((9.0, 0), (1.0, 0), False),
    ],
)
def test_a_second_opening_must_encode_nothing_and_the_first_one_something(
    first, second, holds
):
    assert opening_finding("nano", first, second).holds is holds


def test_the_table_says_which_aims_are_missed():
    findings = [
        Finding("a", "nano", "1", "≤ 2", holds=True),
        Finding("b", "nano", "3", "≤ 2", holds=False),
        Finding("c", "nano", "4"),
    ]
    assert findings_table(findings).splitlines()[2:] == [
        "| a | nano | 1 | ≤ 2 | yes |",
        "| b | nano | 3 | ≤ 2 | **no** |",
        "| c | nano | 4 |  |  |",
    ]
    assert misses(findings) == [findings[1]]


def test_memory_of_the_process_is_seen_to_grow():
    before = resident()
    # From the system itself: an array could get memory that others gave back.
    with mmap.mmap(-1, 64 * MIB) as held:
        held.write(b"\1" * (64 * MIB))
        assert resident() - before > 32 * MIB


# Models


def test_blocks_of_nanos_encoder_are_counted():
    nano = subject("nano")
    assert nano.encodings == 0
    nano.tracker.embed([np.zeros((64, 64, 3), np.uint8)])
    assert nano.encodings == len(nano.tracker.network.encoder.blocks)
    assert not nano.keeps_embeddings


def test_discs_stand_for_masks_and_the_model_is_asked_all_the_same(fake):
    discs = DiscTracker(fake.tracker)
    with Studio(Subject("discs", discs, fake.count)) as studio:
        studio.open(draw_plane(0, 512))
        fake.tracker.predict_calls = 0
        studio.click((200, 300))
        mask = studio.session.preview.mask
    assert fake.tracker.predict_calls == 1
    assert discs.embed_calls == 2  # to warm up, and for the plane
    assert mask.sum() == pytest.approx(np.pi * 26**2, rel=0.03)
    assert np.argwhere(mask).mean(axis=0) == pytest.approx([200, 300], abs=0.5)


# Sessions


def test_cold_clicks_read_and_encode_and_warm_ones_do_not(path, fake):
    pyramid = Pyramid.open(path)
    findings, comparisons = measure_clicks(fake, pyramid, 1)
    by_task = {one.task: one for one in findings}
    # A window of 1024 is as large as the small plane, and lies on whole chunks.
    assert by_task["read by a cold click"].figures.startswith("4 chunks")
    assert by_task["read by a warm click"].figures.startswith("0 chunks")
    assert [len(one.first_s) for one in comparisons] == [1, 3, 1, 3]
    assert sum(one.holds is not None for one in findings) == 4


@pytest.fixture
def few(monkeypatch):
    """Few planes, and few visits."""
    monkeypatch.setattr(large_stacks, "_KEPT", 3)
    monkeypatch.setattr(large_stacks, "_REVISITS", 4)


@pytest.mark.usefixtures("few")
def test_planes_are_gone_back_to_in_memory_and_on_disk(fake):
    findings = measure_revisits(fake)
    assert [one.task.rpartition(" known ")[2] for one in findings] == [
        "in memory",
        "on disk",
    ]
    assert all("of 4" in one.figures for one in findings)
    assert fake.tracker.embed_calls == 2 * (3 + 1)  # with warming up


@pytest.mark.usefixtures("few")
def test_a_revisit_that_encodes_again_is_no_measurement(fake, monkeypatch):
    monkeypatch.setattr(EmbeddingStore, "get", lambda *_: None)
    with pytest.raises(RuntimeError, match="encoded again"):
        measure_revisits(fake)


@pytest.mark.usefixtures("few")
def test_the_budget_holds_while_a_stack_is_gone_through(fake):
    findings, seen = large_stacks.measure_memory(fake, 20)
    assert [planes for planes, _ in seen] == list(range(1, 21))
    assert findings[0].figures.endswith("; 3 embeddings kept")


def test_a_second_opening_finds_on_disk_what_the_first_one_encoded(
    path, fake, monkeypatch
):
    (found,) = large_stacks.measure_second_opening(fake, path)
    assert found.holds, found.figures
    monkeypatch.setattr(EmbeddingStore, "get", lambda *_: None)
    (found,) = large_stacks.measure_second_opening(fake, path)
    assert found.holds is False


def test_the_program_prints_the_table_and_fails_with_an_aim(
    path, tmp_path, monkeypatch, capsys
):
    calls = []

    def answer(one, _, rounds, *, holds):
        calls.append((one, rounds))
        return [Finding("cold click", one.name, "1.00", "≤ 1.2", holds=holds)], []

    nano = subject("nano")
    arguments = ["--side", str(SIDE), "--folder", str(path.parent), "--rounds", "7"]
    arguments += ["--models", "nano", "--parts", "clicks"]
    for holds, code in ((True, 0), (False, 1)):
        monkeypatch.setattr(large, "measure_clicks", partial(answer, holds=holds))
        assert large.main(arguments, build=lambda model: nano) == code
        table = capsys.readouterr().out
        assert "| cold click | nano | 1.00 | ≤ 1.2 |" in table
        assert f"plane: {SIDE:,} × {SIDE:,} uint16" in table
    assert calls == [(nano, 7)] * 2


def test_a_model_without_its_library_is_one_line_with_the_remedy(path, capsys):
    def build(model):
        raise ModuleNotFoundError("No module named 'transformers'")

    arguments = ["--side", str(SIDE), "--folder", str(path.parent)]
    assert large.main(arguments, build=build) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "pip install 'napari-sam3[benchmarks]'" in message
