"""The relational graph convolution of Schlichtkrull et al., with the arguments and `state_dict` of PyG's `RGCNConv`."""

import typing

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing, RGCNConv

from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.layers._checks import check_features, refuse_torchscript
from gnnkit.layers._fused import has_own_hooks, runs_fused
from gnnkit.layers._relations import (
    are_ids,
    check_types,
    dense_sums,
    edge_shares,
    is_dense,
    is_finite,
    map_all,
    messages,
    node_pairs,
    relation_edges,
)
from gnnkit.ops import grouped_matmul, segment_sum, spmm
from gnnkit.ops.spmm.dense import cell_product

__all__ = ["RelationalGCNLayer"]

Nodes = Tensor | None | tuple[Tensor | None, Tensor | None]


class RelationalGCNLayer(RGCNConv):
    r"""Graph convolution over several relations, each of which has its own weights.

    For node i, with `N_r(i)` the sources of its edges of relation r:

        x'_i = W_root^T x_i + sum_r 1 / |N_r(i)| sum_{j in N_r(i)} W_r^T x_j + b

    `W_r` is a full matrix, `sum_b comp[r, b] V_b` over B shared ones (`num_bases`), or block-diagonal (`num_blocks`).
    No loop over relations: what a node sends under a relation is mapped once (`ops.grouped_matmul`), and one sparse
    product sums it up. With shared matrices on a small graph with many parallel edges, the relations are summed first:
    `sum_b (sum_r comp[r, b] A_r) X V_b`.

    Args:
        in_channels: Features F of a node, or of a source and of a target; without features (`x=None`, or node ids), the
            number of nodes.
        out_channels: Features C in the output.
        num_relations: R.
        num_bases: Shared matrices B; None (default): none are shared.
        num_blocks: Blocks on the diagonal; None (default): full matrices.
        aggr: Over the neighbours under one relation: `"mean"` (default), `"add"`, `"max"`, ...
        root_weight: Whether a node's own features are mapped and added. Default True.
        is_sorted: Taken for the sake of PyG's signature; edges may come in any order, and are sorted once a graph.
        bias: Whether to add a learnt bias. Default True.
        **kwargs: Passed on to `MessagePassing`.

    Shape:
        `x`: `[N, F]`, ids `[N]`, None, or a pair of these for sources and targets; `edge_index`: `[2, E]`;
        `edge_type`: `[E]`; `edge_weight`: `[E]`, multiplies messages (PyG has none); returned: `[N, C]`. How a graph
        that changes is noticed is said at `GCNLayer`.

    Raises:
        ValueError: Bases beside blocks, sizes that blocks do not divide; in a call: features of another width, ids or
            relations out of range, lengths that differ, or ids beside blocks.

    Source:
        Schlichtkrull et al., "Modeling relational data with graph convolutional networks" (2018).

    Example:
        >>> layer = RelationalGCNLayer(8, 4, num_relations=2, num_bases=2)
        >>> layer(torch.randn(3, 8), torch.tensor([[0, 1, 1], [1, 2, 0]]), torch.tensor([0, 1, 1])).shape
        torch.Size([3, 4])
    """

    # Else the layer would inherit what PyG generated for its own class, and explanations would be passed over.
    propagate = MessagePassing.propagate

    def __init__(
        self,
        in_channels: int | tuple[int, int],
        out_channels: int,
        num_relations: int,
        num_bases: int | None = None,
        num_blocks: int | None = None,
        aggr: str = "mean",
        root_weight: bool = True,
        is_sorted: bool = False,
        bias: bool = True,
        **kwargs,
    ):
        if num_bases is not None and num_blocks is not None:
            raise ValueError(f"num_bases={num_bases} and num_blocks={num_blocks} exclude each other; give one of them")
        for name, value in (("num_relations", num_relations), ("num_bases", num_bases), ("num_blocks", num_blocks)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        sources, targets = in_channels if isinstance(in_channels, tuple) else (in_channels, in_channels)
        if num_blocks is not None and (sources % num_blocks or out_channels % num_blocks):
            raise ValueError(
                f"num_blocks={num_blocks} must divide in_channels={sources} and out_channels={out_channels}"
            )
        super().__init__(
            in_channels,
            out_channels,
            num_relations,
            num_bases,
            num_blocks,
            aggr,
            root_weight,
            is_sorted,
            bias,
            **kwargs,
        )
        self._widths = (sources, targets)
        self._own_hooks = has_own_hooks(type(self), RelationalGCNLayer)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Nodes, edge_index: Tensor, edge_type: Tensor, edge_weight: Tensor | None = None
    ) -> Tensor:
        """Compute the nodes' new features; see the class for shapes and errors."""
        x, own = (self._nodes(part, end) for end, part in enumerate(x if isinstance(x, tuple | list) else (x, x)))
        num_src, num_dst = x.size(0), own.size(0)
        edges = check_edge_index(edge_index, (num_src, num_dst))
        edge_type = check_types(edge_type, edges.size(1), self.num_relations)
        check_edge_weight(edge_weight, edges.size(1))
        features = x if x.is_floating_point() else None
        if self.flow == "source_to_target" and runs_fused(
            self, edges, features, edge_weight, aggregations=("mean", "add", "sum")
        ):
            out = self._sum_fused(x, edges, edge_type, edge_weight, num_dst)
        else:
            out = self._sum_by_hooks(x, edges, edge_type, edge_weight, num_dst)
        out = out.to(torch.promote_types(out.dtype, torch.get_default_dtype()))  # as in PyG: of half types float32
        if self.root is not None:
            out = out + (own @ self.root if own.is_floating_point() else self.root[own])
        return out if self.bias is None else out + self.bias

    def _nodes(self, x: Tensor | None, end: int) -> Tensor:
        """Features, or ids where there are none."""
        if x is None:
            x = torch.arange(self._widths[end], device=self.weight.device)
        if x.is_floating_point():
            check_features(x, self._widths[end], flat=True)
        elif self.num_blocks is not None:
            raise ValueError("x holds node ids, which a block-diagonal layer (num_blocks) cannot map; pass features")
        elif x.dim() != 1 or not (torch.compiler.is_exporting() or are_ids(x, self._widths[end])):
            raise ValueError(f"x must hold node ids [N] from 0 to {self._widths[end] - 1}, got {list(x.shape)}")
        return x

    def _relation_weights(self) -> Tensor:
        if self.comp is None:
            return self.weight
        return (self.comp @ self.weight.flatten(1)).view(self.num_relations, *self.weight.shape[1:])

    def _map(self, x: Tensor, relation: Tensor) -> Tensor:
        """Map rows, or ids, each by its relation's weights."""
        weight = self._relation_weights()
        return grouped_matmul(x, relation, weight) if x.is_floating_point() else weight[relation, x]

    def _sum_fused(self, x: Tensor, edges: Tensor, kinds: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
        num_src, mean, dtype = x.size(0), self.aggr == "mean", self.weight.dtype
        if torch.compiler.is_exporting():
            graph, share = relation_edges(edges, kinds, weight, (num_src, num_dst), self.num_relations, mean, dtype)
            return spmm(graph, map_all(x, self._relation_weights()), share, num_dst=num_dst)
        share = edge_shares(edges, kinds, weight, self.num_relations, mean=mean, dtype=dtype)
        if self.comp is not None and is_dense(edges, num_src, num_dst) and is_finite(x):
            # sum_r comp[r, b] A_r, a dense [N, N] matrix for each base: the relations are summed before the nodes are.
            sums = dense_sums(edges, kinds, self.num_relations, num_src)
            filled = spmm(sums.edges, self.comp, share)  # [cells that are not empty, B]
            mapped = x @ self.weight if x.is_floating_point() else self.weight[:, x]  # [B, N, C]
            return cell_product(filled, mapped.transpose(0, 1), sums.cell, num_dst)
        pairs = node_pairs(edges, kinds, self.num_relations, 0)
        mapped = self._map(x.index_select(0, pairs.node), pairs.relation)
        return spmm(messages(edges, kinds, self.num_relations, num_dst), mapped, share)

    def _sum_by_hooks(self, x: Tensor, edges: Tensor, kinds: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
        """Messages go to pairs (target, relation), are aggregated there, mapped, and summed over relations."""
        sender, receiver = (0, 1) if self.flow == "source_to_target" else (1, 0)
        targets, ends = node_pairs(edges, kinds, self.num_relations, receiver), [edges[0], edges[1]]
        ends[receiver] = targets.pair
        features = x.is_floating_point()
        if not features:  # rows of the weights are the messages
            sources = node_pairs(edges, kinds, self.num_relations, sender)
            x, ends[sender] = self._map(x.index_select(0, sources.node), sources.relation), sources.pair
        graph = torch.stack(ends)
        size = (x.size(0), targets.num_pairs) if sender == 0 else (targets.num_pairs, x.size(0))
        # propagate_type: (x: Tensor, edge_weight: typing.Optional[Tensor])
        out = self.propagate(graph, x=x, edge_weight=weight, size=size)
        out = self._map(out, targets.relation) if features else out
        return segment_sum(out, targets.node, num_segments=num_dst)

    def message(self, x_j: Tensor, edge_weight: typing.Optional[Tensor]) -> Tensor:  # noqa: UP045  # pyright: ignore
        # x_j: [E, F]
        return x_j if edge_weight is None else edge_weight.view(-1, 1) * x_j

    def __prepare_scriptable__(self) -> typing.NoReturn:
        refuse_torchscript(self)
