"""Mappings that forget what was not used for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from typing import Any

__all__ = ["Recent", "Under"]


class Recent(MutableMapping[Any, Any]):
    """A mapping that forgets what was not used for longest. For one thread.

    The newest item stays, whatever it weighs.

    Parameters
    ----------
    limit : int
        What the values may weigh together.
    weigh : callable, optional
        Gets a value, returns its weight; by default each counts as one.
    """

    def __init__(
        self, limit: int, weigh: Callable[[Any], int] = lambda value: 1
    ) -> None:
        self._limit = limit
        self._weigh = weigh
        self._weight = 0
        self._items: OrderedDict[Any, Any] = OrderedDict()

    @property
    def limit(self) -> int:
        """What the values may weigh together; a lower one forgets at once."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._shrink()

    @property
    def weight(self) -> int:
        """What they weigh."""
        return self._weight

    def __getitem__(self, key: Any) -> Any:
        """Return a value, which counts as using it."""
        value = self._items[key]
        self._items.move_to_end(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        """Remember a value, and forget others to make room."""
        self.pop(key, None)
        self._items[key] = value
        self._weight += self._weigh(value)
        self._shrink()

    def __delitem__(self, key: Any) -> None:
        """Forget a value."""
        self._weight -= self._weigh(self._items.pop(key))

    def __iter__(self) -> Iterator[Any]:
        """Go through the keys, the one whose turn to go is next first."""
        return iter(list(self._items))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def _shrink(self) -> None:
        while self._weight > self._limit and len(self._items) > 1:
            del self[next(iter(self._items))]


class Under(MutableMapping[Any, Any]):
    """The part of a mapping whose keys start with one value."""

    def __init__(self, items: MutableMapping[Any, Any], first: Hashable) -> None:
        self._items, self._first = items, first

    def __getitem__(self, key: Any) -> Any:
        """Return the value of the rest of a key."""
        return self._items[self._first, key]

    def __setitem__(self, key: Any, value: Any) -> None:
        """Set it."""
        self._items[self._first, key] = value

    def __delitem__(self, key: Any) -> None:
        """Drop it."""
        del self._items[self._first, key]

    def __iter__(self) -> Iterator[Any]:
        """Go through the rests of the keys."""
        return (key for first, key in self._items if first == self._first)

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)
