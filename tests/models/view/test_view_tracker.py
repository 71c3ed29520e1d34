"""Prompts in, predictions out, whatever network there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.errors import ImageError, ModelError, PromptError
from napari_sam3.core.prediction import Prediction
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import StorableTracker, Tracker
from napari_sam3.models.view.network import Features
from tests.models.view.fake_network import CELLS, CPU, FakeNetwork, tracker_of

SHAPE = (40, 50)


def noise(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def mixed_prompts() -> list[Prompt]:
    """Return prompts of many kinds, the kinds in turns."""
    mask = np.linspace(-5, 5, CELLS * CELLS, dtype=np.float32).reshape(CELLS, CELLS)
    prompts = []
    for i in range(4):
        one, two = [3.0 + i, 7.0], [[3.0 + i, 7.0], [20.0, 5.0 * i]]
        box = (1.0 + i, 2.0, 30.0, 20.0 + i)
        prompts += [
            Prompt(points=[one], labels=[True]),
            Prompt(points=two, labels=[True, i % 2 == 0]),
            Prompt(box=box),
            Prompt(points=[one], labels=[False], box=box),
            Prompt(mask_logits=mask + i),
            Prompt(points=two, labels=[True, False], mask_logits=mask - i),
            Prompt(box=box, mask_logits=mask[::2] * i, mask_box=(0, 0, 20, 20 + i)),
        ]
    return prompts


def assert_same(one: Prediction, other: Prediction) -> None:
    assert one.bbox == other.bbox
    assert one.score == other.score
    np.testing.assert_array_equal(one.logits, other.logits)
    np.testing.assert_array_equal(one.low_res, other.low_res)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("multimask", [True, False])
def test_prompts_of_all_kinds_are_answered_in_their_order(
    batched: bool, multimask: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = FakeNetwork()
    tracker = tracker_of(network)
    (embedding,) = tracker.embed([noise()])
    prompts = mixed_prompts()
    alone = [
        tracker.predict(embedding, [prompt], multimask=multimask)[0]
        for prompt in prompts
    ]
    assert len({answer[0].score for answer in alone}) == len(prompts)  # all differ
    network.decoded.clear()
    if batched:
        monkeypatch.setattr(tracker, "_most_at_once", lambda size: 3)

    together = tracker.predict(embedding, prompts, multimask=multimask)

    assert [len(answer) for answer in together] == [3 if multimask else 1] * len(
        prompts
    )
    for answer, wanted in zip(together, alone):
        for one, other in zip(answer, wanted):
            assert_same(one, other)
    assert network.decoded == ([3, 1] * 7 if batched else [1] * 28)


def test_nothing_asked_is_nothing_answered() -> None:
    tracker = tracker_of(FakeNetwork())
    (embedding,) = tracker.embed([noise()])

    assert tracker.embed([]) == []
    assert tracker.predict(embedding, [], multimask=True) == []


def test_it_is_a_tracker() -> None:
    tracker = tracker_of(FakeNetwork(), weights="abc")

    assert isinstance(tracker, Tracker)
    assert tracker.model_id == "fake"
    assert tracker.fingerprint == "fake-abc"
    assert tracker.low_res_size == CELLS
    assert tracker.device == CPU
    assert not tracker.is_quick


def test_embeddings_of_other_weights_are_refused() -> None:
    (embedding,) = tracker_of(FakeNetwork(), "old").embed([noise()])
    tracker = tracker_of(FakeNetwork(), "new")
    prompt = Prompt(points=[[1, 1]], labels=[True])

    with pytest.raises(ModelError, match=r"of fake-old, not of fake-new; embed"):
        tracker.predict(embedding, [prompt], multimask=True)
    with pytest.raises(ModelError, match="embed the image again"):
        tracker.image_embedding(embedding)


def test_a_prompt_outside_the_image_is_refused_before_any_work() -> None:
    network = FakeNetwork()
    tracker = tracker_of(network)
    (embedding,) = tracker.embed([noise()])
    inside, outside = (
        Prompt(points=[[row, 5]], labels=[True]) for row in (5, SHAPE[0])
    )

    with pytest.raises(PromptError, match="row 40"):
        tracker.predict(embedding, [inside, outside], multimask=True)
    assert network.decoded == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 5, 3)),
        np.zeros((4, 5, 3), np.uint16),
        np.zeros((4, 5, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((2, 4, 5, 3), np.uint8),
    ],
)
def test_images_that_need_scaling_are_refused_before_any_work(
    image: np.ndarray,
) -> None:
    network = FakeNetwork()

    with pytest.raises(ImageError, match=r";"):
        tracker_of(network).embed([noise(), image])
    assert network.encoded == []


def test_grey_images_are_taken() -> None:
    tracker = tracker_of(FakeNetwork())
    grey = noise()[..., 0]

    both = tracker.embed([grey, np.repeat(grey[..., np.newaxis], 3, axis=2)])

    one, other = (embedding.features.features[0] for embedding in both)
    assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (20_000, 1), (3, 700)])
@pytest.mark.parametrize("is_padded", [True, False])
def test_images_of_extreme_shapes_are_answered(
    shape: tuple[int, int], is_padded: bool
) -> None:
    tracker = tracker_of(FakeNetwork(is_padded=is_padded))
    point = tuple(side - 1 for side in shape)

    (embedding,) = tracker.embed([noise(shape)])
    ((found,),) = tracker.predict(
        embedding, [Prompt(points=[point], labels=[True])], multimask=False
    )

    assert embedding.image_shape == shape
    assert found.paste(shape).shape == shape
    assert found.bbox == (0, 0, *shape)
    assert np.isfinite(found.logits).all()


def answer_to(logits: torch.Tensor, scores: torch.Tensor | None = None) -> Prediction:
    """Return what becomes of a network's answer, shape (CELLS, CELLS)."""
    network = FakeNetwork()
    network.logits, network.scores = logits, scores
    tracker = tracker_of(network)
    (embedding,) = tracker.embed([noise()])
    prompt = Prompt(points=[[1, 1]], labels=[True])
    ((found,),) = tracker.predict(embedding, [prompt], multimask=False)
    assert type(found.score) is float
    assert found.logits.dtype == found.low_res.dtype == np.float32
    # What comes out may be fed back.
    Prompt(mask_logits=found.low_res)
    return found


