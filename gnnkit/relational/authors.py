"""The graph convolution of Decagon's authors: weights, dropout and the identity for each relation by itself."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.ops import grouped_matmul, spmm

__all__ = ["AuthorsConvolution", "RelationGraph", "relation_graph", "symmetric_weights"]

_EPSILON = 1e-6  # sums shorter than this are not scaled up to length 1


class RelationGraph(NamedTuple):
    """A family of edges, from pairs (source, relation) to targets.

    Shape:
        node, relation `[P]`: what each pair is of; edges `[2, E]`: from pairs to targets; weight `[E]`.
    """

    node: Tensor
    relation: Tensor
    edges: Tensor
    weight: Tensor


def relation_graph(
    edge_index: Tensor, edge_type: Tensor, num_relations: int, num_sources: int, *, within: bool
) -> RelationGraph:
    """Lay out a family for `AuthorsConvolution`.

    Args:
        edge_index: Edges.
        edge_type: Relation of each.
        num_relations: R.
        num_sources: Nodes that edges may come from.
        within: Sources and targets are the same nodes: each is then its own neighbour under every relation.

    Example:
        >>> both = torch.tensor([[0, 1], [1, 0]])
        >>> relation_graph(both, torch.tensor([0, 0]), 1, 3, within=True).weight.round(decimals=3)
        tensor([0.5000, 0.5000, 0.5000, 0.5000, 1.0000])
    """
    if within:
        loops = torch.arange(num_sources, device=edge_index.device).repeat(num_relations)
        every = torch.arange(num_relations, device=edge_index.device).repeat_interleave(num_sources)
        edge_index, edge_type = torch.cat([edge_index, loops.expand(2, -1)], 1), torch.cat([edge_type, every])
    weight = symmetric_weights(edge_index, edge_type, num_relations)
    unique, pair = torch.unique(edge_type * num_sources + edge_index[0], return_inverse=True)
    relation = unique.div(num_sources, rounding_mode="floor")
    return RelationGraph(unique - relation * num_sources, relation, torch.stack([pair, edge_index[1]]), weight)


class AuthorsConvolution(nn.Module):
    """Messages of one family, each relation's mapped by weights of its own, and their sum scaled to length 1.

        out_i = unit(sum_r sum_{j in N_r(i)} W_r^T drop_r(x_j) / sqrt(d_i^r d_j^r))

    Within one kind of nodes each is its own neighbour under every relation, and counts in `d`: the adjacency has I
    added. `drop_r` draws for each relation anew.

    Args:
        num_relations: R.
        in_channels: Features of a source; without features, the number of sources, each of which is a feature.
        out_channels: Features in the output.
        dropout: Share of the inputs that is dropped in training.

    Shape:
        x `[N, F]`, or None without features; returned `[M, C]`.

    Source:
        Zitnik, Agrawal & Leskovec (2018); the layers of their code, github.com/mims-harvard/decagon.
    """

    def __init__(self, num_relations: int, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(num_relations, in_channels, out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, Glorot-uniform for each relation."""
        bound = (6 / (self.weight.size(1) + self.weight.size(2))) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Float[Tensor, "N F"] | None, graph: RelationGraph, num_targets: int) -> Float[Tensor, "M C"]:
        """Compute the targets' sums, of length 1, or 0 where nothing is heard."""
        if x is None:  # the features are I: a row of the weights for each node, dropped whole
            rows = self.weight[graph.relation, graph.node]
            rows = rows * F.dropout(torch.ones_like(rows[:, :1]), self.dropout, self.training)
        else:
            rows = grouped_matmul(F.dropout(x[graph.node], self.dropout, self.training), graph.relation, self.weight)
        return F.normalize(spmm(graph.edges, rows, graph.weight, num_dst=num_targets), dim=1, eps=_EPSILON)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.weight.shape))


def symmetric_weights(edge_index: Tensor, edge_type: Tensor, num_relations: int) -> Tensor:
    """`1 / sqrt(d_i^r d_j^r)` of each edge: the degrees of its ends under its relation.

    Example:
        >>> edges = torch.tensor([[0, 1], [2, 2]])
        >>> symmetric_weights(edges, torch.tensor([0, 0]), 1).tolist()
        [0.7071067690849304, 0.7071067690849304]
    """
    weight = torch.ones(edge_index.size(1), device=edge_index.device)
    for nodes in edge_index:
        key = nodes * num_relations + edge_type
        degree = torch.bincount(key)
        weight *= degree[key].float().rsqrt()
    return weight
