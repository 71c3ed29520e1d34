"""How training windows are drawn."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SampleSettings"]


@dataclass(frozen=True)
class SampleSettings:
    """How windows are drawn.

    Parameters
    ----------
    window : int
        Side of a window in network pixels.
    prompts : int
        Objects that are prompted per window.
    ladder_share : float
        Share of windows centred on a click at any scale, as the first click
        meets them.
    view_share : float
        Share of windows that show an object anywhere, as a whole plane does; the
        others are fitted to an object.
    box_share : float
        Share of objects that are prompted by a box, centred clicks excepted.
    draft_share : float
        Share of objects that are half done, centred clicks excepted, see
        `training.drafts`; a third of that in views.
    scribble_share : float
        Share of the other objects that are prompted by a line.
    large_share : float
        Share of batches of larger windows, as a closer look has: half as many,
        and none of them centred on a first click.
    plane_share : float
        Share of batches that are one view of the size of a whole plane's embedding.
    """

    window: int = 128
    prompts: int = 3
    ladder_share: float = 0.42
    view_share: float = 0.14
    box_share: float = 0.3
    draft_share: float = 0.55
    scribble_share: float = 0.04
    large_share: float = 0.25
    plane_share: float = 0.12
