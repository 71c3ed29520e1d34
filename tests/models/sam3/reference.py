"""Weights, image and prompts that SAM 3's original code was asked with.

Everything comes from the raw bit stream of PCG64, which NumPy guarantees, and from
single float32 operations: the same numbers on every machine.
"""

from __future__ import annotations

import json
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FOLDER = Path(__file__).parent / "parity"

_DECODER = "tracker.sam_mask_decoder."
_EMBEDDED = ("_embed", "_embed.weight", "_token.weight", "_tokens.weight")


def load_reference() -> dict[str, NDArray[Any]]:
    """Return the recorded numbers."""
    with np.load(FOLDER / "reference.npz") as file:
        return dict(file)


def make_weights() -> dict[str, Tensor]:
    """Return 555 tensors, 1.8 GB, under the names of the published sam3.pt."""
    shapes = json.loads((FOLDER / "sam3_click_keys.json").read_text())
    return {name: _make_tensor(name, shape) for name, shape in shapes.items()}


def checksum(weights: dict[str, Tensor]) -> int:
    """Return the checksum of all tensors in the order of their names."""
    crc = 0
    for name in sorted(weights):
        crc = zlib.crc32(np.ascontiguousarray(weights[name].numpy()).tobytes(), crc)
    return crc


def _make_tensor(name: str, shape: list[int]) -> Tensor:
    count = math.prod(shape)
    seed = np.random.PCG64(zlib.crc32(name.encode()))
    words = seed.random_raw((count + 3) // 4).astype("<u8", copy=False)
    values = words.view("<u2")[:count].astype(np.float32)
    # Uniform with mean 0 and variance 1.
    values -= np.float32(32767.5)
    values *= np.float32(12**0.5 / 65536)
    offset, gain = _spread(name, shape)
    values *= np.float32(gain)
    if offset:
        values += np.float32(offset)
    return torch.from_numpy(values.reshape(shape))


def _spread(name: str, shape: list[int]) -> tuple[float, float]:
    """Return the mean and the deviation of a tensor."""
    if name.endswith("positional_encoding_gaussian_matrix"):
        return 0.0, 1.0
    if ".point_embeddings." in name or name.endswith(_EMBEDDED):
        return 0.0, 0.5
    if name.endswith(".bias"):
        return 0.0, 0.02
    if len(shape) == 1:
        return 1.0, 0.1
    is_transposed = ".dconv_2x2" in name or ".output_upscaling." in name
    inputs = shape[0] if is_transposed else math.prod(shape[1:])
    return 0.0, _gain(name) / inputs**0.5


def _gain(name: str) -> float:
    if ".blocks." in name and name.endswith((".attn.proj.weight", ".mlp.fc2.weight")):
        return 0.5
    if name == f"{_DECODER}iou_prediction_head.layers.2.weight":
        return 3.0
    if name.startswith(_DECODER) and name.endswith(
        (".q_proj.weight", ".k_proj.weight")
    ):
        return 1.5
    is_last = name.endswith(".layers.2.weight")
    return 1.5 if ".output_hypernetworks_mlps." in name and is_last else 1.0


def make_image() -> NDArray[np.uint8]:
    """Return an image of 600 x 800: waves, a box, an ellipse and noise."""
    y, x = np.mgrid[:600, :800].astype(np.int64)

    def wave(phase: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        return np.abs(phase % (2 * length) - length) * 255 // length

    ramp = x * 200 // 800 + y * 50 // 600
    image = np.stack([wave(x + y // 3, 97), wave(2 * y - x, 211), ramp], axis=-1)
    image[200:330, 300:520] = (220, 40, 60)
    image[(x - 110) ** 2 * 4 + (y - 160) ** 2 < 130**2] = (30, 200, 90)
    noise = np.random.PCG64(7).random_raw(600 * 800 * 3) % np.uint64(33)
    image += noise.reshape(600, 800, 3).astype(np.int64) - 16
    return np.clip(image, 0, 255).astype(np.uint8)


_POINT = ([[400, 260]], [1])
_BOX = [300, 200, 520, 330]


def make_prompts(mask_input: NDArray[np.float32]) -> dict[str, dict[str, Any]]:
    """Return arguments of `predict` by the prompts' names, which end in their mode."""

    def points(coords: list[list[int]], labels: list[int]) -> dict[str, Any]:
        return {"point_coords": np.array(coords), "point_labels": np.array(labels)}

    one = points(*_POINT)
    return {
        "point_multi": one,
        "points3_single": points([[400, 260], [320, 310], [50, 50]], [1, 1, 0]),
        "box_single": {"box": np.array(_BOX)},
        "box_points2_single": {
            "box": np.array(_BOX),
            **points([[400, 260], [310, 210]], [1, 0]),
        },
        "boxes3_single": {
            "box": np.array([_BOX, [45, 95, 175, 225], [500, 400, 790, 590]])
        },
        "point_mask_single": {"mask_input": mask_input, **one},
        "mask_only_multi": {"mask_input": mask_input},
        "none_multi": {},
    }
