"""A graph as the kernels read it: edges sorted by target, and by source, once per graph."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex

from gnnkit._optional import is_available

__all__ = ["CompressedGraph", "compress", "forget", "is_transformed", "remember"]

T = TypeVar("T")
Graph = "Tensor | EdgeIndex | CompressedGraph"

_INT32_MAX = 2**31 - 1
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)


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

    Shape:
        rowptr `[num_dst + 1]`, col `[E]`, perm `[E]`.
    """

    num_src: int
    num_dst: int
    rowptr: Tensor
    col: Tensor
    perm: Tensor | None = None
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

    @cached_property
    def _outgoing(self) -> tuple[Tensor, Tensor, Tensor]:
        return _sort_by(self.col, self.num_src, self.row_of_edge)

    @property
    def colptr(self) -> Tensor:
        """Where the outgoing edges of each source begin, `[num_src + 1]`; made on first use."""
        return self._outgoing[0]

    @property
    def row(self) -> Tensor:
        """Target of each edge, in CSC order, `[E]`."""
        return self._outgoing[1]

    @property
    def perm_t(self) -> Tensor:
        """CSC position → CSR position, `[E]`."""
        return self._outgoing[2]

    @property
    def row_of_edge(self) -> Tensor:
        """Target of each edge, in CSR order, `[E]`; made anew on each use."""
        rows = torch.arange(self.num_dst, dtype=self.col.dtype, device=self.device)
        return torch.repeat_interleave(rows, self.degree, output_size=self.num_edges)

    @property
    def degree(self) -> Tensor:
        """Number of incoming edges of each target, `[num_dst]`."""
        return self.rowptr[1:] - self.rowptr[:-1]

    @cached_property
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

    def to_user_order(self, values: Tensor) -> Tensor:
        """Bring per-edge values `[E, ...]` from CSR order to the user's order."""
        if self.perm is None:
            return values
        ordered = torch.empty_like(values)
        ordered[self.perm.long()] = values
        return ordered


def is_transformed(*tensors: Tensor | None) -> bool:
    """Tell whether plain kernels would give a wrong answer on these tensors.

    That is so inside a `torch.func` transform, under forward-mode derivatives, and for tensor subclasses.

    Args:
        *tensors: The values of an op's call.

    Returns:
        True where only torch's own operators know what to do.
    """
    if _functorch.maybe_current_level() is not None or forward_ad._current_level >= 0:
        return True
    return any(tensor is not None and type(tensor) not in (Tensor, torch.nn.Parameter) for tensor in tensors)


class _Entry:
    """A remembered value, with the tensors that it was made of: weakly held, as they were then."""

    __slots__ = ("refs", "value", "versions")

    def __init__(self, tensors: tuple[Tensor, ...], key: Hashable, value: object) -> None:
        remembered = _remembered  # by the end of the interpreter the module's names are gone before the tensors

        def drop(_: object) -> None:
            remembered.pop(key, None)

        self.refs = tuple(weakref.ref(tensor, drop) for tensor in tensors)
        self.versions = tuple(_version(tensor) for tensor in tensors)
        self.value = value

    def is_for(self, tensors: tuple[Tensor, ...]) -> bool:
        return all(ref() is tensor for ref, tensor in zip(self.refs, tensors, strict=True)) and self.versions == tuple(
            _version(tensor) for tensor in tensors
        )


_remembered: dict[Hashable, _Entry] = {}


def _version(tensor: Tensor) -> int | tuple[int, ...]:
    if isinstance(tensor, EdgeIndex):
        return tensor._data._version
    if tensor.layout == torch.sparse_csr:
        # Whoever writes into the parts of a sparse tensor bumps the counters of the parts alone.
        return (
            tensor._version,
            tensor.crow_indices()._version,
            tensor.col_indices()._version,
            tensor.values()._version,
        )
    if tensor.layout == torch.sparse_coo:
        return (tensor._version, tensor._indices()._version, tensor._values()._version)
    return tensor._version


def remember(name: Hashable, tensors: tuple[Tensor, ...], build: Callable[[], T]) -> T:
    """Build something from tensors once, and again only when one of them has changed.

    The tensors are held weakly and are known by identity and by torch's version counter, which every in-place change
    raises. A change that torch does not see (through `.data`, or through a NumPy array that shares the memory) is not
    noticed: call `forget` after one. Nothing is kept for tensors that require a gradient or count no versions.

    Args:
        name: What is built, with all options that it depends on.
        tensors: All tensors that it depends on.
        build: Makes it. What it returns must not hold `tensors` themselves, or they would never be freed.

    Returns:
        What `build` returned, now or earlier.

    Example:
        >>> weight = torch.ones(3)
        >>> remember("sum", (weight,), lambda: weight.sum().item())
        3.0
        >>> weight[0] = 5.0
        >>> remember("sum", (weight,), lambda: weight.sum().item())
        7.0
    """
    if any(tensor.requires_grad or tensor.is_inference() for tensor in tensors):
        return build()
    key = (name, *(id(tensor) for tensor in tensors))
    entry = _remembered.get(key)
    if entry is not None and entry.is_for(tensors):
        return entry.value  # pyright: ignore[reportReturnType]
    # The versions are read before the build: a change made meanwhile by another thread then counts as one.
    entry = _Entry(tensors, key, None)
    value = build()
    entry.value = value
    _remembered[key] = entry
    return value


