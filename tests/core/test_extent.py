"""Boxes of prompts and masks."""

from __future__ import annotations

from napari_sam3.core.extent import union


def test_union_holds_both_boxes():
    assert union((1, 5, 3, 6), (0, 7, 2, 9)) == (0, 5, 3, 9)
    assert union(None, (1, 2, 3, 4)) == (1, 2, 3, 4)
