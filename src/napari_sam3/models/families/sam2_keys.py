"""How published files name SAM 2.1's tensors."""

from __future__ import annotations

import re

from napari_sam3.models.families.sam1_keys import HEAD_RULES, Rule, rename_by
from napari_sam3.models.weights.layout import Layout, Piece

__all__ = ["LAYOUTS", "sam2_layouts"]

_PARTS: tuple[Rule, ...] = (
    (r"^image_encoder\.trunk\.", r"vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d+)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"^image_encoder\.", r"vision_encoder."),
    (r"^sam_(prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^no_mem_embed$", r"no_memory_embedding"),
)
#: transformers' own names; its second copy of the positional matrix is left out.
_OWN_PARTS: tuple[Rule, ...] = (
    (r"^(vision_encoder|prompt_encoder|mask_decoder)\.", r"\1."),
    (r"^(no_memory_embedding)$", r"\1"),
)
_RULES: tuple[Rule, ...] = (
    (r"\.patch_embed\.proj\.", r".patch_embed.projection."),
    (r"(\.blocks\.\d+)\.norm(\d)\.", r"\1.layer_norm\2."),
    (r"\.mlp\.layers\.0\.", r".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", r".mlp.proj_out."),
    (r"\.out_proj\.", r".o_proj."),
    *HEAD_RULES,
)
#: Four tensors in Meta's files, one in transformers'.
_POINTS = re.compile(r"sam_prompt_encoder\.point_embeddings\.([0-3])\.weight")
_rename_others = rename_by(_PARTS, _RULES)


def _rename_metas(name: str) -> str | Piece | None:
    found = _POINTS.fullmatch(name)
    if found:
        return Piece("prompt_encoder.point_embed.weight", int(found[1]), 4)
    return _rename_others(name)


def sam2_layouts(variant: str, width: int, first_of_last: int) -> tuple[Layout, ...]:
    """Return the layouts of one size.

    Parameters
    ----------
    variant : str
        Such as ``"tiny"``.
    width : int
        Channels of the first stage.
    first_of_last : int
        Number of the block that the last of the four stages begins with.

    Returns
    -------
    tuple of Layout
        As published by Hugging Face, as published by Meta.
    """
    title = f"SAM 2.1 {variant.replace('_plus', '+')}"
    # This block's projection tells width and depth.
    last = f"blocks.{first_of_last}.proj.weight"
    shape = (8 * width, 4 * width)
    theirs, metas = f"vision_encoder.backbone.{last}", f"image_encoder.trunk.{last}"
    return (
        Layout(
            name=f"{title}, as published by Hugging Face",
            family="sam2",
            variant=variant,
            marker=theirs,
            rename=rename_by(_OWN_PARTS, ()),
            markers={theirs: shape},
        ),
        Layout(
            name=f"{title}, as published by Meta",
            family="sam2",
            variant=variant,
            marker=metas,
            rename=_rename_metas,
            markers={metas: shape},
        ),
    )


LAYOUTS: tuple[Layout, ...] = tuple(
    layout
    for variant, width, first_of_last in (
        ("tiny", 96, 10),
        ("small", 96, 14),
        ("base_plus", 112, 21),
        ("large", 144, 44),
    )
    for layout in sam2_layouts(variant, width, first_of_last)
)