@pytest.mark.parametrize("value", [torch.nan, -torch.inf, -60.0, -10.0])
def test_without_a_mask_a_prediction_is_a_pixel_of_background(value: float) -> None:
    found = answer_to(torch.full((CELLS, CELLS), value), torch.tensor(torch.nan))

    assert found.logits.shape == (1, 1)
    assert not found.mask().any()
    assert not found.mask(-9.9).any()
    assert found.score == 0
    assert (found.low_res <= -10).all()


def test_infinite_logits_stay_on_their_side() -> None:
    logits = torch.full((CELLS, CELLS), -torch.inf)
    logits[3, 4] = torch.inf

    found = answer_to(logits, torch.tensor(torch.inf))

    assert np.isfinite(found.logits).all()
    mask = found.paste(SHAPE) > 0
    assert mask[17, 28]  # the middle of that cell
    assert mask.sum() < 3 * SHAPE[0] * SHAPE[1] / CELLS**2
    assert found.low_res.max() == 32
    assert found.score == 1


@pytest.mark.parametrize("threshold", [-9.5, -3, 0, 4, 40])
def test_masks_have_the_same_pixels_at_any_threshold_as_the_whole_map(
    threshold: float,
) -> None:
    at = torch.arange(CELLS) - 3.0
    logits = 60 - 25 * torch.hypot(at[:, None], at - 1)

    found = answer_to(logits)

    whole = torch.nn.functional.interpolate(
        logits[None, None], SHAPE, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    mask = np.zeros(SHAPE, bool)
    row0, col0, row1, col1 = found.bbox
    mask[row0:row1, col0:col1] = found.mask(threshold)
    assert (row1 - row0) * (col1 - col0) < SHAPE[0] * SHAPE[1]
    np.testing.assert_array_equal(mask, whole > threshold)
    assert found.logits.max() > 32  # only the low-resolution logits are clamped
    assert found.low_res.max() == 32
    assert found.low_res.min() == -32


def test_callers_may_write_into_predictions() -> None:
    network = FakeNetwork()
    # One map for all objects and candidates, expanded: they share its memory.
    network.logits = torch.linspace(-5, 5, CELLS).expand(CELLS, CELLS)
    tracker = tracker_of(network)
    (embedding,) = tracker.embed([noise()])
    prompts = mixed_prompts()[:2]
    first = tracker.predict(embedding, prompts, multimask=True)
    flat = [found for answer in first for found in answer]
    arrays = [array for found in flat for array in (found.logits, found.low_res)]
    kept = [array.copy() for array in arrays]

    for index, array in enumerate(arrays):
        array[:] = 99
        for other, before in list(zip(arrays, kept))[index + 1 :]:
            np.testing.assert_array_equal(other, before)

    again = tracker.predict(embedding, prompts, multimask=True)
    for found, before in zip([one for row in again for one in row], kept[::2]):
        np.testing.assert_array_equal(found.logits, before)


def test_the_image_embedding_is_float32_and_the_callers_own() -> None:
    tracker = tracker_of(FakeNetwork())
    (embedding,) = tracker.embed([noise()])

    found = tracker.image_embedding(embedding)
    found.add_(1)  # an ordinary tensor: one of inference mode refuses this
    again = tracker.image_embedding(embedding)

    assert again.dtype == torch.float32
    assert again.shape == (1, 3, CELLS, CELLS)
    assert torch.allclose(found, again + 1)


def test_an_image_may_be_changed_after_it_was_embedded() -> None:
    tracker = tracker_of(FakeNetwork())
    image = noise()
    (embedding,) = tracker.embed([image])
    prompt = Prompt(points=[[1, 1]], labels=[True])
    ((before,),) = tracker.predict(embedding, [prompt], multimask=False)

    image[:] = 0

    ((after,),) = tracker.predict(embedding, [prompt], multimask=False)
    assert_same(after, before)


def test_an_embedding_survives_as_arrays_of_float16() -> None:
    tracker = tracker_of(FakeNetwork(is_padded=True))
    assert isinstance(tracker, StorableTracker)
    image = noise()
    (embedding,) = tracker.embed([image])

    arrays = tracker.to_arrays(embedding)
    stored = {name: array.copy() for name, array in reversed(arrays.items())}
    for array in stored.values():
        array.flags.writeable = False
    other = tracker_of(FakeNetwork(is_padded=True))  # has not embedded anything yet
    again = other.from_arrays(stored, image)

    assert set(arrays) == {"0.float32", "1.float16"}
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float16)}
    assert again.image_shape == embedding.image_shape == SHAPE
    assert again.fingerprint == embedding.fingerprint
    assert again.nbytes == embedding.nbytes
    assert again.features.frame == embedding.features.frame
    for one, before in zip(again.features.features, embedding.features.features):
        assert (one.dtype, one.device) == (before.dtype, before.device)
        assert torch.equal(one, before.half().to(before.dtype))
    # Rounding twice is rounding once.
    for name, array in other.to_arrays(again).items():
        np.testing.assert_array_equal(array, arrays[name])
    prompt = Prompt(points=[[3, 4]], labels=[True])
    ((found,),) = other.predict(again, [prompt], multimask=False)
    ((exact,),) = tracker.predict(embedding, [prompt], multimask=False)
    np.testing.assert_allclose(found.logits, exact.logits, atol=2e-3)


