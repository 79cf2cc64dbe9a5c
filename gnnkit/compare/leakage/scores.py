"""Ranks as normal scores, node by node: what the audit's regressions and correlations are of."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["forward_filled", "normal_scores"]

SAMPLE = 2048
"""Values of a node that its ranks are taken among."""


def forward_filled(values: Float[Tensor, "L N"]) -> Float[Tensor, "L N"]:
    """Gaps hold the last value before them; those at the start the first value after them, or 0 where there is none.

    Example:
        >>> forward_filled(torch.tensor([[float("nan")], [2.0], [float("nan")]])).flatten().tolist()
        [2.0, 2.0, 2.0]
    """
    rows = torch.arange(len(values))[:, None]
    place = torch.where(values.isfinite(), rows, -1).cummax(dim=0).values
    first = torch.where(values.isfinite(), rows, len(values)).amin(dim=0)
    place = torch.where(place < 0, first.clamp(max=len(values) - 1), place)
    return values.gather(0, place).nan_to_num(nan=0.0)


def normal_scores(values: Float[Tensor, "L N"]) -> Float[Tensor, "L N"]:
    """Φ⁻¹ of each value's rank among the node's own, equal ones sharing theirs, centred and scaled to deviation 1.

    A node that never changes has 0. Infinite values are the largest, or the smallest.

    Example:
        >>> normal_scores(torch.tensor([[1.0], [2.0], [400.0]])).flatten().round(decimals=2).tolist()
        [-1.0, 0.0, 1.0]
    """
    rows = torch.from_numpy(np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).astype(np.int64))
    table = values[rows].T.contiguous().sort(dim=1).values
    asked = values.T.contiguous()
    low, high = (torch.searchsorted(table, asked, right=right) for right in (False, True))
    share = (low + high + 1).double() / 2 / (len(rows) + 1)  # a value between two ranks has half of each
    edge = 0.5 / (len(rows) + 1)
    scores = torch.special.ndtri(share.clamp(edge, 1 - edge)).T
    scores = scores - scores.mean(dim=0)
    deviation = scores.std(dim=0, correction=1) if len(scores) > 1 else torch.zeros(scores.size(1))
    return torch.where(deviation > 1e-9, scores / deviation.clamp(min=1e-9), 0.0).float()
