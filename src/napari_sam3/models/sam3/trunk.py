"""SAM 3's image trunk: a plain vision transformer with windows and rotary positions.

The building blocks are published: ViT (Dosovitskiy et al., ICLR 2021), windowed
attention with a few global blocks (ViTDet, Li et al., ECCV 2022), axial rotary
positions (RoPE-ViT, Heo et al., ECCV 2024).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_sam3.models.sam3.config import Sam3Config
from napari_sam3.models.sam3.linear import Linear

__all__ = ["Trunk", "from_windows", "rotary_table", "rotate", "to_windows"]

_ROTARY_BASE = 10000.0
_NORM_EPS = 1e-5
#: Tokens that go through a perceptron at once: its hidden values then stay in the
#: processor's cache, and take little memory.
_MLP_TOKENS = 1296


def to_windows(tokens: Tensor, window: int) -> Tensor:
    """Order tokens by windows.

    Parameters
    ----------
    tokens : Tensor of shape (B, H, W, C)
        H and W are multiples of ``window``.
    window : int
        Side of a window in tokens.

    Returns
    -------
    Tensor of shape (B, windows, window * window, C)
        Windows in reading order, and so are the tokens in each.
    """
    batch, height, width, channels = tokens.shape
    down, across = height // window, width // window
    cut = tokens.reshape(batch, down, window, across, window, channels)
    return cut.transpose(2, 3).reshape(batch, down * across, window**2, channels)


def from_windows(tokens: Tensor, window: int) -> Tensor:
    """Undo `to_windows` for a square view.

    Parameters
    ----------
    tokens : Tensor of shape (B, windows, window * window, C)
        As `to_windows` returns them.
    window : int
        Side of a window in tokens.

    Returns
    -------
    Tensor of shape (B, H, H, C)
        In reading order.
    """
    batch, windows, _, channels = tokens.shape
    side = round(windows**0.5)
    cut = tokens.reshape(batch, side, side, window, window, channels)
    return cut.transpose(2, 3).reshape(batch, side * window, side * window, channels)


def rotary_table(positions: Tensor, dim: int) -> Tensor:
    """Return the rotations that encode places on a grid.

    The first half of a head's channels turns with x, the second with y; channel
    pairs turn at geometrically falling rates.

    Parameters
    ----------
    positions : Tensor of shape (L, 2)
        (x, y), in tokens.
    dim : int
        Channels of a head, a multiple of 4.

    Returns
    -------
    Tensor of shape (2, L, 1, dim / 2) and dtype float32
        Cosines and sines, one pair of channels each.
    """
    half = dim // 2
    steps = torch.arange(0, half, 2, dtype=torch.float32, device=positions.device)
    rates = _ROTARY_BASE ** (-steps / half)
    angles = (positions.float()[:, :, None] * rates).flatten(1)[:, None]
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn neighbouring channels of queries or keys by their places' angles.

    Parameters
    ----------
    x : Tensor of shape (N, L, heads, dim)
        Any floating dtype; the rotation is computed in float32.
    table : Tensor of shape (2, L, 1, dim / 2)
        As `rotary_table` gives it.

    Returns
    -------
    Tensor of shape (N, L, heads, dim) and dtype float32
    """
    pairs = x.float().unflatten(-1, (-1, 2))
    even, odd = pairs.unbind(-1)
    cos, sin = table
    turned = torch.empty_like(pairs)
    torch.addcmul(even * cos, odd, sin, value=-1, out=turned[..., 0])
    torch.addcmul(even * sin, odd, cos, out=turned[..., 1])
    return turned.flatten(-2)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = Linear(width, width)
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Let the L tokens of each of N sequences attend to each other."""
        query, key, value = (
            project(x).unflatten(-1, (self.heads, -1))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        # Only graphics cards attend faster in half precision; torch on a CPU takes
        # twice as long for the whole view.
        number = torch.float32 if x.device.type == "cpu" else x.dtype
        mixed = F.scaled_dot_product_attention(
            rotate(query, table).to(number).transpose(1, 2),
            rotate(key, table).to(number).transpose(1, 2),
            value.to(number).transpose(1, 2),
        )
        return self.proj(mixed.to(x.dtype).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers with a GELU between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, hidden)
        self.fc2 = Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token by itself."""
        tokens = x.flatten(0, -2)
        result = torch.empty_like(tokens)
        for some, target in zip(
            tokens.split(_MLP_TOKENS), result.split(_MLP_TOKENS), strict=True
        ):
            target.copy_(self.fc2(F.gelu(self.fc1(some))))
        return result.view_as(x)


class Block(nn.Module):
    """Attention, then a perceptron, each normalised before and added to its input."""

    def __init__(self, config: Sam3Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.mlp = Mlp(config.width, config.mlp_width)

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Transform N sequences of L tokens (N, L, C)."""
        x = x + self.attn(self.norm1(x), table)
        return x + self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """The vision transformer.

    Tokens stay in the order of their windows from the first block to the last: a
    window is then a sequence of its own, all of them are one, and nothing is ever
    rearranged for attention, which only has to be told each token's place.

    Parameters
    ----------
    config : Sam3Config
        Sizes.
    """

    def __init__(self, config: Sam3Config) -> None:
        super().__init__()
        self.config = config
        self.pos_embed = nn.Parameter(torch.empty(1, config.window**2, config.width))
        self.patch_embed = nn.Conv2d(
            3, config.width, config.patch, stride=config.patch, bias=False
        )
        self.ln_pre = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))

    def forward(self, pixels: Tensor, between: Callable[[], object]) -> Tensor:
        """Turn views into features.

        Parameters
        ----------
        pixels : Tensor of shape (B, 3, size, size)
            Normalised, in the trunk's dtype.
        between : callable
            Called after each block.

        Returns
        -------
        Tensor of shape (B, grid, grid, width)
            One vector per patch.
        """
        window = self.config.window
        x = to_windows(self.patch_embed(pixels).permute(0, 2, 3, 1), window)
        # The table of the first training's view is repeated in each window.
        x = self.ln_pre(x + self.pos_embed)
        batch, windows, length, channels = x.shape
        near, far = self._rotary_tables(x.device)
        for index, block in enumerate(self.blocks):
            if index in self.config.global_blocks:
                x = block(x.view(batch, windows * length, channels), far)
            else:
                x = block(x.view(batch * windows, length, channels), near)
            between()
        return from_windows(x.view(batch, windows, length, channels), window)

    def _rotary_tables(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the rotations within a window, and of the whole view.

        The whole view's places are squeezed into the range that the first training
        had: a window.
        """
        config = self.config
        dim = config.width // config.heads
        tables = []
        for side in (config.window, config.grid):
            places = torch.arange(side, device=device) * (config.window / side)
            y, x = torch.meshgrid(places, places, indexing="ij")
            grid = torch.stack((x, y), dim=-1)[None]
            positions = to_windows(grid, config.window).flatten(0, 2)
            tables.append(rotary_table(positions, dim))
        return tables[0], tables[1]
