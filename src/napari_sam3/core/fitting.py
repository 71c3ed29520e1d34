"""Answers from windows that are fitted to what is outlined already."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam3.core.candidate import Candidate
from napari_sam3.core.correction import Correction, obey
from napari_sam3.core.picture import Picture
from napari_sam3.core.window_decoder import Look, WindowDecoder, decode_looks, doubt

__all__ = ["answer_fitted"]


def answer_fitted(
    decoder: WindowDecoder, picture: Picture, looks: Sequence[Look]
) -> list[list[Candidate]]:
    """Segment objects in windows that fit them; corrections stay local.

    Parameters
    ----------
    decoder : WindowDecoder
        The network.
    picture : Picture
        The image.
    looks : sequence of Look
        One per object: its prompt, its window, and the earlier mask if there is one.

    Returns
    -------
    list of list of Candidate
        The masks of each window, the plain answer first.
    """
    seen = decode_looks(decoder, picture, looks, decoder.closer_size)
    return [
        [_fit(look, mask) for mask in masks]
        for look, (masks, _) in zip(looks, seen, strict=True)
    ]


def _fit(look: Look, mask: Candidate) -> Candidate:
    """Let a correction change what it was asked to, and follow all clicks."""
    prompt, _, earlier = look
    if earlier is None:
        mask = mask.widened()
    elif len(prompt.points):
        mask = Correction(prompt, earlier).keep_elsewhere(mask)
    # A mask that has to be forced is worth less, so it is judged before.
    return obey(doubt(mask, prompt), prompt)
