"""What comes back from the inference thread, for the eye and for the status line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.marks import MaskMark
from napari_sam3.core.painting import FoundObject
from napari_sam3.viewer.history import Draft
from napari_sam3.viewer.preview import Preview

__all__ = ["ManyReply", "Reply", "in_words", "preview_of"]

#: From so many seconds on, times are told in seconds.
_LONG = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """One object's mask.

    Parameters
    ----------
    mask : ndarray of shape (h, w) and dtype bool
        Cleaned, in its crop.
    bbox : tuple of int
        ``(row0, col0, row1, col1)`` of the crop in the plane, half-open.
    scores : tuple of float
        Of all candidates.
    shown : int
        Which candidate the mask is.
    kept : bool
        Whether an earlier mask was kept since the new ones look worse.
    model, fingerprint : str
        Who answered.
    seconds : float
        From the start of the prediction to the cleaned mask.
    seen : tuple of int, optional
        ``(row0, col0, row1, col1)`` of the part of the plane that the model saw.
    is_windowed : bool
        Whether it looks at planes through windows that it encodes as a whole.
    """

    mask: NDArray[np.bool_]
    bbox: tuple[int, int, int, int]
    scores: tuple[float, ...]
    shown: int
    kept: bool
    model: str
    fingerprint: str
    seconds: float
    seen: tuple[int, int, int, int] | None = None
    is_windowed: bool = False

    @property
    def score(self) -> float:
        """Predicted IoU of the mask."""
        return self.scores[self.shown]


@dataclass(frozen=True, slots=True, eq=False)
class ManyReply:
    """Many objects' masks, and how they share the pixels.

    Parameters
    ----------
    objects : tuple of FoundObject
        One per dialogue.
    labels : ndarray of shape (h, w) and dtype uint16 or uint32
        The place of the object in ``objects`` plus one, 0 for none; where
        objects overlap, the one with the higher score.
    bbox : tuple of int
        Of ``labels`` in the plane, half-open.
    model, fingerprint : str
        Who answered.
    seconds : float
        It took.
    outside : int
        How many of the objects were asked for beside the image: they have no pixel.
    is_windowed : bool
        Whether the model looks at planes through windows that it encodes as a whole.
    """

    objects: tuple[FoundObject, ...]
    labels: NDArray[np.uint16] | NDArray[np.uint32]
    bbox: tuple[int, int, int, int]
    model: str
    fingerprint: str
    seconds: float
    outside: int = 0
    is_windowed: bool = False


def preview_of(reply: Reply | ManyReply, shape: tuple[int, int]) -> Preview:
    """Return what a reply looks like on a plane of (rows, columns)."""
    if isinstance(reply, Reply):
        return Preview(
            crop=reply.mask,
            bbox=reply.bbox,
            score=reply.score,
            candidate=reply.shown,
            candidates=len(reply.scores),
            kept=reply.kept,
            shape=shape,
        )
    scores = [one.score for one in reply.objects]
    return Preview(
        crop=reply.labels,
        bbox=reply.bbox,
        score=sum(scores) / max(len(scores), 1),
        candidate=0,
        candidates=1,
        kept=False,
        shape=shape,
    )


def in_words(reply: Reply | ManyReply, draft: Draft) -> str:
    """Say what came of a draft, for the status line."""
    took = f"{1000 * reply.seconds:.0f} ms"
    if reply.seconds >= _LONG:
        took = f"{reply.seconds:.1f} s"
    if isinstance(reply, ManyReply):
        inside = len(reply.objects) - reply.outside
        beside = f" · {reply.outside} outside the image" if reply.outside else ""
        return f"{inside} objects · {took}{beside}"
    if draft.label is not None and isinstance(draft.dialogue.marks[-1], MaskMark):
        return f"object {draft.label}: click to correct it"
    if reply.kept and reply.shown == 0 and len(reply.scores) > 1:
        best = max(reply.scores[1:])
        return f"kept the earlier mask: {reply.score:.2f}, the new one {best:.2f}"
    return f"{reply.score:.2f} · {took}"
