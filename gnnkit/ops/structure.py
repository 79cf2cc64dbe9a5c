"""A graph as the kernels read it: edges sorted by target, and by source, once per graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex

from gnnkit.ops._fingerprint import fingerprint, has_numba
from gnnkit.ops.remembered import forget, remember, sparse_pattern

__all__ = [
    "CompressedGraph",
    "compress",
    "forget",
    "is_one_pass",
    "is_sorted_anew",
    "is_transformed",
    "remember",
    "sort_edges",
]

_INT32_MAX = 2**31 - 1
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)

# So few edges are sorted by one compiled pass on one thread, and still fewer every time: a graph of which nothing is
# kept cannot be out of date.
_ONE_PASS_EDGES, _ANEW_EDGES = 100_000, 4096

# Weights that are brought into another order in less time than it takes to look whether they are still the same.
_FEW_WEIGHTS = 4096


def _once(make: Callable[[Any], Any]) -> Any:
    """A property that is made once, and not of tensors that a training step could not use later."""

    def outside_inference(graph: Any) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            return make(graph)

    outside_inference.__doc__ = make.__doc__
    return cached_property(outside_inference)


@dataclass(frozen=True, eq=False)
class CompressedGraph:
    """A directed graph, sorted by target (incoming edges of a row lie together) and, when asked for, by source.

    Row i of `rowptr`/`col` holds the sources j of the edges j → i; `colptr`/`row` hold the targets of each source.
    Indices are int32 where they fit, which halves what the kernels have to read.

    Args:
        num_src: Number of source nodes.
        num_dst: Number of target nodes (the same nodes, or in a bipartite graph others).
        rowptr: Where the incoming edges of each target begin.
        col: Source of each edge, in CSR order.
        perm: CSR position → the user's edge; None where these are the same.
        weight: Weights that were made with the graph, in CSR order: pass them on with it. Default: none.

    Shape:
        rowptr `[num_dst + 1]`, col `[E]`, perm `[E]`, weight `[E]`.
    """

    num_src: int
    num_dst: int
    rowptr: Tensor
    col: Tensor
    perm: Tensor | None = None
    weight: Tensor | None = None
    scratch: dict[str, object] = field(default_factory=dict, repr=False)
    """Whatever a backend derives from the structure alone and wants to keep with it, e.g. its rows in chunks."""

    @property
    def num_edges(self) -> int:
        """E, duplicates counted."""
        return self.col.numel()

    @property
    def device(self) -> torch.device:
        """The device of the index tensors."""
        return self.col.device

    @_once
    def _outgoing(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return _sort_by(self.col, self.num_src, self.row_of_edge, self.num_dst)

    @property
    def colptr(self) -> Tensor:
        """Where the outgoing edges of each source begin, `[num_src + 1]`; made on first use."""
        return self._outgoing[0]

    @property
    def row(self) -> Tensor:
        """Target of each edge, in CSC order, `[E]`."""
        return self._outgoing[1]

    @_once
    def perm_t(self) -> Tensor:
        """CSC position → CSR position, `[E]`."""
        perm = self._outgoing[2]
        return _sort_by(self.col, self.num_src, self.row_of_edge, self.num_dst)[2] if perm is None else perm

    @_once
    def weight_t(self) -> Tensor | None:
        """`weight` in CSC order, `[E]`."""
        if self.weight is None:
            return None
        colptr, row, perm = self._outgoing
        # The order is of no further use to fixed weights, and would be a quarter of all that is kept.
        self.__dict__["_outgoing"] = (colptr, row, None)
        return self.weight.index_select(0, self.perm_t if perm is None else perm)

    @property
    def row_of_edge(self) -> Tensor:
        """Target of each edge, in CSR order, `[E]`; made anew on each use."""
        rows = torch.arange(self.num_dst, dtype=self.col.dtype, device=self.device)
        return torch.repeat_interleave(rows, self.degree, output_size=self.num_edges)

    @property
    def degree(self) -> Tensor:
        """Number of incoming edges of each target, `[num_dst]`."""
        return self.rowptr[1:] - self.rowptr[:-1]

    @_once
    def edge_index(self) -> Tensor:
        """The edges as the user gave them: `[2, E]` int64, in the user's order."""
        edges = torch.stack([self.col.long(), self.row_of_edge.long()])
        if self.perm is None:
            return edges
        ordered = torch.empty_like(edges)
        ordered[:, self.perm.long()] = edges
        return ordered

    def to_csr_order(self, values: Tensor) -> Tensor:
        """Bring per-edge values `[E, ...]` from the user's order to CSR order (differentiable)."""
        return values if self.perm is None else values.index_select(0, self.perm)

    def ordered(self, weight: Tensor, *, outgoing: bool) -> Tensor:
        """Bring weights `[E]` without a gradient from the user's order to CSR or (`outgoing`) CSC order.

        Those of a large graph are kept, and compared with the user's by a fingerprint on each call.
        """
        if weight is self.weight:
            return self.weight_t if outgoing else weight  # pyright: ignore[reportReturnType]
        if not outgoing and self.perm is None:
            return weight.contiguous()
        if weight.numel() < _FEW_WEIGHTS or weight.device.type != "cpu":
            return weight.index_select(0, self._order(outgoing))
        key, mark = f"weights {outgoing}", (fingerprint(weight), weight.stride(), weight.dtype)
        kept = self.scratch.get(key)
        if kept is None or kept[0] != mark:  # pyright: ignore[reportIndexIssue]
            with torch.inference_mode(False), torch.no_grad():
                kept = self.scratch[key] = (mark, weight.index_select(0, self._order(outgoing)))
        return kept[1]  # pyright: ignore[reportIndexIssue]

    def _order(self, outgoing: bool) -> Tensor:
        if not outgoing:
            return self.perm  # pyright: ignore[reportReturnType]
        return self.perm_t if self.perm is None else self.perm.index_select(0, self.perm_t)

    def to_user_order(self, values: Tensor) -> Tensor:
        """Bring per-edge values `[E, ...]` from CSR order to the user's order."""
        if self.perm is None:
            return values
        ordered = torch.empty_like(values)
        ordered[self.perm.long()] = values
        return ordered


