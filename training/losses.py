"""What the network is punished for."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Losses", "mask_losses", "object_iou", "total_loss"]


class Losses(NamedTuple):
    """The parts of a step's loss, as scalars.

    Attributes
    ----------
    plain : Tensor
        Of the mask for a clear prompt.
    best : Tensor
        Of the best of the three masks for an ambiguous one.
    score : Tensor
        Of the predicted quality.
    """

    plain: Tensor
    best: Tensor
    score: Tensor

    def total(self) -> Tensor:
        """Return the weighted sum."""
        return self.plain + 0.7 * self.best + 2.0 * self.score


def object_iou(logits: Tensor, truth: Tensor, area: Tensor) -> Tensor:
    """Measure masks against whole objects, the part beyond the window included.

    Parameters
    ----------
    logits : Tensor of shape (B, M, h, w)
        Predicted.
    truth : Tensor of shape (B, h, w)
        Share of each cell that the object covers.
    area : Tensor of shape (B,)
        The whole object's area in cells.

    Returns
    -------
    Tensor of shape (B, M)
        A window that shows half of an object can get no more than one half, so
        that the predicted quality tells which window to trust.
    """
    predicted = (logits > 0).float()
    common = (predicted * truth[:, None]).sum((2, 3))
    union = predicted.sum((2, 3)) + area[:, None] - common
    return common / union.clamp(min=1e-3)


def mask_losses(logits: Tensor, truth: Tensor) -> Tensor:
    """Return cross entropy, focal (Lin et al., 2017) and dice loss, summed; (B, M)."""
    target = truth[:, None].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = logits.sigmoid()
    off = (share - target).abs()
    focal = (entropy * off.square()).mean((2, 3))
    common = (share * target).sum((2, 3))
    dice = 1 - (2 * common + 1) / (share.sum((2, 3)) + target.sum((2, 3)) + 1)
    return entropy.mean((2, 3)) + 4 * focal + 3 * dice


def total_loss(logits: Tensor, scores: Tensor, truth: Tensor, area: Tensor) -> Losses:
    """Compare one round's answers with the truth.

    Parameters
    ----------
    logits : Tensor of shape (B, 4, h, w)
        Masks; the first is the plain answer.
    scores : Tensor of shape (B, 4)
        Logits of the predicted quality.
    truth, area : Tensor
        As for `object_iou`.

    Returns
    -------
    Losses
        Means over the batch. Specks and objects of which the window shows little
        count less: there it matters only that the score says so.
    """
    logits, scores = logits.float(), scores.float()
    each = mask_losses(logits, truth)
    shown = truth.sum((1, 2))
    weight = torch.where((shown > 9) & (shown > 0.5 * area), 1.0, 0.3)
    weight = weight / weight.sum()
    ambiguous = each[:, 1:]
    # A little of the mean keeps the masks that never win from dying.
    best = 0.95 * ambiguous.amin(1) + 0.05 * ambiguous.mean(1)
    iou = object_iou(logits.detach(), truth, area)
    score = F.binary_cross_entropy_with_logits(scores, iou)
    return Losses((each[:, 0] * weight).sum(), (best * weight).sum(), score)
