"""transformers' SAM 3 gives the same numbers, where it is wired right."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models.sam3.keys import LAYOUTS
from napari_sam3.models.sam3.load import load
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.weights.source import open_weights
from tests.models.sam3.small import SMALL, make_transformers_model, on_meta

PUBLISHED, SAVED = LAYOUTS[2], LAYOUTS[4]
#: What a video model calls the parts of the tracker.
RENAMED = {
    "vision_encoder.backbone.": "detector_model.vision_encoder.backbone.",
    "vision_encoder.neck.": "tracker_neck.",
}


@pytest.fixture(scope="module")
def theirs():
    return make_transformers_model()


@pytest.fixture(params=["published", "saved"])
def ours(request, theirs, tmp_path):
    state = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    layout = SAVED
    if request.param == "published":
        layout = PUBLISHED
        state = {published(name): tensor for name, tensor in state.items()}
        state["detector_model.text_encoder.weight"] = torch.zeros(3)
        state["tracker_model.memory_encoder.weight"] = torch.zeros(3)
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    assert layout.marker in state
    with open_weights(path) as source:
        cpu = torch.device("cpu")
        tracker = load(
            source,
            layout,
            model_id="small",
            device=cpu,
            dtype=torch.float32,
            network=on_meta(),
        )
    return tracker.network


def published(name):
    for prefix, other in RENAMED.items():
        if name.startswith(prefix):
            return other + name.removeprefix(prefix)
    return f"tracker_model.{name}"


@pytest.fixture(scope="module")
def pixels():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(1, 3, SMALL.size, SMALL.size, generator=generator)


POINTS = torch.tensor([[[30.0, 50.0], [90.0, 20.0]]])
BOXES = torch.tensor([[[10.0, 20.0], [70.0, 90.0]]])
MASK = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(2)) * 5
ONE, TWO = torch.tensor([[1]]), torch.tensor([[1, 0]])
CASES = {
    "point": ViewPrompts(POINTS[:, :1], ONE),
    "points": ViewPrompts(POINTS, TWO),
    "box": ViewPrompts(POINTS[:, :0], ONE[:, :0], BOXES),
    "box and points": ViewPrompts(POINTS, TWO, BOXES),
    "point and mask": ViewPrompts(POINTS[:, :1], ONE, None, MASK),
}


def ask_theirs(model, embeddings, prompts, multimask):
    has_points = prompts.points.shape[1] > 0
    output = model(
        image_embeddings=embeddings,
        input_points=prompts.points[:, None] if has_points else None,
        input_labels=prompts.labels[:, None] if has_points else None,
        input_boxes=None if prompts.boxes is None else prompts.boxes.flatten(1)[None],
        input_masks=prompts.masks,
        multimask_output=multimask,
    )
    return output.pred_masks[0], output.iou_scores[0]


@pytest.mark.parametrize("multimask", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_prompts_are_answered_alike(theirs, ours, pixels, case, multimask):
    with torch.inference_mode():
        embeddings = theirs.get_image_embeddings(pixels)
        features = ours.encode(pixels, lambda: None)
        torch.testing.assert_close(
            ours.image_embedding(features), embeddings[-1], atol=1e-4, rtol=1e-4
        )
        want_masks, want_scores = ask_theirs(theirs, embeddings, CASES[case], multimask)
        masks, scores = ours.decode(features, CASES[case], multimask=multimask)
    torch.testing.assert_close(scores, want_scores, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(masks, want_masks, atol=2e-3, rtol=1e-3)
