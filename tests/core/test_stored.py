"""Embedding by way of a store: once, rounded alike, whatever the files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam3.core.errors import ImageError
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.store import EmbeddingStore, store_key
from napari_sam3.core.stored import embed_stored, find_stored
from napari_sam3.core.tracker import StorableTracker
from tests.fakes import FakeTracker

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


class Thirds(FakeTracker):
    """A model whose features float16 cannot hold exactly, or not at all."""

    factor = np.float32(1 / 3)

    def embed(self, images, **options) -> list[Embedding]:
        return [
            Embedding(one.features * self.factor, one.image_shape, one.fingerprint, 9)
            for one in super().embed(images, **options)
        ]

    def to_arrays(self, embedding) -> dict[str, NDArray[np.float16]]:
        with np.errstate(over="ignore"):
            return super().to_arrays(embedding)

    def from_arrays(self, arrays, image) -> Embedding:
        features = arrays["pixels"].astype(np.float32)
        return Embedding(features, image.shape[:2], self.fingerprint, 9)


class Plain:
    """A model whose embeddings cannot be stored: `Tracker` without more."""

    def __init__(self) -> None:
        self._inner = FakeTracker()
        for name in ("model_id", "fingerprint", "low_res_size", "device", "is_quick"):
            setattr(self, name, getattr(self._inner, name))
        self.embed, self.predict = self._inner.embed, self._inner.predict


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path)


def file_of(store: EmbeddingStore, tracker: FakeTracker) -> Path:
    key = store_key(IMAGE, tracker.fingerprint)
    return store.folder / key[:2] / f"{key}.safetensors"


def test_an_image_is_embedded_once_for_all_trackers(store: EmbeddingStore) -> None:
    first, second = FakeTracker(), FakeTracker()
    progress: list[tuple[int, int]] = []
    assert find_stored(first, IMAGE, store) is None

    made = embed_stored(first, IMAGE, store, lambda *call: progress.append(call))
    found = embed_stored(second, IMAGE.copy(), EmbeddingStore(store.folder))

    assert (first.embed_calls, second.embed_calls) == (1, 0)
    assert progress == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    for embedding in (made, found, find_stored(second, IMAGE, store)):
        assert embedding is not None
        np.testing.assert_array_equal(embedding.features, IMAGE)
        assert embedding.image_shape == (20, 30)
        assert embedding.fingerprint == first.fingerprint
        assert embedding.nbytes == IMAGE.nbytes


def test_other_pixels_and_other_weights_are_embedded_anew(
    store: EmbeddingStore,
) -> None:
    tracker, other = FakeTracker(), FakeTracker(version="1")
    changed = IMAGE.copy()
    changed[0, 0, 0] ^= 1
    for image in (IMAGE, changed, IMAGE[:, :20], IMAGE):
        embed_stored(tracker, image, store)
    embed_stored(other, IMAGE, store)
    assert (tracker.embed_calls, other.embed_calls) == (3, 1)
    assert len(store) == 4


def test_answers_do_not_depend_on_where_an_embedding_came_from(
    store: EmbeddingStore,
) -> None:
    made = embed_stored(Thirds(), IMAGE, store)
    found = embed_stored(Thirds(), IMAGE, store)
    np.testing.assert_array_equal(made.features, found.features)
    exact = embed_stored(Thirds(), IMAGE, None)
    assert (exact.features == IMAGE * Thirds.factor).all()
    assert not (exact.features == made.features).all()
    np.testing.assert_allclose(exact.features, made.features, rtol=2**-11)


def test_a_full_disk_makes_no_difference(store: EmbeddingStore) -> None:
    made = embed_stored(Thirds(), IMAGE, store)
    nowhere = EmbeddingStore(store.folder, cap=0)
    tracker = Thirds(version="1")
    again = embed_stored(tracker, IMAGE, nowhere)
    assert tracker.embed_calls == 1
    np.testing.assert_array_equal(made.features, again.features)


def test_numbers_that_float16_lacks_stay_as_they_are(store: EmbeddingStore) -> None:
    tracker = Thirds()
    tracker.factor = np.float32(1e6)
    for _ in range(2):
        embedding = embed_stored(tracker, IMAGE, store)
        assert (embedding.features == IMAGE * tracker.factor).all()
    assert tracker.embed_calls == 2
    assert len(store) == 0


def test_without_a_store_or_arrays_the_tracker_embeds(store: EmbeddingStore) -> None:
    tracker = FakeTracker()
    assert isinstance(tracker, StorableTracker)
    assert not isinstance(Plain(), StorableTracker)
    embed_stored(tracker, IMAGE, None)
    embed_stored(tracker, IMAGE, None)
    assert tracker.embed_calls == 2

    plain = Plain()
    embed_stored(plain, IMAGE, store)  # type: ignore[arg-type]
    embed_stored(plain, IMAGE, store)  # type: ignore[arg-type]
    assert plain._inner.embed_calls == 2
    assert find_stored(plain, IMAGE, store) is None  # type: ignore[arg-type]
    assert len(store) == 0


@pytest.mark.parametrize("flaw", ["byte", "name", "array", "image shape"])
def test_a_file_that_is_no_use_is_computed_again_and_replaced(
    flaw: str, store: EmbeddingStore
) -> None:
    tracker = FakeTracker()
    embed_stored(tracker, IMAGE, store)
    path = file_of(store, tracker)
    whole = path.read_bytes()
    key = path.stem
    if flaw == "byte":
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    else:  # whole, and of another version of the package
        shape = (20, 30) if flaw != "image shape" else (30, 20)
        size = (20, 30, 3) if flaw != "array" else (10, 15, 3)
        name = "pixels" if flaw != "name" else "levels"
        store.remove(key)
        assert store.put(key, {name: np.zeros(size, np.float16)}, shape)

    again = embed_stored(tracker, IMAGE, store)

    np.testing.assert_array_equal(again.features, IMAGE)
    assert tracker.embed_calls == 2
    restored = store.get(key)
    assert restored is not None
    np.testing.assert_array_equal(restored.arrays["pixels"], IMAGE)
    embed_stored(tracker, IMAGE, store)
    assert tracker.embed_calls == 2


def test_what_report_raises_ends_the_work_and_nothing_is_stored(
    store: EmbeddingStore,
) -> None:
    def cancel(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    tracker = FakeTracker()
    with pytest.raises(KeyboardInterrupt):
        embed_stored(tracker, IMAGE, store, cancel)
    assert len(store) == 0
    with pytest.raises(ImageError):
        embed_stored(tracker, IMAGE.astype(np.float32), store)  # type: ignore[arg-type]


def test_pixels_that_change_while_they_are_embedded_are_not_mixed_up(
    store: EmbeddingStore,
) -> None:
    image: NDArray[np.uint8] = IMAGE.copy()

    def edit(done: int, total: int) -> None:
        image[:] = 0

    embed_stored(FakeTracker(on_block=edit), image, store)

    found = find_stored(FakeTracker(), IMAGE, store)
    assert found is not None
    np.testing.assert_array_equal(found.features, IMAGE)
    assert find_stored(FakeTracker(), image, store) is None
