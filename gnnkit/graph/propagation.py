"""The product with the normalised adjacency, which all forecasters share: one matrix per graph, cached."""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from gnnkit.graph.adjacency import normalize_adjacency, to_dense
from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.graph.formats import from_csr

__all__ = ["AddSelfLoops", "normalized_adjacency", "propagate"]

AddSelfLoops = Literal["missing"] | bool
Method = Literal["symmetric", "row", "random-walk"]

# Up to this many nodes a matrix product is cheaper than a sparse one on road networks (2 to 10% of entries are edges).
DENSE_NODES = 1024
# Below this many channels a batch of products is slower than one product of a transposed copy.
NARROW = 16


class _Entry(NamedTuple):
    edge_version: int
    weight: weakref.ref[Tensor] | None
    weight_version: int
    adjacency: Tensor


# edge_index -> (how it was made) -> matrix. Weak in the tensors: a graph that is gone takes its matrix along.
_CACHE: MutableMapping[Tensor, dict[tuple[object, ...], _Entry]] = WeakTensorKeyDictionary()


def propagate(adjacency: Tensor, x: Float[Tensor, "*S N C"]) -> Float[Tensor, "*S N C"]:
    """Sum over neighbours, `A x`, along the axis N, for all of the axes before it at once.

    Args:
        adjacency: `[N, N]`, rows are targets; dense or sparse COO.
        x: Features in the layout in which models have them: nothing is copied where C is wide and A dense.
    """
    num_nodes, channels = x.shape[-2:]
    # A batch of products would leave a gradient of the matrix for each of its members, to be summed up afterwards.
    if not adjacency.is_sparse and channels >= NARROW and not adjacency.requires_grad:
        rows = x.reshape(-1, num_nodes, channels)
        return torch.bmm(adjacency.expand(rows.size(0), -1, -1), rows).view(x.shape)
    # One product for everything: a sparse one needs it, and C dense products of one column each would be slow.
    nodes_first = x.movedim(-2, 0)
    product = torch.sparse.mm if adjacency.is_sparse else torch.mm
    return product(adjacency, nodes_first.reshape(num_nodes, -1)).view(nodes_first.shape).movedim(0, -2)


def normalized_adjacency(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    x: Tensor,
    num_nodes: int,
    add_self_loops: AddSelfLoops,
    *,
    method: Method = "symmetric",
    reverse: bool = False,
) -> Tensor:
    """The matrix of a graph in x's dtype, made once per graph; by default the D^-1/2 A D^-1/2 of graph convolution.

    The cache is keyed weakly on the tensors and their versions: an in-place change of either makes a new matrix.
    Weights that require a gradient, sparse tensors and inference tensors (which have no version) are normalised on
    every call.

    Args:
        edge_index: Edge list `[2, E]`, an `EdgeIndex`, or a sparse `adj_t` whose rows are targets.
        edge_weight: One weight per edge; None stands for ones, or for the values of a sparse `adj_t`.
        x: Any tensor with the dtype and device of the features.
        num_nodes: Node count N.
        add_self_loops: As in `gnnkit.graph.normalize_adjacency`.
        method: As there; default `"symmetric"`.
        reverse: True turns every edge round first. Default False.

    Returns:
        `[N, N]`, rows are targets; dense up to 1024 nodes, else sparse COO.

    Raises:
        ValueError: A malformed edge list, one that names a node beyond N, weights of another length, a sparse `adj_t`
            of another size or with weights beside it, or a graph on another device than x.
    """
    if edge_index.device != x.device:
        raise ValueError(
            f"edge_index is on {edge_index.device}, x on {x.device}; move the graph with edge_index.to(x.device)"
        )
    sparse = edge_index.layout != torch.strided
    learned = edge_weight is not None and edge_weight.requires_grad
    unversioned = edge_index.is_inference() or (edge_weight is not None and edge_weight.is_inference())
    if sparse or learned or unversioned:
        return _build(edge_index, edge_weight, x.dtype, num_nodes, add_self_loops, method, reverse)

    entries = _CACHE.setdefault(edge_index, {})
    key = (num_nodes, x.dtype, add_self_loops, method, reverse, None if edge_weight is None else id(edge_weight))
    weight_version = 0 if edge_weight is None else edge_weight._version
    entry = entries.get(key)
    if (
        entry is not None
        and entry.edge_version == edge_index._version
        and entry.weight_version == weight_version
        # An id may have gone to another tensor since.
        and (entry.weight is None or entry.weight() is edge_weight)
    ):
        return entry.adjacency

    for dead in [name for name, old in entries.items() if old.weight is not None and old.weight() is None]:
        del entries[dead]
    # Made outside inference mode, whatever the caller's: a later call may need it for a gradient.
    with torch.inference_mode(False), torch.no_grad():
        adjacency = _build(edge_index, edge_weight, x.dtype, num_nodes, add_self_loops, method, reverse)
    reference = None if edge_weight is None else weakref.ref(edge_weight)
    entries[key] = _Entry(edge_index._version, reference, weight_version, adjacency)
    return adjacency


def _build(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    dtype: torch.dtype,
    num_nodes: int,
    add_self_loops: AddSelfLoops,
    method: Method,
    reverse: bool,
) -> Tensor:
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
    edge_index, weight = normalize_adjacency(
        edge_index, edge_weight.to(dtype), num_nodes, method=method, add_self_loops=add_self_loops
    )
    if num_nodes <= DENSE_NODES:
        return to_dense(edge_index, weight, num_nodes)
    size = (num_nodes, num_nodes)
    # The edge list is checked already; without the argument torch warns that it does not check.
    return torch.sparse_coo_tensor(edge_index.flip(0), weight, size, check_invariants=False).coalesce()
