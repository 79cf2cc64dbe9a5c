"""Graphs from files: a matrix or a list of edges, matched to the nodes of a series."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gnnkit.data.arrays import check_ids, read_arrays, sparse_from_arrays
from gnnkit.data.own_graph_csv import Edges, TableGraph, matrix_edges, table_graph, wrong_size
from gnnkit.data.own_made import THRESHOLD, check_neighbours
from gnnkit.data.own_weights import doubt_weights
from gnnkit.data.tables import existing_file, is_text, read_table
from gnnkit.graph import gaussian_kernel, nearest

__all__ = ["read_graph"]

FORMATS = ("auto", "matrix", "edges")
WEIGHTS = ("similarity", "distance")
"""What weights say: larger is nearer, or farther."""


def read_graph(
    graph: Any,
    names: list[str],
    graph_format: str = "auto",
    notes: list[str] | None = None,
    *,
    weights: str | None = None,
    neighbours: int | None = None,
    distance: NDArray[np.float64] | None = None,
    alike: Callable[[], NDArray[np.float64]] | None = None,
) -> Edges:
    """Read a graph whose nodes are those of a series.

    Args:
        graph: A .csv or .npz file, or an object (see `gnnkit.data.read_own`); None for no edges.
        names: Node names of the series, in its order.
        graph_format: `"auto"`, `"matrix"` or `"edges"`, for a CSV file or a data frame.
        notes: Gets sentences on what was guessed, and on weights that may be distances.
        weights: `"similarity"`, `"distance"` (they go through `gaussian_kernel`, without loops) or None: similarities,
            unless they surely are distances (see `doubt_weights`), which is an error.
        neighbours: Of distances, only the edges of a node's so many nearest ones are kept; None: all that the kernel
            leaves.
        distance: Between the places of the nodes, `[N, N]`; None: not known.
        alike: Gives how alike the training values of two nodes are, `[N, N]`; None: not known.

    Returns:
        `edge_index` `[2, E]`, in the order of the series, and weights `[E]`; entries of weight 0 are no edges.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: Another size or other names than the series has, weights that are negative, infinite or missing, or
            distances where nobody said so, an unknown ending or format.
    """
    if weights not in (None, *WEIGHTS):
        raise ValueError(f"graph_weights={weights!r}: give one of {', '.join(WEIGHTS)}")
    if graph_format not in FORMATS:
        raise ValueError(f"graph_format={graph_format!r}: give one of {', '.join(FORMATS)}")
    if graph is None:
        return np.zeros((2, 0), dtype=np.int64), np.zeros(0)
    said: list[str] = []
    if isinstance(graph, (str, PathLike)):
        path = existing_file(Path(graph), "graph")
        name = path.name
        found = _read_file(path, names, graph_format, said)
    else:
        name = "graph"
        from gnnkit.data.own_graph_object import read_graph_object  # networkx and PyG: whose graph is a file needs none

        found = read_graph_object(graph, names, graph_format, said)
    edge_index, weight = found.edge_index, found.weight
    if weights == "distance":  # where there is no way, people write that it is infinite
        edge_index, weight = edge_index[:, np.isfinite(weight)], weight[np.isfinite(weight)]
    if not np.isfinite(weight).all():
        source, target = edge_index[:, int((~np.isfinite(weight)).argmax())]
        raise ValueError(
            f"{name}: the weight from {names[source]!r} to {names[target]!r} is missing or infinite; "
            f"write 0 where there is no edge"
        )
    if (weight < 0).any():
        source, target = edge_index[:, int((weight < 0).argmax())]
        raise ValueError(
            f"{name}: the weight from {names[source]!r} to {names[target]!r} is negative; graph models divide by "
            f"sums of weights, so give weights from 0 on (for correlations, their absolute values)"
        )
    if weights == "distance":
        edge_index, weight = _turned_round(edge_index, weight, len(names), neighbours, name, said)
    else:
        edge_index, weight = edge_index[:, weight != 0], weight[weight != 0]
    if weights is None:
        doubt = doubt_weights(edge_index, weight, found.length, len(names), distance=distance, alike=alike)
        if doubt.sure:
            raise ValueError(
                f"{name}: the weights {doubt.words}, as distances do; give --graph-weights distance, which makes "
                f"similarities of them, or --graph-weights similarity to take them as they are, larger is nearer"
            )
        if doubt.words:
            said.append(
                f"{name}: the weights {doubt.words}; they are taken as similarities, larger is nearer: if they are "
                f"distances, give --graph-weights distance."
            )
    if notes is not None:
        notes += said
    return edge_index, weight


def _turned_round(
    edge_index: NDArray[np.int64],
    length: NDArray[np.float64],
    size: int,
    neighbours: int | None,
    name: str,
    notes: list[str],
) -> Edges:
    """Edges whose weights are similarities, made of their lengths."""
    apart = edge_index[0] != edge_index[1]
    edge_index, length = edge_index[:, apart], length[apart]
    if not length.size:
        raise ValueError(f"{name}: no distance between two nodes; give some, or no graph")
    if neighbours is not None:
        check_neighbours(neighbours, size)
        matrix = torch.full((size, size), torch.inf, dtype=torch.float64)
        matrix[edge_index[0], edge_index[1]] = torch.from_numpy(length)
        near = nearest(torch.minimum(matrix, matrix.T), neighbours).numpy()[edge_index[0], edge_index[1]]
        return edge_index[:, near], np.ones(int(near.sum()))
    weight = gaussian_kernel(torch.from_numpy(length), THRESHOLD).numpy()
    far = int((weight == 0).sum())
    if far == len(weight):
        raise ValueError(
            f"{name}: the distances, {length.min():.4g} to {length.max():.4g}, are all far beyond their "
            f"standard deviation {length.std():.4g}, the width of the kernel, and no edge is left; "
            f"give neighbours (--neighbours 3)"
        )
    if far:
        notes.append(
            f"{name}: {far} of {len(weight)} distances are beyond the reach of the kernel, "
            f"{length[weight > 0].max():.4g} at most, and no edges."
        )
    return edge_index[:, weight > 0], weight[weight > 0]


def _read_file(path: Path, names: list[str], graph_format: str, notes: list[str]) -> TableGraph:
    if is_text(path):
        return table_graph(read_table(path, notes), names, graph_format, notes)
    if path.suffix.lower() == ".npz" and graph_format == "auto":
        return TableGraph(*_read_npz(path, len(names)))
    if path.suffix.lower() == ".npz":
        raise ValueError(
            f"graph_format={graph_format!r}: an NPZ file says itself what it holds; leave graph_format out"
        )
    raise ValueError(f"graph {path.name!r}: unknown ending {path.suffix!r}; give a .csv or .npz file")


def _read_npz(path: Path, size: int) -> Edges:
    arrays = read_arrays(path)
    if "format" in arrays:
        return _sparse(path, arrays, size)
    if "edge_index" in arrays:
        return _edge_arrays(path, arrays, size)
    if len(arrays) != 1:
        raise ValueError(
            f"{path.name}: has the arrays {', '.join(arrays)}; expected edge_index (and edge_weight), or one matrix"
        )
    (matrix,) = arrays.values()
    if matrix.dtype.kind not in "fiub" or matrix.ndim != 2:
        raise ValueError(f"{path.name}: expected a matrix of numbers, got {matrix.dtype} of shape {list(matrix.shape)}")
    if matrix.shape != (size, size):
        raise wrong_size(path.name, f"the shape {matrix.shape[0]} × {matrix.shape[1]}", size)
    return matrix_edges(matrix.astype(np.float64))


def _sparse(path: Path, arrays: dict[str, np.ndarray], size: int) -> Edges:
    """A matrix that `scipy.sparse.save_npz` wrote."""
    layout = arrays["format"]
    if layout.ndim or layout.dtype.kind not in "SU":
        raise ValueError(f"{path.name}: format must be the name of a sparse layout, got {layout.dtype}")
    name = layout.item() if layout.dtype.kind == "U" else layout.item().decode("ascii", "replace")
    if "coords" in arrays and arrays["coords"].ndim == 2 and len(arrays["coords"]) == 2:
        arrays["row"], arrays["col"] = arrays["coords"]
    shape = arrays.get("shape")
    if shape is not None and shape.dtype.kind in "iu" and shape.shape == (2,) and shape.tolist() != [size, size]:
        raise wrong_size(path.name, f"the shape {shape[0]} × {shape[1]}", size)
    sparse = sparse_from_arrays(name, shape, arrays, f"{path.name}: ", finite=False)  # read_graph names NaN's nodes
    return np.stack([sparse.row, sparse.col]).astype(np.int64), sparse.data.astype(np.float64)


def _edge_arrays(path: Path, arrays: dict[str, np.ndarray], size: int) -> Edges:
    edge_index = arrays["edge_index"]
    if edge_index.ndim != 2 or edge_index.shape[0] != 2 or edge_index.dtype.kind not in "iu":
        raise ValueError(
            f"{path.name}: edge_index must be whole numbers of shape [2, E], "
            f"got {edge_index.dtype} of shape {list(edge_index.shape)}"
        )
    weight = arrays.get("edge_weight", np.ones(edge_index.shape[1]))
    if weight.shape != (edge_index.shape[1],) or weight.dtype.kind not in "fiub":
        raise ValueError(
            f"{path.name}: edge_weight must be {edge_index.shape[1]} numbers, "
            f"got {weight.dtype} of shape {list(weight.shape)}"
        )
    return check_ids(edge_index, size, f"{path.name}: edge_index", of="nodes"), weight.astype(np.float64)
