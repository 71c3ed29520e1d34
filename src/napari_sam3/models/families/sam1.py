"""SAM 1: a plain vision transformer, seen through transformers' modules.

What goes in and out, for every size:

=================  =========================  ==========================================
what               shape                      remark
=================  =========================  ==========================================
view               (B, 3, 1024, 1024)         longer side resized to 1024, padded with 0
features           (B, 256, 64, 64)           the embedding; 4.2 MB an image in float32
points             (P, N, 2)                  (x, y) of the view
boxes              (P, 2, 2)                  two corners; then no padding token
masks              (P, 1, 256, 256)           earlier logits over the view
logits             (P, 3 or 1, 256, 256)      over the view, padding included
scores             (P, 3 or 1)                predicted IoU, clamped to 0..1
=================  =========================  ==========================================

========  =====  ======  =====  =================  ============
size      width  blocks  heads  global blocks      parameters
========  =====  ======  =====  =================  ============
vit_b     768    12      12     2, 5, 8, 11        93.7 million
vit_l     1024   24      16     5, 11, 17, 23      312.3 million
vit_h     1280   32      16     7, 15, 23, 31      641.1 million
========  =====  ======  =====  =================  ============
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from napari_sam3.models.families.network import FamilyNetwork, from_transformers
from napari_sam3.models.view.network import Features, ViewPrompts

__all__ = ["SIZES", "Sam1Network", "Sam1Size"]


@dataclass(frozen=True, slots=True)
class Sam1Size:
    """What tells one size of SAM 1 from another.

    Parameters
    ----------
    width : int
        Channels of the vision transformer.
    depth : int
        Its blocks.
    heads : int
        Its attention heads.
    global_blocks : tuple of int
        Blocks that attend to the whole view; the others attend in windows of 14
        cells.
    side : int
        Side of the view in network pixels, a multiple of 16.
    """

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    side: int = 1024


SIZES: dict[str, Sam1Size] = {
    "vit_b": Sam1Size(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": Sam1Size(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": Sam1Size(1280, 32, 16, (7, 15, 23, 31)),
}


class Sam1Network(FamilyNetwork):
    """SAM 1, with its weights or on the ``meta`` device.

    Parameters
    ----------
    size : Sam1Size
        Which one.

    Raises
    ------
    ModelError
        If transformers is not there or does not work.
    """

    def __init__(self, size: Sam1Size) -> None:
        model_class, config_class = from_transformers("SamModel", "SamConfig")
        config = config_class(
            vision_config={
                "hidden_size": size.width,
                "num_hidden_layers": size.depth,
                "num_attention_heads": size.heads,
                "global_attn_indexes": list(size.global_blocks),
                "image_size": size.side,
            },
            prompt_encoder_config={"image_size": size.side},
            # transformers' default, 1e-6, is not what SAM was trained with.
            mask_decoder_config={"layer_norm_eps": 1e-5},
        )
        super().__init__(model_class(config), size.side)

    @property
    def is_padded(self) -> bool:
        """True: the view keeps the image's proportions."""
        return True

    @property
    def steps(self) -> int:
        """How many blocks the encoder has."""
        return len(self.vision_encoder.layers)

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        """Compute the embedding; see `ViewNetwork.encode`."""
        encoder = self.vision_encoder
        state = encoder.patch_embed(pixels.to(self.dtype)) + encoder.pos_embed
        *blocks, last = encoder.layers
        for block in blocks:
            state = block(state)
            between()
        features = (encoder.neck(last(state)).contiguous(),)
        between()
        return features

    def _encode_prompts(self, prompts: ViewPrompts) -> tuple[Tensor | None, Tensor]:
        """Encode clicks, with a padding token if there is no box, then the box."""
        has_points = prompts.points.shape[1] > 0
        boxes = prompts.boxes
        found: tuple[Tensor | None, Tensor] = self.prompt_encoder(
            input_points=prompts.points[:, None] if has_points else None,
            input_labels=prompts.labels[:, None] if has_points else None,
            input_boxes=None if boxes is None else boxes.reshape(-1, 1, 4),
            input_masks=prompts.masks,
        )
        return found
