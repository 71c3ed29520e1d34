"""The sizes of SAM 3."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sam3Config"]


@dataclass(frozen=True, slots=True)
class Sam3Config:
    """Sizes of the network; the defaults are those of the published checkpoints.

    Parameters
    ----------
    size : int
        Side of the view in pixels.
    patch : int
        Side of a patch in pixels: a token of the trunk.
    width : int
        Channels of the trunk.
    depth : int
        Blocks of the trunk.
    heads : int
        Attention heads of the trunk.
    mlp_width : int
        Hidden channels of the trunk's perceptrons.
    window : int
        Side of a window in tokens; also the side of the view, in tokens, that the
        trunk was first trained with, so the position table fills one window.
    global_blocks : tuple of int
        Blocks that attend to all tokens; the others attend within windows.
    channels : int
        Channels of the decoder.
    """

    size: int = 1008
    patch: int = 14
    width: int = 1024
    depth: int = 32
    heads: int = 16
    mlp_width: int = 4736
    window: int = 24
    global_blocks: tuple[int, ...] = (7, 15, 23, 31)
    channels: int = 256

    @property
    def grid(self) -> int:
        """Side of the view in tokens."""
        return self.size // self.patch

    @property
    def low_res_size(self) -> int:
        """Side of the masks that the decoder gives: four to a token."""
        return 4 * self.grid
