"""The names that published checkpoints of SAM 3 give to its tensors."""

from __future__ import annotations

import re
from collections.abc import Callable

from napari_sam3.models.weights.layout import Layout, Piece, Target

__all__ = ["LAYOUTS"]

#: Of Meta's files: what the vision backbone and the prompt heads are called in SAM 3,
#: and in SAM 3.1, which has other heads for propagation besides.
_VISION = "detector.backbone.vision_backbone."
_META = {
    "sam2_convs": (f"{_VISION}sam2_convs.", "tracker.sam_", "tracker.no_mem_embed"),
    "interactive_convs": (
        f"{_VISION}interactive_convs.",
        "tracker.model.interactive_sam_",
        "tracker.model.interactivity_no_mem_embed",
    ),
}
#: The neck's level at half resolution, which clicks have no use for.
_UNUSED_LEVEL = "3."

#: A pattern of a whole name, and what to make of it; the first that fits counts.
_Rules = tuple[tuple[str, str], ...]

_META_TRUNK: _Rules = (
    (r"blocks\.\d+\.attn\.freqs_cis", ""),  # computed
    (r"patch_embed\.proj\.(.*)", r"trunk.patch_embed.\1"),
    (r"(.*)", r"trunk.\1"),
)
_META_NECK: _Rules = (
    (r"(\d)\.dconv_2x2(?:_0)?\.(.*)", r"neck.levels.\1.doublings.0.\2"),
    (r"(\d)\.dconv_2x2_1\.(.*)", r"neck.levels.\1.doublings.1.\2"),
    (r"(.*)", r"neck.levels.\1"),
)
#: Of the heads, what both publishers call alike.
_HEADS: _Rules = (
    (
        r"prompt_encoder\.(not_a_point|no_mask)_embed\.weight",
        r"prompt_encoder.\1_embed",
    ),
    (r"mask_decoder\.(iou|obj_score)_token\.weight", r"mask_decoder.\1_token"),
    (r"mask_decoder\.mask_tokens\.weight", "mask_decoder.mask_tokens"),
    (
        r"mask_decoder\.output_hypernetworks_mlps\.(.*)",
        r"mask_decoder.hypernetworks.\1",
    ),
    (r"mask_decoder\.iou_prediction_head\.(.*)", r"mask_decoder.iou_head.\1"),
    # Only videos ask whether the object is there.
    (r"mask_decoder\.pred_obj_score_head\..*", ""),
)
_META_HEADS: _Rules = (
    *_HEADS,
    (
        r"prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix",
        "prompt_encoder.frequencies",
    ),
    (r"mask_decoder\.output_upscaling\.0\.(.*)", r"mask_decoder.upscale_first.\1"),
    (r"mask_decoder\.output_upscaling\.1\.(.*)", r"mask_decoder.upscale_norm.\1"),
    (r"mask_decoder\.output_upscaling\.3\.(.*)", r"mask_decoder.upscale_second.\1"),
    (r"(.*)", r"\1"),
)

_HF_TRUNK: _Rules = (
    (r".*\.rotary_emb\..*", ""),  # computed
    (r"embeddings\.position_embeddings", "trunk.pos_embed"),
    (r"embeddings\.patch_embeddings\.projection\.(.*)", r"trunk.patch_embed.\1"),
    (r"layer_norm\.(.*)", r"trunk.ln_pre.\1"),
    (r"layers\.(\d+)\.layer_norm([12])\.(.*)", r"trunk.blocks.\1.norm\2.\3"),
    (r"layers\.(\d+)\.attention\.o_proj\.(.*)", r"trunk.blocks.\1.attn.proj.\2"),
    (r"layers\.(\d+)\.(mlp\..*)", r"trunk.blocks.\1.\2"),
    (r"(.*)", r"trunk.\1"),
)
_HF_NECK: _Rules = (
    (r"fpn_layers\.(\d)\.scale_layers\.0\.(.*)", r"neck.levels.\1.doublings.0.\2"),
    (r"fpn_layers\.(\d)\.scale_layers\.2\.(.*)", r"neck.levels.\1.doublings.1.\2"),
    (r"fpn_layers\.(\d)\.proj1\.(.*)", r"neck.levels.\1.conv_1x1.\2"),
    (r"fpn_layers\.(\d)\.proj2\.(.*)", r"neck.levels.\1.conv_3x3.\2"),
    (r"(.*)", r"neck.\1"),
)
_HF_HEADS: _Rules = (
    *_HEADS,
    (r"shared_image_embedding\..*", ""),  # the prompt encoder has the same
    (
        r"prompt_encoder\.shared_embedding\.positional_embedding",
        "prompt_encoder.frequencies",
    ),
    (r"prompt_encoder\.point_embed\.weight", "prompt_encoder.point_embed"),
    *(
        (
            rf"prompt_encoder\.mask_embed\.{theirs}\.(.*)",
            rf"prompt_encoder.mask_downscaling.{ours}.\1",
        )
        for theirs, ours in (
            ("conv1", 0),
            ("layer_norm1", 1),
            ("conv2", 3),
            ("layer_norm2", 4),
            ("conv3", 6),
        )
    ),
    (r"mask_decoder\.upscale_conv1\.(.*)", r"mask_decoder.upscale_first.\1"),
    (r"mask_decoder\.upscale_layer_norm\.(.*)", r"mask_decoder.upscale_norm.\1"),
    (r"mask_decoder\.upscale_conv2\.(.*)", r"mask_decoder.upscale_second.\1"),
    (r"(prompt_encoder\..*|mask_decoder\..*)", r"\1"),
    (r"no_memory_embedding", "no_mem_embed"),
    (r".*", ""),  # memory, for videos
)
#: What layers inside the heads are called there, after the rules above.
_HF_LAYERS: _Rules = (
    (r"(.*\.)layer_norm_final_attn\.(.*)", r"\1norm_final_attn.\2"),
    (r"(.*\.layers\.\d+\.)layer_norm(\d)\.(.*)", r"\1norm\2.\3"),
    (r"(.*\.)o_proj\.(.*)", r"\1out_proj.\2"),
    (r"(.*\.layers\.\d+\.mlp\.)proj_in\.(.*)", r"\1lin1.\2"),
    (r"(.*\.layers\.\d+\.mlp\.)proj_out\.(.*)", r"\1lin2.\2"),
    (r"(.*\.(?:hypernetworks\.\d+|iou_head)\.)proj_in\.(.*)", r"\1layers.0.\2"),
    (r"(.*\.(?:hypernetworks\.\d+|iou_head)\.)layers\.0\.(.*)", r"\1layers.1.\2"),
    (r"(.*\.(?:hypernetworks\.\d+|iou_head)\.)proj_out\.(.*)", r"\1layers.2.\2"),
    (r"(.*)", r"\1"),
)
#: What transformers 5 puts before the names of a model that it saves again.
_SAVED_AGAIN = re.compile(r"^(?:tracker_model\.)+(?=detector_model\.|tracker_)")
_HF_PATCHES = "vision_encoder.backbone.embeddings.patch_embeddings.projection"
_QKV = re.compile(r"layers\.(\d+)\.attention\.([qkv])_proj\.(.*)")
_FUSED = re.compile(r"(blocks\.\d+\.attn)\.qkv\.(.*)")
_POINT = re.compile(r"prompt_encoder\.point_embeddings\.(\d+)\.weight")


