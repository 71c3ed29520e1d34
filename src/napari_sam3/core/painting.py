"""Many objects of one image: predict, clean up, paint labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import PromptError
from napari_sam3.core.finish import Finish
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.prompt import Prompt
from napari_sam3.core.tracker import Report, Tracker, no_report

__all__ = ["FoundObject", "check_prompts", "find_objects", "paint_labels"]

#: Objects per call of the model: enough to fill its batches, few enough to
#: report progress between them.
_CHUNK = 12


@dataclass(frozen=True, slots=True, eq=False)
class FoundObject:
    """One object's cleaned mask.

    Parameters
    ----------
    mask : ndarray of shape (h, w) and dtype bool
        The mask in its crop; `find_objects` cuts it to the object's bounds.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the image, half-open; without
        pixels where nothing was found.
    score : float
        Predicted intersection over union with the true object, 0 to 1.
    """

    mask: NDArray[np.bool_]
    bbox: tuple[int, int, int, int]
    score: float


def check_prompts(prompts: Mapping[str, Prompt], shape: tuple[int, int]) -> None:
    """Refuse prompts that lie outside the image.

    Parameters
    ----------
    prompts : mapping of str to Prompt
        By the objects' names.
    shape : tuple of int
        (rows, columns) of the image.

    Raises
    ------
    PromptError
        It names the first object that does.
    """
    for name, prompt in prompts.items():
        try:
            prompt.check_inside(shape)
        except PromptError as error:
            raise PromptError(f"Object {name!r}: {error}") from error


def find_objects(
    tracker: Tracker,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    finish: Finish,
    *,
    report: Report = no_report,
) -> list[FoundObject]:
    """Segment objects as `SAM3InteractiveImagePredictor.predict` does.

    Parameters
    ----------
    tracker : Tracker
        The model.
    embedding : Embedding
        The image, from that model.
    prompts : sequence of Prompt
        One per object.
    finish : Finish
        Threshold and clean-up.
    report : callable, optional
        Called with how many objects are done, and of how many, before the first
        and after every few. What it raises comes out of here, which is how the
        search is cancelled.

    Returns
    -------
    list of FoundObject
        One per prompt. Only the objects' own pixels are kept, so that hundreds of
        objects of a large image fit into memory.
    """
    found: list[FoundObject] = []
    waiting = iter(prompts)
    report(0, len(prompts))
    while chunk := list(islice(waiting, _CHUNK)):
        answers = tracker.predict(embedding, chunk, multimask=False)
        for prompt, (answer,) in zip(chunk, answers, strict=True):
            mask = finish.crop(answer, prompt, embedding.image_shape)
            found.append(_trimmed(mask, answer.bbox[:2], answer.score))
        report(len(found), len(prompts))
    return found


def paint_labels(
    found: Sequence[FoundObject], shape: tuple[int, int]
) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """Paint objects into one label image.

    Parameters
    ----------
    found : sequence of FoundObject
        The first one gets the label 1.
    shape : tuple of int
        (rows, columns) of the image.

    Returns
    -------
    ndarray of shape ``shape`` and dtype uint16
        Where objects overlap, the one with the higher score, of equal ones the
        earlier one. uint32 if there are more objects than uint16 can count.

    Examples
    --------
    >>> whole = FoundObject(np.ones((1, 3), bool), (0, 0, 1, 3), 0.5)
    >>> part = FoundObject(np.ones((1, 1), bool), (0, 1, 1, 2), 0.9)
    >>> paint_labels([whole, part], (1, 4))
    array([[1, 2, 1, 0]], dtype=uint16)
    """
    small = len(found) <= np.iinfo(np.uint16).max
    labels = np.zeros(shape, np.uint16 if small else np.uint32)
    best_last = sorted(range(len(found)), key=lambda i: (found[i].score, -i))
    for index in best_last:
        row0, col0, row1, col1 = found[index].bbox
        labels[row0:row1, col0:col1][found[index].mask] = index + 1
    return labels


def _trimmed(
    mask: NDArray[np.bool_], origin: tuple[int, int], score: float
) -> FoundObject:
    """Cut a mask at (row, col) of the image to what is True in it."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        rows = cols = np.array([0, -1])  # nothing from the corner on
    row0, row1 = int(rows[0]), int(rows[-1]) + 1
    col0, col1 = int(cols[0]), int(cols[-1]) + 1
    row, col = origin
    return FoundObject(
        # A copy: a view would keep the whole crop.
        mask=mask[row0:row1, col0:col1].copy(),
        bbox=(row + row0, col + col0, row + row1, col + col1),
        score=score,
    )
