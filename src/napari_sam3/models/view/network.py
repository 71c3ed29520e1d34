"""What a network of the SAM family offers to the tracker around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

__all__ = ["Features", "ViewNetwork", "ViewPrompts"]

#: What a network keeps of its images; each tensor has a first axis B, the images.
Features = tuple[Tensor, ...]


class ViewPrompts(NamedTuple):
    """Prompts of P objects, alike in what they consist of.

    Attributes
    ----------
    points : Tensor of shape (P, N, 2) and dtype float32
        Clicks as (x, y) in network pixels, before SAM's half pixel; N may be 0.
    labels : Tensor of shape (P, N) and dtype int64
        1 on the object, 0 on the background.
    boxes : Tensor of shape (P, 2, 2) and dtype float32, optional
        Upper left and lower right corner as (x, y), like points.
    masks : Tensor of shape (P, 1, L, L) and dtype float32, optional
        Logits of earlier masks over the view.
    """

    points: Tensor
    labels: Tensor
    boxes: Tensor | None = None
    masks: Tensor | None = None


class ViewNetwork(Protocol):
    """An image encoder and a promptable decoder over one square view.

    Called in inference mode, on the device and in the dtype that it was loaded for.
    """

    @property
    def size(self) -> int:
        """Side of the view in network pixels."""
        ...

    @property
    def low_res_size(self) -> int:
        """Side of the logits that it gives."""
        ...

    @property
    def is_padded(self) -> bool:
        """Whether the view keeps the image's proportions; see `Frame.of`."""
        ...

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of its pixels, of values from 0 to 1."""
        ...

    @property
    def steps(self) -> int:
        """How often `encode` calls ``between``."""
        ...

    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        """Compute what prompts are answered from.

        Parameters
        ----------
        pixels : Tensor of shape (B, 3, size, size) and dtype float32
            Normalised views.
        between : callable
            Called after each of ``steps`` parts of the work; an exception in it
            ends the work.
        """
        ...

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts about one image.

        Parameters
        ----------
        features : tuple of Tensor
            With B = 1.
        prompts : ViewPrompts
            At least a point, a box or a mask for each object.
        multimask : bool
            Three masks, or the best guess.

        Returns
        -------
        logits : Tensor of shape (P, C, L, L)
            C is 3 or 1; not clamped.
        scores : Tensor of shape (P, C)
            Predicted IoU, 0 to 1.
        """
        ...

    def image_embedding(self, features: Features) -> Tensor:
        """Return the features that published code calls the image embedding.

        Returns
        -------
        Tensor of shape (1, C, H, W)
            In any dtype.
        """
        ...
