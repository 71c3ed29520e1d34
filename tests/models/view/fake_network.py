"""A network whose answers are a known function of the view and the prompts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from napari_sam3.models.view.network import Features, ViewPrompts
from napari_sam3.models.view.tracker import ViewTracker

SIZE, CELLS, STEPS = 32, 8, 3
CPU = torch.device("cpu")


class FakeNetwork:
    """Answers with the view's brightness plus a number that tells prompts apart."""

    size, low_res_size, steps = SIZE, CELLS, STEPS
    normalisation = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __init__(self, *, is_padded: bool = False) -> None:
        self.is_padded = is_padded
        self.encoded: list[int] = []
        self.decoded: list[int] = []
        #: Instead of what `decode` would return, and of what features would be.
        self.logits: Tensor | None = None
        self.scores: Tensor | None = None

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        assert torch.is_inference_mode_enabled()
        self.encoded.append(len(pixels))
        for _ in range(STEPS):
            between()
        coarse = torch.nn.functional.adaptive_avg_pool2d(pixels, CELLS)
        return coarse, pixels.mean(dim=(1, 2, 3)).to(torch.float16)

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        assert torch.is_inference_mode_enabled()
        count = len(prompts.points)
        self.decoded.append(count)
        kind = _sums(prompts.points) + 10 * _sums(prompts.labels.float())
        if prompts.boxes is not None:
            kind = kind + 100 * _sums(prompts.boxes)
        if prompts.masks is not None:
            kind = kind + 1000 * _sums(prompts.masks)
        channels = 3 if multimask else 1
        logits = features[0].mean(dim=1, keepdim=True).expand(count, channels, -1, -1)
        logits = logits + torch.arange(channels)[:, None, None] + kind.cos()[..., None]
        scores = 0.1 * torch.arange(channels) + kind[:, 0].cos().abs() / 2
        if self.logits is not None:
            logits = self.logits.expand(count, channels, CELLS, CELLS)
        if self.scores is not None:
            scores = self.scores.expand(count, channels)
        return logits, scores

    def image_embedding(self, features: Features) -> Tensor:
        return features[0].half()


def _sums(tensor: Tensor) -> Tensor:
    """Return a number for each object, shape (P, 1, 1), on which the order acts."""
    flat = tensor.flatten(1)
    return (flat * torch.arange(1, flat.shape[1] + 1)).sum(dim=1)[:, None, None]


def tracker_of(network: FakeNetwork, weights: str = "0") -> ViewTracker:
    return ViewTracker(network, model_id="fake", weights=weights, device=CPU)
