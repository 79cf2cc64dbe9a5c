"""Edge lists to and from the other formats of a graph: sparse CSR tensors and networkx graphs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import Data

from gnnkit.graph.adjacency import SelfLoops, set_self_loops

if TYPE_CHECKING:  # imported where one is made: layers need none
    import networkx as nx

__all__ = ["as_data", "from_csr", "from_networkx", "to_csr", "to_networkx"]


def to_csr(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    *,
    self_loops: SelfLoops = "keep",
) -> Tensor:
    """Write an edge list as a sparse CSR tensor `adj_t`: rows are targets, duplicate edges add up.

    Args, Raises: as `to_dense`.

    Returns:
        The tensor `[N, N]` that PyG's layers and gnnkit's take as `adj_t`.

    Example:
        >>> to_csr(torch.tensor([[0, 1], [1, 0]]), None, 2).col_indices().tolist()
        [1, 0]
    """
    return _coalesced(edge_index, edge_weight, num_nodes, self_loops).to_sparse_csr()


def _coalesced(edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, self_loops: SelfLoops) -> Tensor:
    edge_index, edge_weight = set_self_loops(edge_index, edge_weight, num_nodes, self_loops)
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    size = (num_nodes, num_nodes)
    return torch.sparse_coo_tensor(edge_index.flip(0), edge_weight, size, check_invariants=False).coalesce()


def from_csr(adj_t: Tensor, *, self_loops: SelfLoops = "keep") -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"]]:
    """Read a sparse CSR or COO tensor `adj_t`, whose rows are targets, as an edge list.

    Args:
        adj_t: A square sparse tensor.
        self_loops: `"keep"` (default), `"add"` the missing ones with weight 1, or `"remove"`.

    Returns:
        `edge_index`, sorted by target, and `edge_weight`.

    Raises:
        ValueError: `adj_t` is not sparse or not square.

    Example:
        >>> from_csr(to_csr(torch.tensor([[0], [1]]), None, 2))[0].tolist()
        [[0], [1]]
    """
    if adj_t.layout not in (torch.sparse_csr, torch.sparse_coo):
        raise ValueError(
            f"adj_t must be a sparse CSR or COO tensor, got {adj_t.layout}; use from_dense for a dense one"
        )
    if adj_t.dim() != 2 or adj_t.size(0) != adj_t.size(1):
        raise ValueError(f"adj_t must be square, [N, N], got {list(adj_t.shape)}")
    coo = (adj_t if adj_t.layout == torch.sparse_coo else adj_t.to_sparse_coo()).coalesce()
    index, weight = set_self_loops(coo.indices().flip(0), coo.values(), adj_t.size(0), self_loops)
    assert weight is not None  # for the type checker: a weight that goes in comes out
    return index, weight


def to_networkx(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    *,
    node_names: Sequence[Hashable] | None = None,
    self_loops: SelfLoops = "keep",
) -> nx.DiGraph:
    """Write an edge list as a directed networkx graph with an edge attribute `weight`; duplicate edges add up.

    Args:
        edge_index, edge_weight, num_nodes, self_loops: As `to_dense`; isolated nodes are kept.
        node_names: N names; None (default) names nodes 0 .. N - 1.

    Returns:
        The graph; `.to_undirected()` makes it one.

    Raises:
        ValueError: A malformed edge list, an unknown `self_loops`, or `node_names` that are not N different names.

    Example:
        >>> sorted(to_networkx(torch.tensor([[0, 1], [1, 2]]), None, 3, node_names="ABC").edges)
        [('A', 'B'), ('B', 'C')]
    """
    names: Sequence[Hashable] = range(num_nodes) if node_names is None else node_names
    if len(names) != num_nodes or len(set(names)) != num_nodes:
        raise ValueError(
            f"node_names must be {num_nodes} different names, got {len(names)} ({len(set(names))} different)"
        )
    index, weight = from_csr(_coalesced(edge_index, edge_weight, num_nodes, self_loops))
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    for source, target, value in zip(*index.tolist(), weight.tolist(), strict=True):
        graph.add_edge(names[source], names[target], weight=value)
    return graph


def from_networkx(
    graph: Any, *, weight: str = "weight", self_loops: SelfLoops = "keep"
) -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"], tuple[Hashable, ...]]:
    """Read a networkx graph as an edge list; an undirected edge becomes one edge each way, a self-loop stays one.

    Args:
        graph: A networkx `Graph`, `DiGraph`, or one of their multi-edge forms.
        weight: The edge attribute that holds the weight; an edge without it weighs 1.
        self_loops: `"keep"` (default), `"add"` the missing ones with weight 1, or `"remove"`.

    Returns:
        `edge_index`, `edge_weight`, and the names of nodes 0 .. N - 1 in the graph's own order.

    Raises:
        ValueError: An unknown `self_loops`.

    Example:
        >>> import networkx as nx
        >>> from_networkx(nx.path_graph(["A", "B"]))
        (tensor([[0, 1],
                [1, 0]]), tensor([1., 1.]), ('A', 'B'))
    """
    names = tuple(graph.nodes)
    position = {name: i for i, name in enumerate(names)}
    directed = graph if graph.is_directed() else graph.to_directed()
    triples = [(position[u], position[v], float(w)) for u, v, w in directed.edges(data=weight, default=1.0)]
    edge_index = torch.tensor([[u, v] for u, v, _ in triples], dtype=torch.long).view(-1, 2).t().contiguous()
    edge_weight = torch.tensor([w for _, _, w in triples], dtype=torch.get_default_dtype())
    index, kept = set_self_loops(edge_index, edge_weight, len(names), self_loops)
    assert kept is not None  # for the type checker: a weight that goes in comes out
    return index, kept, names


def as_data(graph: Any) -> Data:
    """Take a PyG `Data` as it is, and a networkx graph as a `Data`.

    Args:
        graph: Either of the two.

    Returns:
        The `Data`; one made of a networkx graph has `edge_index`, `edge_weight`, `num_nodes` and `node_names`.

    Raises:
        ValueError: Something else.

    Example:
        >>> import networkx as nx
        >>> as_data(nx.path_graph(["A", "B"])).node_names
        ('A', 'B')
    """
    import networkx as nx

    if isinstance(graph, Data):
        return graph
    if not isinstance(graph, nx.Graph):
        raise ValueError(f"graph must be a PyG Data or a networkx graph, got {type(graph).__name__}")
    edge_index, edge_weight, names = from_networkx(graph)
    return Data(edge_index=edge_index, edge_weight=edge_weight, num_nodes=len(names), node_names=names)