def is_transformed(*tensors: Tensor | None) -> bool:
    """Tell whether plain kernels would give a wrong answer on these tensors.

    That is so inside a `torch.func` transform, under forward-mode derivatives, for tensor subclasses, and for views of
    memory that holds the numbers with the other sign (such as the imaginary part of a conjugate).

    Args:
        *tensors: The values of an op's call.

    Returns:
        True where only torch's own operators know what to do.
    """
    if _functorch.maybe_current_level() is not None or forward_ad._current_level >= 0:
        return True
    return any(
        tensor is not None and (type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.is_neg())
        for tensor in tensors
    )


def compress(
    edge_index: Tensor | EdgeIndex | CompressedGraph,
    num_dst: int | None = None,
    num_src: int | None = None,
) -> CompressedGraph:
    """Sort a graph's edges by target, once per graph.

    The order of parallel edges is kept. The result of more than a few thousand edges is remembered for as long as the
    memory of the edges lives and holds the same (see `remember`); fewer are sorted anew.

    Args:
        edge_index: Edges j → i as `[2, E]` (row 0: sources j, row 1: targets i), as an `EdgeIndex`, as a sparse tensor
            (row = target, column = source, values not looked at), or compressed already.
        num_dst: Number of target nodes. Default: `num_src`, else the sparse size, else the largest index plus one.
        num_src: Number of source nodes. Default: as for `num_dst`.

    Returns:
        The compressed graph.

    Raises:
        TypeError: `edge_index` is none of these.
        ValueError: The shape or type is wrong, or a node's number is negative or not below `num_src`/`num_dst`.

    Example:
        >>> graph = compress(torch.tensor([[2, 0, 1], [1, 0, 1]]), num_dst=3)
        >>> graph.rowptr.tolist(), graph.col.tolist(), graph.perm.tolist()
        ([0, 1, 3, 3], [0, 2, 1], [1, 0, 2])
    """
    if isinstance(edge_index, CompressedGraph):
        return _check_compressed(edge_index, num_dst, num_src)
    if not isinstance(edge_index, Tensor):
        raise TypeError(
            f"edge_index is a {type(edge_index).__name__}: pass a [2, E] tensor, an EdgeIndex, a sparse tensor "
            f"(row = target) or a CompressedGraph"
        )
    if is_one_pass(edge_index) and is_sorted_anew(edge_index):
        return sort_edges(edge_index, num_dst, num_src)
    if isinstance(edge_index, EdgeIndex):
        num_dst, num_src = _sizes_of_edge_index(edge_index, num_dst, num_src)
    parts, name = (edge_index,), ("compress", edge_index.layout, num_dst, num_src)
    if edge_index.layout in _SPARSE:
        # Other values on the same pattern (features after dropout, say) make no other graph.
        parts, name = sparse_pattern(edge_index), (*name, edge_index.shape)
    return remember(name, parts, lambda: sort_edges(edge_index, num_dst, num_src))


