"""How published files name SAM 1's tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from napari_sam3.models.weights.layout import Layout

__all__ = [
    "HEAD_RULES",
    "LAYOUTS",
    "Rule",
    "rename_by",
    "sam1_layouts",
]

#: What to replace in a name, and by what.
Rule = tuple[str, str]

#: Meta's names of the prompt encoder and the mask decoder in transformers' words;
#: SAM 2.1 has them too.
HEAD_RULES: tuple[Rule, ...] = (
    (
        r"\.pe_layer\.positional_encoding_gaussian_matrix$",
        r".shared_embedding.positional_embedding",
    ),
    (r"\.point_embeddings\.", r".point_embed."),
    (r"\.mask_downscaling\.0\.", r".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", r".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", r".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", r".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", r".mask_embed.conv3."),
    (r"\.(transformer\..*)\bnorm(\d|_final_attn)\.", r".\1layer_norm\2."),
    (r"\.output_upscaling\.0\.", r".upscale_conv1."),
    (r"\.output_upscaling\.1\.", r".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", r".upscale_conv2."),
    # Heads of three layers: the middle one is alone in transformers' list.
    (r"(_head|_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
    (r"(_head|_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
    (r"(_head|_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
)
_PARTS: tuple[Rule, ...] = (
    (r"^image_encoder\.", r"vision_encoder."),
    (r"^(prompt_encoder|mask_decoder)\.", r"\1."),
)
_ENCODER_RULES: tuple[Rule, ...] = (
    (r"\.patch_embed\.proj\.", r".patch_embed.projection."),
    (r"\.blocks\.(\d+)\.norm(\d)\.", r".layers.\1.layer_norm\2."),
    (r"\.blocks\.", r".layers."),
    (r"\.neck\.0\.", r".neck.conv1."),
    (r"\.neck\.1\.", r".neck.layer_norm1."),
    (r"\.neck\.2\.", r".neck.conv2."),
    (r"\.neck\.3\.", r".neck.layer_norm2."),
)
_POSITIONS = "prompt_encoder.shared_embedding.positional_embedding"
_SHARED_POSITIONS = "shared_image_embedding.positional_embedding"
#: transformers' own names. It has the positional matrix twice and writes both, or
#: only the second one.
_OWN_PARTS: tuple[Rule, ...] = (
    (r"^(vision_encoder|prompt_encoder|mask_decoder)\.", r"\1."),
)
_OWN_PARTS_WITHOUT_TWIN: tuple[Rule, ...] = (
    *_OWN_PARTS,
    (rf"^{re.escape(_SHARED_POSITIONS)}$", _POSITIONS),
)


def rename_by(
    parts: Sequence[Rule], rules: Sequence[Rule], prefix: str = ""
) -> Callable[[str], str | None]:
    """Make a `Layout`'s ``rename`` of rules.

    Parameters
    ----------
    parts : sequence of tuple of str
        Pattern and replacement of the beginning of the names that the network uses;
        the first that fits counts, and names that none fits are unused.
    rules : sequence of tuple of str
        Pattern and replacement, applied in order, each once, to the whole name.
    prefix : str
        Taken off first; names without it are unused.

    Returns
    -------
    callable
        Takes a name of the file, returns the network's or None.
    """
    found = [(re.compile(pattern), new) for pattern, new in parts]
    replaced = [(re.compile(pattern), new) for pattern, new in rules]

    def rename(name: str) -> str | None:
        if not name.startswith(prefix):
            return None
        name = name.removeprefix(prefix)
        for pattern, new in found:
            if pattern.search(name):
                name = pattern.sub(new, name, count=1)
                break
        else:
            return None
        for pattern, new in replaced:
            name = pattern.sub(new, name, count=1)
        return name

    return rename


def sam1_layouts(variant: str, width: int, cells: int = 64) -> tuple[Layout, ...]:
    """Return the layouts of one size.

    Parameters
    ----------
    variant : str
        Such as ``"vit_b"``.
    width : int
        Channels of its vision transformer.
    cells : int
        Side of its embedding.

    Returns
    -------
    tuple of Layout
        As published by Meta, as trained by micro-sam, as published by Hugging Face
        with its positional matrix twice, and with it once.
    """
    rules = (*_ENCODER_RULES, *HEAD_RULES)
    forms = (
        ("as published by Meta", "image_encoder.", "", rename_by(_PARTS, rules)),
        (
            "as trained by micro-sam",
            "sam.image_encoder.",
            "",
            rename_by(_PARTS, rules, "sam."),
        ),
        (
            "as published by Hugging Face",
            "vision_encoder.",
            _POSITIONS,
            rename_by(_OWN_PARTS, ()),
        ),
        (
            "as published by Hugging Face",
            "vision_encoder.",
            _SHARED_POSITIONS,
            rename_by(_OWN_PARTS_WITHOUT_TWIN, ()),
        ),
    )
    return tuple(
        Layout(
            name=f"SAM ViT-{variant.removeprefix('vit_').upper()}, {by}",
            family="sam1",
            variant=variant,
            marker=marker or f"{encoder}pos_embed",
            rename=rename,
            markers={f"{encoder}pos_embed": (1, cells, cells, width)},
        )
        for by, encoder, marker, rename in forms
    )


LAYOUTS: tuple[Layout, ...] = tuple(
    layout
    for variant, width in (("vit_b", 768), ("vit_l", 1024), ("vit_h", 1280))
    for layout in sam1_layouts(variant, width)
)
