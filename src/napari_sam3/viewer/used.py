"""Prompts that were used for objects, and still lie in the layers of the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from napari.layers import Points, Shapes

from napari_sam3.core.marks import Mark, PointMark
from napari_sam3.viewer.sources import PlaneKey

__all__ = ["UsedMarks", "without"]


class UsedMarks:
    """Remembers by plane and layer which marks shall not count again."""

    def __init__(self) -> None:
        self._used: dict[tuple[PlaneKey, UUID], Counter[Mark]] = {}

    def of(
        self, key: PlaneKey, layers: tuple[Points | None, Shapes | None]
    ) -> Counter[Mark]:
        """Return what is used on a plane of what these layers hold."""
        used: Counter[Mark] = Counter()
        for layer in layers:
            if layer is not None:
                used += self._used.get((key, layer.unique_id), Counter())
        return used

    def set(
        self,
        key: PlaneKey,
        layers: tuple[Points | None, Shapes | None],
        used: Counter[Mark],
    ) -> None:
        """Say what is used on a plane: clicks of the one layer, areas of the other."""
        for layer, are_points in zip(layers, (True, False), strict=True):
            if layer is not None:
                mine = {
                    mark: number
                    for mark, number in used.items()
                    if isinstance(mark, PointMark) == are_points
                }
                self._used[key, layer.unique_id] = Counter(mine)

    def forget(self, layer_id: object) -> None:
        """Forget an image that is gone."""
        for place in [place for place in self._used if place[0].layer_id == layer_id]:
            del self._used[place]


def without(marks: Sequence[Mark], used: Counter[Mark]) -> list[Mark]:
    """Return the marks less those used, in their order."""
    left = Counter(used)
    rest = []
    for mark in marks:
        if left[mark] > 0:
            left[mark] -= 1
        else:
            rest.append(mark)
    return rest
