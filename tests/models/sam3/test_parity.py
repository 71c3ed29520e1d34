"""Our network gives the numbers of SAM 3's original code, prompt by prompt."""

from __future__ import annotations

import zlib
from contextlib import suppress

import numpy as np
import pytest
import torch

from napari_sam3 import SAM3InteractiveImagePredictor, build_tracker
from napari_sam3.core.errors import PromptError
from napari_sam3.models.sam3.neck import unnest
from napari_sam3.models.view.network import ViewPrompts
from tests.models.sam3.reference import (
    checksum,
    load_reference,
    make_image,
    make_prompts,
    make_weights,
)

REFERENCE = load_reference()
PROMPTS = make_prompts(REFERENCE["mask_input"].astype(np.float32))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> SAM3InteractiveImagePredictor:
    """Load the weights as published, from a file, and set the image: a minute."""
    path = tmp_path_factory.mktemp("weights") / "sam3.pt"
    weights = make_weights()
    assert checksum(weights) == REFERENCE["crc32_weights"]
    torch.save(weights, path)
    del weights
    tracker = build_tracker(model=path, device="cpu", dtype="float32")
    with suppress(PermissionError):  # where what is mapped cannot be deleted
        path.unlink()
    predictor = SAM3InteractiveImagePredictor(tracker, max_hole_area=0)
    image = make_image()
    assert zlib.crc32(image.tobytes()) == REFERENCE["crc32_image"]
    predictor.set_image(image)
    return predictor


@pytest.fixture(scope="module")
def features(predictor) -> tuple[torch.Tensor, ...]:
    (embedding,) = predictor._embeddings
    return embedding.features.features


def test_the_input_is_the_same(predictor):
    frame = predictor._embeddings[0].features.frame
    network = predictor.model.network
    view = frame.read(make_image(), *network.normalisation, torch.device("cpu"))
    sample = view[None, :, ::21, ::21].numpy()
    np.testing.assert_allclose(sample, REFERENCE["pixel_values_sample"], atol=1e-6)


def test_the_embedding_is_the_same(predictor):
    embedding = predictor.get_image_embedding().numpy()
    assert embedding.shape == tuple(REFERENCE["image_embed_shape"])
    sample = embedding[:, ::8, ::4, ::4]
    np.testing.assert_allclose(sample, REFERENCE["image_embed_sample"], atol=1e-3)
    spread = embedding.mean(dtype=np.float64), embedding.std(dtype=np.float64)
    np.testing.assert_allclose(spread, REFERENCE["image_embed_mean_std"], atol=1e-4)


@pytest.mark.parametrize(("level", "index", "times"), [(0, 5, 2), (1, 4, 1)])
def test_the_fine_features_are_the_same(features, level, index, times):
    pixels = unnest(features[index], times).numpy()
    name = f"high_res_{level}"
    assert pixels.shape == tuple(REFERENCE[f"{name}_shape"])
    recorded = REFERENCE[f"{name}_sample"].astype(np.float32)
    # They were recorded in float16.
    np.testing.assert_allclose(
        pixels[:, ::8, ::16, ::16], recorded, rtol=1e-3, atol=2e-3
    )


def answer(predictor, features, name, multimask):
    """Return scores and low-resolution logits."""
    if PROMPTS[name]:
        _, scores, low_res = predictor.predict(
            **PROMPTS[name], multimask_output=multimask
        )
        return scores, low_res
    # The predictor refuses a prompt that says nothing; the network does not.
    nothing = ViewPrompts(torch.zeros(1, 0, 2), torch.zeros(1, 0, dtype=torch.int64))
    with torch.inference_mode():
        network = predictor.model.network
        logits, scores = network.decode(features, nothing, multimask=multimask)
    return scores[0].numpy(), logits[0].clamp(-32, 32).numpy()


@pytest.mark.parametrize("multimask", [True, False], ids=["multi", "single"])
@pytest.mark.parametrize("name", PROMPTS)
def test_the_answer_is_the_same(predictor, features, name, multimask):
    scores, low_res = answer(predictor, features, name, multimask)
    mode = "multi" if multimask else "single"
    np.testing.assert_allclose(scores, REFERENCE[f"{name}__iou_{mode}"], atol=1e-3)
    if not name.endswith(mode):
        return
    recorded = REFERENCE[f"{name}__low_res"].astype(np.float32)
    assert low_res.shape == recorded.shape
    assert ((low_res > 0) == (recorded > 0)).mean() >= 0.999
    assert np.median(np.abs(low_res - recorded)) < 0.02


def test_both_kinds_of_single_mask_are_compared():
    stable = [REFERENCE[f"{name}__stability"] >= 0.98 for name in PROMPTS]
    kinds = np.concatenate([np.ravel(one) for one in stable])
    assert kinds.any()
    assert not kinds.all()


def test_the_masks_are_the_same(predictor):
    masks, _, _ = predictor.predict(**PROMPTS["point_multi"])
    bits = np.unpackbits(REFERENCE["point_multi__mask_bits"])
    recorded = bits[: masks.size].reshape(masks.shape).astype(bool)
    assert (masks == recorded).mean() >= 0.999


def test_an_empty_prompt_is_refused_in_words(predictor):
    with pytest.raises(PromptError, match="prompt is empty; give at least one of"):
        predictor.predict()