def is_sorted_anew(edge_index: Tensor) -> bool:
    """Tell whether a graph that `is_one_pass` is so small that nothing is kept of it."""
    return edge_index.layout == torch.strided and edge_index.size(1) < _ANEW_EDGES and has_numba()


def is_one_pass(edge_index: Tensor) -> bool:
    """Tell whether a graph is sorted by one compiled pass: an edge list in main memory, not too long."""
    return (
        edge_index.layout == torch.strided
        and edge_index.device.type == "cpu"
        and edge_index.dim() == 2
        and edge_index.size(1) < _ONE_PASS_EDGES
        and edge_index.size(0) == 2
        and edge_index.dtype in (torch.int64, torch.int32)
        and has_numba()
    )


def _check_compressed(graph: CompressedGraph, num_dst: int | None, num_src: int | None) -> CompressedGraph:
    for name, asked, given in (("num_dst", num_dst, graph.num_dst), ("num_src", num_src, graph.num_src)):
        if asked is not None and asked != given:
            raise ValueError(
                f"the compressed graph has {name}={given}, but {asked} is asked for: "
                f"compress its edges with {name}={asked}"
            )
    return graph


def sort_edges(edge_index: Tensor, num_dst: int | None, num_src: int | None) -> CompressedGraph:
    """`compress` without looking whether it was done before: for graphs that are themselves made for a moment."""
    with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext():
        return _sort_edges(edge_index, num_dst, num_src)


def _sort_edges(edge_index: Tensor, num_dst: int | None, num_src: int | None) -> CompressedGraph:
    if edge_index.layout in _SPARSE:
        return _from_sparse(edge_index, num_dst, num_src)
    if edge_index.layout != torch.strided or edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise ValueError(
            f"edge_index has shape {list(edge_index.shape)} and layout {edge_index.layout}: edges are a [2, E] tensor "
            f"(a dense adjacency becomes one with adjacency.nonzero().t())"
        )
    if edge_index.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"edge_index has dtype {edge_index.dtype}: node numbers are int64 or int32; call edge_index.long()"
        )
    edges = edge_index
    if isinstance(edge_index, EdgeIndex):
        # Not its own cache of sorted edges: that one is not told of changes in its memory.
        num_dst, num_src = _sizes_of_edge_index(edge_index, num_dst, num_src)
        edges = edge_index.as_tensor()
    num_src, num_dst = _sizes(edges, num_src, num_dst)
    if is_one_pass(edges):
        from gnnkit.ops._numba_build import build_graph

        graph = build_graph(edges, num_dst, num_src)
        if graph is not None:
            return graph
    # A copy that nobody else can write to: the sort must find the ids that the check has found.
    edges = edges.clone()
    _check_range("row 0 of edge_index", "num_src", edges[0], num_src)
    _check_range("row 1 of edge_index", "num_dst", edges[1], num_dst)
    rowptr, col, perm = _sort_by(edges[1], num_dst, edges[0], num_src)
    if bool((edges[1, 1:] >= edges[1, :-1]).all()):
        perm = None
    return CompressedGraph(num_src, num_dst, rowptr, col, perm)


def _sizes_of_edge_index(
    edge_index: EdgeIndex, num_dst: int | None, num_src: int | None
) -> tuple[int | None, int | None]:
    # EdgeIndex's sparse size is (sources, targets).
    return (
        edge_index.sparse_size(1) if num_dst is None else num_dst,
        edge_index.sparse_size(0) if num_src is None else num_src,
    )


