"""The parts of a model for many seeds at once: parameters `[S, ...]`, features `[S, N, C]`, one graph for all.

Where a part's input is the same for all seeds (the data's own features) it stays `[N, F]`; features that are sparse
stay so, also where dropout makes them differ: one pattern, and values for each seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from gnnkit.layers._attend import with_loops
from gnnkit.layers._fused import add_up, neighbour_sums, prepare
from gnnkit.layers._linear import Linear
from gnnkit.layers.dagnn import DAGNNLayer
from gnnkit.layers.feature_dropout import FeatureDropout
from gnnkit.layers.gat import GATLayer
from gnnkit.layers.gcn import GCNLayer
from gnnkit.layers.gcn2 import GCN2Layer
from gnnkit.ops import CompressedGraph, compress, edge_attention, spmm


class SeedStreams:
    """One random stream a seed, so that what a seed draws does not depend on the others beside it.

    Args:
        seeds: The seeds.
    """

    def __init__(self, seeds: list[int]):
        self.seeds = list(seeds)
        self._streams: list[torch.Generator] = []

    def keep(self, index: list[int]) -> None:
        """Go on with some of the seeds alone."""
        self.seeds = [self.seeds[i] for i in index]
        self._streams = [self._streams[i] for i in index] if self._streams else []

    def state(self) -> dict[str, Tensor]:
        """The states of the streams, by seed; empty where nothing was drawn yet."""
        return {str(seed): each.get_state() for seed, each in zip(self.seeds, self._streams, strict=False)}

    def load_state(self, states: dict[str, Tensor], device: torch.device) -> None:
        """Go back to what `state` gave."""
        self._streams = [torch.Generator(device) for _ in self.seeds] if states else []
        for seed, stream in zip(self.seeds, self._streams, strict=False):
            stream.set_state(states[str(seed)].cpu())

    def dropout_factor(self, shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
        """Dropout's factors `[S, *shape]`: 0 with probability p, else 1 / (1 - p).

        Four entries share a random word of 64 bits, which is what makes it cheap: p is rounded to a multiple of 2^-16,
        and the factor is that of the rounded p.
        """
        if not self._streams or self._streams[0].device != like.device:
            self._streams = [torch.Generator(like.device).manual_seed(seed) for seed in self.seeds]
        count = 1
        for size in shape:
            count *= size
        words = torch.empty(len(self.seeds), (count + 3) // 4, dtype=torch.int64, device=like.device)
        for row, stream in zip(words, self._streams, strict=True):
            row.random_(-(2**63), None, generator=stream)
        dropped = min(round(p * 2**16), 2**16)
        if dropped == 2**16:
            return like.new_zeros(len(self.seeds), *shape)
        kept = words.view(torch.int16)[:, :count] >= dropped - 2**15
        return kept.to(like.dtype).mul_(2**16 / (2**16 - dropped)).view(-1, *shape)


@dataclass(frozen=True)
class SparseFeatures:
    """Sparse features `[N, F]` of S seeds: one pattern, and the values that dropout left to each.

    Args:
        pattern: CSR tensor `[N, F]`.
        values: `[S, nonzeros]`.
    """

    pattern: Tensor
    values: Tensor


Features: TypeAlias = Tensor | SparseFeatures


class StackedModule(nn.Module):
    """A module whose parameters have a leading axis of seeds; it keeps the names of the module that it is made of.

    Args:
        template: The module of one seed, its parameters stacked already.
        streams: The seeds' random streams.
    """

    def __init__(self, template: nn.Module, streams: SeedStreams):
        super().__init__()
        self._parameters = template._parameters
        self._modules = template._modules
        self._settings = (template,)  # in a tuple: a module would become a child of its own
        self.streams = streams

    @property
    def template(self) -> Any:
        """The module of one seed, for its settings."""
        return self._settings[0]


class StackedDropout(StackedModule):
    """`FeatureDropout`, with a mask of each seed's own."""

    def forward(self, x: Features) -> Features:
        p = self.template.p
        if not self.training or p == 0:
            return x
        if isinstance(x, SparseFeatures):
            values = x.values
            return SparseFeatures(x.pattern, values * self.streams.dropout_factor((values.size(-1),), p, values))
        if x.layout != torch.strided:
            pattern = x if x.layout == torch.sparse_csr else x.coalesce().to_sparse_csr()
            values = pattern.values()
            return SparseFeatures(pattern, self.streams.dropout_factor((values.numel(),), p, values) * values)
        return x * self.streams.dropout_factor(tuple(x.shape[-2:]), p, x)


