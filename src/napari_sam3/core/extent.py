"""Where in a plane prompts and masks lie, as boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam3.core.prompt import Box, Prompt

__all__ = [
    "bounds_of",
    "boxed",
    "extent_of",
    "length_of",
    "mask_bounds",
    "union",
    "with_prompt",
]


def boxed(prompt: Prompt, shape: tuple[int, int]) -> Prompt:
    """Say where an earlier mask lies: without a box it is one of the whole plane."""
    if prompt.mask_logits is None or prompt.mask_box is not None:
        return prompt
    return replace(prompt, mask_box=(0.0, 0.0, float(shape[0]), float(shape[1])))


def extent_of(prompt: Prompt) -> Box | None:
    """Return the box around what says where the object is.

    Background clicks alone say it if there is nothing else.
    """
    bounds = prompt.box
    is_told = prompt.labels.any() or bounds is not None or mask_bounds(prompt)
    for row, col in prompt.positive if is_told else prompt.points:
        bounds = union(bounds, (row, col, row + 1, col + 1))
    return bounds


def mask_bounds(prompt: Prompt) -> Box | None:
    """Return the box around the earlier mask, None if there is none."""
    if prompt.mask_logits is None or prompt.mask_box is None:
        return None
    return bounds_of(prompt.mask_logits > 0, prompt.mask_box)


def bounds_of(mask: NDArray[np.bool_], bbox: Box) -> Box | None:
    """Return the box around a mask whose cells fill a box of the plane."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    tall = (bbox[2] - bbox[0]) / mask.shape[0]
    wide = (bbox[3] - bbox[1]) / mask.shape[1]
    return (
        bbox[0] + float(rows[0]) * tall,
        bbox[1] + float(cols[0]) * wide,
        bbox[0] + float(rows[-1] + 1) * tall,
        bbox[1] + float(cols[-1] + 1) * wide,
    )


def with_prompt(bounds: Box, prompt: Prompt) -> Box:
    """Return the box around an object and the prompts that are on it."""
    said = extent_of(prompt)
    return bounds if said is None else union(said, bounds)


def length_of(bounds: Box) -> float:
    """Return the longer side of a box."""
    return float(max(bounds[2] - bounds[0], bounds[3] - bounds[1]))


def union(first: Box | None, second: Box) -> Box:
    """Return the smallest box that holds both."""
    if first is None:
        return second
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[2], second[2]),
        max(first[3], second[3]),
    )
