"""Random graphs with edges of every awkward kind, on which an exported program has to agree with its model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["KINDS", "WEIGHTS", "RandomGraph", "random_graph"]

KINDS = ("any", "loops", "duplicates", "isolated", "empty", "complete", "one edge", "star")
"""What the edges of a graph are like."""

WEIGHTS = ("positive", "some zero", "all zero", "some negative")
"""What their weights are like."""


class RandomGraph(NamedTuple):
    """A graph and what is awkward about it."""

    edge_index: Int[Tensor, "2 E"]
    edge_weight: Float[Tensor, " E"]
    kind: str


def random_graph(num_nodes: int, seed: int, *, negative: bool = True) -> RandomGraph:
    """Draw a graph; as many seeds in a row as there are kinds × weights see every pair of them.

    Args:
        num_nodes: N, at least 1.
        seed: Of the kind, the edges and the weights.
        negative: Whether weights may be negative; graph convolutions refuse them where they give a node a negative
            degree. Default True.

    Returns:
        The graph.

    Example:
        >>> random_graph(3, 4).edge_index.shape, random_graph(3, 4).kind
        (torch.Size([2, 0]), 'empty edges, weights positive')
    """
    generator = torch.Generator().manual_seed(seed)
    kind, weights = KINDS[seed % len(KINDS)], WEIGHTS[seed // len(KINDS) % len(WEIGHTS)]
    count = int(torch.randint(1, 4 * num_nodes + 1, (), generator=generator))
    edges = torch.randint(0, num_nodes, (2, count), generator=generator)
    if kind == "loops":
        loops = torch.arange(num_nodes).repeat(2, 1)
        edges = torch.cat([edges, loops[:, : 1 + num_nodes // 2], loops[:, :1]], dim=1)
    elif kind == "duplicates":
        edges = torch.cat([edges, edges, edges[:, :1].repeat(1, 3)], dim=1)
    elif kind == "isolated":
        edges = edges % max(1, num_nodes // 2)
    elif kind == "empty":
        edges = edges[:, :0]
    elif kind == "complete":
        edges = torch.cartesian_prod(torch.arange(num_nodes), torch.arange(num_nodes)).t().reshape(2, -1).contiguous()
    elif kind == "one edge":
        edges = edges[:, :1]
    elif kind == "star":
        edges = torch.stack([torch.arange(num_nodes), torch.zeros(num_nodes, dtype=torch.int64)])
    weight = torch.rand(edges.size(1), generator=generator) + 0.05
    chosen = torch.rand(edges.size(1), generator=generator) < 0.3
    if weights == "some zero":
        weight = weight.masked_fill(chosen, 0.0)
    elif weights == "all zero":
        weight = torch.zeros_like(weight)
    elif weights == "some negative":
        weight = torch.where(chosen, -weight, weight) if negative else weight
    return RandomGraph(edges, weight, f"{kind} edges, weights {weights if negative else 'not negative'}")