class StackedLinear(StackedModule):
    """`Linear`: weight `[S, C, F]`, bias `[S, C]`."""

    def forward(self, x: Features) -> Tensor:
        return apply_linear(self, x)


def apply_linear(linear: Any, x: Features) -> Tensor:
    """Features of any form times a stacked linear map: `[S, N, C]`."""
    weight, bias = linear.weight, linear.bias
    if isinstance(x, SparseFeatures):
        seeds, channels, width = weight.shape
        graph = block_diagonal(compress(x.pattern), seeds)
        rows = weight.transpose(1, 2).reshape(seeds * width, channels)
        out = spmm(graph, rows, x.values.reshape(-1)).view(seeds, -1, channels)
    elif x.layout != torch.strided:
        x = x.coalesce() if x.layout == torch.sparse_coo else x
        out = spmm(compress(x), weight.transpose(1, 2), x.values())
    else:
        out = x @ weight.transpose(1, 2)
    return out if bias is None else out + bias.unsqueeze(1)


def block_diagonal(graph: CompressedGraph, copies: int) -> CompressedGraph:
    """Copies of a graph beside each other, as one graph; remembered with it. Edges are in CSR order."""
    key = f"block diagonal {copies}"
    if key not in graph.scratch:
        number = torch.arange(copies, device=graph.device).unsqueeze(1)
        rowptr = (graph.rowptr[:-1].long() + number * graph.num_edges).view(-1)
        rowptr = torch.cat([rowptr, rowptr.new_tensor([copies * graph.num_edges])])
        col = (graph.col.long() + number * graph.num_src).view(-1)
        sizes = (copies * graph.num_src, copies * graph.num_dst, copies * graph.num_edges)
        dtype = torch.int32 if max(sizes) < 2**31 else torch.int64
        graph.scratch[key] = CompressedGraph(sizes[0], sizes[1], rowptr.to(dtype), col.to(dtype))
    return graph.scratch[key]  # pyright: ignore[reportReturnType]


