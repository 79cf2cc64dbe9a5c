"""Losses of link prediction: positives against sampled negatives, or against every other pair at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["LOSSES", "all_pairs_cross_entropy", "cross_entropy", "hinge", "self_adversarial"]

Positive = Float[Tensor, " B"]
Negative = Float[Tensor, "B K"]


def hinge(positive: Positive, negative: Negative, *, margin: float = 1.0) -> Float[Tensor, ""]:
    """`mean max(0, margin - positive + negative)`: a positive is to stand above each of its negatives by a margin.

    Args:
        positive: Scores of links.
        negative: Scores of K negatives of each.
        margin: Default 1.

    Example:
        >>> hinge(torch.tensor([2.0]), torch.tensor([[0.5, 1.5]])).item()
        0.25
    """
    return (margin - positive.unsqueeze(1) + negative).clamp_min(0).mean()


def cross_entropy(positive: Positive, negative: Negative) -> Float[Tensor, ""]:
    """`mean -log sigma(positive) + mean -log sigma(-negative)`; the arguments are those of `hinge`."""
    return F.softplus(-positive).mean() + F.softplus(negative).mean()


def self_adversarial(positive: Positive, negative: Negative, *, temperature: float = 1.0) -> Float[Tensor, ""]:
    """Cross-entropy in which the negatives of a link weigh `softmax(temperature * score)`: the harder, the more.

    Args:
        positive, negative: As for `hinge`.
        temperature: 0 weighs all alike. Default 1.

    Source:
        Sun et al., "RotatE" (2019).
    """
    weight = (temperature * negative.detach()).softmax(1)
    return F.softplus(-positive).mean() + (weight * F.softplus(negative)).sum(1).mean()


#: Name -> loss of scores of positives `[B]` and of their negatives `[B, K]`.
LOSSES: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {"hinge": hinge, "cross-entropy": cross_entropy, "self-adversarial": self_adversarial}
)


def all_pairs_cross_entropy(
    scores: Float[Tensor, "K N M"], link: Int[Tensor, " P"], *, ignore_diagonal: bool = False
) -> Float[Tensor, ""]:
    """`cross_entropy` with every pair of a relation that is no link as a negative, links and others at equal weight.

        loss = 1 / links * sum over relations (sum over links -log sigma(s) + w_r sum over others -log sigma(-s))
        w_r = links of r / others of r

    It is what sampled negatives give in the mean, without their noise. Forward and backward take a pass each, and the
    scores' own memory: their gradient takes their place.

    Args:
        scores: Scores of all pairs under K relations; overwritten.
        link: Where links are, in the flattened scores, each once.
        ignore_diagonal: True leaves the pairs (i, i) out. Default False.

    Returns:
        The loss.
    """
    return _AllPairs.apply(scores, link, ignore_diagonal)  # pyright: ignore[reportReturnType]


class _AllPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, link: Tensor, ignore_diagonal: bool) -> Tensor:
        count, rows, columns = scores.shape
        relation = link.div(rows * columns, rounding_mode="floor")
        links = torch.bincount(relation, minlength=count).to(scores.dtype)
        others = rows * columns - (min(rows, columns) if ignore_diagonal else 0) - links
        weight = links / others.clamp_min(1)
        total = links.sum().clamp_min(1)
        positive = scores.view(-1).index_select(0, link)
        # sigma(s) is the gradient of -log sigma(-s), and the loss itself is -log(1 - sigma(s)).
        odds = scores.sigmoid_()
        share = odds.view(-1).index_select(0, link)
        if ignore_diagonal:
            odds.diagonal(dim1=1, dim2=2).zero_()
        log_rest = torch.log1p(-odds.clamp(max=1 - 1e-6)).sum((1, 2))
        rest = -(weight * log_rest).sum() + (weight[relation] * torch.log1p(-share.clamp(max=1 - 1e-6))).sum()
        loss = (F.softplus(-positive).sum() + rest) / total
        odds.mul_((weight / total).view(-1, 1, 1))
        odds.view(-1).index_copy_(0, link, (share - 1) / total)
        ctx.save_for_backward(odds)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (slope,) = ctx.saved_tensors
        return slope * grad, None, None
