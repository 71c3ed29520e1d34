"""Meta's names of SAM's tensors beside transformers', spelled out.

Independent of the package's rules: tables and loops, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

__all__ = ["TWINS", "as_metas_sam1", "as_metas_sam2"]

State = dict[str, torch.Tensor]

#: transformers has the positional matrix twice.
TWINS = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)

ATTENTIONS = [
    "final_attn_token_to_image",
    *(
        f"layers.{layer}.{name}"
        for layer in (0, 1)
        for name in (
            "self_attn",
            "cross_attn_token_to_image",
            "cross_attn_image_to_token",
        )
    ),
]
#: Modules with a weight and a bias, transformers' name and Meta's.
HEAD = {
    "prompt_encoder.mask_embed.conv1": "prompt_encoder.mask_downscaling.0",
    "prompt_encoder.mask_embed.layer_norm1": "prompt_encoder.mask_downscaling.1",
    "prompt_encoder.mask_embed.conv2": "prompt_encoder.mask_downscaling.3",
    "prompt_encoder.mask_embed.layer_norm2": "prompt_encoder.mask_downscaling.4",
    "prompt_encoder.mask_embed.conv3": "prompt_encoder.mask_downscaling.6",
    "mask_decoder.upscale_conv1": "mask_decoder.output_upscaling.0",
    "mask_decoder.upscale_layer_norm": "mask_decoder.output_upscaling.1",
    "mask_decoder.upscale_conv2": "mask_decoder.output_upscaling.3",
    "mask_decoder.transformer.layer_norm_final_attn": (
        "mask_decoder.transformer.norm_final_attn"
    ),
    **{
        f"mask_decoder.transformer.layers.{layer}.layer_norm{norm}": (
            f"mask_decoder.transformer.layers.{layer}.norm{norm}"
        )
        for layer in (0, 1)
        for norm in (1, 2, 3, 4)
    },
    **{
        f"mask_decoder.{head}.{name}": f"mask_decoder.{head}.layers.{place}"
        for head in (
            *(f"output_hypernetworks_mlps.{mask}" for mask in range(4)),
            "iou_prediction_head",
            "pred_obj_score_head",
        )
        for name, place in (("proj_in", 0), ("layers.0", 1), ("proj_out", 2))
    },
    **{
        f"mask_decoder.transformer.{attention}.{projection}": (
            f"mask_decoder.transformer.{attention}.{projection}"
        )
        for attention in ATTENTIONS
        for projection in ("q_proj", "k_proj", "v_proj")
    },
}
#: Single tensors, transformers' name and Meta's.
HEAD_TENSORS = {
    TWINS[0]: "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
    **{
        name: name
        for name in (
            "prompt_encoder.not_a_point_embed.weight",
            "prompt_encoder.no_mask_embed.weight",
            "mask_decoder.iou_token.weight",
            "mask_decoder.mask_tokens.weight",
        )
    },
}


def with_ends(modules: dict[str, str]) -> dict[str, str]:
    """Return the names of weights and biases of modules."""
    return {
        f"{ours}.{end}": f"{metas}.{end}"
        for ours, metas in modules.items()
        for end in ("weight", "bias")
    }


def transformer_layers(out: str, linears: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return modules of the decoder's transformer that the two families name apart."""
    stem = "mask_decoder.transformer"
    return {
        **{
            f"{stem}.{attention}.{out}": f"{stem}.{attention}.out_proj"
            for attention in ATTENTIONS
        },
        **{
            f"{stem}.layers.{layer}.mlp.{ours}": f"{stem}.layers.{layer}.mlp.{metas}"
            for layer in (0, 1)
            for ours, metas in linears
        },
    }


