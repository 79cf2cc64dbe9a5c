"""What a call of `neighbour_max` says besides its tensors, and how it keeps which neighbours were taken."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MaxInputs", "MaxOptions", "shares"]


class MaxInputs(NamedTuple):
    """Features of the sources `[..., N, C]`, and a weight for each edge `[E]` or None."""

    x: Tensor
    weight: Tensor | None


class MaxOptions(NamedTuple):
    """Settings.

    Args:
        largest: The largest value is taken, else the smallest.
        shared: Values that tie share the gradient; else the first edge has all of it.
        keep: Whether a backward pass is to follow.
    """

    largest: bool
    shared: bool
    keep: bool = True


def shares(places: Tensor, dtype: torch.dtype) -> Tensor:
    """What each taken value's gradient is multiplied by.

    `places`, which the kernels keep, holds the CSR position of the edge that was taken; where several share, it is
    `-1 - n` with n the number by which the gradient is divided.
    """
    return torch.where(places >= 0, torch.ones_like(places), -1 - places).to(dtype).reciprocal()
