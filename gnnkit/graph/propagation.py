"""The product with the normalised adjacency, which all forecasters share: made once per graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.utils import coalesce

from gnnkit.graph.adjacency import normalize_adjacency, to_dense
from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.graph.formats import from_csr
from gnnkit.ops import CompressedGraph, compress, remember, spmm
from gnnkit.ops.spmm.dense import matrix_product
from gnnkit.ops.tracing import is_traced

__all__ = ["AddSelfLoops", "Adjacency", "SparseAdjacency", "average", "normalized_adjacency", "propagate"]

AddSelfLoops = Literal["missing"] | bool
Method = Literal["symmetric", "row", "random-walk"]

# Up to this many nodes a matrix is made at all; a GPU multiplies by it faster than it gathers edges.
DENSE_NODES = 1024
# A CPU gathers faster, forward and backward by a factor of 5 on road networks (2 to 10% of entries are edges), but for
# graphs so small that a call is what costs, or with so many of all edges.
DENSE_NODES_ON_CPU = 100
DENSE_SHARE_ON_CPU = 0.25
# Below this many channels a batch of products is slower than one product of a transposed copy.
NARROW = 16
NARROW_AND_SPARSE = 8


class SparseAdjacency(NamedTuple):
    """A matrix as its edges: `weight` `[E]` in the order of the graph's edges, `own` `[N]` on the diagonal beside."""

    graph: Tensor | CompressedGraph
    weight: Tensor
    own: Tensor | None = None

    def __neg__(self) -> SparseAdjacency:
        return SparseAdjacency(self.graph, -self.weight, None if self.own is None else -self.own)


Adjacency = Tensor | SparseAdjacency


def propagate(adjacency: Adjacency, x: Float[Tensor, "*S N C"]) -> Float[Tensor, "*S N C"]:
    """Sum over neighbours, `A x`, along the axis N, for all of the axes before it at once.

    Args:
        adjacency: As `normalized_adjacency` gives it, or a matrix `[N, N]`, dense or sparse; rows are targets.
        x: Features in the layout in which models have them: nothing is copied where C is wide and A dense.
    """
    num_nodes, channels = x.shape[-2:]
    # Where a tracer leaves C open, as of a batch that lies in it, the program is to be right for each: it may not ask.
    narrow = type(channels) is int and channels < (
        NARROW_AND_SPARSE if isinstance(adjacency, SparseAdjacency) else NARROW
    )
    # A batch of products would leave a gradient of the matrix for each of its members, to be summed up afterwards.
    if narrow or (isinstance(adjacency, Tensor) and (adjacency.requires_grad or adjacency.is_sparse)):
        # One product for everything: C products of one column each would be slow.
        nodes_first = x.movedim(-2, 0)
        return _multiply(adjacency, nodes_first.reshape(num_nodes, -1)).view(nodes_first.shape).movedim(0, -2)
    if isinstance(adjacency, SparseAdjacency):
        return _multiply(adjacency, x)
    rows = x.reshape(-1, num_nodes, channels)
    return matrix_product(adjacency, rows).view(x.shape)


def average(matrices: Sequence[Adjacency]) -> Adjacency:
    """The mean of some matrices; dense where there are several.

    Example:
        >>> average([torch.eye(2), torch.ones(2, 2)]).tolist()
        [[1.0, 0.5], [0.5, 1.0]]
    """
    if len(matrices) == 1:
        return matrices[0]
    return torch.stack([_dense(matrix) for matrix in matrices]).mean(dim=0)


def _dense(adjacency: Adjacency) -> Tensor:
    if not isinstance(adjacency, SparseAdjacency):
        return adjacency
    graph, own = adjacency.graph, adjacency.own
    if isinstance(graph, CompressedGraph):
        return to_dense(graph.edge_index, adjacency.weight, graph.num_dst)
    if own is None:
        raise ValueError("a SparseAdjacency of an edge list does not know its number of nodes without a diagonal")
    return to_dense(graph, adjacency.weight, own.size(0)) + torch.diag(own)


def _multiply(adjacency: Adjacency, x: Tensor) -> Tensor:
    if not isinstance(adjacency, SparseAdjacency):
        return torch.sparse.mm(adjacency, x) if adjacency.is_sparse else matrix_product(adjacency, x)
    out = spmm(adjacency.graph, x, adjacency.weight)
    return out if adjacency.own is None else out + adjacency.own.unsqueeze(-1) * x


