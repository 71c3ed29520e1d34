"""SAM 2.1: a Hiera with a feature pyramid, seen through transformers' modules.

Its memory for videos is left out. What goes in and out, for every size:

=================  =========================  ==========================================
what               shape                      remark
=================  =========================  ==========================================
view               (B, 3, 1024, 1024)         stretched to the square
features           (B, 256, 64, 64)           the embedding, no-memory embedding added
..                 (B, 32, 256, 256)          for the decoder's last layer
..                 (B, 64, 128, 128)          for the one before; all: 16.8 MB
points             (P, N, 2)                  (x, y) of the view
boxes              (P, 2, 2)                  corners, as clicks before clicks
masks              (P, 1, 256, 256)           earlier logits over the view
logits             (P, 3 or 1, 256, 256)      over the view
scores             (P, 3 or 1)                predicted IoU, 0..1
=================  =========================  ==========================================

=========  =====  =============  =====  =================  ==============
size       width  blocks         heads  global blocks      parameters
=========  =====  =============  =====  =================  ==============
tiny       96     1, 2, 7, 2     1      5, 7, 9            31.4 million
small      96     1, 2, 11, 2    1      7, 10, 13          38.5 million
base_plus  112    2, 3, 16, 3    2      12, 16, 20         73.3 million
large      144    2, 6, 36, 4    2      23, 33, 43         216.9 million
=========  =====  =============  =====  =================  ==============

Width and heads are those of the first of four stages; each next has twice as many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam3.models.families.network import CELL, FamilyNetwork, from_transformers
from napari_sam3.models.view.network import Features, ViewPrompts

__all__ = ["SIZES", "Sam2Network", "Sam2Size"]

#: How a box's corners are labelled where clicks are 1 and 0.
_CORNER_LABELS = (2, 3)


@dataclass(frozen=True, slots=True)
class Sam2Size:
    """What tells one size of SAM 2.1 from another.

    Parameters
    ----------
    width : int
        Channels of the first stage.
    blocks : tuple of int
        Blocks of the four stages.
    heads : int
        Attention heads of the first stage.
    global_blocks : tuple of int
        Blocks that attend to the whole view.
    windows : tuple of int
        Side of the windows that the others attend in, per stage.
    background : int
        Side of the positional embedding that is stretched over the view.
    side : int
        Side of the view in network pixels, a multiple of 32.
    """

    width: int
    blocks: tuple[int, int, int, int]
    heads: int
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background: int = 7
    side: int = 1024


SIZES: dict[str, Sam2Size] = {
    "tiny": Sam2Size(96, (1, 2, 7, 2), 1, (5, 7, 9)),
    "small": Sam2Size(96, (1, 2, 11, 2), 1, (7, 10, 13)),
    "base_plus": Sam2Size(112, (2, 3, 16, 3), 2, (12, 16, 20), background=14),
    "large": Sam2Size(144, (2, 6, 36, 4), 2, (23, 33, 43), windows=(8, 4, 16, 8)),
}


class Sam2Network(FamilyNetwork):
    """SAM 2.1 without memory, with its weights or on the ``meta`` device.

    Parameters
    ----------
    size : Sam2Size
        Which one.

    Attributes
    ----------
    view_positions : Tensor of shape (1, side / 4, side / 4, width)
        Positional embedding of the first stage's cells.

    Raises
    ------
    ModelError
        If transformers is not there or does not work.
    """

    view_positions: Tensor

    def __init__(self, size: Sam2Size) -> None:
        model_class, config_class = from_transformers("Sam2Model", "Sam2Config")
        model = model_class(config_class(**_config_of(size)))
        super().__init__(model, size.side)
        self.no_memory_embedding = model.no_memory_embedding
        self.register_buffer("view_positions", torch.empty(0), persistent=False)

    @property
    def is_padded(self) -> bool:
        """False: the image is stretched to the square."""
        return False

    @property
    def steps(self) -> int:
        """How many blocks the encoder has."""
        return len(self.vision_encoder.backbone.blocks)

    def finish(self, dtype: torch.dtype) -> None:
        """Compute what follows from the weights alone; see `FamilyNetwork.finish`."""
        hiera: Any = self.vision_encoder.backbone
        cells = self.size // 4
        with torch.no_grad():
            whole = F.interpolate(
                hiera.pos_embed.float(), (cells, cells), mode="bicubic"
            )
            window = hiera.pos_embed_window.float()
            repeats = cells // window.shape[-1]
            tiled = window.repeat(1, 1, repeats, repeats)
            self.view_positions = (whole + tiled).permute(0, 2, 3, 1).to(dtype)
        super().finish(dtype)

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        """Compute the embedding and two finer maps; see `ViewNetwork.encode`."""
        hiera = self.vision_encoder.backbone
        state = hiera.patch_embed(pixels.to(self.dtype)) + self.view_positions
        stages = []
        for index, block in enumerate(hiera.blocks):
            state = block(state)
            if index in hiera.stage_ends:
                stages.append(state)
            if index + 1 < len(hiera.blocks):
                between()
        features = self._pyramid(stages)
        between()
        return features

    def _pyramid(self, stages: Sequence[Tensor]) -> Features:
        """Bring the stages to one width; only the third gets what the fourth saw."""
        coarse, third, second, first = (
            conv(stage.permute(0, 3, 1, 2))
            for conv, stage in zip(
                self.vision_encoder.neck.convs, reversed(stages), strict=True
            )
        )
        embedding = third + F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        # An image is a video's first frame, before which there is nothing to remember.
        embedding = embedding + self.no_memory_embedding.reshape(1, -1, 1, 1)
        decoder = self.mask_decoder
        maps = (embedding, decoder.conv_s0(first), decoder.conv_s1(second))
        return tuple(one.contiguous() for one in maps)

    def _encode_prompts(self, prompts: ViewPrompts) -> tuple[Tensor | None, Tensor]:
        """Encode a box's corners, then clicks, then one padding token."""
        points, labels = prompts.points, prompts.labels
        if prompts.boxes is not None:
            points = torch.cat((prompts.boxes, points), dim=1)
            corners = labels.new_tensor(_CORNER_LABELS).expand(len(labels), 2)
            labels = torch.cat((corners, labels), dim=1)
        has_points = points.shape[1] > 0
        found: tuple[Tensor | None, Tensor] = self.prompt_encoder(
            input_points=points[:, None] if has_points else None,
            input_labels=labels[:, None] if has_points else None,
            input_boxes=None,
            input_masks=prompts.masks,
        )
        return found

    def _decoder_extras(self, finer: Sequence[Tensor]) -> dict[str, Any]:
        """Return the finer maps."""
        return {"high_resolution_features": list(finer)}


def _config_of(size: Sam2Size) -> dict[str, Any]:
    """Say in transformers' words what a size is; all that makes it one is here."""
    widths = [size.width << stage for stage in range(4)]
    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": size.width,
        "image_size": [size.side, size.side],
        "num_attention_heads": size.heads,
        "blocks_per_stage": list(size.blocks),
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [size.heads << stage for stage in range(4)],
        "window_size_per_stage": list(size.windows),
        "global_attention_blocks": list(size.global_blocks),
        "window_positional_embedding_background_size": [size.background] * 2,
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": hiera,
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": [[size.side // cell] * 2 for cell in (4, 8, CELL)],
    }
    return {
        "vision_config": vision,
        "prompt_encoder_config": {"image_size": size.side},
        "mask_decoder_config": {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
    }
