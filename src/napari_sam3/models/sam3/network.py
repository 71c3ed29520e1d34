"""SAM 3's click path as one network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from napari_sam3.models.sam3.config import Sam3Config
from napari_sam3.models.sam3.mask_decoder import MaskDecoder, nest, stable_or_best
from napari_sam3.models.sam3.neck import Neck
from napari_sam3.models.sam3.prompt_encoder import PromptEncoder
from napari_sam3.models.sam3.trunk import Trunk
from napari_sam3.models.sam3.two_way import Image
from napari_sam3.models.view.network import Features, ViewPrompts

__all__ = ["Sam3Network"]

_HALF = (0.5, 0.5, 0.5)


class Sam3Network(nn.Module):
    """SAM 3 (Carion et al., 2025) as far as clicks, boxes and masks need it.

    A `ViewNetwork`. What no prompt can change is computed once, when an image is
    encoded: the fine features as the mask decoder wants them, and the first
    layer's projections of the image.

    Parameters
    ----------
    config : Sam3Config, optional
        Sizes.
    """

    def __init__(self, config: Sam3Config | None = None) -> None:
        super().__init__()
        self.config = config or Sam3Config()
        channels = self.config.channels
        self.trunk = Trunk(self.config)
        self.neck = Neck(self.config.width, channels)
        self.no_mem_embed = nn.Parameter(torch.empty(1, 1, channels))
        self.prompt_encoder = PromptEncoder(
            self.config.size, self.config.grid, channels
        )
        self.mask_decoder = MaskDecoder(channels)
        self._places: Tensor | None = None

    @property
    def size(self) -> int:
        """Side of the view in network pixels."""
        return self.config.size

    @property
    def low_res_size(self) -> int:
        """Side of the logits that it gives."""
        return self.config.low_res_size

    @property
    def is_padded(self) -> bool:
        """False: images are stretched to the square."""
        return False

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation: one half each."""
        return _HALF, _HALF

    @property
    def steps(self) -> int:
        """The trunk's blocks and the neck."""
        return self.config.depth + 1

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        """Compute what prompts are answered from; see `ViewNetwork.encode`.

        Returns
        -------
        tuple of Tensor
            The image's tokens (B, L, C); the first layer's key, value and query
            (B, L, C / 2) for prompts without an earlier mask; fine features
            (B, 4 L, C / 4) and (B, 16 L, C / 8).
        """
        decoder = self.mask_decoder
        features = self.trunk(pixels.to(self.no_mem_embed.dtype), between)
        finest, fine, coarse = self.neck(features, (decoder.conv_s0, decoder.conv_s1))
        tokens = coarse.flatten(2).transpose(1, 2) + self.no_mem_embed
        empty = self.prompt_encoder.no_mask_embed.to(tokens.dtype)
        image = decoder.transformer.meet(tokens + empty, self._codes(tokens))
        between()
        return (tokens, *image[1:], nest(fine, 1), nest(finest, 2))

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts about one image; see `ViewNetwork.decode`."""
        tokens, key, value, query, fine, finest = features
        encoder, transformer = self.prompt_encoder, self.mask_decoder.transformer
        codes = self._codes(tokens)
        if prompts.masks is None:
            empty = encoder.no_mask_embed.to(tokens.dtype)
            image = Image(tokens + empty, key, value, query)
        else:
            earlier = encoder.mask_map(prompts.masks).to(tokens.dtype)
            image = transformer.meet(tokens + earlier, codes)
        logits, scores = self.mask_decoder(
            encoder.tokens(prompts).to(tokens.dtype), image, codes, (fine, finest)
        )
        if multimask:
            return logits[:, 1:], scores[:, 1:]
        return stable_or_best(logits.float(), scores)

    def image_embedding(self, features: Features) -> Tensor:
        """Return the image's tokens as a map, shape (1, C, grid, grid)."""
        grid = self.config.grid
        return features[0].transpose(1, 2).unflatten(2, (grid, grid))

    def _codes(self, like: Tensor) -> Tensor:
        """Return the codes of the tokens' places, computed once."""
        if self._places is None:
            self._places = self.prompt_encoder.grid_places().to(like.dtype)
        return self._places
