"""Models are loaded once, planes are encoded once, and memory is given back."""

from __future__ import annotations

import gc
import threading
from uuid import uuid4

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam3.core.errors import MemoryFullError
from napari_sam3.core.journal import Plane
from napari_sam3.core.look import Look, Tint
from napari_sam3.core.prediction import Embedding, Prediction
from napari_sam3.core.recent import Recent, Under
from napari_sam3.viewer.engine import Engine, ModelChoice, shared_engine
from napari_sam3.viewer.inference import Cancelled, News
from napari_sam3.viewer.session import Session
from napari_sam3.viewer.sources import Channel, PlaneKey, PlaneSource
from tests.fakes import FakeTracker
from tests.viewer.studio import SECONDS, forget_calls

SHAPE = (20, 30)


def silent(news: News) -> None:
    """Listen to nothing."""


def source(pixels=None, *, stamp=0, layer_id=None, index=(None, None)) -> PlaneSource:
    array = np.zeros(SHAPE, np.uint8) if pixels is None else pixels
    axes = [axis for axis, at in enumerate(index) if at is None]
    plane = Plane((axes[0], axes[1]), index)
    key = PlaneKey(layer_id or uuid4(), plane)
    return PlaneSource(key, (Channel((array,), plane),), stamp=stamp, edition=stamp)


def embedding(engine, tracker, plane, tell=silent):
    """Encode a plane; return what answers about it depend on, and the embedding."""
    engine.scenes.encode_ahead(tracker, plane, tell)
    newest = engine.cache.keys()[-1] if len(engine.cache) else None
    return engine.scenes.open(tracker, plane, tell).key, engine.cache.get(newest)


def test_models_are_loaded_once_and_the_last_two_stay():
    loaded = []

    def build(model, device, **_):
        loaded.append((model, device))
        return FakeTracker(model_id=model)

    engine = Engine(build=build)
    for name in ("a", "b", "a", "b", "c", "b", "a"):
        tracker = engine.tracker(ModelChoice(name, "cpu"), silent)
        assert tracker.model_id == name
    assert loaded == [(name, "cpu") for name in "abca"]
    engine.tracker(ModelChoice("a", "cuda"), silent)
    assert loaded[-1] == ("a", "cuda")


def test_loading_is_told_and_can_be_cancelled(fake):
    engine = Engine(build=lambda model, **_: fake)
    told = []
    choice = ModelChoice("/some/where/cells.safetensors")
    engine.tracker(choice, lambda news: told.append(news.text))
    texts = ["loading cells.safetensors…", "warming up cells.safetensors…"]
    assert list(dict.fromkeys(told)) == texts
    assert fake.predict_calls == 1

    def nobody_waits(news: News) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        engine.tracker(ModelChoice("other"), nobody_waits)
    # It was not kept half-loaded.
    told.clear()
    engine.tracker(ModelChoice("other"), lambda news: told.append(news.text))
    assert len(set(told)) == 2


def test_a_warm_up_can_be_cancelled_amid_an_image(fake):
    engine = Engine(build=lambda model, **_: fake)

    def until_the_second_block(news: News) -> None:
        if news.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        engine.tracker(ModelChoice(), until_the_second_block)
    assert fake.embed_calls == 1
    assert fake.predict_calls == 0


def test_a_model_too_large_for_the_memory_makes_room_and_tries_again(fake):
    tries = []

    def build(model, **_):
        tries.append(model)
        if model == "huge" or tries.count(model) == 1 < len(tries):
            raise MemoryError
        return fake

    engine = Engine(build=build)
    embedding(engine, engine.tracker(ModelChoice("a"), silent), source())
    assert engine.tracker(ModelChoice("b"), silent) is fake
    assert tries == ["a", "b", "b"]
    assert len(engine.cache) == 0
    with pytest.raises(MemoryFullError, match=r"for huge.*smaller model"):
        engine.tracker(ModelChoice("huge"), silent)


def test_a_plane_is_encoded_once_while_it_is_the_same(engine, fake):
    ours = source()
    first = embedding(engine, fake, ours)
    assert embedding(engine, fake, ours) == first
    assert fake.embed_calls == 1


@pytest.mark.parametrize("lazy", [False, True])
def test_a_new_stamp_means_looking_again(engine, fake, lazy):
    layer_id = uuid4()

    def ask(pixels, stamp):
        array = da.from_array(pixels, chunks=10) if lazy else pixels
        key, found = embedding(
            engine, fake, source(array, stamp=stamp, layer_id=layer_id)
        )
        return key, int(found.features[0, 0, 0])

    zeros, ones = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 9, np.uint8)
    ones[0, 0] = 200
    first, value = ask(zeros, 1)
    assert value == 0
    again, _ = ask(zeros, 2)
    # Equal pixels are the same plane; of lazy ones nobody knows.
    assert (again == first) is not lazy
    other, value = ask(ones, 3)
    assert other != first
    assert value > 0
    # What it was before is not kept.
    assert len(engine.cache) == 1


