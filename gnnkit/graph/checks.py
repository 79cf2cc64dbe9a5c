"""Checks of a graph that a user hands in: what is wrong, what is allowed, and what to do about it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch_geometric import EdgeIndex
from torch_geometric.data import Data

from gnnkit.ops.structure.remembered import remember

__all__ = ["check_adj_t", "check_edge_index", "check_edge_weight", "check_graph"]

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_edge_index(edge_index: Tensor, num_nodes: int | tuple[int, int] | None = None, *, ids: bool = True) -> Tensor:
    """Check a plain edge list or `EdgeIndex` and return it as a plain tensor.

    The ids are not looked at while torch compiles, traces or captures, and on a GPU, where each look waits for the
    device, once per tensor and version.

    Args:
        edge_index: Sources and targets, integers.
        num_nodes: Node count N, or the counts of sources and targets of a bipartite graph; None (default) leaves the
            ids' upper end unchecked.
        ids: False leaves the ids themselves unchecked. Default True.

    Shape:
        `edge_index`: `[2, E]`.

    Returns:
        `edge_index`, an `EdgeIndex` without its cache.

    Raises:
        ValueError: `edge_index` is not an integer tensor `[2, E]`, holds an id outside `0 .. num_nodes - 1`, or is an
            `EdgeIndex` of another size.

    Example:
        >>> check_edge_index(torch.tensor([[0, 1], [1, 2]]), num_nodes=3).tolist()
        [[0, 1], [1, 2]]
    """
    if not isinstance(edge_index, Tensor):
        got = type(edge_index).__name__
        way = "from_networkx(graph)[0]" if _is_networkx(edge_index) else "torch.tensor(...)"
        raise ValueError(f"edge_index must be an integer tensor of shape [2, E], got {got}; use {way}")
    if edge_index.layout != torch.strided:
        raise ValueError(f"edge_index must be an edge list [2, E], got {edge_index.layout}; use from_csr first")
    if edge_index.dtype not in _INTEGERS:
        raise ValueError(f"edge_index must hold integer node ids, got {edge_index.dtype}; convert it with .long()")
    if edge_index.dim() != 2 or edge_index.size(0) != 2:
        hint = "; transpose it with .t()" if edge_index.dim() == 2 and edge_index.size(1) == 2 else ""
        raise ValueError(f"edge_index must have shape [2, E] (sources, targets), got {list(edge_index.shape)}{hint}")
    if isinstance(num_nodes, (float, str)) or (isinstance(num_nodes, int) and num_nodes < 0):
        raise ValueError(f"num_nodes must be a whole number from 0 on, got {num_nodes!r}")
    sizes = (num_nodes, num_nodes) if num_nodes is None or isinstance(num_nodes, int) else num_nodes
    plain = edge_index
    if isinstance(edge_index, EdgeIndex):
        plain = edge_index.as_tensor()
        for says, size in zip(edge_index.sparse_size(), sizes, strict=True):
            if says is not None and size is not None and says != size:
                raise ValueError(
                    f"edge_index is an EdgeIndex of sparse_size {edge_index.sparse_size()}, but the graph has "
                    f"{' x '.join(map(str, sizes))} nodes; build it with sparse_size=({sizes[0]}, {sizes[1]})"
                )
    if ids and plain.numel() > 0 and _may_look_at(plain):
        _check_range(plain, sizes)
    return plain


def _is_networkx(graph: object) -> bool:
    """Whether a graph is one of networkx, which nobody has to import to ask that."""
    return any(each.__module__.partition(".")[0] == "networkx" for each in type(graph).__mro__)


def _may_look_at(edge_index: Tensor) -> bool:
    if torch.compiler.is_compiling() or edge_index.is_meta or _functorch.is_functorch_wrapped_tensor(edge_index):
        return False
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return False
    return not (edge_index.is_cuda and torch.cuda.is_current_stream_capturing())


def _check_range(edge_index: Tensor, sizes: tuple[int | None, int | None]) -> None:
    def look() -> list[list[int]]:
        return [ends.tolist() for ends in torch.aminmax(edge_index, dim=1)]

    lows, highs = look() if edge_index.device.type == "cpu" else remember("range of ids", (edge_index,), look)
    for row, (low, high, size) in enumerate(zip(lows, highs, sizes, strict=True)):
        if low < 0 or (size is not None and high >= size):
            allowed = "0 or more" if size is None else f"0 .. {size - 1} ({size} {('source', 'target')[row]} nodes)"
            raise ValueError(
                f"edge_index[{row}] holds node id {low if low < 0 else high}, allowed: {allowed}; number the nodes "
                "from 0 and give every node a row of features"
            )


def check_adj_t(adj_t: Tensor, num_nodes: int | tuple[int, int] | None = None) -> None:
    """Check a sparse tensor `adj_t`, whose rows are targets and whose columns are sources.

    Args:
        adj_t: A sparse CSR or COO tensor.
        num_nodes: Node count N, or the counts of sources and targets; None (default) leaves the size unchecked.

    Shape:
        `adj_t`: `[targets, sources]`.

    Raises:
        ValueError: Another layout than CSR or COO, or another size than `num_nodes` says.

    Example:
        >>> check_adj_t(torch.eye(3).to_sparse_coo(), 3)
    """
    if adj_t.layout not in (torch.sparse_csr, torch.sparse_coo):
        raise ValueError(f"adj_t must be a sparse CSR or COO tensor, got {adj_t.layout}; use adj_t.to_sparse_csr()")
    sizes = (num_nodes, num_nodes) if isinstance(num_nodes, int) else num_nodes
    if sizes is not None and (adj_t.size(1), adj_t.size(0)) != sizes:
        raise ValueError(
            f"adj_t must have shape [targets, sources] = [{sizes[1]}, {sizes[0]}] (one row and one column for each row "
            f"of features), got {list(adj_t.shape[:2])}"
        )


def check_edge_weight(edge_weight: Tensor | None, num_edges: int, *, name: str = "edge_weight") -> None:
    """Check that there is one weight (or one row of features) for each edge.

    Args:
        edge_weight: One entry per edge along the first axis, or None.
        num_edges: Edge count E.
        name: The argument's name in the error.

    Raises:
        ValueError: The first axis is not `num_edges` long, or the entries are not floating-point numbers.

    Example:
        >>> check_edge_weight(torch.ones(2), num_edges=2)
    """
    if edge_weight is None:
        return
    if not isinstance(edge_weight, Tensor):
        raise ValueError(f"{name} must be a tensor, got {type(edge_weight).__name__}; use torch.tensor(...)")
    if edge_weight.dim() == 0 or edge_weight.size(0) != num_edges:
        raise ValueError(
            f"{name} must have one entry for each of the {num_edges} edges, got shape {list(edge_weight.shape)}; give "
            f"{name} in the order of edge_index"
        )
    if not edge_weight.is_floating_point():
        raise ValueError(f"{name} must be of a floating-point type, got {edge_weight.dtype}; convert it with .float()")


def check_graph(graph: Data) -> tuple[Tensor, int]:
    """Check that a PyG `Data` holds a graph, and return its edge list and node count.

    Args:
        graph: A PyG `Data` with `edge_index`, and `num_nodes` or anything that tells it, such as `x`.

    Returns:
        `edge_index` as a plain tensor `[2, E]`, and N.

    Raises:
        ValueError: No edge list, no node count, or a malformed edge list.

    Example:
        >>> check_graph(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2))[1]
        2
    """
    edge_index, num_nodes = getattr(graph, "edge_index", None), getattr(graph, "num_nodes", None)
    if edge_index is None or num_nodes is None:
        raise ValueError(f"graph must be a PyG Data with edge_index and num_nodes, got {graph!r}; set both")
    return check_edge_index(edge_index, num_nodes), num_nodes
