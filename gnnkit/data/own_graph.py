"""Graphs from files: a matrix or a list of edges, matched to the nodes of a series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnkit.data.arrays import check_ids, read_arrays, sparse_from_arrays
from gnnkit.data.tables import Table, existing_file, is_number, numbers, read_table

__all__ = ["read_graph"]

Edges = tuple[NDArray[np.int64], NDArray[np.float64]]
FORMATS = ("auto", "matrix", "edges")
SOURCE_NAMES = frozenset({"source", "src", "from", "i"})
TARGET_NAMES = frozenset({"target", "dst", "to", "j"})


def read_graph(path: str | Path | None, names: list[str], graph_format: str = "auto") -> Edges:
    """Read a graph whose nodes are those of a series.

    Args:
        path: A .csv or .npz file (see `gnnkit.data.read_own`); None for no edges.
        names: Node names of the series, in its order.
        graph_format: `"auto"`, `"matrix"` or `"edges"`, for a CSV file.

    Returns:
        `edge_index` `[2, E]`, in the order of the series, and weights `[E]`; entries of weight 0 are no edges.

    Raises:
        FileNotFoundError: The file is not there.
        ValueError: Another size or other names than the series has, weights that are negative, infinite or missing, an
            unknown ending or format.
    """
    if graph_format not in FORMATS:
        raise ValueError(f"graph_format={graph_format!r}: give one of {', '.join(FORMATS)}")
    if path is None:
        return np.zeros((2, 0), dtype=np.int64), np.zeros(0)
    path = existing_file(path, "graph")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        edge_index, weight = _read_csv(path, names, graph_format)
    elif suffix == ".npz" and graph_format == "auto":
        edge_index, weight = _read_npz(path, len(names))
    elif suffix == ".npz":
        raise ValueError(
            f"graph_format={graph_format!r}: an NPZ file says itself what it holds; leave graph_format out"
        )
    else:
        raise ValueError(f"graph {path.name!r}: unknown ending {path.suffix!r}; give a .csv or .npz file")
    if not np.isfinite(weight).all():
        source, target = edge_index[:, int((~np.isfinite(weight)).argmax())]
        raise ValueError(
            f"{path.name}: the weight from {names[source]!r} to {names[target]!r} is missing or infinite; "
            f"write 0 where there is no edge"
        )
    if (weight < 0).any():
        source, target = edge_index[:, int((weight < 0).argmax())]
        raise ValueError(
            f"{path.name}: the weight from {names[source]!r} to {names[target]!r} is negative; graph models divide by "
            f"sums of weights, so give weights from 0 on (for correlations, their absolute values)"
        )
    kept = weight != 0
    return edge_index[:, kept], weight[kept]


def _read_csv(path: Path, names: list[str], graph_format: str) -> Edges:
    table, size = read_table(path), len(names)
    first = [cell.lower() for cell in table.cells[0]]
    titled = len(first) in (2, 3) and first[0] in SOURCE_NAMES and first[1] in TARGET_NAMES
    if graph_format == "edges" or (graph_format == "auto" and titled):
        return _edge_list(table, names, titled)
    rows, columns = len(table.cells), table.width
    fits = rows - size in (0, 1) and columns - size in (0, 1)
    if graph_format == "auto" and not fits and columns in (2, 3) and _looks_like_edges(table, names):
        return _edge_list(table, names, False)
    if not fits:
        raise _wrong_size(path, f"{rows} × {columns} cells", size)
    return _matrix(table, names)


def _looks_like_edges(table: Table, names: list[str]) -> bool:
    known = set(names)
    return all(cell in known or cell.isdecimal() for row in table.cells for cell in row[:2])


def _wrong_size(path: Path, found: str, size: int) -> ValueError:
    return ValueError(
        f"{path.name}: the graph has {found}, but the series has {size} nodes; "
        f"give a {size} × {size} matrix or an edge list with the columns source,target,weight"
    )


def _matrix(table: Table, names: list[str]) -> Edges:
    size = len(names)
    headed, indexed = len(table.cells) == size + 1, table.width == size + 1
    labels = {}
    if headed:
        labels["first line"] = table.cells[0][int(indexed) :]
        table = table.rows_from(1)
    if indexed:
        labels["first column"] = table.column(0)
        table = table.columns_from(1)
    if not headed and not indexed and not all(is_number(cell) for cell in table.cells[0]):
        raise _wrong_size(table.path, f"a line of names and {size - 1} rows", size)
    columns = _order(labels.get("first line", labels.get("first column")), names, "first line", table.path)
    rows = _order(labels.get("first column", labels.get("first line")), names, "first column", table.path)
    matrix = np.empty((size, size))
    matrix[np.ix_(rows, columns)] = numbers(table)
    return _nonzeros(matrix)


def _order(labels: list[str] | None, names: list[str], where: str, path: Path) -> list[int]:
    """Place of each label among the nodes."""
    if labels is None:
        return list(range(len(names)))
    number = {name: node for node, name in enumerate(names)}
    unknown = [label for label in labels if label not in number]
    if unknown and labels == [str(node) for node in range(len(names))]:
        return list(range(len(names)))  # row numbers that a data frame was saved with, not names
    if unknown:
        raise ValueError(
            f"{path.name}: {where}: {unknown[0]!r} is no node of the series; its first node is {names[0]!r}"
        )
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"{path.name}: {where}: the node {twice!r} comes twice")
    return [number[label] for label in labels]


def _nonzeros(matrix: NDArray[np.float64]) -> Edges:
    edge_index = np.stack(matrix.nonzero()).astype(np.int64)  # NaN counts as not zero, and is refused later
    return edge_index, matrix[edge_index[0], edge_index[1]]


def _edge_list(table: Table, names: list[str], titled: bool) -> Edges:
    path = table.path
    if table.width not in (2, 3):
        raise ValueError(
            f"{path.name}: an edge list has the columns source,target or source,target,weight; found {table.width}"
        )
    table = table.rows_from(1) if titled else table
    if not table.cells:
        return np.zeros((2, 0), dtype=np.int64), np.zeros(0)
    ends = [row[:2] for row in table.cells]
    number = {name: node for node, name in enumerate(names)}
    by_name = all(cell in number for pair in ends for cell in pair)
    if not by_name and all(cell.isdecimal() for pair in ends for cell in pair):
        number = {str(node): node for node in range(len(names))}
    for line, pair in zip(table.lines, ends, strict=True):
        for cell in pair:
            if cell not in number:
                raise ValueError(
                    f"{path.name}: line {line}: {cell!r} is no node of the series; give one of its names, "
                    f"or for all edges a number from 0 to {len(names) - 1}, for it has {len(names)} nodes"
                )
    edge_index = np.array([[number[cell] for cell in pair] for pair in ends], dtype=np.int64).T
    if table.width == 2:
        return edge_index, np.ones(len(ends))
    weight = numbers(table.columns_from(2))[:, 0]
    if np.isnan(weight).any():
        line = table.lines[int(np.isnan(weight).argmax())]
        raise ValueError(
            f"{path.name}: line {line} has no weight; give one to every edge, or leave the column out for weights of 1"
        )
    return edge_index, weight


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
        raise _wrong_size(path, f"the shape {matrix.shape[0]} × {matrix.shape[1]}", size)
    return _nonzeros(matrix.astype(np.float64))


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
        raise _wrong_size(path, f"the shape {shape[0]} × {shape[1]}", size)
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