def test_bfloat16_loses_nothing_and_what_is_too_large_is_infinite() -> None:
    class Half(FakeNetwork):
        def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
            coarse, _ = super().encode(pixels, between)
            return (coarse.to(torch.bfloat16) * self.factor,)

        factor = 1.0

    network = Half()
    tracker = tracker_of(network)
    (embedding,) = tracker.embed([noise()])
    arrays = tracker.to_arrays(embedding)
    again = tracker.from_arrays(arrays, noise())
    assert set(arrays) == {"0.bfloat16"}
    assert torch.equal(again.features.features[0], embedding.features.features[0])

    network.factor = 1e30
    (huge,) = tracker.embed([noise()])
    assert np.isinf(tracker.to_arrays(huge)["0.bfloat16"]).all()


def test_arrays_that_are_no_features_are_refused_with_the_remedy() -> None:
    tracker = tracker_of(FakeNetwork())
    (embedding,) = tracker.embed([noise()])
    good = tracker.to_arrays(embedding)
    first, second = good["0.float32"], good["1.float16"]
    tracker.from_arrays(good, noise())
    for bad in (
        {},
        {"0.float32": first},
        {"0.float32": first, "2.float16": second},
        {"0.float32": first, "1.int8": second},
        {"0.float32": first, "1.float32": second},  # this network's is float16
        {"zero.float32": first, "1.float16": second},
        {"0.float32": first.astype(np.float32), "1.float16": second},
        {"0.float32": first[:, :1], "1.float16": second},
        {"0.float32": first[0], "1.float16": second},
        {"0.float32": np.float16(1), "1.float16": second},
    ):
        with pytest.raises(ModelError, match="embed the image again"):
            tracker.from_arrays(bad, noise())
    with pytest.raises(ModelError, match="embed the image again"):
        tracker_of(FakeNetwork(), weights="1").to_arrays(embedding)


def test_the_view_is_the_networks() -> None:
    assert tracker_of(FakeNetwork()).view_size == FakeNetwork.size
