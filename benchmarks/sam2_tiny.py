"""SAM 2.1-tiny as transformers builds it: with random weights, which cost the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_sam3.core.cleanup import clean

__all__ = ["Sam2Tiny"]

_SIDE = 1024
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: What the predictor of napari-sam3 cleans by default.
_MAX_HOLE_AREA = 256.0


class Sam2Tiny:
    """The peer: set an image, then ask.

    float32, on the CPU. Nothing is downloaded. The image is resized and
    normalised here, as the original does it, because transformers' own processor
    needs torchvision.

    Attributes
    ----------
    parameters : int
        31.4 million. The 38.9 million that SAM 2.1-tiny is known with include its
        memory for videos, which no single image needs.

    Raises
    ------
    ModuleNotFoundError
        If transformers is not installed.
    """

    def __init__(self) -> None:
        from transformers import Sam2Model

        self._model = Sam2Model(_tiny_config()).eval().requires_grad_(False)
        self.parameters = sum(one.numel() for one in self._model.parameters())
        self._embeddings: list[Tensor] = []
        self._shape = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Encode an image of shape (H, W, 3)."""
        self._shape = (image.shape[0], image.shape[1])
        with torch.inference_mode():
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            if self._shape != (_SIDE, _SIDE):
                pixels = F.interpolate(
                    pixels, (_SIDE, _SIDE), mode="bilinear", antialias=True
                )
            mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (_MEAN, _STD))
            self._embeddings = self._model.get_image_embeddings((pixels - mean) / std)

    def predict(
        self,
        points: list[list[float]] | None = None,
        labels: list[int] | None = None,
        box: list[float] | None = None,
        mask_input: NDArray[np.float32] | None = None,
        *,
        to_clean: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Ask for three masks, from prompts to cleaned masks of the image's size.

        With random weights the masks are noise, and noise takes long to clean.
        To be fair the masks ``to_clean`` are cleaned in their place, after they
        themselves were enlarged and compared with the threshold.

        Parameters
        ----------
        points : list of shape (N, 2), optional
            (x, y) in pixels of the image.
        labels : list of shape (N,), optional
            1 object, 0 background.
        box : list of shape (4,), optional
            ``[x0, y0, x1, y1]``.
        mask_input : ndarray of shape (1, 256, 256), optional
            Earlier logits.
        to_clean : ndarray of shape (3, H, W) and dtype bool
            Masks as a trained model gives them.

        Returns
        -------
        ndarray of shape (3, H, W) and dtype bool
            ``to_clean``, cleaned.
        """
        with torch.inference_mode():
            answer = self._model(
                image_embeddings=self._embeddings,
                multimask_output=True,
                **self._tensors(points, labels, box, mask_input),
            )
            logits = F.interpolate(answer.pred_masks[0], self._shape, mode="bilinear")
            masks = (logits[0] > 0).numpy()
        if masks.shape != to_clean.shape:
            raise ValueError(f"Masks are {masks.shape} but to_clean {to_clean.shape}.")
        clicks = np.array(points or np.zeros((0, 2)))[:, ::-1]
        marks = np.array(labels or [], bool)
        return np.stack(
            [
                clean(
                    mask,
                    max_hole_area=_MAX_HOLE_AREA,
                    positive=clicks[marks],
                    negative=clicks[~marks],
                )
                for mask in to_clean
            ]
        )

    def _tensors(
        self,
        points: list[list[float]] | None,
        labels: list[int] | None,
        box: list[float] | None,
        mask_input: NDArray[np.float32] | None,
    ) -> dict[str, Tensor]:
        """Bring prompts to the model's frame and shapes."""
        scale = torch.tensor([_SIDE / self._shape[1], _SIDE / self._shape[0]])
        tensors: dict[str, Tensor] = {}
        if points is not None:
            tensors["input_points"] = torch.tensor(points)[None, None] * scale
            tensors["input_labels"] = torch.tensor(labels)[None, None]
        if box is not None:
            tensors["input_boxes"] = torch.tensor(box)[None, None] * scale.repeat(2)
        if mask_input is not None:
            tensors["input_masks"] = torch.from_numpy(mask_input)[None]
        return tensors


def _tiny_config() -> Any:
    """Describe SAM 2.1-tiny; every number that makes it tiny is written out."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2VisionConfig

    hiera = Sam2HieraDetConfig(
        hidden_size=96,
        num_attention_heads=1,
        blocks_per_stage=[1, 2, 7, 2],
        embed_dim_per_stage=[96, 192, 384, 768],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 14, 7],
        global_attention_blocks=[5, 7, 9],
        window_positional_embedding_background_size=[7, 7],
        image_size=[_SIDE, _SIDE],
    )
    vision = Sam2VisionConfig(
        backbone_config=hiera,
        backbone_channel_list=[768, 384, 192, 96],
        fpn_top_down_levels=[2, 3],
    )
    return Sam2Config(vision_config=vision)
