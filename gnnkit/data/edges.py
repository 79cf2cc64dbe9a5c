"""A graph of your own from a list of edges, whose nodes are those that the list names."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch_geometric.data import Data

from gnnkit.data.own_graph_csv import EdgeColumns, titled_columns
from gnnkit.data.tables import Table, existing_file
from gnnkit.data.text_file import decode

__all__ = ["read_edges"]

_SAMPLED = 100


def read_edges(path: str | Path, *, undirected: bool = False) -> Data:
    """Read a CSV file of edges: `source,target` or `source,target,weight`, with or without a title line.

    With one, the columns may be called like these (from and to, src and dst, node1 and node2, …), in any order.

    Args:
        path: The file; the separator is a comma, a semicolon or a tab.
        undirected: True adds to every edge the one in the other direction, where it is not there. Default False: a row
            is the edge source → target.

    Returns:
        The graph: `edge_index`, `edge_weight` `[E]` (ones where there is no third column), `num_nodes`, and
        `node_names`: numbers in their order where all are whole numbers, else names in the order in which they come.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Another number of columns, an empty file, or a weight that is no number, negative or infinite.
    """
    path = existing_file(path, "edges")
    text, _ = decode(path)
    first = text.partition("\n")[0]
    if not first.strip():
        raise ValueError(f"{path.name}: the file is empty; give the columns source,target or source,target,weight")
    separator = max(",;\t", key=first.count)
    titles = [cell.strip().strip('"') for cell in first.split(separator)]
    width = len(titles)
    columns = _columns(path, text, titles, separator)
    titled = columns.titled
    known = {columns.source: "source", columns.target: "target", columns.weight: "weight"}
    try:
        table: Any = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,
            skiprows=1 if titled else 0,
            names=[known.get(place, f"column {place + 1}") for place in range(width)],
            dtype=str,
            keep_default_na=False,
            na_values={"weight": [""]},
            skipinitialspace=True,
            index_col=False,
            on_bad_lines="error",
        )
    except pd.errors.ParserError as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]}; every row needs {width} cells") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{path.name}: there is no edge in it") from None
    if table.empty:
        raise ValueError(f"{path.name}: there is no edge in it")
    ends = table[["source", "target"]].apply(lambda column: column.str.strip())
    if (ends == "").to_numpy().any():
        row = int((ends == "").to_numpy().any(axis=1).argmax())
        raise ValueError(f"{path.name}: line {row + 1 + int(titled)}: an end of the edge has no name")
    codes, found = pd.factorize(ends.to_numpy().ravel())
    names = [str(name) for name in found]
    node_names: tuple[int | str, ...] = tuple(names)
    if all(name.isdecimal() for name in names):
        numbers = np.array([int(name) for name in names])
        numbers, place = np.unique(numbers, return_inverse=True)
        codes, node_names = place[codes], tuple(numbers.tolist())
    edge_index = torch.from_numpy(codes.reshape(-1, 2).T.astype(np.int64).copy())
    weight = np.ones(len(table))
    if columns.weight is not None:
        numbers_read: Any = pd.to_numeric(table["weight"], errors="coerce")
        weight = numbers_read.to_numpy(dtype=np.float64)
        if not (np.isfinite(weight) & (weight >= 0)).all():
            row = int((~(np.isfinite(weight) & (weight >= 0))).argmax())
            raise ValueError(
                f"{path.name}: line {row + 1 + int(titled)}: the weight {str(table['weight'].iloc[row])!r} "
                "must be a number from 0 on"
            )
    edge_weight = torch.from_numpy(weight).float()
    if undirected:
        size = len(node_names)
        there = edge_index[0] * size + edge_index[1]
        missing = ~torch.isin(edge_index[1] * size + edge_index[0], there)
        edge_index = torch.cat([edge_index, edge_index[:, missing].flip(0)], dim=1)
        edge_weight = torch.cat([edge_weight, edge_weight[missing]])
    return Data(edge_index=edge_index, edge_weight=edge_weight, num_nodes=len(node_names), node_names=node_names)


def _columns(path: Path, text: str, titles: list[str], separator: str) -> EdgeColumns:
    """What the columns hold, by the first lines of the file."""
    lines = [line for line in text.split("\n", _SAMPLED)[:_SAMPLED] if line.strip()]
    cells = [[cell.strip().strip('"') for cell in line.split(separator)] for line in lines]
    rows = [row for row in cells if len(row) == len(titles)]
    found = titled_columns(Table(path, rows, list(range(len(rows))), tuple(range(1, len(titles) + 1))), [], [])
    if found is not None:
        return found
    if len(titles) not in (2, 3):
        raise ValueError(f"{path.name}: found {len(titles)} columns; give source,target or source,target,weight")
    return EdgeColumns(0, 1, 2 if len(titles) == 3 else None, False)
