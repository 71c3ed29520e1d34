"""SAM 3's click path as transformers builds it, with weights of chance on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Sam3Peer", "write_weights"]


def write_weights(folder: Path) -> None:
    """Write a checkpoint of 1.8 GB that both libraries read.

    Its numbers are random: what is computed takes as long as with any others.

    Parameters
    ----------
    folder : Path
        Gets ``config.json`` and ``model.safetensors``.

    Raises
    ------
    ModuleNotFoundError
        If transformers is not installed.
    """
    from transformers import Sam3TrackerConfig, Sam3TrackerModel

    config = Sam3TrackerConfig(
        vision_config={
            "model_type": "sam3_vision_model",
            # As the original; by default transformers loses an embedding.
            "scale_factors": [4.0, 2.0, 1.0],
        }
    )
    torch.manual_seed(0)
    Sam3TrackerModel(config).save_pretrained(folder)


class Sam3Peer:
    """transformers' model: load it, encode a view, ask.

    Parameters
    ----------
    folder : Path
        That `write_weights` filled.
    dtype : torch.dtype
        float32 or bfloat16.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        from transformers import Sam3TrackerModel

        model = Sam3TrackerModel.from_pretrained(folder, dtype=dtype)
        self._model: Any = model.eval().requires_grad_(False)
        self._dtype = dtype
        self._embeddings: list[Tensor] = []

    def encode(self, view: Tensor) -> None:
        """Encode a ready view of shape (1, 3, 1008, 1008)."""
        with torch.inference_mode():
            self._embeddings = self._model.get_image_embeddings(view.to(self._dtype))

    def click(self, x: float, y: float) -> Tensor:
        """Answer a click at network pixels, (3, 288, 288) logits."""
        with torch.inference_mode():
            answer = self._model(
                image_embeddings=self._embeddings,
                input_points=torch.tensor([[[[x, y]]]], dtype=self._dtype),
                input_labels=torch.ones(1, 1, 1, dtype=torch.int64),
                multimask_output=True,
            )
        logits: Tensor = answer.pred_masks[0, 0]
        return logits

    def masks(self, x: float, y: float, shape: tuple[int, int]) -> Tensor:
        """Answer a click with three masks of an image's size, not cleaned."""
        logits = self.click(x, y).float()[None]
        return F.interpolate(logits, shape, mode="bilinear")[0] > 0
