"""Embedding an image by way of a store."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.errors import ModelError
from napari_sam3.core.image import check_rgb
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.store import EmbeddingStore, store_key
from napari_sam3.core.stored_file import to_halves
from napari_sam3.core.tracker import Report, StorableTracker, Tracker, no_report

__all__ = ["embed_stored", "find_stored"]


def find_stored(
    tracker: Tracker, image: NDArray[np.uint8], store: EmbeddingStore
) -> Embedding | None:
    """Return what a store has of an image.

    Parameters
    ----------
    tracker : Tracker
        The model. If its embeddings cannot be stored, there is none.
    image : ndarray of shape (rows, columns, 3) and dtype uint8
        What the model would be given.
    store : EmbeddingStore
        Where to look. A file that the model cannot take is removed.

    Returns
    -------
    Embedding or None
        None if the image has to be embedded.
    """
    if not isinstance(tracker, StorableTracker):
        return None
    return _find(tracker, image, store, store_key(image, tracker.fingerprint))


def embed_stored(
    tracker: Tracker,
    image: NDArray[np.uint8],
    store: EmbeddingStore | None,
    report: Report = no_report,
) -> Embedding:
    """Embed an image, or take its embedding from a store.

    Parameters
    ----------
    tracker : Tracker
        The model.
    image : ndarray of shape (rows, columns, 3) and dtype uint8
        Exactly what the model is to see.
    store : EmbeddingStore, optional
        Where to look first, and where the result is kept.
    report : callable, optional
        As for `Tracker.embed`; not called if the store has it.

    Returns
    -------
    Embedding
        With a store, rounded to float16 in either case: answers do not depend on
        where it came from. Not rounded, and not stored, if the tracker's cannot be,
        or has numbers that are too large for that.

    Raises
    ------
    ImageError
        As `Tracker.embed`. A store's trouble is no error.
    """
    if store is None or not isinstance(tracker, StorableTracker):
        return tracker.embed([image], report=report)[0]
    # A copy: the key is of the pixels that are embedded, whatever becomes of others.
    image = check_rgb(image)
    key = store_key(image, tracker.fingerprint)
    found = _find(tracker, image, store, key)
    if found is not None:
        return found
    (embedding,) = tracker.embed([image], report=report)
    halves = to_halves(tracker.to_arrays(embedding))
    if halves is None:
        return embedding
    store.put(key, halves, embedding.image_shape)
    return tracker.from_arrays(halves, image)


def _find(
    tracker: StorableTracker,
    image: NDArray[np.uint8],
    store: EmbeddingStore,
    key: str,
) -> Embedding | None:
    found = store.get(key)
    if found is None:
        return None
    try:
        if found.image_shape == image.shape[:2]:
            return tracker.from_arrays(found.arrays, image)
    except ModelError:
        pass  # of a version of this package that named or laid out features otherwise
    store.remove(key)
    return None