def forget(*tensors: Tensor) -> None:
    """Drop what is remembered for these tensors, or for all if none is given.

    Args:
        *tensors: Edge or weight tensors that were changed behind torch's back.
    """
    ids = {id(tensor) for tensor in tensors}
    for key in list(_remembered):
        if not ids or ids.intersection(key[1:]):  # pyright: ignore[reportIndexIssue]
            _remembered.pop(key, None)


def compress(
    edge_index: Tensor | EdgeIndex | CompressedGraph,
    num_dst: int | None = None,
    num_src: int | None = None,
) -> CompressedGraph:
    """Sort a graph's edges by target, once per graph.

    The result is remembered for as long as the tensor lives and is not changed in place (see `remember`). The order of
    parallel edges is kept.

    Args:
        edge_index: Edges j → i as `[2, E]` (row 0: sources j, row 1: targets i), as an `EdgeIndex` (its CSC cache is
            used), as a sparse tensor (row = target, column = source, values not looked at), or compressed already.
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
    return remember(("compress", num_dst, num_src), (edge_index,), lambda: _compress(edge_index, num_dst, num_src))


def _check_compressed(graph: CompressedGraph, num_dst: int | None, num_src: int | None) -> CompressedGraph:
    for name, asked, given in (("num_dst", num_dst, graph.num_dst), ("num_src", num_src, graph.num_src)):
        if asked is not None and asked != given:
            raise ValueError(
                f"the compressed graph has {name}={given}, but {asked} is asked for: "
                f"compress its edges with {name}={asked}"
            )
    return graph


def _compress(edge_index: Tensor, num_dst: int | None, num_src: int | None) -> CompressedGraph:
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
    if isinstance(edge_index, EdgeIndex):
        # EdgeIndex's sparse size is (sources, targets).
        num_src = edge_index.sparse_size(0) if num_src is None else num_src
        num_dst = edge_index.sparse_size(1) if num_dst is None else num_dst
        edges = edge_index.as_tensor()
    else:
        edges = edge_index
    num_src, num_dst = _sizes(edges, num_src, num_dst)
    _check_range("row 0 of edge_index", "num_src", edges[0], num_src)
    if isinstance(edge_index, EdgeIndex) and edge_index.is_sorted:  # else it has no CSC, nor keeps one
        return _from_edge_index(edge_index, num_src, num_dst)
    _check_range("row 1 of edge_index", "num_dst", edges[1], num_dst)
    rowptr, col, perm = _sort_by(edges[1], num_dst, edges[0])
    return CompressedGraph(num_src, num_dst, rowptr, col, perm)


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


def _sort_by(keys: Tensor, num_keys: int, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sort edges by key, stably: where each key begins, the values in that order, and the permutation."""
    dtype = _index_dtype(num_keys, keys.numel(), 0)
    if keys.device.type == "cpu" and is_available("numba"):
        from gnnkit.ops._numba_structure import counting_sort

        return counting_sort(keys, num_keys, values, dtype)
    ordered, perm = torch.sort(keys, stable=True)
    pointers = torch.searchsorted(ordered, torch.arange(num_keys + 1, dtype=keys.dtype, device=keys.device))
    return pointers.to(dtype), values.index_select(0, perm).to(dtype), perm.to(dtype)


def _from_edge_index(edge_index: EdgeIndex, num_src: int, num_dst: int) -> CompressedGraph:
    (rowptr, col), perm = edge_index.get_csc()
    dtype = _index_dtype(num_src, num_dst, edge_index.size(1))
    rowptr = rowptr.as_subclass(Tensor).to(dtype, copy=True)
    if rowptr.numel() > num_dst + 1:
        raise ValueError(
            f"row 1 of edge_index holds nodes up to {rowptr.numel() - 2}, but num_dst={num_dst}: "
            f"numbers are 0 to num_dst - 1"
        )
    if rowptr.numel() < num_dst + 1:  # its cache was filled before the number of nodes was known
        rowptr = torch.cat([rowptr, rowptr.new_full((num_dst + 1 - rowptr.numel(),), edge_index.size(1))])
    # Copies: a view into the edge tensor would keep it alive, and with it the memory of this graph.
    col = col.as_subclass(Tensor).to(dtype, copy=True)
    perm = None if perm is None else perm.as_subclass(Tensor).to(dtype, copy=True)
    return CompressedGraph(num_src, num_dst, rowptr, col, perm)


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
    if adjacency.layout == torch.sparse_csr:
        dtype = _index_dtype(rows, columns, adjacency.values().size(0))
        return CompressedGraph(
            columns,
            rows,
            adjacency.crow_indices().to(dtype, copy=True),
            adjacency.col_indices().to(dtype, copy=True),
        )
    if adjacency.layout == torch.sparse_coo:
        targets, sources = adjacency._indices()
    else:
        targets = adjacency.row_indices()
        counts = adjacency.ccol_indices().diff()
        sources = torch.repeat_interleave(torch.arange(columns, device=targets.device), counts)
    rowptr, col, perm = _sort_by(targets, rows, sources)
    return CompressedGraph(columns, rows, rowptr, col, perm)