def _apply(rules: _Rules, name: str) -> str | None:
    for pattern, target in rules:
        found = re.fullmatch(pattern, name)
        if found is not None:
            return found.expand(target) or None
    return name


def _meta(kind: str) -> Callable[[str], Target]:
    """Return the renaming of Meta's files."""
    neck, heads, no_memory = _META[kind]
    trunk = f"{_VISION}trunk."

    def rename(name: str) -> Target:
        if name == f"{trunk}pos_embed":
            return Piece("trunk.pos_embed", skip=1)  # the class token's place
        if name.startswith(trunk):
            part = name.removeprefix(trunk)
            fused = _FUSED.fullmatch(part)
            if fused is not None:
                return tuple(
                    Piece(f"trunk.{fused[1]}.{one}_proj.{fused[2]}", share=i, shares=3)
                    for i, one in enumerate("qkv")
                )
            return _apply(_META_TRUNK, part)
        if name.startswith(neck):
            part = name.removeprefix(neck)
            return None if part.startswith(_UNUSED_LEVEL) else _apply(_META_NECK, part)
        if name == no_memory:
            return "no_mem_embed"
        if not name.startswith((f"{heads}prompt_encoder.", f"{heads}mask_decoder.")):
            return None
        part = name.removeprefix(heads)
        point = _POINT.fullmatch(part)
        if point is not None:
            return Piece("prompt_encoder.point_embed", int(point[1]), 4)
        return _apply(_META_HEADS, part)

    return rename


def _hugging_face(backbone: str, neck: str, heads: str) -> Callable[[str], Target]:
    """Return the renaming of transformers' files, by the prefixes of their parts."""

    def rename(name: str) -> Target:
        name = _SAVED_AGAIN.sub("", name)
        if name.startswith(backbone):
            part = name.removeprefix(backbone)
            found = _QKV.fullmatch(part)
            if found is not None:
                block, which, kind = found.groups()
                return f"trunk.blocks.{block}.attn.{which}_proj.{kind}"
            return _apply(_HF_TRUNK, part)
        if name.startswith(neck):
            part = name.removeprefix(neck)
            is_unused = part.startswith(f"fpn_layers.{_UNUSED_LEVEL}")
            return None if is_unused else _apply(_HF_NECK, part)
        if not name.startswith(heads):
            return None
        renamed = _apply(_HF_HEADS, name.removeprefix(heads))
        return None if renamed is None else _apply(_HF_LAYERS, renamed)

    return rename


LAYOUTS = (
    Layout(
        "SAM 3.1, as published by Meta",
        "sam3",
        "sam3.1",
        "tracker.model.interactive_sam_mask_decoder.iou_token.weight",
        _meta("interactive_convs"),
    ),
    Layout(
        "SAM 3, as published by Meta",
        "sam3",
        "sam3",
        "tracker.sam_mask_decoder.obj_score_token.weight",
        _meta("sam2_convs"),
    ),
    *(
        Layout(
            name,
            "sam3",
            "sam3",
            f"{prefix}mask_decoder.obj_score_token.weight",
            _hugging_face(
                "detector_model.vision_encoder.backbone.",
                "tracker_neck.",
                "tracker_model.",
            ),
        )
        for name, prefix in (
            ("SAM 3, as published for transformers", "tracker_model."),
            ("SAM 3, as saved by transformers", "tracker_model.tracker_model."),
        )
    ),
    Layout(
        "SAM 3's tracker, as transformers names it",
        "sam3",
        "sam3",
        "mask_decoder.obj_score_token.weight",
        _hugging_face("vision_encoder.backbone.", "vision_encoder.neck.", ""),
        {
            "vision_encoder.backbone.embeddings.patch_embeddings.projection.weight": (
                1024,
                3,
                14,
                14,
            )
        },
    ),
)