def as_metas_sam1(state: State) -> State:
    """Name a state of transformers' SAM 1, three blocks deep, as Meta does."""
    blocks = range(3)
    modules = {
        **HEAD,
        **transformer_layers("out_proj", (("lin1", "lin1"), ("lin2", "lin2"))),
        "vision_encoder.patch_embed.projection": "image_encoder.patch_embed.proj",
        "vision_encoder.neck.layer_norm1": "image_encoder.neck.1",
        "vision_encoder.neck.layer_norm2": "image_encoder.neck.3",
        **{
            f"vision_encoder.layers.{block}.{ours}": (
                f"image_encoder.blocks.{block}.{metas}"
            )
            for block in blocks
            for ours, metas in (
                ("layer_norm1", "norm1"),
                ("attn.qkv", "attn.qkv"),
                ("attn.proj", "attn.proj"),
                ("layer_norm2", "norm2"),
                ("mlp.lin1", "mlp.lin1"),
                ("mlp.lin2", "mlp.lin2"),
            )
        },
    }
    names = {
        **with_ends(modules),
        **HEAD_TENSORS,
        "vision_encoder.pos_embed": "image_encoder.pos_embed",
        "vision_encoder.neck.conv1.weight": "image_encoder.neck.0.weight",
        "vision_encoder.neck.conv2.weight": "image_encoder.neck.2.weight",
        **{
            f"vision_encoder.layers.{block}.attn.rel_pos_{axis}": (
                f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"
            )
            for block in blocks
            for axis in "hw"
        },
        **{
            f"prompt_encoder.point_embed.{point}.weight": (
                f"prompt_encoder.point_embeddings.{point}.weight"
            )
            for point in range(4)
        },
    }
    return {names[name]: state[name] for name in state if name != TWINS[1]}


def as_metas_sam2(state: State) -> State:
    """Name a state of transformers' SAM 2.1, five blocks deep, as Meta does.

    With some of the memory for videos, which an image has no use for.
    """
    linears = (("proj_in", "layers.0"), ("proj_out", "layers.1"))
    convolutions = {
        f"mask_decoder.{name}": f"mask_decoder.{name}"
        for name in ("conv_s0", "conv_s1")
    }
    token = "mask_decoder.obj_score_token.weight"
    head = {
        **with_ends({**HEAD, **transformer_layers("o_proj", linears), **convolutions}),
        **HEAD_TENSORS,
        token: token,
    }
    trunk, backbone = "image_encoder.trunk", "vision_encoder.backbone"
    modules = {
        f"{backbone}.patch_embed.projection": f"{trunk}.patch_embed.proj",
        **{
            f"vision_encoder.neck.convs.{level}": (
                f"image_encoder.neck.convs.{level}.conv"
            )
            for level in range(4)
        },
        **{
            f"{backbone}.blocks.{block}.{ours}": f"{trunk}.blocks.{block}.{metas}"
            for block in range(5)
            for ours, metas in (
                ("layer_norm1", "norm1"),
                ("attn.qkv", "attn.qkv"),
                ("attn.proj", "attn.proj"),
                ("layer_norm2", "norm2"),
                ("mlp.proj_in", "mlp.layers.0"),
                ("mlp.proj_out", "mlp.layers.1"),
                ("proj", "proj"),
            )
        },
    }
    names = {
        **{ours: f"sam_{metas}" for ours, metas in head.items()},
        **with_ends(modules),
        f"{backbone}.pos_embed": f"{trunk}.pos_embed",
        f"{backbone}.pos_embed_window": f"{trunk}.pos_embed_window",
        "no_memory_embedding": "no_mem_embed",
    }
    points = "prompt_encoder.point_embed.weight"
    left_out = (TWINS[1], points)
    return {
        **{names[name]: state[name] for name in state if name not in left_out},
        **{
            f"sam_prompt_encoder.point_embeddings.{point}.weight": tensor
            for point, tensor in enumerate(state[points].split(1))
        },
        "memory_attention.norm.weight": torch.ones(256),
        "no_mem_pos_enc": torch.zeros(1, 1, 256),
    }
