"""Labels on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sam3.core.files import write_labels
from napari_sam3.core.journal import Journal
from napari_sam3.viewer.engine import Tell
from napari_sam3.viewer.inference import News
from napari_sam3.viewer.label_pyramid import full_size

__all__ = ["save"]


def save(path: Path, data: Any, journal: Journal, tell: Tell) -> Path:
    """Write labels, and their prompts beside them. Runs on the inference thread.

    Parameters
    ----------
    path : Path
        Of the labels; prompts go to the same name with ``.prompts.json``.
    data : array_like of integers, or sequence of them
        The labels. Of a multiscale layer's sizes the full one is written; lazy
        arrays are read part by part.
    journal : Journal
        The prompts.
    tell : callable
        Takes `News`; what it raises ends the writing, and leaves no file.

    Returns
    -------
    Path
        That of the labels.

    Raises
    ------
    FileError
        If a file cannot be written.
    """
    text = f"saving {path.name}…"
    tell(News(text))
    write_labels(
        path, full_size(data), report=lambda done, all_: tell(News(text, done, all_))
    )
    journal.save(path.with_suffix(".prompts.json"))
    return path
