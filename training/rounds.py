"""Several rounds of prompting, as an impatient user would go through them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.nano.prompts import PromptTensors
from training.clicks import worst_click
from training.sampling import Batch

__all__ = ["ROUND_CHANCES", "play"]

#: Chance of a step to train the first, second, ... round.
ROUND_CHANCES = (0.36, 0.22, 0.17, 0.1, 0.08, 0.07)

_DROPPED_MASKS = 0.15
_ROUGH_MASKS = 0.12


def _first_prompts(
    batch: Batch, truth: Tensor, generator: torch.Generator
) -> PromptTensors:
    """Boxes where there are any, else a click, else a rough mask and a click."""
    count, height, width = truth.shape
    none = torch.zeros_like(truth, dtype=torch.bool)
    found, labels = worst_click(truth > 0.5, none, generator)
    given = batch.click.flatten(0, 1)
    points = torch.where(given.isnan(), found, given)
    # A speck that covers no cell by half still has its given click.
    labels = torch.where(given[:, 0].isnan(), labels, 1.0)
    boxes = batch.box.flatten(0, 1)
    boxed = ~boxes[:, 0].isnan()
    alone = torch.rand(count, generator=generator) < 0.75
    labels = torch.where(boxed & alone, -1.0, labels)
    noise = torch.randn(count, 1, 8, 8, generator=generator)
    noise = F.interpolate(noise, (height, width), mode="bilinear") * 6
    rough = (truth[:, None] - 0.5) * 8 + noise
    use = torch.rand(count, generator=generator) < _ROUGH_MASKS
    use &= boxes[:, 0].isnan()
    wrong, wrong_label = worst_click(truth > 0.5, rough[:, 0] > 0, generator)
    points = torch.where(use[:, None], wrong, points)
    labels = torch.where(use, wrong_label, labels)
    masks = rough * use[:, None, None, None]
    return PromptTensors(points[:, None], labels[:, None], boxes, masks, use.float())


def _next_prompts(
    prompts: PromptTensors,
    logits: Tensor,
    truth: Tensor,
    generator: torch.Generator,
) -> PromptTensors:
    """Add a click where the plain answer is worst, and feed its logits back."""
    plain = logits[:, 0].float()
    point, label = worst_click(truth > 0.5, plain > 0, generator)
    count = len(truth)
    keep = torch.rand(count, generator=generator) >= _DROPPED_MASKS
    return PromptTensors(
        torch.cat([prompts.points, point[:, None]], 1),
        torch.cat([prompts.labels, label[:, None]], 1),
        prompts.boxes,
        plain[:, None].clamp(-32, 32),
        keep.float(),
    )


def play(
    network: NanoNet, batch: Batch, rounds: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Prompt every object for some rounds; only the last one carries gradients.

    Parameters
    ----------
    network : NanoNet
        In training mode.
    batch : Batch
        B windows with P objects each.
    rounds : int
        At least 1.
    generator : torch.Generator
        Chance of the simulated user.

    Returns
    -------
    logits, scores : Tensor
        Of the last round, (B * P, 4, h, w) and (B * P, 4).
    """
    windows, per_window = batch.truth.shape[:2]
    truth = batch.truth.flatten(0, 1)
    pixels = batch.pixels.permute(0, 3, 1, 2).float()
    features = network.embed(pixels.contiguous(memory_format=torch.channels_last))
    features = features.repeat(torch.arange(windows).repeat_interleave(per_window))
    prompts = _first_prompts(batch, truth, generator)
    for _ in range(rounds - 1):
        with torch.no_grad():
            logits, _ = network.decode(features, prompts)
        prompts = _next_prompts(prompts, logits, truth, generator)
    return network.decode(features, prompts)
