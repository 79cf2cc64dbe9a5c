"""What is known of each node and does not change: a table of numbers by name, e.g. places or kinds of road."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.data.tables import existing_file, is_number, numbers, read_table

__all__ = ["read_node_features"]


def read_node_features(path: str | Path, node_names: Sequence[str]) -> Float[Tensor, "N F"]:
    """Read features of nodes from a CSV file: a line a node, its name first, then numbers.

    Each column is brought to mean 0 and standard deviation 1 over the nodes, for what reads them saturates; one that is
    the same for all nodes is 0.

    Args:
        path: The file, with a line of titles or without one. Lines may be in any order, and may name other nodes too.
        node_names: N names, in the order of the result.

    Returns:
        The features, float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A node is missing, named twice or lacks a number, or a cell is no number; the message names it.
    """
    path = existing_file(path, "node features")
    table = read_table(path)
    if table.width < 2:
        raise ValueError(f"{path.name}: one column; give the nodes' names in the first and numbers in the others")
    if not all(is_number(cell) for cell in table.cells[0][1:]):
        table = table.rows_from(1)
    if not table.cells:
        raise ValueError(f"{path.name}: titles and no line below them; give a line for each node")
    names, wanted = table.column(0), set(node_names)
    place: dict[str, int] = {}
    for row, name in enumerate(names):
        if name in wanted and name in place:
            raise ValueError(f"{path.name}: line {table.lines[row]}: node {name!r} stands there a second time")
        place[name] = row
    missing = [name for name in node_names if name not in place]
    if missing:
        shown = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise ValueError(f"{path.name}: {len(missing)} of {len(node_names)} nodes have no line: {shown}")
    rows = [place[name] for name in node_names]
    values = numbers(table.columns_from(1))[rows]
    features = torch.from_numpy(values)
    gap = features.isnan().any(dim=1)
    if gap.any():
        line = table.lines[rows[int(gap.int().argmax())]]
        raise ValueError(f"{path.name}: line {line}: a number is missing; fill it in, or leave out its column")
    deviation = features.std(dim=0, correction=0)
    return ((features - features.mean(dim=0)) / torch.where(deviation > 0, deviation, 1.0)).float()
