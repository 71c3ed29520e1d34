"""nano's tensors from arrays, and back: features for the store, prompts of windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.core.errors import ModelError
from napari_sam3.core.window_decoder import WindowPrompt
from napari_sam3.models.nano.encoder import TAP_CHANNELS
from napari_sam3.models.nano.network import PYRAMID_CHANNELS, Features
from napari_sam3.models.nano.prompts import PromptTensors

__all__ = ["features_from_arrays", "features_to_arrays", "to_tensors"]

#: Of the features: the fine ones, and the levels of the pyramid.
_STRIDES = (2, 4, 8, 16, 32)


def features_to_arrays(features: Features) -> dict[str, NDArray[np.float16]]:
    """Name the features of one view, rounded.

    Parameters
    ----------
    features : Features
        Of one image.

    Returns
    -------
    dict of str to ndarray of dtype float16
        ``"fine"`` and ``"level0"`` to ``"level3"``; infinite where float16 cannot
        hold a number.
    """
    named = {"fine": features.fine}
    named |= {f"level{n}": level for n, level in enumerate(features.levels)}
    with np.errstate(over="ignore"):
        return {
            name: tensor.float().cpu().numpy().astype(np.float16)
            for name, tensor in named.items()
        }


def features_from_arrays(
    arrays: Mapping[str, NDArray[np.generic]], size: int, device: torch.device
) -> Features:
    """Return what `features_to_arrays` named.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Of one view.
    size : int
        Side of the view.
    device : torch.device
        Where the tensors go.

    Raises
    ------
    ModelError
        If they are something else.
    """
    names = ["fine", *(f"level{n}" for n in range(len(arrays) - 1))]
    shapes = [arrays[name].shape for name in names if name in arrays]
    if sorted(names) != sorted(arrays) or shapes != _shapes(size):
        raise ModelError(
            "These arrays are no embedding of nano; embed the image again."
        )
    tensors = [
        torch.from_numpy(np.asarray(arrays[name], np.float32)).to(device)
        for name in names
    ]
    return Features(tensors[0], tuple(tensors[1:]))


def _shapes(size: int) -> list[tuple[int, ...]]:
    """Return the shapes of the features of one view, fine ones first."""
    sides = [size // stride for stride in _STRIDES]
    channels = [TAP_CHANNELS[0], *[PYRAMID_CHANNELS] * (len(_STRIDES) - 1)]
    return [(1, width, side, side) for width, side in zip(channels, sides, strict=True)]


def to_tensors(
    prompts: Sequence[WindowPrompt], cells: int, device: torch.device
) -> PromptTensors:
    """Stack prompts; missing clicks are label -1, missing boxes NaN.

    Parameters
    ----------
    prompts : sequence of WindowPrompt
        One per window.
    cells : int
        Side of the earlier masks.
    device : torch.device
        Where the tensors go.
    """
    most = max(1, *(len(prompt.points) for prompt in prompts))
    points = np.zeros((len(prompts), most, 2), np.float32)
    labels = np.full((len(prompts), most), -1, np.float32)
    boxes = np.full((len(prompts), 4), np.nan, np.float32)
    masks = np.zeros((len(prompts), 1, cells, cells), np.float32)
    has_mask = np.zeros(len(prompts), np.float32)
    for index, prompt in enumerate(prompts):
        points[index, : len(prompt.points)] = prompt.points
        labels[index, : len(prompt.points)] = prompt.labels
        if prompt.box is not None:
            boxes[index] = prompt.box
        if prompt.mask is not None:
            masks[index, 0], has_mask[index] = prompt.mask, 1
    return PromptTensors(
        *(
            torch.from_numpy(array).to(device)
            for array in (points, labels, boxes, masks, has_mask)
        )
    )
