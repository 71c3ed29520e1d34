"""How far a download is, as news."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_sam3.core.tracker import Report
from napari_sam3.viewer.inference import News

__all__ = ["telling_bytes"]

#: Seconds between two pieces of news: a download comes in many small parts.
_INTERVAL = 0.05
#: Progress bars count in 32 bits, which three gigabytes do not fit into.
_LARGEST = 2**30


def telling_bytes(name: str, tell: Callable[[News], None]) -> Report:
    """Return what tells of a model's weights that come, or are checked.

    Parameters
    ----------
    name : str
        Of the model.
    tell : callable
        Takes `News`; what it raises ends the download.

    Returns
    -------
    callable
        Takes the bytes that are done and those that there are.
    """
    told = float("-inf")

    def report(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done == total or now - told >= _INTERVAL:
            told = now
            unit = 1 + total // _LARGEST
            tell(News(_in_words(name, done, total), done // unit, total // unit))

    return report


def _in_words(name: str, done: int, total: int) -> str:
    if total < 1e9:
        return f"getting {name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    return f"getting {name}: {done / 1e9:.2f} of {total / 1e9:.2f} GB"
