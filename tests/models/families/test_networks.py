"""Our networks against transformers' own forward, where that is right, and beyond."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam3.core.prompt import Prompt
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker

KINDS = [
    ("points",),
    ("box",),
    ("points", "box"),
    ("points", "mask"),
    ("box", "mask"),
    ("points", "box", "mask"),
]


def ignore() -> None:
    """Listen to no progress."""


def forward(
    model: Any, pixels: torch.Tensor, prompts: ViewPrompts, multimask: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask transformers' model: logits (P, C, L, L), scores (P, C)."""
    tensors: dict[str, torch.Tensor] = {}
    if prompts.points.shape[1]:
        tensors["input_points"] = prompts.points[None]
        tensors["input_labels"] = prompts.labels[None]
    if prompts.boxes is not None:
        tensors["input_boxes"] = prompts.boxes.reshape(1, -1, 4)
    if prompts.masks is not None:
        tensors["input_masks"] = prompts.masks
    with torch.inference_mode():
        answer = model(pixel_values=pixels, multimask_output=multimask, **tensors)
    return answer.pred_masks[0], answer.iou_scores[0].clamp(0, 1)


def ask(
    tracker: ViewTracker, pixels: torch.Tensor, prompts: ViewPrompts, multimask: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask our network."""
    with torch.inference_mode():
        features = tracker.network.encode(pixels, ignore)
        return tracker.network.decode(features, prompts, multimask=multimask)


def assert_same(
    found: tuple[torch.Tensor, torch.Tensor], wanted: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Hold logits and scores to 1e-4; logits have a spread that makes that little."""
    assert wanted[0].std() > 0.5
    torch.testing.assert_close(found[0], wanted[0], rtol=0, atol=1e-4)
    torch.testing.assert_close(found[1], wanted[1], rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["sam1", "sam2"])
@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("kinds", KINDS)
def test_answers_are_those_of_transformers(
    family: str,
    kinds: tuple[str, ...],
    multimask: bool,
    prompts: Callable[..., ViewPrompts],
    pixels: torch.Tensor,
    request: pytest.FixtureRequest,
) -> None:
    model = request.getfixturevalue(f"{family}_model")
    tracker = request.getfixturevalue(f"{family}_tracker")
    # transformers takes no earlier masks of several objects.
    asked = prompts(*kinds, objects=1 if "mask" in kinds else 3)

    found = ask(tracker, pixels[:1], asked, multimask)

    assert found[0].shape == (len(asked.points), 3 if multimask else 1, 32, 32)
    assert_same(found, forward(model, pixels[:1], asked, multimask))


def test_a_mask_alone_gives_sam1_no_tokens(
    sam1_model: Any,
    sam1_tracker: ViewTracker,
    prompts: Callable[..., ViewPrompts],
    pixels: torch.Tensor,
) -> None:
    asked = prompts("mask", objects=1)

    found = ask(sam1_tracker, pixels[:1], asked, True)

    assert_same(found, forward(sam1_model, pixels[:1], asked, True))


def test_a_mask_alone_gives_sam2_no_tokens_unlike_transformers(
    sam2_model: Any,
    sam2_tracker: ViewTracker,
    prompts: Callable[..., ViewPrompts],
    pixels: torch.Tensor,
) -> None:
    asked = prompts("mask", objects=1)
    with torch.inference_mode():
        finest, finer, embedding = sam2_model.get_image_embeddings(pixels[:1])
        logits, scores, *_ = sam2_model.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=sam2_model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=torch.empty(1, 1, 0, 256),
            dense_prompt_embeddings=sam2_model.prompt_encoder.mask_embed(asked.masks),
            multimask_output=True,
            high_resolution_features=[finest, finer],
        )

    found = ask(sam2_tracker, pixels[:1], asked, True)

    assert_same(found, (logits[0], scores[0]))
    padded, _ = forward(sam2_model, pixels[:1], asked, True)
    assert (found[0] - padded).abs().max() > 0.1


@pytest.mark.parametrize("family", ["sam1", "sam2"])
@pytest.mark.parametrize("kinds", [("mask",), ("points", "mask")])
def test_every_object_has_its_own_earlier_mask(
    family: str,
    kinds: tuple[str, ...],
    prompts: Callable[..., ViewPrompts],
    pixels: torch.Tensor,
    request: pytest.FixtureRequest,
) -> None:
    tracker = request.getfixturevalue(f"{family}_tracker")
    together = prompts(*kinds)

    logits, scores = ask(tracker, pixels[:1], together, False)

    for one in range(3):
        alone = ViewPrompts(
            *(None if part is None else part[one : one + 1] for part in together)
        )
        wanted = ask(tracker, pixels[:1], alone, False)
        assert_same((logits[one : one + 1], scores[one : one + 1]), wanted)


