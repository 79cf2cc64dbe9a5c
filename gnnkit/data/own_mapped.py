"""A series of one's own that is larger than memory: a NumPy file, mapped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnnkit.data.mapped import gaps_and_infinite, map_npy, row_blocks
from gnnkit.data.own_grid import season_of
from gnnkit.data.own_made import CorrelationGraph
from gnnkit.data.own_settled import settle_graph
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split
from gnnkit.data.tables import existing_file

__all__ = ["read_mapped"]

_LIKENESS = 64 * 2**20
"""Bytes of the last training rows that a graph is made of, or that its weights are held against."""


def read_mapped(
    path: Path,
    graph: Any,
    split: Any,
    *,
    target: int | str | None,
    season: int | None,
    step_minutes: float | None,
    unit: str,
    settling: Mapping[str, Any],
    others: Mapping[str, Any],
) -> GraphSeries:
    """Map a series; its values are read when they are asked for, and few of them are held at a time.

    Args:
        path: See `gnnkit.data.mapped.map_npy`.
        graph: As `gnnkit.data.read_own` takes it, as are all arguments that are not named here.
        split: Makes the split of a number of rows.
        settling: What is said of the graph.
        others: What can be said of other files alone, by name; refused where something is.

    Raises:
        ValueError: It is no array of float32, holds an infinite value or nothing but NaN, or see `settle_graph`.
    """
    name = existing_file(path, "series").name
    for option, value in others.items():
        if value is not None and value != () and value != []:
            raise ValueError(f"{option}: not for {name!r}, which is mapped from its file as it is; leave it out")
    if target not in (None, 0, "0"):
        raise ValueError(
            f"target={target!r}: {name} is mapped as it is, and feature 0 is forecast; save it in that order"
        )
    values = map_npy(path)
    gaps, infinite = gaps_and_infinite(values)
    if infinite is not None:
        row, node, _ = infinite
        raise ValueError(f"{name}: infinite at row {row}, node {node} (counted from 0); mark missing values as NaN")
    if gaps and all(bool(block[..., 0].isnan().all()) for _, block in row_blocks(values)):
        raise ValueError(f"{name}: every value is NaN, so there is nothing to forecast; check the file")
    notes: list[str] = []
    names = tuple(map(str, range(values.size(1))))
    parts: Split = split(len(values), name)
    few = max(2, _LIKENESS // values[0].nbytes)
    rows = range(max(parts.train.start, parts.train.stop - few), parts.train.stop)
    train = values[rows.start : rows.stop, :, 0].double()
    step_unit = ""
    if season is None:
        season = season_of(step_minutes, step_unit)
    made = settle_graph(graph, list(names), train, rows, season, notes, **settling)
    again = None if made.rows is None else CorrelationGraph(season, settling["neighbours"], names)
    return GraphSeries(
        name=path.stem,
        values=values,
        edge_index=torch.from_numpy(made.edge_index),
        edge_weight=torch.from_numpy(made.edge_weight.astype(np.float32)),
        node_names=names,
        split=parts,
        unit=unit,
        step_minutes=step_minutes,
        season=season,
        positions=made.positions,
        source=f"own data, series {name}, mapped from its file, {made.note}",
        notes=tuple(notes),
        graph_source=made.source,
        graph_rows=made.rows,
        make_graph=again,
    )