class StackedGCN(StackedModule):
    """`GCNLayer`: the map seed by seed, the sum over neighbours for all at once."""

    def forward(self, x: Features, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        h = apply_linear(self.lin, x)
        bias = self.template.bias
        out = neighbour_sums(self.template, h, edge_index, edge_weight)
        return out if bias is None else out + bias.unsqueeze(1)


class StackedGCN2(StackedModule):
    """`GCN2Layer`."""

    def forward(self, x: Tensor, x_0: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        u = neighbour_sums(self.template, x, edge_index, edge_weight)
        return self.template._mix(u, x_0, self.weight1, self.weight2)


class StackedDAGNN(StackedModule):
    """`DAGNNLayer`: the seeds' channels side by side, so that each hop is one wide sum over neighbours."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        seeds, nodes, channels = x.shape
        gate: Any = self.gate
        weight, bias = gate.weight.view(seeds, channels).t(), gate.bias.view(seeds)
        h = x.permute(1, 2, 0).reshape(nodes, channels * seeds)

        def gated(h: Tensor) -> Tensor:
            h = h.view(nodes, channels, seeds)
            return torch.sigmoid((h * weight).sum(dim=1, keepdim=True) + bias) * h

        out = gated(h)
        prepared = prepare(self.template, h, edge_index, edge_weight)
        for _ in range(self.template.K):
            h = add_up(prepared, h)
            out = out + gated(h)
        return out.permute(2, 0, 1)


class StackedGAT(StackedModule):
    """`GATLayer` on one kind of nodes, without edge features; the seeds' graphs lie side by side in one op."""

    def __init__(self, template: nn.Module, streams: SeedStreams):
        super().__init__(template, streams)
        if self.template.lin is None or self.template.lin_edge is not None:
            raise ValueError(
                "a GATLayer with edge_dim, or for two kinds of nodes, cannot be stacked; train its seeds one by one"
            )

    def forward(self, x: Features, edge_index: Tensor) -> Tensor:
        layer = self.template
        h = apply_linear(layer.lin, x)
        seeds, nodes, _ = h.shape
        heads, channels = layer.heads, layer.out_channels
        graph = with_loops(edge_index, nodes, nodes, nodes if layer.add_self_loops else None, layer.flow)
        # a_src and a_dst as one block-diagonal map, [S, K * C, 2 K]
        both = torch.cat([layer.att_src, layer.att_dst], dim=1).permute(0, 2, 3, 1)
        both = torch.eye(heads, dtype=h.dtype, device=h.device)[:, None, None, :] * both.unsqueeze(-1)
        logits = h @ both.reshape(seeds, heads * channels, 2 * heads)
        out = edge_attention(
            block_diagonal(graph, seeds),
            h.view(seeds * nodes, heads, channels),
            logits[..., :heads].reshape(-1, heads),
            logits[..., heads:].reshape(-1, heads),
            negative_slope=layer.negative_slope,
            dropout=layer.dropout,
            training=self.training,
        )
        out = out.view(seeds, nodes, -1) if layer.concat else out.mean(dim=1).view(seeds, nodes, channels)
        if layer.res is not None:
            out = out + apply_linear(layer.res, x)
        return out if layer.bias is None else out + layer.bias.unsqueeze(1)


class StackedLayerNorm(StackedModule):
    """`nn.LayerNorm` over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        layer = self.template
        out = F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
        if layer.weight is not None:
            out = out * layer.weight.unsqueeze(1)
        return out if layer.bias is None else out + layer.bias.unsqueeze(1)


class StackedAny(StackedModule):
    """Any other module, by `torch.func.vmap` over the seeds: it runs on torch's own operators.

    Its first argument is the features, `[S, N, C]` or the same `[N, F]` for all; the others are the same for all.
    """

    def forward(self, x: Features, *args: Any) -> Tensor:
        if isinstance(x, SparseFeatures):
            dense = x.pattern.to_dense().unsqueeze(0).expand(x.values.size(0), -1, -1)
            rows = torch.repeat_interleave(x.pattern.crow_indices().diff())
            x = torch.zeros_like(dense).index_put(
                (torch.arange(len(x.values), device=x.values.device).unsqueeze(1), rows, x.pattern.col_indices()),
                x.values,
            )
        elif x.layout != torch.strided:
            x = x.to_dense()
        state: dict[str, Tensor] = dict(self.named_parameters())
        self.template.train(self.training)

        def one(parameters: dict[str, Tensor], features: Tensor) -> Tensor:
            return functional_call(self.template, parameters, (features, *args))

        return vmap(one, in_dims=(0, 0 if x.dim() == 3 else None), randomness="different")(state, x)


STACKED: dict[type[nn.Module], Callable[[nn.Module, SeedStreams], StackedModule]] = {
    FeatureDropout: StackedDropout,
    Linear: StackedLinear,
    GCNLayer: StackedGCN,
    GCN2Layer: StackedGCN2,
    DAGNNLayer: StackedDAGNN,
    GATLayer: StackedGAT,
    nn.LayerNorm: StackedLayerNorm,
}
"""Kind of module -> its form for many seeds; kinds that are not here and have parameters run as `StackedAny`."""
