"""Several rounds of prompting, as an impatient user would go through them."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sam3.models.nano.network import NanoNet
from napari_sam3.models.nano.prompts import PromptTensors
from training.clicks import worst_click
from training.sampling import Batch

__all__ = ["ROUND_CHANCES", "play"]

#: Chance of a step to train the first, second, ... round.
ROUND_CHANCES = (0.6, 0.19, 0.1, 0.05, 0.03, 0.03)

_DROPPED_MASKS = 0.15
#: Share of drafts that are only looked at again, without another click.
_LOOKED_AT_AGAIN = 0.35


def _first_prompts(
    batch: Batch, truth: Tensor, generator: torch.Generator
) -> PromptTensors:
    """Boxes where there are any, else a click; what was done before stays."""
    count = len(truth)
    drafts = batch.mask.flatten(0, 1)
    has_mask = batch.has_mask.flatten()
    earlier = (drafts > 0) & (has_mask > 0)[:, None, None]
    found, labels = worst_click(truth > 0.5, earlier, generator)
    given = batch.click.flatten(0, 1)
    points = torch.where(given.isnan(), found, given)
    # A speck that covers no cell by half still has its given click.
    labels = torch.where(given[:, 0].isnan(), labels, 1.0)
    boxes = batch.box.flatten(0, 1)
    before = batch.labels.flatten(0, 1)
    chance = torch.rand(count, generator=generator)
    boxed = ~boxes[:, 0].isnan()
    known = (before >= 0).any(1)
    enough = (has_mask > 0) & (chance < _LOOKED_AT_AGAIN)
    enough |= (has_mask == 0) & (known | (boxed & (chance < 0.75)))
    labels = torch.where(enough, -1.0, labels)
    return PromptTensors(
        torch.cat([batch.points.flatten(0, 1), points[:, None]], 1),
        torch.cat([before, labels[:, None]], 1),
        boxes,
        drafts[:, None],
        has_mask,
    )


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
            logits = network.decode(features, prompts).logits
        prompts = _next_prompts(prompts, logits, truth, generator)
    decoded = network.decode(features, prompts)
    return decoded.logits, decoded.scores
