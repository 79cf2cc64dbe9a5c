"""Graphs in memory, as people have them: networkx, data frames, matrices, PyG's Data."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from gnnkit.data.own_graph_csv import TableGraph, matrix_edges, table_graph, wrong_size
from gnnkit.data.tables import table_of_frame

__all__ = ["read_graph_object"]


def read_graph_object(graph: Any, names: list[str], graph_format: str, notes: list[str]) -> TableGraph:
    """Read a graph that is in memory.

    Args:
        graph: A networkx graph (an undirected edge counts in both directions; its attribute weight, else 1), a data
            frame of edges or of a matrix, a matrix `[N, N]` (array, scipy sparse or dense tensor: row i, column j is
            the edge i → j; a sparse tensor is PyG's `adj_t`: row is the target), an `edge_index` `[2, E]`, a pair of
            that and weights, or PyG's `Data`.
        names: Nodes of the series; the graph's are these, or their numbers.
        graph_format: For a data frame.
        notes: Gets sentences on what was guessed.

    Returns:
        The graph.

    Raises:
        TypeError: It is none of these.
        ValueError: Another size or other names than the series has.
    """
    size = len(names)
    if isinstance(graph, pd.DataFrame):
        return table_graph(table_of_frame(graph, "graph"), names, graph_format, notes)
    if graph_format != "auto":
        raise ValueError(f"graph_format={graph_format!r}: only for a CSV file or a data frame; leave graph_format out")
    if isinstance(graph, nx.Graph):
        return _of_networkx(graph, names)
    if isinstance(graph, Data):
        return _of_data(graph, size)
    if isinstance(graph, (tuple, list)) and len(graph) == 2 and all(hasattr(part, "shape") for part in graph):
        return _of_edges(_array(graph[0]), _array(graph[1]), size)
    if isinstance(graph, torch.Tensor) and graph.layout != torch.strided:
        sparse = graph.to_sparse_coo().coalesce()
        _check_square(tuple(sparse.shape), size)
        return TableGraph(sparse.indices().flip(0).numpy(), sparse.values().double().numpy())
    if scipy.sparse.issparse(graph):
        matrix: Any = graph
        _check_square(matrix.shape, size)
        found = matrix.tocoo()
        return TableGraph(np.stack([found.row, found.col]).astype(np.int64), found.data.astype(np.float64))
    if isinstance(graph, (np.ndarray, torch.Tensor)):
        array = _array(graph)
        if array.ndim == 2 and array.shape[0] == 2 and size != 2 and array.dtype.kind in "iu":
            return _of_edges(array, np.ones(array.shape[1]), size)
        _check_square(array.shape, size)
        return TableGraph(*matrix_edges(array.astype(np.float64)))
    raise TypeError(
        f"graph: a {type(graph).__name__} is no graph that is known; give a path, a networkx graph, a data frame, a "
        f"matrix [{size}, {size}], edge_index [2, E], or PyG's Data"
    )


def _array(values: Any) -> NDArray[Any]:
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"graph: expected numbers, got {array.dtype}; give a matrix, or a data frame for names")
    return array


def _check_square(shape: tuple[int, ...], size: int) -> None:
    if tuple(shape) != (size, size):
        raise wrong_size("graph", f"the shape {' × '.join(map(str, shape))}", size)


def _of_networkx(graph: nx.Graph, names: list[str]) -> TableGraph:
    number = {name: node for node, name in enumerate(names)}
    labels = [str(node) for node in graph.nodes]
    if not all(label in number for label in labels) and all(isinstance(node, int) for node in graph.nodes):
        number = {str(node): node for node in range(len(names))}
    unknown = next((label for label in labels if label not in number), None)
    if unknown is not None:
        raise ValueError(
            f"graph: {unknown!r} is no node of the series, whose first is {names[0]!r}; give nodes by these names, or "
            f"by numbers from 0 to {len(names) - 1}"
        )
    found: list[tuple[int, int, float]] = []
    for source, target, weight in graph.edges(data="weight", default=1.0):
        ends = number[str(source)], number[str(target)]
        try:
            found.append((*ends, float(weight)))
        except (TypeError, ValueError):
            raise ValueError(
                f"graph: the weight from {str(source)!r} to {str(target)!r} is {weight!r}; give a number"
            ) from None
        if not graph.is_directed() and source != target:
            found.append((ends[1], ends[0], float(weight)))
    edge_index = np.array([edge[:2] for edge in found], dtype=np.int64).reshape(-1, 2).T
    return TableGraph(edge_index, np.array([edge[2] for edge in found], dtype=np.float64))


def _of_data(data: Data, size: int) -> TableGraph:
    if data.edge_index is None:
        raise ValueError("graph: the Data has no edge_index; give one with edges, or no graph")
    stated = data["num_nodes"] if "num_nodes" in data else None if data.x is None else data.x.shape[0]
    if stated not in (None, size):
        raise ValueError(f"graph: the Data has {stated} nodes, but the series has {size}; give the same nodes")
    edge_index = _array(data.edge_index)
    weight = data.edge_weight if data.edge_weight is not None else data.edge_attr
    if weight is None:
        return _of_edges(edge_index, np.ones(edge_index.shape[1]), size)
    values = _array(weight)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    return _of_edges(edge_index, values, size)


def _of_edges(edge_index: NDArray[Any], weight: NDArray[Any], size: int) -> TableGraph:
    if edge_index.ndim != 2 or edge_index.shape[0] != 2 or edge_index.dtype.kind not in "iu":
        raise ValueError(
            f"graph: edge_index must be whole numbers of shape [2, E], got {edge_index.dtype} of shape "
            f"{list(edge_index.shape)}"
        )
    if edge_index.size and not (edge_index.min() >= 0 and edge_index.max() < size):
        raise ValueError(
            f"graph: edge_index names the nodes {edge_index.min()} to {edge_index.max()}, but the series has {size} "
            f"nodes, 0 to {size - 1}"
        )
    if weight.shape != (edge_index.shape[1],):
        raise ValueError(
            f"graph: weights must be {edge_index.shape[1]} numbers, one an edge, got shape {list(weight.shape)}"
        )
    return TableGraph(edge_index.astype(np.int64), weight.astype(np.float64))
