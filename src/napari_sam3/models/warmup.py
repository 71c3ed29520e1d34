"""The first answer of a model takes longer than the others; get it over with."""

from __future__ import annotations

import numpy as np

from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Report, Tracker, no_report

__all__ = ["warm_up"]

#: (rows, columns): long enough that nano looks through as many windows as in any
#: image, and yet next to nothing to copy.
_SHAPE = (8, 2561)


def warm_up(tracker: Tracker, *, report: Report = no_report) -> None:
    """Let a model answer once, so that the user's first click need not wait.

    Libraries prepare themselves when they are first used: kernels are chosen or
    compiled, threads started, memory taken. Part of that belongs to the thread, so
    call this on the one that will ask.

    Parameters
    ----------
    tracker : Tracker
        Any model; nothing is done if an image takes it long (`Tracker.is_quick`).
    report : callable, optional
        As for `Tracker.embed`; what it raises ends the warm-up.
    """
    if not tracker.is_quick:
        return
    (embedding,) = tracker.embed([np.zeros((*_SHAPE, 3), np.uint8)], report=report)
    middle = np.array(_SHAPE, np.float64)[np.newaxis] // 2
    tracker.predict(embedding, [Prompt(middle, np.ones(1, np.bool_))], multimask=True)
