"""Labels on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.core.files import write_labels
from napari_sam3.core.journal import Journal
from napari_sam3.viewer.engine import Tell
from napari_sam3.viewer.inference import News

__all__ = ["save"]


def save(path: Path, data: Any, journal: Journal, tell: Tell) -> Path:
    """Write labels, and their prompts beside them. Runs on the inference thread.

    Parameters
    ----------
    path : Path
        Of the labels; prompts go to the same name with ``.prompts.json``.
    data : array_like of integers
        The labels.
    journal : Journal
        The prompts.
    tell : callable
        Takes `News`.

    Returns
    -------
    Path
        That of the labels.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    tell(News(f"saving {path.name}…"))
    write_labels(path, np.asarray(data))
    journal.save(path.with_suffix(".prompts.json"))
    return path
