"""What `edge_attention` is computed from, as all of its backends are given it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

__all__ = ["AttentionInputs", "AttentionOptions"]


class AttentionInputs(NamedTuple):
    """The tensors of `edge_attention` that have a gradient.

    Shape:
        x `[N, K, C]`, alpha_src `[N, K]`, alpha_dst `[M, K]`, edge_logits `[E, K]`.
    """

    x: Tensor
    alpha_src: Tensor
    alpha_dst: Tensor | None
    edge_logits: Tensor | None


@dataclass(frozen=True)
class AttentionOptions:
    """The numbers of `edge_attention`.

    Args:
        negative_slope: Slope of the leaky ReLU below zero.
        dropout: Share of the attention weights that is dropped, 0 where nothing is.
        seed: int64 scalar that dropout's mask is computed from; None where nothing is dropped.
    """

    negative_slope: float
    dropout: float = 0.0
    seed: Tensor | None = None

    @classmethod
    def draw(cls, negative_slope: float, dropout: float, training: bool, device: torch.device, **others: Any) -> Self:
        """The options of one call, with a new seed from torch's generator where something is to be dropped."""
        if not training or dropout <= 0:
            return cls(negative_slope, **others)
        return cls(negative_slope, dropout, torch.randint(2**63 - 1, (), dtype=torch.int64, device=device), **others)

    @property
    def threshold(self) -> int:
        """Of 2**32 random numbers the first that is kept."""
        return min(round(self.dropout * 2**32), 2**32 - 1)

    @property
    def scale(self) -> float:
        """What a weight that is kept grows by."""
        return 0.0 if self.dropout >= 1 else 1 / (1 - self.dropout)

    @property
    def words(self) -> tuple[int, int]:
        """The lower and the upper half of the seed."""
        seed = 0 if self.seed is None else int(self.seed)
        return seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
