"""Compress a graph: any format in, its edges sorted by target out, once per graph."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops.structure.fingerprint import has_numba
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.structure.remembered import remember, sparse_pattern
from gnnkit.ops.structure.sort import check_range, index_dtype, sort_by

__all__ = ["compress", "is_one_pass", "is_sorted_anew", "sort_edges"]

_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)

# So few edges are sorted by one compiled pass on one thread, and still fewer every time: a graph of which nothing is
# kept cannot be out of date.
_ONE_PASS_EDGES, _ANEW_EDGES = 100_000, 8192


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
        from gnnkit.ops.structure.numba_build import build_graph

        graph = build_graph(edges, num_dst, num_src)
        if graph is not None:
            return graph
    # A copy that nobody else can write to: the sort must find the ids that the check has found.
    edges = edges.clone()
    check_range("row 0 of edge_index", "num_src", edges[0], num_src)
    check_range("row 1 of edge_index", "num_dst", edges[1], num_dst)
    rowptr, col, perm = sort_by(edges[1], num_dst, edges[0], num_src)
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
        check_range("a column index of the sparse tensor", "num_src", col, columns)
        rowptr, col = (part.to(index_dtype(rows, columns, col.numel())) for part in (rowptr, col))
        return CompressedGraph(columns, rows, rowptr, col)
    if adjacency.layout == torch.sparse_coo:
        targets, sources = adjacency._indices().clone()
        check_range("a column index of the sparse tensor", "num_src", sources, columns)
    else:
        colptr, targets = (part.clone() for part in sparse_pattern(adjacency))
        _check_pointers("column", colptr, columns, targets.numel())
        sources = torch.repeat_interleave(torch.arange(columns, device=targets.device), colptr.diff())
    check_range("a row index of the sparse tensor", "num_dst", targets, rows)
    rowptr, col, perm = sort_by(targets, rows, sources, columns)
    return CompressedGraph(columns, rows, rowptr, col, perm)


def _check_pointers(what: str, pointers: Tensor, count: int, size: int) -> None:
    """Check where the rows (or columns) of a sparse tensor begin; its constructors do not, unless they are asked to."""
    ends = (int(pointers[0]), int(pointers[-1])) if pointers.numel() == count + 1 else None
    if ends != (0, size) or bool((pointers.diff() < 0).any()):
        raise ValueError(
            f"the sparse tensor's {what} pointers are wrong: they are {count + 1} numbers from 0 to {size} that never "
            f"fall; torch.sparse.check_sparse_tensor_invariants() looks at them where the tensor is made"
        )
