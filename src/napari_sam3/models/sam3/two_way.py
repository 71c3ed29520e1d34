"""SAM's two-way transformer: tokens look at the image, and the image at the tokens.

Kirillov et al., "Segment Anything", ICCV 2023, appendix A.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.sam3.linear import Linear

__all__ = ["Image", "TwoWayTransformer"]

_HEADS = 8
_MLP_WIDTH = 2048


class Image(NamedTuple):
    """An image as the transformer meets it, with what no prompt can change.

    Attributes
    ----------
    tokens : Tensor of shape (B, L, C)
        One per place.
    key, value : Tensor of shape (B, L, C / 2)
        What the first layer's tokens look at.
    query : Tensor of shape (B, L, C / 2)
        What the first layer's image asks the tokens.
    """

    tokens: Tensor
    key: Tensor
    value: Tensor
    query: Tensor


class Attention(nn.Module):
    """Multi-head attention, with fewer channels inside than outside.

    Parameters
    ----------
    channels : int
        Outside.
    inner : int
        Inside.
    """

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.q_proj = Linear(channels, inner)
        self.k_proj = Linear(channels, inner)
        self.v_proj = Linear(channels, inner)
        self.out_proj = Linear(inner, channels)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        query : Tensor of shape (P, N, inner)
            Projected.
        key, value : Tensor of shape (P, M, inner) or (1, M, inner)
            Projected.

        Returns
        -------
        Tensor of shape (P, N, channels)
            Projected back.
        """
        count = max(len(query), len(key))
        heads = [
            part.expand(count, -1, -1).unflatten(-1, (_HEADS, -1)).transpose(1, 2)
            for part in (query, key, value)
        ]
        mixed = F.scaled_dot_product_attention(*heads)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two layers with a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.lin1 = Linear(channels, _MLP_WIDTH)
        self.lin2 = Linear(_MLP_WIDTH, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token by itself."""
        return self.lin2(F.relu(self.lin1(x)))


class TwoWayLayer(nn.Module):
    """Among tokens, from tokens to the image, and from the image to tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.self_attn = Attention(channels, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, channels // 2)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Perceptron(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, channels // 2)

    def meet(self, tokens: Tensor, places: Tensor) -> Image:
        """Project an image for this layer.

        Parameters
        ----------
        tokens : Tensor of shape (B, L, C)
            The image.
        places : Tensor of shape (L, C)
            The code of each token's place.
        """
        placed = tokens + places
        return Image(
            tokens,
            self.cross_attn_token_to_image.k_proj(placed),
            self.cross_attn_token_to_image.v_proj(tokens),
            self.cross_attn_image_to_token.q_proj(placed),
        )

    def forward(
        self, queries: Tensor, codes: Tensor, image: Image, *, is_first: bool
    ) -> tuple[Tensor, Tensor]:
        """Exchange what tokens and image know.

        Parameters
        ----------
        queries : Tensor of shape (P, T, C)
            The tokens.
        codes : Tensor of shape (P, T, C)
            What they were at first, which says what each of them is.
        image : Image
            Projected by `meet`.
        is_first : bool
            Whether queries are still their own codes.

        Returns
        -------
        queries : Tensor of shape (P, T, C)
            After.
        tokens : Tensor of shape (P, L, C)
            The image, after.
        """
        among = self.self_attn
        asking = queries if is_first else queries + codes
        attended = among(
            among.q_proj(asking), among.k_proj(asking), among.v_proj(queries)
        )
        queries = self.norm1(attended if is_first else queries + attended)
        outward = self.cross_attn_token_to_image
        asked = outward(outward.q_proj(queries + codes), image.key, image.value)
        queries = self.norm2(queries + asked)
        queries = self.norm3(queries + self.mlp(queries))
        inward = self.cross_attn_image_to_token
        told = inward(
            image.query, inward.k_proj(queries + codes), inward.v_proj(queries)
        )
        return queries, self.norm4(image.tokens + told)


class TwoWayTransformer(nn.Module):
    """Two layers, and a last look of the tokens at the image.

    Parameters
    ----------
    channels : int
        Of tokens and image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList((TwoWayLayer(channels), TwoWayLayer(channels)))
        self.final_attn_token_to_image = Attention(channels, channels // 2)
        self.norm_final_attn = nn.LayerNorm(channels)

    def meet(self, tokens: Tensor, places: Tensor) -> Image:
        """Do all that depends on the image alone; see `TwoWayLayer.meet`."""
        first: TwoWayLayer = self.layers[0]  # type: ignore[assignment]
        return first.meet(tokens, places)

    def forward(
        self, codes: Tensor, image: Image, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Let tokens and image exchange what they know.

        Parameters
        ----------
        codes : Tensor of shape (P, T, C)
            Output tokens and prompts.
        image : Image
            What `meet` returned, for one image or for each of P.
        places : Tensor of shape (L, C)
            The code of each image token's place.

        Returns
        -------
        tokens : Tensor of shape (P, T, C)
            After.
        image : Tensor of shape (P, L, C)
            After.
        """
        first, second = self.layers
        queries, tokens = first(codes, codes, image, is_first=True)
        seen = second.meet(tokens, places)  # type: ignore[operator]
        queries, tokens = second(queries, codes, seen, is_first=False)
        final = self.final_attn_token_to_image
        looked = final(
            final.q_proj(queries + codes),
            final.k_proj(tokens + places),
            final.v_proj(tokens),
        )
        return self.norm_final_attn(queries + looked), tokens