def test_sam1_decoder_normalises_as_the_original_not_as_transformers_by_default(
    sam1_tracker: ViewTracker,
) -> None:
    decoder = sam1_tracker.network.mask_decoder

    norms = [m for m in decoder.transformer.modules() if type(m) is torch.nn.LayerNorm]

    assert len(norms) == 9
    assert {norm.eps for norm in norms} == {1e-5}
    assert decoder.upscale_layer_norm.eps == 1e-6


def test_sam1_embedding_is_that_of_transformers(
    sam1_model: Any, sam1_tracker: ViewTracker, pixels: torch.Tensor
) -> None:
    network = sam1_tracker.network
    with torch.inference_mode():
        features = network.encode(pixels, ignore)
        wanted = sam1_model.get_image_embeddings(pixels)

    torch.testing.assert_close(features[0], wanted, rtol=0, atol=1e-4)
    assert network.image_embedding(features).shape == (2, 256, 8, 8)


def test_sam2_features_have_the_no_memory_embedding_and_the_decoders_convolutions(
    sam2_model: Any, sam2_tracker: ViewTracker, pixels: torch.Tensor
) -> None:
    network = sam2_tracker.network
    with torch.inference_mode():
        features = network.encode(pixels[:1], ignore)
        finest, finer, embedding = sam2_model.get_image_embeddings(pixels[:1])

    assert sam2_model.no_memory_embedding.std() > 0.5
    for found, wanted in zip(features, (embedding, finest, finer)):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4)
    assert network.image_embedding(features) is features[0]


@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_a_batch_of_views_is_encoded_like_each_alone(
    family: str, pixels: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(f"{family}_tracker").network
    with torch.inference_mode():
        both = network.encode(pixels, ignore)
        second = network.encode(pixels[1:], ignore)

    for found, wanted in zip(both, second):
        torch.testing.assert_close(found[1:], wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_encoding_can_be_cancelled_after_each_block_and_done_again(
    family: str, pixels: torch.Tensor, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(f"{family}_tracker").network
    calls: list[int] = []

    def count() -> None:
        calls.append(len(calls))

    def stop_at_second() -> None:
        count()
        if len(calls) == 2:
            raise KeyboardInterrupt

    with torch.inference_mode():
        whole = network.encode(pixels[:1], count)
        assert len(calls) == network.steps > 2
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            network.encode(pixels[:1], stop_at_second)
        assert len(calls) == 2
        again = network.encode(pixels[:1], ignore)

    for found, wanted in zip(again, whole):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_half_a_format_leaves_prompts_in_float32(
    family: str,
    load_as: Callable[..., ViewTracker],
    prompts: Callable[..., ViewPrompts],
    pixels: torch.Tensor,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    model = request.getfixturevalue(f"{family}_model")
    exact = request.getfixturevalue(f"{family}_tracker")
    half = load_as(
        model.state_dict(), tmp_path / "half.safetensors", family, torch.bfloat16
    )
    asked = prompts("points", "box", "mask")

    features = half.network.encode(pixels[:1], ignore)
    logits, scores = half.network.decode(features, asked, multimask=True)
    wanted, _ = ask(exact, pixels[:1], asked, True)

    assert {tensor.dtype for tensor in features} == {torch.bfloat16}
    for name, tensor in half.network.state_dict().items():
        is_prompt = name.startswith("prompt_encoder.")
        assert tensor.dtype == (torch.float32 if is_prompt else torch.bfloat16), name
    both = torch.stack((logits.float().flatten(), wanted.flatten()))
    assert torch.corrcoef(both)[0, 1] > 0.99
    assert scores.isfinite().all()
    assert half.fingerprint != exact.fingerprint


@pytest.mark.parametrize(("family", "steps"), [("sam1", 3), ("sam2", 5)])
def test_the_tracker_embeds_and_answers_images_of_any_shape(
    family: str, steps: int, request: pytest.FixtureRequest
) -> None:
    tracker = request.getfixturevalue(f"{family}_tracker")
    image = np.random.default_rng(0).integers(0, 256, (90, 150, 3), np.uint8)
    reports: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        reports.append((done, total))

    (embedding,) = tracker.embed([image], report=report)
    earlier = tracker.predict(
        embedding, [Prompt(points=[[40, 70]], labels=[True])], multimask=True
    )[0]
    ((answer,),) = tracker.predict(
        embedding,
        [Prompt(box=(10, 20, 60, 80), mask_logits=earlier[0].low_res)],
        multimask=False,
    )

    assert reports[0] == (0, steps)
    assert reports[-1] == (steps, steps)
    assert len(earlier) == 3
    assert tracker.image_embedding(embedding).shape == (1, 256, 8, 8)
    assert answer.low_res.shape == (32, 32)
    assert answer.paste((90, 150)).shape == (90, 150)
    assert 0 <= answer.score <= 1