def test_other_models_and_planes_have_embeddings_of_their_own(engine, fake):
    stack = np.zeros((3, *SHAPE), np.uint8)
    layer_id = uuid4()
    planes = [source(stack, layer_id=layer_id, index=(z, None, None)) for z in range(3)]
    keys = {embedding(engine, fake, plane)[0] for plane in planes}
    other = FakeTracker(model_id="other")
    keys.add(embedding(engine, other, planes[0])[0])
    assert len(keys) == len(engine.cache) == 4


def test_the_budget_evicts_what_was_not_used_for_longest(fake):
    one = SHAPE[0] * SHAPE[1] * 3
    engine = Engine(build=lambda model, **_: fake, budget=2 * one)
    planes = [source() for _ in range(3)]
    for number in (0, 1, 0, 2):
        embedding(engine, fake, planes[number])
    assert engine.cache.nbytes == 2 * one
    forget_calls(fake)
    embedding(engine, fake, planes[0])
    assert fake.embed_calls == 0
    embedding(engine, fake, planes[1])
    assert fake.embed_calls == 1


def test_a_layer_that_goes_is_forgotten_and_others_are_not(engine, fake):
    mine, other = source(), source()
    key, _ = embedding(engine, fake, mine)
    embedding(engine, fake, other)
    engine.scenes.turns(key)[("a step",)] = Answer(0)
    engine.scenes.objects(key)["object"] = Answer(0)
    engine.scenes.forget_layer(mine.key.layer_id)
    (kept,) = engine.cache.keys()
    assert kept[0].plane == other.key
    embedding(engine, fake, other)
    assert len(engine.scenes.turns(key)) == len(engine.scenes.objects(key)) == 0


def test_a_layer_that_goes_while_it_is_encoded_leaves_nothing(engine, fake):
    mine = source()
    fake.on_block = lambda done, total: engine.scenes.forget_layer(mine.key.layer_id)
    embedding(engine, fake, mine)
    assert len(engine.cache) == 0


