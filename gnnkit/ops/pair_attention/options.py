"""What `pair_attention` is computed from, as all of its backends are given it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gnnkit.ops.attention.options import AttentionOptions

__all__ = ["PairInputs", "PairOptions"]


class PairInputs(NamedTuple):
    """The tensors of `pair_attention` that have a gradient.

    With `att` the logit is GATv2's, the keys are the values too, and `edge_map` maps the edges' features to the heads.
    Without it the logit is a dot product, and each head of a query ends with D numbers that meet the edges' features.

    Shape:
        query `[M, K, C]` or `[M, K, C + D]`, key `[N, K, C]`, value `[N, K, C]`, att `[K, C]`, edge_attr `[E, D]`,
        edge_map `[D, K, C]`.
    """

    query: Tensor
    key: Tensor
    value: Tensor | None
    att: Tensor | None
    edge_attr: Tensor | None
    edge_map: Tensor | None


@dataclass(frozen=True)
class PairOptions(AttentionOptions):
    """The numbers of `pair_attention`.

    Args:
        factor: What a dot product is multiplied by.
    """

    factor: float = 1.0
