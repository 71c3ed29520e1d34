"""All weights files that this package knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam3.models import families
from napari_sam3.models.nano.keys import LAYOUT as NANO
from napari_sam3.models.sam3 import keys as sam3_keys

if TYPE_CHECKING:
    from napari_sam3.models.weights.layout import Layout

__all__ = ["LAYOUTS", "expected_shapes"]

#: Whatever `build_tracker` can load.
LAYOUTS: tuple[Layout, ...] = (NANO, *sam3_keys.LAYOUTS, *families.LAYOUTS)


def expected_shapes(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the tensors that a network needs, without making any.

    Parameters
    ----------
    layout : Layout
        One of `LAYOUTS`.

    Returns
    -------
    dict of str to tuple of int
        Shape of each tensor, by the network's name.

    Raises
    ------
    ModelError
        If what the network is made of is not installed.
    """
    if layout.family == "sam3":
        from napari_sam3.models.sam3.load import expected_shapes as of_sam3

        return of_sam3()
    if layout.family == "nano":
        from napari_sam3.models.nano.keys import expected_shapes as of_nano

        return of_nano()
    return families.expected_shapes(layout)