class Answer:
    """Anything with a size."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.logits = np.zeros(nbytes, np.uint8)


def test_answers_are_forgotten_by_their_size(engine, monkeypatch):
    monkeypatch.setattr("napari_sam3.viewer.scenes._TURNS_BUDGET", 100)
    engine = Engine(build=None)
    turns = engine.scenes.turns("plane")
    for number in range(5):
        turns[number] = Answer(40)
    assert list(turns) == [3, 4]
    turns["huge"] = Answer(1000)
    assert list(turns) == ["huge"]


def test_full_memory_frees_embeddings_and_answers_but_those_in_use(engine, fake):
    mine, other = source(), source()
    key, _ = embedding(engine, fake, mine)
    embedding(engine, fake, other)
    told, tries = [], []

    def compute():
        tries.append(len(engine.cache))
        if len(tries) == 1:
            raise RuntimeError("CUDA out of memory")
        return "answer"

    def tell(news):
        told.append(news.text)

    assert engine.sparing(compute, fake, tell, key) == "answer"
    assert tries == [2, 1]
    ((scene, _patch),) = engine.cache.keys()
    assert scene == key[0]
    assert told == ["memory was full: freed 0 MB, trying again…"]


def test_other_errors_are_not_tried_again(engine, fake):
    tries = []

    def compute():
        tries.append(1)
        raise ValueError("shapes")

    with pytest.raises(ValueError, match="shapes"):
        engine.sparing(compute, fake, silent)
    assert len(tries) == 1


def test_the_process_has_one_engine():
    assert shared_engine() is shared_engine()


@pytest.mark.parametrize(
    ("model", "name"), [("nano", "nano"), ("/a/b/c.safetensors", "c.safetensors")]
)
def test_models_have_names_for_people(model, name):
    assert ModelChoice(model).name == name


# Mappings that forget


def test_recent_forgets_what_was_not_looked_at():
    recent = Recent(2)
    recent["a"] = recent["b"] = 1
    assert recent["a"] == 1
    recent["c"] = 1
    assert list(recent) == ["a", "c"]
    recent["a"] = 2
    assert len(recent) == 2
    del recent["a"]
    recent["d"] = 1
    assert list(recent) == ["c", "d"]


def test_under_is_a_part_of_a_mapping():
    items = {("x", 1): "a", ("y", 1): "b"}
    part = Under(items, "x")
    assert dict(part) == {1: "a"}
    part[2] = "c"
    del part[1]
    assert items == {("y", 1): "b", ("x", 2): "c"}
    assert len(part) == 1
    assert part.get(7) is None


# With a session


def test_the_users_budget_holds_for_all_planes(engine, fake):
    viewer = ViewerModel()
    viewer.add_image(np.zeros((6, *SHAPE), np.uint8), name="stack")
    viewer.dims.set_current_step(0, 0)
    session = Session(viewer, engine=engine)
    session.cache_budget = 2 * SHAPE[0] * SHAPE[1] * 3
    assert session.cache_budget == engine.cache.budget
    session.wait(SECONDS)
    forget_calls(fake)
    for plane in (1, 2, 3, 3, 2):
        viewer.dims.set_current_step(0, plane)
        session.wait(SECONDS)
    assert fake.embed_calls == 3
    assert engine.cache.nbytes <= session.cache_budget
    viewer.layers.clear()
    assert len(engine.cache) == 0
    session.close()


def test_memory_is_flat_over_many_clicks_and_pixels(session, fake):
    def count():
        fake.prompts.clear()
        gc.collect()
        return sum(type(one) in (Embedding, Prediction) for one in gc.get_objects())

    rng = np.random.default_rng(0)
    counts, threads = [], threading.active_count()
    for number in range(90):
        session.add_point(rng.integers(10, 70, 2))
        session.wait(SECONDS)
        if number % 6 == 5:
            session.clear()
            session.wait(SECONDS)
        if number % 30 == 29:
            session.image.data = session.image.data.copy()
            session.wait(SECONDS)
            counts.append(count())
    assert counts[0] == counts[1] == counts[2]
    assert threading.active_count() <= threads


def test_a_core_is_left_to_the_window(session, engine, monkeypatch):
    devices: list[object] = []
    monkeypatch.setattr("napari_sam3.viewer.engine.leave_a_core", devices.append)
    session.model = "another"
    session.wait(SECONDS)
    assert devices == ["cpu"]


def test_other_channels_are_other_pixels(engine, fake):
    """With the same look, a plane of other channels is not the same picture."""
    stack = np.zeros((3, *SHAPE), np.uint8)
    stack[1], stack[2] = 100, 200
    plane = Plane((1, 2), (0, None, None))
    key = PlaneKey(uuid4(), plane)
    look = Look((Tint((0, 255)), Tint((0, 255))))

    def seen(second):
        planes = [plane, Plane((1, 2), (second, None, None))]
        channels = tuple(
            Channel((stack,), one, layer_id=key.layer_id) for one in planes
        )
        _, found = embedding(engine, fake, PlaneSource(key, channels, look, 1))
        return int(found.features[0, 0, 0])

    assert (seen(1), seen(2), seen(1)) == (100, 200, 100)
    assert fake.embed_calls == 2


def test_large_arrays_are_the_same_until_they_are_others(engine, fake, monkeypatch):
    monkeypatch.setattr("napari_sam3.viewer.sources._SUMMED_BYTES", 10)
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros((3, *SHAPE), np.uint8))
    session = Session(viewer, engine=engine)
    session.wait(SECONDS)
    forget_calls(fake)
    for at in (0, 1, 2, 1, 0):
        viewer.dims.set_current_step(0, at)
        session.wait(SECONDS)
    layer.refresh()
    assert fake.embed_calls <= 3
    before = fake.embed_calls
    layer.data = np.ones((3, *SHAPE), np.uint8)
    session.wait(SECONDS)
    assert fake.embed_calls == before + 1
    session.close()


@pytest.mark.parametrize("kind", ["pyramid", "beside a lazy image"])
def test_edits_in_place_are_noticed_of_every_kind_of_layer(engine, fake, kind):
    viewer = ViewerModel()
    pixels = np.zeros((64, 64), np.uint8)
    if kind == "pyramid":
        edited = viewer.add_image([pixels, pixels[::2, ::2]], contrast_limits=(0, 255))
        session = Session(viewer, engine=engine)
    else:
        lazy = viewer.add_image(da.zeros((64, 64), np.uint8), contrast_limits=(0, 255))
        edited = viewer.add_image(pixels, contrast_limits=(0, 255))
        session = Session(viewer, engine=engine)
        session.image = lazy
        session.channels = [lazy, edited]
    session.wait(SECONDS)
    forget_calls(fake)
    pixels[:] = 200
    edited.refresh()
    session.add_point((20, 20))
    session.wait(SECONDS)
    (seen,) = fake.images
    assert (seen == 200).all()
    session.close()