def normalized_adjacency(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    x: Tensor,
    num_nodes: int,
    add_self_loops: AddSelfLoops,
    *,
    method: Method = "symmetric",
    reverse: bool = False,
    undirected: bool = False,
) -> Adjacency:
    """The matrix of a graph in x's dtype, made once per graph; by default the D^-1/2 A D^-1/2 of graph convolution.

    A change of the edges or weights makes a new matrix (see `gnnkit.ops.remember`). Weights that require a gradient are
    normalised on every call.

    Args:
        edge_index: Edge list `[2, E]`, an `EdgeIndex`, or a sparse `adj_t` whose rows are targets.
        edge_weight: One weight per edge; None stands for ones, or for the values of a sparse `adj_t`.
        x: Any tensor with the dtype and device of the features.
        num_nodes: Node count N.
        add_self_loops: As in `gnnkit.graph.normalize_adjacency`.
        method: As there; default `"symmetric"`.
        reverse: True turns every edge round first. Default False.
        undirected: True takes (A + A^T) / 2 first, which leaves an undirected graph as it is. Default False.

    Returns:
        `[N, N]`, rows are targets; dense up to 100 nodes, up to 1024 on a GPU or where a quarter of all entries are
        edges, else its edges. Under `torch.export` with an N that is left open it is the edges too.

    Raises:
        ValueError: A malformed edge list, one that names a node beyond N, weights of another length, a sparse `adj_t`
            of another size or with weights beside it, or a graph on another device than x.
    """
    if edge_index.device != x.device:
        raise ValueError(
            f"edge_index is on {edge_index.device}, x on {x.device}; move the graph with edge_index.to(x.device)"
        )
    how = _How(num_nodes, x.dtype, add_self_loops, method, reverse, undirected)
    if is_traced() and edge_index.layout == torch.strided:
        return _traced(edge_index, edge_weight, how)
    if edge_index.requires_grad or (edge_weight is not None and edge_weight.requires_grad):
        return _build(edge_index, edge_weight, how)
    tensors = (edge_index,) if edge_weight is None else (edge_index, edge_weight)
    return remember(("propagation", *how), tensors, lambda: _build(edge_index, edge_weight, how))


class _How(NamedTuple):
    """The arguments of `normalized_adjacency` beside the graph."""

    num_nodes: int
    dtype: torch.dtype
    add_self_loops: AddSelfLoops
    method: Method
    reverse: bool
    undirected: bool


def _build(edge_index: Tensor, edge_weight: Tensor | None, how: _How) -> Adjacency:
    num_nodes, dtype, add_self_loops, method, reverse, undirected = how
    if edge_index.layout != torch.strided:
        if edge_weight is not None:
            raise ValueError("edge_weight must be None beside a sparse adj_t, whose values are the weights")
        if tuple(edge_index.shape) != (num_nodes, num_nodes):
            raise ValueError(f"adj_t must be [{num_nodes}, {num_nodes}] as x has it, got {list(edge_index.shape)}")
        edge_index, edge_weight = from_csr(edge_index)
    edge_index = check_edge_index(edge_index, num_nodes)
    check_edge_weight(edge_weight, edge_index.size(1))
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    elif edge_weight.dim() != 1:
        raise ValueError(f"edge_weight must have shape [E], got {list(edge_weight.shape)}; flatten it with .view(-1)")
    if reverse:
        edge_index = edge_index.flip(0)
    edge_weight = edge_weight.to(dtype)
    if undirected:
        both, halves = torch.cat([edge_index, edge_index.flip(0)], dim=1), (edge_weight / 2).repeat(2)
        edge_index, edge_weight = coalesce(both, halves, num_nodes)
    edge_index, weight = normalize_adjacency(
        edge_index, edge_weight, num_nodes, method=method, add_self_loops=add_self_loops
    )
    full = edge_index.size(1) > DENSE_SHARE_ON_CPU * num_nodes**2
    if num_nodes <= DENSE_NODES and (full or num_nodes <= DENSE_NODES_ON_CPU or edge_index.device.type != "cpu"):
        return to_dense(edge_index, weight, num_nodes)
    return SparseAdjacency(compress(edge_index, num_nodes, num_nodes), weight)


def _traced(edge_index: Tensor, edge_weight: Tensor | None, how: _How) -> Adjacency:
    """`_build` in operators whose shapes do not depend on what the edges are; nothing is checked in between."""
    num_nodes, dtype, add_self_loops, method, reverse, undirected = how
    if reverse:
        edge_index = edge_index.flip(0)
    source, target = edge_index.long()
    edge_weight = torch.ones(edge_index.size(1), device=edge_index.device) if edge_weight is None else edge_weight
    weight = edge_weight.to(dtype)
    if undirected:
        source, target, weight = torch.cat([source, target]), torch.cat([target, source]), (weight / 2).repeat(2)
    degree = weight.new_zeros(num_nodes).index_add(0, source if method == "random-walk" else target, weight)
    own = None
    if add_self_loops:
        own = weight.new_ones(num_nodes)
        if add_self_loops == "missing":
            loops = weight.new_zeros(num_nodes).index_add(0, target, (source == target).to(dtype))
            own = (loops == 0).to(dtype)
        degree = degree + own
    empty = degree == 0
    scale = degree.masked_fill(empty, 1.0).pow(-0.5 if method == "symmetric" else -1.0).masked_fill(empty, 0.0)
    if method != "row":
        weight = scale.index_select(0, source) * weight
    if method != "random-walk":
        weight = scale.index_select(0, target) * weight
    if own is not None:
        own = scale * own * (scale if method == "symmetric" else 1.0)
    if not isinstance(num_nodes, int) or num_nodes > DENSE_NODES:
        return SparseAdjacency(torch.stack([source, target]), weight, own)
    matrix = weight.new_zeros(num_nodes * num_nodes).index_add(0, target * num_nodes + source, weight)
    matrix = matrix.view(num_nodes, num_nodes)
    return matrix if own is None else matrix + torch.diag(own)
