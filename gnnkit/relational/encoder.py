"""Decagon's encoder: relational graph convolutions over several kinds of nodes and families of edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.graph.checks import check_edge_index
from gnnkit.layers import RelationalGCNLayer
from gnnkit.relational.authors import AuthorsConvolution, RelationGraph, relation_graph, symmetric_weights

__all__ = ["DecagonEncoder", "EdgeFamily", "sample_neighbours"]

_NUM_BASES = 16


class _Graph(NamedTuple):
    """A family of edges `[2, E]`, their relations `[E]` and what each message is multiplied by `[E]`."""

    edges: Tensor
    kinds: Tensor
    weight: Tensor


@dataclass(frozen=True, eq=False)
class EdgeFamily:
    """Edges from one kind of node to one kind of node, of one relation or of several.

    Args:
        source: Kind of the sources.
        target: Kind of the targets.
        edge_index: Edges; messages go from row 0 to row 1.
        edge_type: Relation of each edge; None (default): there is one relation.
        num_relations: R. Default 1.

    Shape:
        edge_index `[2, E]`, edge_type `[E]`.
    """

    source: str
    target: str
    edge_index: Tensor
    edge_type: Tensor | None = None
    num_relations: int = 1


class DecagonEncoder(nn.Module):
    """Embeddings of one kind of node, from two layers of messages over all families of edges.

    For a node i of kind t, over the families f that end in t and their relations r, with `d` the degrees under r:

        h_i  = relu(e_i + sum_f R_f^-1/2 sum_r sum_{j in N_r(i)} W_fr^T x_j / sqrt(d_i^r d_j^r))
        h'_i = W_t^T h_i + the same sum over h

    The first layer has no features: `e_i` and the rows of `W_fr` are learnt for each node. In a family of R relations
    the weights are sums over `num_bases` shared ones; one encoding of the full graph is then a few products of
    matrices, so it can be made anew for each step. The sum over relations starts at the size of a single one.

    `form="authors"` is the encoder of the authors' code: each family is an `AuthorsConvolution`,

        h_i  = relu(sum_f unit(sum_r sum_j W_fr^T x_j / sqrt(d_i^r d_j^r)));  h'_i = the same sum over h, without relu

    Args:
        num_nodes: Kind -> number of nodes.
        families: Edges. A kind without incoming families is its embedding alone.
        output: The kind whose embeddings come out.
        hidden_channels: Width between the layers. Default 64.
        out_channels: Width C of an embedding. Default 32.
        form: `"gnnkit"` (default) or `"authors"`.
        num_bases: Shared matrices B of a family of several relations; None (default): 16. Not of the authors' form.
        dropout: Of the hidden features, in training; in the authors' form of both layers' inputs. Default 0.1.
        neighbours: In training, a node hears at most so many edges of a family, drawn anew each time; None (default):
            all of them. Not of the authors' form.

    Shape:
        returned: `[N, C]`.

    Raises:
        ValueError: A family names an unknown kind or node, a number is out of range, or it is not of the form.

    Source:
        Zitnik, Agrawal & Leskovec, "Modeling polypharmacy side effects with graph convolutional networks" (2018), and
        their code, github.com/mims-harvard/decagon. What the default form has in the place of theirs: `num_bases`
        matrices for all relations of a family (theirs: weights for each); one term of the node itself a layer, `e_i`
        and `W_t^T h_i`, and a bias (theirs: I is added to the adjacency of each relation within one kind, in both
        layers); sums divided by R_f^1/2 (theirs: a family's sum is scaled to length 1); dropout of the hidden features,
        once (theirs: of both layers' inputs, for each relation anew). `form="authors"` is theirs in all of this, but
        that they take a symmetric relation's transpose, which is the same matrix, for a relation of its own.

    Example:
        >>> family = EdgeFamily("drug", "drug", torch.tensor([[0, 1], [1, 0]]), torch.tensor([0, 2]), 3)
        >>> DecagonEncoder({"drug": 4}, [family], "drug", out_channels=8)().shape
        torch.Size([4, 8])
    """

    def __init__(
        self,
        num_nodes: Mapping[str, int],
        families: Sequence[EdgeFamily],
        output: str,
        *,
        form: Literal["gnnkit", "authors"] = "gnnkit",
        hidden_channels: int = 64,
        out_channels: int = 32,
        num_bases: int | None = None,
        dropout: float = 0.1,
        neighbours: int | None = None,
    ):
        super().__init__()
        if form not in ("gnnkit", "authors"):
            raise ValueError(f"form is {form!r}; choose 'gnnkit' or 'authors'")
        own = {"num_bases": num_bases, "neighbours": neighbours}
        for name, value in {"hidden_channels": hidden_channels, "out_channels": out_channels, **own}.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        for name, value in own.items():
            if form == "authors" and value is not None:
                raise ValueError(f"{name} is {value}, but form='authors' has none; leave it out, or take form='gnnkit'")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        for kind in (output, *(kind for family in families for kind in (family.source, family.target))):
            if kind not in num_nodes:
                raise ValueError(f"nodes of kind {kind!r} are unknown; num_nodes has {', '.join(num_nodes)}")
        if form == "authors" and all(family.target != output or family.source != output for family in families):
            raise ValueError(
                f"form='authors' has no term of a node itself: {output!r} needs a family from {output!r} to {output!r}"
            )
        self.output, self.form, self.dropout, self.neighbours = output, form, dropout, neighbours
        self.num_nodes = dict(num_nodes)
        self.ends = [(family.source, family.target) for family in families]
        self.first, self.second = nn.ModuleList(), nn.ModuleList()
        if form == "gnnkit":
            self.own = nn.ParameterDict(
                {kind: nn.Parameter(torch.randn(count, hidden_channels) * 0.1) for kind, count in num_nodes.items()}
            )
            self.own_map = nn.Linear(hidden_channels, out_channels)
        heard = {family.target for family in families}
        for i, family in enumerate(families):
            # The graph is data, not state: it is not saved with the weights.
            for name, value in self._lay_out(family)._asdict().items():
                self.register_buffer(f"{name}_{i}", value, persistent=False)
            sizes = (num_nodes[family.source], num_nodes[family.target])
            self.first.append(self._layer(family, sizes, hidden_channels, num_bases))
            # Only what reaches the output is computed; in the authors' form who has heard nothing has nothing to say.
            says = family.target == output and (form == "gnnkit" or family.source in heard)
            sizes = (hidden_channels, hidden_channels)
            self.second.append(self._layer(family, sizes, out_channels, num_bases) if says else nn.Identity())

    def _layer(
        self, family: EdgeFamily, in_channels: tuple[int, int], out_channels: int, num_bases: int | None
    ) -> nn.Module:
        count = family.num_relations
        if self.form == "authors":
            return AuthorsConvolution(count, in_channels[0], out_channels, self.dropout)
        bases = min(num_bases or _NUM_BASES, count) if count > 1 else None
        return RelationalGCNLayer(in_channels, out_channels, count, bases, aggr="add", root_weight=False, bias=False)

    def _lay_out(self, family: EdgeFamily) -> RelationGraph | _Graph:
        """A family's edges, looked at, with the weight of each."""
        sources, targets = self.num_nodes[family.source], self.num_nodes[family.target]
        edges, count = check_edge_index(family.edge_index, (sources, targets)).long(), family.num_relations
        kinds = torch.zeros_like(edges[0]) if family.edge_type is None else family.edge_type.long()
        if self.form == "authors":
            return relation_graph(edges, kinds, count, sources, within=family.source == family.target)
        return _Graph(edges, kinds, symmetric_weights(edges, kinds, count) / count**0.5)

    def forward(self) -> Float[Tensor, "N C"]:
        """Encode the graph; in training with dropout, and with sampled neighbours where that is asked for."""
        if self.form == "authors":
            return self._forward_authors()
        graphs = [self._heard(graph) for graph in self._graphs(_Graph)]
        hidden = dict(self.own.items())
        for (source, target), layer, graph in zip(self.ends, self.first, graphs, strict=True):
            counts = [torch.arange(self.own[kind].size(0), device=self.own[kind].device) for kind in (source, target)]
            hidden[target] = hidden[target] + layer(tuple(counts), *graph)
        hidden = {kind: F.dropout(F.relu(h), self.dropout, self.training) for kind, h in hidden.items()}
        out = self.own_map(hidden[self.output])
        for (source, target), layer, graph in zip(self.ends, self.second, graphs, strict=True):
            if target == self.output:
                out = out + layer((hidden[source], hidden[target]), *graph)
        return out

    def _forward_authors(self) -> Tensor:
        hidden: dict[str, Tensor] = {}
        graphs = self._graphs(RelationGraph)
        for (_, target), layer, graph in zip(self.ends, self.first, graphs, strict=True):
            heard = layer(None, graph, self.num_nodes[target])
            hidden[target] = hidden[target] + heard if target in hidden else heard
        hidden = {kind: F.relu(h) for kind, h in hidden.items()}
        out = None
        for (source, target), layer, graph in zip(self.ends, self.second, graphs, strict=True):
            if isinstance(layer, AuthorsConvolution):
                heard = layer(hidden[source], graph, self.num_nodes[target])
                out = heard if out is None else out + heard
        assert out is not None  # there is a family within the output's kind
        return out

    def _graphs(self, form: Any) -> list[Any]:
        return [form(*(self.get_buffer(f"{name}_{i}") for name in form._fields)) for i in range(len(self.ends))]

    def _heard(self, graph: _Graph) -> _Graph:
        """In training of each target no more than the neighbours that it may hear."""
        if not self.training or self.neighbours is None:
            return graph
        kept, scale = sample_neighbours(graph.edges[1], self.neighbours)
        return _Graph(graph.edges[:, kept], graph.kinds[kept], graph.weight[kept] * scale)


def sample_neighbours(target: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Choose at most so many edges of each target at random.

    Args:
        target: Target of each edge.
        most: Edges that a target keeps.

    Returns:
        Numbers of the kept edges; and what each is multiplied by, so that sums over neighbours stay the same in the
        mean: the target's edges over those kept.
    """
    key = target.double() + torch.rand(target.shape, device=target.device, dtype=torch.float64) * 0.999
    order = key.argsort()
    counts = torch.bincount(target)
    first = counts.cumsum(0) - counts
    place = torch.arange(order.numel(), device=target.device) - first[target[order]]
    kept = order[place < most].sort().values
    degree = counts[target[kept]]
    return kept, (degree / degree.clamp_max(most)).float()
