"""What SAM 1 and SAM 2.1 have in common, made of transformers' modules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_sam3.core.errors import ModelError
from napari_sam3.models.view.network import Features, ViewPrompts

__all__ = ["CELL", "FamilyNetwork", "from_transformers"]

#: Side of an embedding's cell in network pixels; logits have cells of a quarter.
CELL = 16
#: Of ImageNet's pixels, which both families' pixels are normalised with.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def from_transformers(*names: str) -> tuple[Any, ...]:
    """Import classes of transformers, which takes seconds, when they are needed.

    Parameters
    ----------
    names : str
        Such as ``"SamModel"``.

    Returns
    -------
    tuple of type
        The classes, in order.

    Raises
    ------
    ModelError
        If transformers is not installed, or cannot import them.
    """
    try:
        import transformers

        return tuple(getattr(transformers, name) for name in names)
    except (ImportError, RuntimeError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "transformers":
            raise ModelError(
                "SAM 1 and SAM 2.1 need transformers, which is not installed; "
                'pip install "napari-sam3[families]".'
            ) from error
        raise ModelError(
            f"transformers is installed but cannot give its {names[0]} "
            f"({_root_of(error)}). If torchvision is installed, it must be the build "
            "for this torch, or none: pip uninstall torchvision; else renew "
            "transformers: pip install --upgrade transformers."
        ) from error


def _root_of(error: BaseException) -> str:
    """Say what an import failed of; transformers hides it behind its own words."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200]


class FamilyNetwork(nn.Module, ABC):
    """A network of SAM's family; the base of `Sam1Network` and `Sam2Network`.

    It holds transformers' vision encoder, prompt encoder and mask decoder, under the
    names that they have there, and calls them itself: transformers' own ``forward``
    pads prompts otherwise than the original predictors, and keeps the encoder's
    blocks out of reach.

    The prompt encoder stays in float32: in half a format a click would move by up to
    a pixel and a half.

    Parameters
    ----------
    model : nn.Module
        ``SamModel`` or ``Sam2Model``.
    side : int
        Side of the view in network pixels.

    Attributes
    ----------
    positions : Tensor of shape (1, 256, side / 16, side / 16)
        Positional encoding of the embedding's cells, in the network's dtype.
    """

    positions: Tensor
    vision_encoder: Any
    prompt_encoder: Any
    mask_decoder: Any

    def __init__(self, model: Any, side: int) -> None:
        super().__init__()
        self.vision_encoder = model.vision_encoder
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder
        self._side = side
        self.register_buffer("positions", torch.empty(0), persistent=False)

    @property
    def size(self) -> int:
        """Side of the view in network pixels."""
        return self._side

    @property
    def low_res_size(self) -> int:
        """Side of the logits: a quarter of the view's."""
        return 4 * self._side // CELL

    @property
    @abstractmethod
    def is_padded(self) -> bool:
        """Whether the view keeps the image's proportions."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """How many blocks the encoder has."""

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """ImageNet's mean and standard deviation, of values from 0 to 1."""
        return _MEAN, _STD

    @property
    def dtype(self) -> torch.dtype:
        """What the encoder and the decoder compute in."""
        return self.positions.dtype

    def finish(self, dtype: torch.dtype) -> None:
        """Compute what follows from the weights alone, once they are there.

        Parameters
        ----------
        dtype : torch.dtype
            Of the encoder's and the decoder's weights.
        """
        embedding = self.prompt_encoder.shared_embedding
        cells = self._side // CELL
        middles = (torch.arange(cells) + 0.5) / cells
        rows, cols = torch.meshgrid(middles, middles, indexing="ij")
        places = torch.stack((cols, rows), dim=-1)
        with torch.no_grad():
            codes = embedding(places.to(embedding.positional_embedding.device))
            self.positions = codes.permute(2, 0, 1)[None].to(dtype)
        self.eval().requires_grad_(False)

    @abstractmethod
    def encode(self, pixels: Tensor, between: Callable[[], object]) -> Features:
        """Compute the features of views; see `ViewNetwork.encode`."""

    def decode(
        self, features: Features, prompts: ViewPrompts, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Answer prompts about one image; see `ViewNetwork.decode`."""
        count = len(prompts.points)
        sparse, dense = self._encode_prompts(prompts)
        if sparse is None:  # an earlier mask alone has no tokens, not even padding
            sparse = dense.new_empty(count, 1, 0, dense.shape[1])
        # Each object is an image of its own: so each may have an earlier mask.
        image, *finer = (tensor.expand(count, -1, -1, -1) for tensor in features)
        logits, scores, *_ = self.mask_decoder(
            image_embeddings=image,
            image_positional_embeddings=self.positions.expand(count, -1, -1, -1),
            sparse_prompt_embeddings=sparse.to(self.dtype),
            dense_prompt_embeddings=dense.to(self.dtype),
            multimask_output=multimask,
            **self._decoder_extras(finer),
        )
        # SAM 1's scores are not bounded by the network.
        return logits[:, 0], scores[:, 0].clamp(0, 1)

    def image_embedding(self, features: Features) -> Tensor:
        """Return the embedding, shape (1, 256, side / 16, side / 16)."""
        return features[0]

    @abstractmethod
    def _encode_prompts(self, prompts: ViewPrompts) -> tuple[Tensor | None, Tensor]:
        """Return sparse (P, 1, T, 256) or None, and dense (P, 256, cells, cells)."""

    def _decoder_extras(self, finer: Sequence[Tensor]) -> dict[str, Any]:
        """Return what else the mask decoder takes."""
        return {}
