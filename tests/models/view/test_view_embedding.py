"""Progress, cancelling, batches and memory of embedding and predicting."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.errors import MemoryFullError, ModelError
from napari_sam3.core.prompt import Prompt
from napari_sam3.models.view.network import Features, ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker
from tests.models.view.fake_network import CELLS, STEPS, FakeNetwork, tracker_of

#: What a device says when its memory is full.
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB."


class SmallMemory(FakeNetwork):
    """Takes so many images or objects at once, and no more."""

    def __init__(self, images: int = 99, objects: int = 99) -> None:
        super().__init__()
        self.images, self.objects = images, objects

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        features = super().encode(pixels, between)
        if len(pixels) > self.images:  # where it hurts most: at the end
            raise torch.OutOfMemoryError(FULL)
        return features

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        answer = super().decode(features, prompts, multimask=multimask)
        if len(prompts.points) > self.objects:
            raise torch.OutOfMemoryError(FULL)
        return answer


@pytest.fixture
def images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + i, 30, 3), np.uint8) for i in range(8)]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have trackers compute as on a graphics card."""
    monkeypatch.setattr(ViewTracker, "_most_at_once", lambda self, size: size)


def assert_progress(calls: list[tuple[int, int]], images: int) -> None:
    done, totals = zip(*calls)
    assert set(totals) == {images * STEPS}
    assert list(done) == sorted(done)
    assert done[0] == 0
    assert done[-1] == images * STEPS


def test_progress_is_told_before_between_and_after(
    images: list[NDArray[np.uint8]],
) -> None:
    network = FakeNetwork()
    calls: list[tuple[int, int]] = []
    before = []

    def report(done: int, total: int) -> None:
        calls.append((done, total))
        if not network.encoded:
            before.append(done)

    tracker_of(network).embed(images[:2], report=report)

    assert_progress(calls, 2)
    assert before
    assert set(before) == {0}
    assert [done for done, _ in calls if done] == list(range(1, 2 * STEPS + 1))


@pytest.mark.usefixtures("batches")
def test_progress_of_a_batch_counts_all_of_its_images(
    images: list[NDArray[np.uint8]],
) -> None:
    calls: list[tuple[int, int]] = []

    tracker_of(FakeNetwork()).embed(images, report=lambda *call: calls.append(call))

    assert_progress(calls, 8)
    assert [done for done, _ in calls if done] == [8, 16, 24]


@pytest.mark.parametrize("at", range(2 * STEPS + 1))
def test_what_report_raises_ends_the_work_and_the_tracker_goes_on(
    at: int, images: list[NDArray[np.uint8]]
) -> None:
    network = FakeNetwork()
    tracker = tracker_of(network)

    class EnoughError(Exception):
        pass

    def report(done: int, total: int) -> None:
        if done == at:
            raise EnoughError

    with pytest.raises(EnoughError):
        tracker.embed(images[:2], report=report)

    assert len(network.encoded) == -(-at // STEPS)
    (again,) = tracker.embed(images[:1])
    (fresh,) = tracker_of(FakeNetwork()).embed(images[:1])
    assert torch.equal(again.features.features[0], fresh.features.features[0])


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize(
    ("most", "encoded"),
    [
        (8, [8]),
        (5, [8, 4, 4]),
        (3, [8, 4, 2, 2, 2, 2]),
        (1, [8, 4, 2, 1, 1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_where_memory_runs_out_batches_get_smaller(
    most: int, encoded: list[int], images: list[NDArray[np.uint8]]
) -> None:
    network = SmallMemory(images=most)
    calls: list[tuple[int, int]] = []

    found = tracker_of(network).embed(images, report=lambda *call: calls.append(call))

    assert network.encoded == encoded
    assert_progress(calls, 8)
    wanted = [tracker_of(FakeNetwork()).embed([image])[0] for image in images]
    for one, other in zip(found, wanted):
        assert one.image_shape == other.image_shape
        assert one.nbytes == other.nbytes
        for tensor, same in zip(one.features.features, other.features.features):
            assert torch.equal(tensor, same)


@pytest.mark.usefixtures("batches")
def test_where_one_image_is_too_many_the_remedy_is_told(
    images: list[NDArray[np.uint8]],
) -> None:
    network = SmallMemory(images=0)
    tracker = tracker_of(network)

    with pytest.raises(MemoryFullError, match="choose a smaller model") as caught:
        tracker.embed(images)

    # The first error would keep what fills the memory.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    network.images = 99
    assert len(tracker.embed(images)) == 8


@pytest.mark.usefixtures("batches")
@pytest.mark.parametrize("most", [1, 2, 5])
def test_where_memory_runs_out_prompts_are_answered_in_smaller_parts(
    most: int, images: list[NDArray[np.uint8]]
) -> None:
    prompts = [Prompt(points=[[i, 2 * i]], labels=[True]) for i in range(9)]
    network = SmallMemory(objects=most)
    tracker = tracker_of(network)
    (embedding,) = tracker.embed(images[:1])

    found = tracker.predict(embedding, prompts, multimask=True)

    assert network.decoded[0] == 9
    assert sum(count for count in network.decoded if count <= most) == 9
    network.objects = 99
    wanted = tracker.predict(embedding, prompts, multimask=True)
    assert [answer[0].score for answer in found] == [row[0].score for row in wanted]

    network.objects = 0
    with pytest.raises(MemoryFullError, match="one image or object at a time"):
        tracker.predict(embedding, prompts, multimask=True)


def test_other_errors_come_out_as_they_are(images: list[NDArray[np.uint8]]) -> None:
    class Broken(FakeNetwork):
        def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        tracker_of(Broken()).embed(images)


@pytest.mark.usefixtures("batches")
def test_the_features_of_one_image_do_not_keep_those_of_its_batch(
    images: list[NDArray[np.uint8]],
) -> None:
    network = FakeNetwork()
    encode = network.encode
    whole: list[weakref.ref[torch.UntypedStorage]] = []

    def listen(pixels: Tensor, between: Callable[[], object]) -> Features:
        features = encode(pixels, between)
        whole.extend(weakref.ref(tensor) for tensor in features)
        return features

    network.encode = listen  # type: ignore[method-assign]

    embeddings = tracker_of(network).embed(images)

    gc.collect()
    assert whole
    assert all(tensor() is None for tensor in whole)
    for embedding in embeddings:
        own = embedding.features.features
        held = sum(tensor.untyped_storage().nbytes() for tensor in own)
        assert embedding.nbytes == held == 3 * CELLS * CELLS * 4 + 2


def test_a_part_of_a_larger_tensor_does_not_keep_all_of_it(
    images: list[NDArray[np.uint8]],
) -> None:
    class Wasteful(FakeNetwork):
        def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
            return (torch.cat([*super().encode(pixels, between)[:1]] * 10, 1)[:, :3],)

    (embedding,) = tracker_of(Wasteful()).embed(images[:1])

    (own,) = embedding.features.features
    assert own.untyped_storage().nbytes() == embedding.nbytes == 3 * CELLS * CELLS * 4


def test_features_that_are_no_numbers_are_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = FakeNetwork()
    tracker = tracker_of(network)
    encode = network.encode

    def overflow(pixels: Tensor, between: Callable[[], object]) -> Features:
        coarse, mean = encode(pixels, between)
        return coarse, mean * float("inf")

    monkeypatch.setattr(network, "encode", overflow)
    with pytest.raises(ModelError, match="use dtype 'bfloat16' or 'float32'"):
        tracker.embed([np.full((9, 9, 3), 200, np.uint8)])
