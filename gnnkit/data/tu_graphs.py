"""Graphs in the raw files of TUDataset: DS_A.txt, DS_graph_indicator.txt and those beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnnkit.data.graph_set import GraphSet, categories_of
from gnnkit.data.number_files import one_column, read_numbers, whole_numbers

__all__ = ["read_tu"]

_LEAST = -(2**53)


def read_tu(folder: str | Path, *, target: str = "auto") -> GraphSet:
    """Read a data set of TUDataset from the folder that holds its raw files.

    Needed are `DS_A.txt` (a row an edge: two nodes, from 1) and `DS_graph_indicator.txt` (a row a node: its graph, from
    1), and `DS_graph_labels.txt` (classes) or `DS_graph_attributes.txt` (numbers). Read where they are there:
    `DS_node_labels.txt` and `DS_edge_labels.txt`, as categories, `DS_node_attributes.txt` and `DS_edge_attributes.txt`.
    Every file is checked whole before anything is looked up by it.

    Args:
        folder: The folder.
        target: `"classes"`, `"numbers"`, or `"auto"` (default): classes where there are labels.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is damaged, has too few rows, or names a node or graph that is not there; an edge runs
            between two graphs; a graph has no node.

    Source:
        Morris et al., "TUDataset: a collection of benchmark datasets for learning with graphs" (2020).
    """
    folder = Path(folder)
    found = sorted(folder.glob("*_A.txt"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise FileNotFoundError(f"{folder} has to hold one file DS_A.txt of a data set DS, and holds {names}")
    name = found[0].name.removesuffix("_A.txt")

    def path(part: str) -> Path:
        return folder / f"{name}_{part}.txt"

    if target == "auto":
        target = "classes" if path("graph_labels").is_file() else "numbers"
    labels = path("graph_labels" if target == "classes" else "graph_attributes")
    y, num_classes, names = _labels(labels, target)
    count = y.size(0)
    graph = one_column(path("graph_indicator"), None, 1, count) - 1
    edges = whole_numbers(found[0], read_numbers(found[0], None, 2), 1, graph.numel()).t() - 1
    _check_within(found[0], edges, graph)
    order = torch.argsort(graph, stable=True)
    node_counts = torch.bincount(graph, minlength=count)
    if bool((node_counts == 0).any()):
        raise ValueError(
            f"{path('graph_indicator')} gives graph {int((node_counts == 0).int().argmax()) + 1} no node; leave the "
            "graph out of all files"
        )
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel()) - torch.repeat_interleave(
        node_counts.cumsum(0) - node_counts, node_counts
    )
    edge_order = torch.argsort(graph[edges[0]], stable=True)
    parts: list[dict[str, Any]] = [
        {f"{prefix}{key}": value[rows] if isinstance(value, Tensor) else value for key, value in given.items()}
        for prefix, rows, given in (
            ("", order, _features(path, "node", graph.numel())),
            ("edge_", edge_order, _features(path, "edge", edges.size(1))),
        )
    ]
    nodes, links = parts
    if "edge_x" in links:
        links["edge_attr"] = links.pop("edge_x")
    if not nodes:  # all that is known of a node is that it is there
        nodes["x"] = torch.ones(graph.numel(), 1)
    return GraphSet(
        name,
        node_counts,
        torch.bincount(graph[edges[0]], minlength=count),
        place[edges[:, edge_order]],
        y,
        target,
        "acc" if target == "classes" else "rmse",
        num_classes,
        remarks=names,
        **nodes,
        **links,
    )


def _labels(path: Path, target: str) -> tuple[Tensor, int, tuple[str, ...]]:
    if target != "classes":
        y = read_numbers(path).float()
        return y, y.size(1), ()
    labels = one_column(path, None, _LEAST)
    values, y = labels.unique(return_inverse=True)
    if values.numel() < 2:
        raise ValueError(f"{path} has one label, {int(values[0])}, for all graphs; there is nothing to tell apart")
    return y, values.numel(), (f"classes 0 to {values.numel() - 1} are the labels {_shown(values)}",)


def _shown(values: Tensor) -> str:
    words = [str(int(value)) for value in values[:10]]
    return ", ".join(words) + (" …" if values.numel() > 10 else "")


def _check_within(path: Path, edges: Tensor, graph: Tensor) -> None:
    apart = graph[edges[0]] != graph[edges[1]]
    if bool(apart.any()):
        row = int(apart.int().argmax())
        first, second = (edges[:, row] + 1).tolist()
        raise ValueError(
            f"{path}: row {row + 1} connects node {first} of graph {int(graph[first - 1]) + 1} with node {second} of "
            f"graph {int(graph[second - 1]) + 1}; an edge lies within a graph"
        )


def _features(path: Any, kind: str, rows: int) -> dict[str, Any]:
    """Numbers and categories of nodes or of edges, in the order of the files."""
    found: dict[str, Any] = {}
    if (file := path(f"{kind}_attributes")).is_file():
        found["x"] = read_numbers(file, rows).float()
    if (file := path(f"{kind}_labels")).is_file():
        found["categories"], found["category_sizes"] = categories_of(
            whole_numbers(file, read_numbers(file, rows), _LEAST)
        )
    return found
