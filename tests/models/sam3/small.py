"""SAM 3 in small, with random weights, and the same in transformers' words."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from napari_sam3.models.sam3.config import Sam3Config
from napari_sam3.models.sam3.network import Sam3Network

SMALL = Sam3Config(
    size=112,
    patch=14,
    width=64,
    depth=3,
    heads=4,
    mlp_width=96,
    window=4,
    global_blocks=(1,),
    channels=64,
)


def make_network() -> Sam3Network:
    """Return a network whose answers to other prompts differ."""
    torch.manual_seed(0)
    network = Sam3Network(SMALL)
    shake(network)
    return network.eval().requires_grad_(False)


def on_meta() -> Sam3Network:
    """Return one that has to be filled."""
    with torch.device("meta"):
        return Sam3Network(SMALL)


def shake(network: nn.Module) -> None:
    """Give all parameters random numbers, large enough to matter.

    Not larger, or rounding errors would grow from layer to layer.
    """
    for name, parameter in network.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, float(name.endswith("weight")), 0.1)
        elif parameter.ndim < 2 or name.endswith(("_embed", "_token", "_tokens")):
            nn.init.normal_(parameter, 0.0, 0.3)
        else:
            inputs = parameter[0].numel()
            nn.init.normal_(parameter, 0.0, 1 / max(inputs, 8) ** 0.5)


def make_transformers_model() -> Any:
    """Return transformers' tracker of the same size, its known faults avoided."""
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    config = Sam3TrackerConfig(
        vision_config={
            "model_type": "sam3_vision_model",
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": SMALL.width,
                "intermediate_size": SMALL.mlp_width,
                "num_hidden_layers": SMALL.depth,
                "num_attention_heads": SMALL.heads,
                "image_size": SMALL.size,
                "pretrain_image_size": SMALL.window * SMALL.patch,
                "window_size": SMALL.window,
                "global_attn_indexes": list(SMALL.global_blocks),
                "layer_norm_eps": 1e-5,
            },
            "fpn_hidden_size": SMALL.channels,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
            # With its default of four levels the no-memory embedding gets lost.
            "scale_factors": [4.0, 2.0, 1.0],
        },
        prompt_encoder_config={
            "hidden_size": SMALL.channels,
            "image_size": SMALL.size,
        },
        mask_decoder_config={"hidden_size": SMALL.channels},
    )
    torch.manual_seed(0)
    model = Sam3TrackerModel(config)
    shake(model)
    place_codes = model.prompt_encoder.shared_embedding.positional_embedding
    place_codes.normal_()
    # One and the same in published checkpoints.
    model.shared_image_embedding.positional_embedding.copy_(place_codes)
    return model.eval().requires_grad_(False)