def _sizes(edges: Tensor, num_src: int | None, num_dst: int | None) -> tuple[int, int]:
    if num_src is None and num_dst is None:
        num_src = num_dst = int(edges.max()) + 1 if edges.numel() else 0
    num_src = num_dst if num_src is None else num_src
    num_dst = num_src if num_dst is None else num_dst
    for name, size in (("num_src", num_src), ("num_dst", num_dst)):
        if size is None or size < 0:
            raise ValueError(f"{name}={size}: a number of nodes is 0 or more")
    return num_src, num_dst  # pyright: ignore[reportReturnType]


def _check_range(what: str, size_name: str, indices: Tensor, size: int) -> None:
    if indices.numel() == 0:
        return
    low, high = (int(end) for end in torch.aminmax(indices))
    if low < 0 or high >= size:
        raise ValueError(
            f"{what} holds node {low if low < 0 else high}, but {size_name}={size}: numbers are 0 to {size_name} - 1; "
            f"pass the number of nodes, or renumber them"
        )


def _index_dtype(*sizes: int) -> torch.dtype:
    return torch.int32 if max(sizes) <= _INT32_MAX else torch.int64


def _sort_by(keys: Tensor, num_keys: int, values: Tensor, num_values: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort edges by key, stably: where each key begins, the values in that order, and the permutation."""
    dtype = _index_dtype(num_keys, num_values, keys.numel())
    if keys.device.type == "cpu" and has_numba():
        from gnnkit.ops._numba_structure import counting_sort

        return counting_sort(keys, num_keys, values, dtype)
    ordered, perm = torch.sort(keys, stable=True)
    pointers = torch.searchsorted(ordered, torch.arange(num_keys + 1, dtype=keys.dtype, device=keys.device))
    return pointers.to(dtype), values.index_select(0, perm).to(dtype), perm.to(dtype)


def _from_sparse(adjacency: Tensor, num_dst: int | None, num_src: int | None) -> CompressedGraph:
    if adjacency.dim() != 2:
        raise ValueError(f"the sparse adjacency has shape {list(adjacency.shape)}: it is [num_dst, num_src]")
    rows, columns = adjacency.shape
    for name, asked, given in (("num_dst", num_dst, rows), ("num_src", num_src, columns)):
        if asked is not None and asked != given:
            raise ValueError(
                f"the sparse adjacency is {rows} x {columns} (row = target), but {name}={asked}: they must agree; "
                f"pass adj.t() if its rows are sources"
            )
    # Copies, as of an edge list: who sorts or reads them must find what was checked.
    if adjacency.layout == torch.sparse_csr:
        rowptr, col = (part.clone() for part in sparse_pattern(adjacency))
        _check_pointers("row", rowptr, rows, col.numel())
        _check_range("a column index of the sparse tensor", "num_src", col, columns)
        rowptr, col = (part.to(_index_dtype(rows, columns, col.numel())) for part in (rowptr, col))
        return CompressedGraph(columns, rows, rowptr, col)
    if adjacency.layout == torch.sparse_coo:
        targets, sources = adjacency._indices().clone()
        _check_range("a column index of the sparse tensor", "num_src", sources, columns)
    else:
        colptr, targets = (part.clone() for part in sparse_pattern(adjacency))
        _check_pointers("column", colptr, columns, targets.numel())
        sources = torch.repeat_interleave(torch.arange(columns, device=targets.device), colptr.diff())
    _check_range("a row index of the sparse tensor", "num_dst", targets, rows)
    rowptr, col, perm = _sort_by(targets, rows, sources, columns)
    return CompressedGraph(columns, rows, rowptr, col, perm)


def _check_pointers(what: str, pointers: Tensor, count: int, size: int) -> None:
    """Check where the rows (or columns) of a sparse tensor begin; its constructors do not, unless they are asked to."""
    ends = (int(pointers[0]), int(pointers[-1])) if pointers.numel() == count + 1 else None
    if ends != (0, size) or bool((pointers.diff() < 0).any()):
        raise ValueError(
            f"the sparse tensor's {what} pointers are wrong: they are {count + 1} numbers from 0 to {size} that never "
            f"fall; torch.sparse.check_sparse_tensor_invariants() looks at them where the tensor is made"
        )
