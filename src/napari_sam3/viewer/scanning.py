"""Looking for the largest number in labels, beside everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from napari_sam3.viewer.asking import Asking
from napari_sam3.viewer.engine import Tell
from napari_sam3.viewer.inference import News
from napari_sam3.viewer.label_ids import LabelIds, scan
from napari_sam3.viewer.results import Results

__all__ = ["scan_ids"]


def scan_ids(
    asking: Asking, results: Results, then: Callable[[], None] | None = None
) -> bool:
    """Look through labels on the inference thread, if that has still to be done.

    Parameters
    ----------
    asking : Asking
        The session's way to the thread.
    results : Results
        With the layer.
    then : callable, optional
        Called when it is done.

    Returns
    -------
    bool
        Whether there is anything to do.
    """
    labels, ids = results.labels, results.ids
    if labels is None or ids is None or not ids.needs_scan:
        return False
    learn = partial(_learn, ids, ids.generation, then)
    asking.ask(partial(_scan, ids.array), learn, is_request=False)
    return True


def _scan(array: Any, tell: Tell) -> int:
    def report(done: int, total: int) -> None:
        tell(News("looking through the labels…", done, total))

    return scan(array, report)


def _learn(
    ids: LabelIds, generation: int, then: Callable[[], None] | None, largest: int
) -> None:
    ids.learn(largest, generation)
    if then is not None:
        then()
