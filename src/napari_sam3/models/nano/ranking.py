"""The part of nano that chooses among the masks of a whole ladder of windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_sam3.core.ladder import NUMBERS

__all__ = ["LadderHead"]

_WIDTH, _HEADS, _LAYERS = 48, 4, 2


class LadderHead(nn.Module):
    """Predicted IoU of each mask of a ladder, seen beside all the others.

    Every mask is a token; two layers of self-attention (Vaswani et al., 2017)
    let them be compared.

    Parameters
    ----------
    traits : int
        Values that the decoder gives of each mask.
    """

    def __init__(self, traits: int) -> None:
        super().__init__()
        self.traits = nn.Linear(traits, _WIDTH)
        self.numbers = nn.Linear(len(NUMBERS), _WIDTH)
        self.layers = nn.ModuleList(_Layer() for _ in range(_LAYERS))
        self.last = nn.Linear(_WIDTH, 1)

    def forward(
        self, traits: Tensor, numbers: Tensor, missing: Tensor | None = None
    ) -> Tensor:
        """Judge the masks of ladders.

        Parameters
        ----------
        traits : Tensor of shape (B, N, D)
            Of the N masks of each ladder.
        numbers : Tensor of shape (B, N, len(NUMBERS))
            See `napari_sam3.core.ladder.Ladder.numbers`.
        missing : bool Tensor of shape (B, N), optional
            Places of shorter ladders that hold no mask.

        Returns
        -------
        Tensor of shape (B, N)
            Logits of the IoU with what was clicked.
        """
        x = torch.relu(self.traits(traits) + self.numbers(numbers))
        for layer in self.layers:
            x = layer(x, missing)
        result: Tensor = self.last(x).squeeze(-1)
        return result


class _Layer(nn.Module):
    """Self-attention and a small perceptron, each around a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.LayerNorm(_WIDTH)
        self.mix = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.out = nn.Linear(_WIDTH, _WIDTH)
        self.between = nn.LayerNorm(_WIDTH)
        self.wide = nn.Linear(_WIDTH, 2 * _WIDTH)
        self.narrow = nn.Linear(2 * _WIDTH, _WIDTH)

    def forward(self, x: Tensor, missing: Tensor | None) -> Tensor:
        batch, count, _ = x.shape
        mixed = self.mix(self.before(x)).view(batch, count, 3, _HEADS, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = None if missing is None else ~missing[:, None, None]
        heads = nn.functional.scaled_dot_product_attention(query, key, value, seen)
        x = x + self.out(heads.transpose(1, 2).flatten(2))
        result: Tensor = x + self.narrow(torch.relu(self.wide(self.between(x))))
        return result
