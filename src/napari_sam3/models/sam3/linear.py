"""Matrix products on many tokens, by the faster of the libraries that torch brings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Linear", "linear"]

#: Tokens from which it pays: for fewer the detour costs more than it gains.
_MANY = 512


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply the last axis with a matrix, like `torch.nn.functional.linear`.

    On a CPU, torch multiplies float32 matrices with the BLAS that it was built with,
    but convolves with oneDNN, which on processors not made by that BLAS's maker is
    faster by a fifth: there a 1 x 1 convolution does the same sums.

    Parameters
    ----------
    x : Tensor of shape (..., I)
        Tokens.
    weight : Tensor of shape (O, I)
        The matrix.
    bias : Tensor of shape (O,), optional
        Added.

    Returns
    -------
    Tensor of shape (..., O)
        In the dtype of ``x``.
    """
    tokens = x.reshape(1, -1, 1, x.shape[-1])
    is_slow = x.device.type == "cpu" and x.dtype == torch.float32
    if not is_slow or tokens.shape[1] < _MANY:
        return F.linear(x, weight, bias)
    product = F.conv2d(tokens.permute(0, 3, 1, 2), weight[:, :, None, None], bias)
    return product.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))


class Linear(nn.Linear):
    """`torch.nn.Linear`, computed by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """Multiply the last axis."""
        return linear(input, self.weight, self.bias)
