"""What may be wanted next is encoded while nobody waits, and never in the way."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.journal import Plane
from napari_sam3.viewer import prefetch
from napari_sam3.viewer.engine import Engine, ModelChoice
from napari_sam3.viewer.inference import InferenceThread, Job, News
from napari_sam3.viewer.prefetch import beside, neighbours
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.sources import Channel, PlaneKey, PlaneSource
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, Gate, disc, forget_calls, mask_after

SHAPE = (80, 100)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rest before anything is encoded be a short one."""
    monkeypatch.setattr(prefetch, "_PAUSE", 0.02)
    monkeypatch.setattr(prefetch, "_STEP", 0.005)


@pytest.fixture
def engine(fake: FakeTracker) -> Iterator[Engine]:
    engine = Engine(build=lambda model, **_: fake, fetches_ahead=True)
    yield engine
    engine.thread.stop()


@pytest.fixture
def stack() -> ViewerModel:
    viewer = ViewerModel()
    pixels = np.random.default_rng(1).integers(0, 255, (4, 9, *SHAPE), np.uint8)
    viewer.add_image(pixels, name="stack")
    viewer.dims.set_current_step(0, 2)
    viewer.dims.set_current_step(1, 3)
    return viewer


def until(true: Callable[[], bool]) -> None:
    """Wait for what comes by itself."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


def encoded(engine: Engine) -> list[tuple[int, ...]]:
    """Return the places on the sliders of what is kept, in the order of encoding."""
    keys = engine.cache.keys()
    return [tuple(n for n in key[0].plane.plane.index if n is not None) for key in keys]


def source_of(array: np.ndarray, plane: Plane, **rest: object) -> PlaneSource:
    key = PlaneKey(ViewerModel().add_image(np.zeros((2, 2))).unique_id, plane)
    return PlaneSource(key, (Channel((array,), plane),), **rest)


def rested(engine: Engine) -> None:
    """Wait until the thread has nothing to do and nothing for idle times."""
    thread = engine.thread
    until(lambda: thread._resting is None and thread._ready.empty())


# ---- what is next -----------------------------------------------------------


def test_the_next_planes_come_before_the_next_times():
    plane = Plane((2, 3), (2, 3, None, None))
    found = list(neighbours(source_of(np.zeros((4, 9, 8, 8)), plane)))
    planes = [one.key.plane.index[:2] for one in found]
    assert planes == [(2, 4), (2, 2), (3, 3), (1, 3)]
    assert [one.channels[0].plane for one in found] == [one.key.plane for one in found]


def test_at_the_ends_there_are_fewer():
    plane = Plane((2, 3), (0, 8, None, None))
    found = list(neighbours(source_of(np.zeros((1, 9, 8, 8)), plane)))
    assert [one.key.plane.index[:2] for one in found] == [(0, 7)]
    flat = source_of(np.zeros((8, 8)), Plane((0, 1), (None, None)))
    assert list(neighbours(flat)) == []


def test_beside_the_view_the_plane_goes_on():
    plane = Plane((0, 1), (None, None))
    image = np.zeros((100, 100))
    middle = source_of(image, plane, box=(40.0, 40.0, 60.0, 80.0))
    assert [one.box for one in beside(middle)] == [
        (40, 60, 60, 100),
        (40, 20, 60, 60),
        (60, 40, 80, 80),
        (20, 40, 40, 80),
    ]
    assert list(beside(source_of(image, plane, box=(0.0, 0.0, 100.0, 100.0)))) == []
    assert list(beside(source_of(image, plane))) == []


def test_neighbours_are_encoded_while_nothing_else_is_to_do(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    until(lambda: len(engine.cache) == 5)
    assert encoded(engine) == [(2, 3), (2, 4), (2, 2), (3, 3), (1, 3)]
    rested(engine)
    forget_calls(fake)
    stack.dims.set_current_step(1, 4)
    session.add_point((20, 30))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    assert fake.predict_calls == 1
    assert (2, 4) in encoded(engine)
    session.close()


def test_of_a_large_plane_the_windows_beside_the_view_are_encoded(engine, fake):
    fake.view_size = 128
    viewer = ViewerModel()
    viewer.add_image(np.zeros((600, 700), np.uint8))
    viewer.canvas.size = (600, 600)
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 300, 350), 600 / 128
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    until(lambda: len(engine.cache) == 5)
    boxes = [key[1].box[:2] for key in engine.cache.keys()]  # noqa: SIM118
    row, col = boxes[0]
    assert set(boxes[1:]) == {
        (row, col + 64),
        (row, col - 64),
        (row + 64, col),
        (row - 64, col),
    }
    session.close()


def test_an_engine_that_does_not_fetch_ahead_does_not(stack, fake):
    engine = Engine(build=lambda model, **_: fake)
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    time.sleep(0.1)
    assert len(engine.cache) == 1
    session.close()
    engine.thread.stop()


# ---- never in the way -------------------------------------------------------


def test_nobody_waits_for_it(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    gate = fake.on_block = Gate()
    gate.wait()
    assert not session._bench.asking.busy
    assert not session.status.busy
    session.wait(0.5)
    fake.on_block = None
    gate.opened.set()
    session.close()


def test_a_click_in_the_middle_of_it_is_answered_first(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    gate = fake.on_block = Gate()
    gate.wait()  # encodes a neighbour
    fake.on_block = None
    session.add_point((20, 30))
    forget_calls(fake)
    gate.opened.set()
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    # The block was ended, nothing else was encoded, and the half was not kept.
    assert (fake.embed_calls, fake.predict_calls) == (0, 1)
    until(lambda: len(engine.cache) == 5)  # afterwards it goes on
    session.close()


def test_a_plane_that_is_read_gives_way_between_two_parts(engine, fake):
    class Slow:
        """An array that is read slowly, part by part."""

        shape, ndim, dtype = (2, 9000, 3000), 3, np.dtype(np.uint8)

        def __init__(self) -> None:
            self.gate: Gate | None = None
            self.reads: list[int] = []

        def __getitem__(self, index):
            self.reads.append(index[0])
            if index[0] == 1 and self.gate is not None:
                self.gate()
            return np.zeros((3, *self.shape[1:]), np.uint8)[index]

    array = Slow()
    viewer = ViewerModel()
    viewer.add_image(array, contrast_limits=(0, 255), name="slow")
    viewer.canvas.size, viewer.scene.camera.zoom = (600, 600), 600 / 9000
    viewer.scene.camera.center = (0, 4500, 1500)
    fake.view_size = 512
    viewer.dims.set_current_step(0, 0)
    array.gate = Gate()
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    array.gate.wait()
    engine.fetches_ahead = False
    session.add_point((4000, 1000))
    array.gate.opened.set()
    session.wait(SECONDS)
    ahead = [key for key in engine.cache.keys() if key[0].plane.plane.index[0] == 1]  # noqa: SIM118
    assert ahead == []
    assert array.reads.count(1) == 1
    session.close()


def test_what_goes_wrong_in_it_is_not_told(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    before = session.status
    failed: list[Exception] = []
    session._bench.asking.failed.connect(failed.append)

    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    fake.on_block = fail
    forget_calls(fake)
    until(lambda: fake.embed_calls > 0)
    rested(engine)
    session.deliver()
    assert failed == []
    assert session.status == before
    fake.on_block = None
    session.add_point((20, 30))
    np.testing.assert_array_equal(mask_after(session), disc(SHAPE, 20, 30))
    session.close()


def test_nothing_that_is_known_makes_way_for_it(stack, engine, fake):
    # Room for three planes.
    engine.cache.budget = 3 * SHAPE[0] * SHAPE[1] * 3
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    until(lambda: len(engine.cache) == 3)
    rested(engine)
    assert encoded(engine) == [(2, 3), (2, 4), (2, 2)]
    forget_calls(fake)
    session.add_point((20, 30))
    session.wait(SECONDS)
    rested(engine)
    assert fake.embed_calls == 0
    assert len(engine.cache) == 3
    session.close()


def test_a_session_that_closes_in_the_middle_of_it_ends_it(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    gate = fake.on_block = Gate()
    gate.wait()
    session.close()
    kept = len(engine.cache)
    gate.opened.set()
    rested(engine)
    assert len(engine.cache) <= kept


def test_the_thread_can_be_stopped_in_the_middle_of_it(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    gate = fake.on_block = Gate()
    gate.wait()
    thread = engine.thread._thread
    threading.Timer(0.05, gate.opened.set).start()
    engine.thread.stop()
    assert not thread.is_alive()
    session.close()


def test_two_sessions_get_their_answers(engine, fake):
    viewers = [ViewerModel(), ViewerModel()]
    sessions = []
    for viewer in viewers:
        viewer.add_image(np.zeros((5, *SHAPE), np.uint8))
        sessions.append(Session(viewer, engine=engine))
    for turn in range(4):
        for n, session in enumerate(sessions):
            session.clear()
            session.add_point((20 + turn, 30 + 10 * n))
            expected = disc(SHAPE, 20 + turn, 30 + 10 * n)
            np.testing.assert_array_equal(mask_after(session), expected)
    for session in sessions:
        session.close()


# ---- the thread -------------------------------------------------------------


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    thread = InferenceThread()
    yield thread
    thread.stop()


def test_a_later_offer_takes_the_place_of_the_earlier_one(thread):
    lane, ran = thread.lane(), []
    gate = Gate()
    lane.submit(Job(gate))
    gate.wait()
    for n in range(3):
        lane.offer(Job(lambda tell, n=n: ran.append(n)))
    gate.opened.set()
    until(lambda: bool(ran))
    until(lambda: thread._ready.empty() and thread._resting is None)
    assert ran == [2]


def test_an_offer_waits_for_all_that_is_to_do_and_ends_when_more_comes(thread):
    lane, ran = thread.lane(), []
    started = threading.Event()

    def idle(tell) -> None:
        started.set()
        while True:
            tell(News("resting"))
            time.sleep(0.002)

    job = Job(idle)
    lane.offer(job)
    assert started.wait(SECONDS)
    lane.submit(Job(lambda tell: ran.append("click")))
    until(lambda: bool(ran))
    assert job.cancelled.is_set()
    assert lane.pending == 1  # the click's outcome; the offer has none


def test_an_offer_to_a_closed_lane_is_none(thread):
    lane, ran = thread.lane(), []
    lane.close()
    lane.offer(Job(lambda tell: ran.append(1)))
    time.sleep(0.03)
    assert ran == []


def test_what_an_offer_held_is_let_go_of_when_it_is_done(thread):
    class Pixels:
        """Stands for an array."""

    pixels = Pixels()
    seen = weakref.ref(pixels)
    done = threading.Event()
    lane = thread.lane()
    lane.offer(Job(lambda tell, held=pixels: done.set()))
    del pixels
    assert done.wait(SECONDS)

    def is_gone() -> bool:
        gc.collect()
        return seen() is None

    until(is_gone)


def test_the_view_that_the_user_moves_to_is_encoded(engine, fake):
    fake.view_size = 64
    viewer = ViewerModel()
    viewer.add_image(np.zeros((640, 640), np.uint8), name="large")
    camera = viewer.scene.camera
    camera.zoom = 20.0
    camera.center = (0, 100, 100)
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    rested(engine)
    before = set(engine.cache.keys())
    camera.center = (0, 500, 500)
    until(lambda: set(engine.cache.keys()) - before)
    rested(engine)
    found = [patch for _, patch in set(engine.cache.keys()) - before]
    assert any(patch.holds((495, 495, 505, 505)) for patch in found)
    forget_calls(fake)
    session.add_point((500, 500))
    session.wait(SECONDS)
    assert fake.embed_calls == 0
    session.close()
    camera.center = (0, 300, 300)  # nobody follows any more
    assert session._bench.outlook.answered is None


def test_memory_that_is_full_is_not_emptied_for_it(stack, engine, fake):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    rested(engine)
    engine.cache.clear()
    session.add_point((20, 30))

    def full(done, total):
        if len(engine.cache) >= 1:
            raise MemoryError

    fake.on_block = full
    session.wait(SECONDS)
    rested(engine)
    assert len(encoded(engine)) == 1
    session.close()


@pytest.mark.parametrize("how", ["the image goes", "it is turned off"])
def test_it_ends_when_it_is_not_wanted_any_more(stack, engine, fake, how):
    session = Session(stack, engine=engine)
    session.wait(SECONDS)
    rested(engine)
    engine.cache.clear()
    gate = fake.on_block = Gate()
    stack.dims.set_current_step(1, 5)
    gate.wait()
    fake.on_block = None
    gate.opened.set()
    session.wait(SECONDS)
    rested(engine)
    engine.cache.clear()
    gate = fake.on_block = Gate()
    session.clear()
    session._bench.outlook.fetch_ahead(
        session._bench.follower.source(), session._bench.choice
    )
    gate.wait()
    if how == "the image goes":
        stack.layers.clear()
    else:
        session.fetches_ahead = False
    fake.on_block = None
    gate.opened.set()
    rested(engine)
    assert len(engine.cache) <= 1
    session.close()


def test_a_model_that_encodes_nothing_in_advance_reads_nothing(stack, tracker):
    reads = []
    engine = Engine(build=lambda model, **_: tracker, fetches_ahead=True)
    choice = ModelChoice()
    engine.tracker(choice, lambda news: None)
    source = source_of(stack.layers[0].data, Plane((2, 3), (2, 3, None, None)))
    source = replace(source, before_read=lambda: reads.append(1))
    checksum = PlaneSource.checksum
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            PlaneSource, "checksum", lambda self: reads.append(1) or checksum(self)
        )
        prefetch.fetch_ahead(engine, choice, source, lambda news: None)
        assert reads == []
        whole = replace(source, whole=True)
        prefetch.fetch_ahead(engine, choice, whole, lambda news: None)
    assert reads
