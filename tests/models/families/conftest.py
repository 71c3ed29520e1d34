"""Small networks of both families, with random weights: nonsense, but always the same.

Their models are transformers' own, so that tests can hold ours against them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from napari_sam3.models import families
from napari_sam3.models.families import sam1, sam2
from napari_sam3.models.families.sam1_keys import sam1_layouts
from napari_sam3.models.families.sam2_keys import sam2_layouts
from napari_sam3.models.view.network import ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker
from napari_sam3.models.weights.layout import Layout, recognise
from napari_sam3.models.weights.source import open_weights

SIDE = 128
CELLS = SIDE // 16
LOW_RES = SIDE // 4


def randomise(model: Any) -> Any:
    """Give every tensor numbers that matter; many start as zeros and ones."""
    torch.manual_seed(0)
    model.requires_grad_(False)
    for name, tensor in model.state_dict().items():
        if tensor.ndim > 1:
            is_added = "pos" in name or "memory" in name
            gain = 2 if "hypernetworks" in name else 1  # for logits with a spread
            tensor.normal_(0, 1 if is_added else gain * tensor[0].numel() ** -0.5)
        else:
            tensor.normal_(1 if "norm" in name and "weight" in name else 0, 0.1)
    # One matrix in all published weights, though transformers keeps it twice.
    twin = model.prompt_encoder.shared_embedding.positional_embedding
    model.shared_image_embedding.positional_embedding.copy_(twin)
    return model.eval()


@pytest.fixture(scope="session")
def sam1_model() -> Any:
    """Return transformers' SAM 1, small, with random weights."""
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "global_attn_indexes": [1],
            "image_size": SIDE,
        },
        prompt_encoder_config={"image_size": SIDE},
        mask_decoder_config={"layer_norm_eps": 1e-5},
    )
    return randomise(SamModel(config))


@pytest.fixture(scope="session")
def sam2_model() -> Any:
    """Return transformers' SAM 2.1, small, with random weights."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model, Sam2VisionConfig

    hiera = Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 14, 7],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[7, 7],
    )
    vision = Sam2VisionConfig(
        backbone_config=hiera,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )
    prompt = {"image_size": SIDE}
    model = Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config=prompt))
    return randomise(model)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Layout]:
    """Make the sizes of the two models known, and return their layouts."""
    monkeypatch.setitem(
        sam1.SIZES, "vit_small", sam1.Sam1Size(32, 3, 2, (1,), side=SIDE)
    )
    monkeypatch.setitem(
        sam2.SIZES, "mini", sam2.Sam2Size(16, (1, 1, 2, 1), 1, (3,), side=SIDE)
    )
    meta1, micro, hugging_face1, without_twin = sam1_layouts("vit_small", 32, CELLS)
    hugging_face2, meta2 = sam2_layouts("mini", 16, 4)
    return {
        "sam1 meta": meta1,
        "sam1 micro-sam": micro,
        "sam1": hugging_face1,
        "sam1 without twin": without_twin,
        "sam2": hugging_face2,
        "sam2 meta": meta2,
    }


@pytest.fixture
def load_as(small: dict[str, Layout]) -> Callable[..., ViewTracker]:
    """Write named tensors to a file as a publisher would, and load that."""

    def load(
        state: dict[str, torch.Tensor],
        path: Path,
        kind: str,
        dtype: torch.dtype = torch.float32,
    ) -> ViewTracker:
        if path.suffix == ".safetensors":
            save_file({name: tensor.clone() for name, tensor in state.items()}, path)
        else:
            torch.save(state, path)
        with open_weights(path) as source:
            layout = recognise(source.shapes, tuple(small.values()))
            assert layout is small[kind]
            return families.load(
                source,
                layout,
                model_id="small",
                device=torch.device("cpu"),
                dtype=dtype,
            )

    return load


@pytest.fixture
def sam1_tracker(
    sam1_model: Any, load_as: Callable[..., ViewTracker], tmp_path: Path
) -> ViewTracker:
    """Return our SAM 1 with the model's weights."""
    return load_as(sam1_model.state_dict(), tmp_path / "model.safetensors", "sam1")


@pytest.fixture
def sam2_tracker(
    sam2_model: Any, load_as: Callable[..., ViewTracker], tmp_path: Path
) -> ViewTracker:
    """Return our SAM 2.1 with the model's weights."""
    return load_as(sam2_model.state_dict(), tmp_path / "model.safetensors", "sam2")


@pytest.fixture
def prompts() -> Callable[..., ViewPrompts]:
    """Make prompts of three objects, of the kinds that are wanted."""

    def make(*kinds: str, objects: int = 3) -> ViewPrompts:
        noise = torch.Generator().manual_seed(1)
        count = 2 if "points" in kinds else 0
        points = SIDE * torch.rand(3, 2, 2, generator=noise)
        corners = torch.sort(SIDE * torch.rand(3, 2, 2, generator=noise), dim=1)
        masks = 5 * torch.randn(3, 1, LOW_RES, LOW_RES, generator=noise)
        return ViewPrompts(
            points[:objects, :count],
            torch.tensor([[1, 0], [1, 1], [0, 1]])[:objects, :count],
            corners.values[:objects] if "box" in kinds else None,
            masks[:objects] if "mask" in kinds else None,
        )

    return make


@pytest.fixture(scope="session")
def pixels() -> torch.Tensor:
    """Return two normalised views."""
    noise = torch.Generator().manual_seed(2)
    return torch.randn(2, 3, SIDE, SIDE, generator=noise)
