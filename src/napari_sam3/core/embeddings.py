"""Embeddings that are kept, so that an image is encoded once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from threading import Lock

from napari_sam3.core.errors import ModelError
from napari_sam3.core.prediction import Embedding
from napari_sam3.core.recent import Recent

__all__ = ["EmbeddingCache", "checked_bytes"]


class EmbeddingCache:
    """Keeps the embeddings that were used last, up to a number of bytes.

    The newest entry always stays, also if it alone is larger than the budget: the
    plane that the user is working on must not be encoded again for every click.
    Safe to use from any thread.

    Parameters
    ----------
    budget : int, optional
        Bytes that the entries may hold together, by default 2 GiB.

    Raises
    ------
    ModelError
        If the budget is no whole number, or negative.

    Examples
    --------
    >>> cache = EmbeddingCache(budget=100)
    >>> for name in ("a", "b", "c"):
    ...     cache.put(name, Embedding(None, (4, 4), "nano", nbytes=40))
    >>> cache.keys(), cache.nbytes
    (('b', 'c'), 80)
    """

    def __init__(self, budget: int = 2 * 2**30) -> None:
        self._lock = Lock()
        self._entries = Recent(_checked_budget(budget), lambda one: one.nbytes)

    @property
    def budget(self) -> int:
        """Bytes that the entries may hold together; a lower one evicts at once."""
        return self._entries.limit

    @budget.setter
    def budget(self, budget: int) -> None:
        checked = _checked_budget(budget)
        with self._lock:
            self._entries.limit = checked

    @property
    def nbytes(self) -> int:
        """Bytes that the entries hold together."""
        return self._entries.weight

    @property
    def largest(self) -> int:
        """Bytes of the largest entry, 0 if there is none."""
        with self._lock:
            return max((one.nbytes for one in self._entries.values()), default=0)

    def __len__(self) -> int:
        """Return how many entries there are."""
        return len(self._entries)

    def keys(self) -> tuple[Hashable, ...]:
        """Return the keys, the one whose turn to go is next first."""
        with self._lock:
            return tuple(self._entries)

    def get(self, key: Hashable) -> Embedding | None:
        """Return an entry, which counts as using it, or None if it is not there."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: Hashable, embedding: Embedding) -> None:
        """Keep an embedding, in the place of an earlier one with the same key."""
        with self._lock:
            self._entries[key] = embedding

    def evict(self, match: Callable[[Hashable], bool]) -> int:
        """Drop the entries whose keys match.

        Parameters
        ----------
        match : callable
            Gets a key, tells whether its entry goes.

        Returns
        -------
        int
            Bytes that were freed.
        """
        # Without the lock: a match that asks the cache would wait for itself.
        going = [key for key in self.keys() if match(key)]
        with self._lock:
            before = self._entries.weight
            for key in going:
                self._entries.pop(key, None)
            return before - self._entries.weight

    def clear(self) -> int:
        """Drop all entries, and return the bytes that were freed."""
        with self._lock:
            freed = self._entries.weight
            self._entries.clear()
            return freed


def checked_bytes(number: int, what: str, remedy: str) -> int:
    """Refuse what is no number of bytes.

    Parameters
    ----------
    number : int
        Of any integer type.
    what : str
        Whose it is, such as "The cache's budget".
    remedy : str
        An example, and what 0 means.

    Returns
    -------
    int
        Python's own.

    Raises
    ------
    ModelError
        If it is no whole number, or negative.
    """
    try:
        checked = operator.index(number)
    except TypeError:
        checked = -1
    if checked < 0:
        raise ModelError(
            f"{what} is {number!r}; give a whole number of bytes, such as {remedy}."
        )
    return checked


def _checked_budget(budget: int) -> int:
    remedy = "2 * 2**30, or 0 to keep one image only"
    return checked_bytes(budget, "The cache's budget", remedy)
