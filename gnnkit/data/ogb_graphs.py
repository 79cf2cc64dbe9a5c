"""Graphs in the raw CSV files of OGB's graph-property data sets (ogbg-…), and OGB's evaluators of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from gnnkit.data.graph_set import GraphSet
from gnnkit.data.number_files import one_column, read_numbers, whole_numbers

__all__ = ["graph_evaluator", "read_ogb_graphs"]

_TASKS = {"binary classification": "yes-or-no", "multiclass classification": "classes", "regression": "numbers"}
# A column of whole numbers below this is one of categories.
_MOST_CATEGORIES = 1000


def read_ogb_graphs(folder: str | Path, *, both_ways: bool | None = None) -> GraphSet:
    """Read a data set from a folder in OGB's layout; nothing is unpickled.

    `raw/` (or the folder itself) has to hold `edge.csv.gz`, `num-node-list.csv.gz`, `num-edge-list.csv.gz` and
    `graph-label.csv.gz`, and may hold `node-feat.csv.gz` and `edge-feat.csv.gz`; `split/NAME/` holds `train.csv.gz`,
    `valid.csv.gz` and `test.csv.gz`. Columns of whole numbers from 0 to 999 are categories. A folder that is named as
    one of OGB's data sets, e.g. `ogbg_molhiv`, is scored by its metric; another by rocauc (0, 1 and gaps), acc (whole
    numbers) or rmse.

    Args:
        folder: The folder.
        both_ways: Whether each edge is added in the other direction, with the same features. None (default): as OGB
            says of a data set that it knows; else where no edge's other direction is there.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A file is damaged, its rows do not fit the others', or it names what is not there; a data set whose
            labels are sequences (ogbg-code2).

    Source:
        Hu et al., "Open graph benchmark" (2020).
    """
    folder = Path(folder)
    raw = folder / "raw" if (folder / "raw").is_dir() else folder
    name = folder.resolve().name.replace("_", "-", 1)
    meta = _listed().get(name)
    node_counts = one_column(raw / "num-node-list.csv.gz", None, 1)
    count = node_counts.numel()
    edge_counts = one_column(raw / "num-edge-list.csv.gz", count, 0)
    num_nodes, num_edges = int(node_counts.sum()), int(edge_counts.sum())
    edges = read_numbers(raw / "edge.csv.gz", num_edges, 2)
    edge_index = whole_numbers(raw / "edge.csv.gz", edges, 0, int(node_counts.max()) - 1).t().contiguous()
    nodes = _features(raw / "node-feat.csv.gz", num_nodes)
    if not nodes:
        nodes["x"] = torch.ones(num_nodes, 1)
    links = {f"edge_{key}": value for key, value in _features(raw / "edge-feat.csv.gz", num_edges).items()}
    if "edge_x" in links:
        links["edge_attr"] = links.pop("edge_x")
    y, task, metric, num_classes = _labels(raw / "graph-label.csv.gz", count, meta)
    found = GraphSet(
        name, node_counts, edge_counts, edge_index, y, task, metric, num_classes, **nodes, **links,
        split=_split(folder, count),
    )  # fmt: skip
    if both_ways is None:
        both_ways = meta["add_inverse_edge"] == "True" if meta is not None else not _has_reverses(found)
    return _with_reverses(found) if both_ways else found


def graph_evaluator(metric: str, num_tasks: int) -> Any:
    """OGB's own evaluator of a metric: acc, rocauc, ap or rmse.

    Returns:
        `ogb.graphproppred.Evaluator`: `.eval({"y_true": [G, T], "y_pred": [G, T]})` gives a dictionary; NaN in
        `y_true` is left out.
    """
    from ogb.graphproppred.evaluate import Evaluator

    evaluator = Evaluator.__new__(Evaluator)
    evaluator.name, evaluator.num_tasks, evaluator.eval_metric = metric, num_tasks, metric
    return evaluator


def _listed() -> Mapping[str, Any]:
    """What ogb knows of its data sets, by name."""
    import ogb

    table: Any = pd.read_csv(
        Path(ogb.__file__).parent / "graphproppred" / "master.csv", index_col=0, keep_default_na=False
    )
    return {name: table[name] for name in table}


def _features(path: Path, rows: int) -> dict[str, Any]:
    if not path.is_file():
        return {}
    table = read_numbers(path, rows)
    whole = ((table == table.round()) & (table >= 0) & (table < _MOST_CATEGORIES)).all(dim=0)
    found: dict[str, Any] = {}
    if bool((~whole).any()):
        found["x"] = table[:, ~whole].float()
    if bool(whole.any()):
        found["categories"] = table[:, whole].long()
        found["category_sizes"] = tuple((found["categories"].amax(dim=0) + 1).tolist())
    return found


def _labels(path: Path, rows: int, meta: Any) -> tuple[Tensor, str, str, int]:
    """Labels, task, metric and the number of classes or tasks."""
    if meta is not None and meta["task type"] not in _TASKS:
        raise ValueError(f"{path}: its task is {meta['task type']}, which is neither classes, yes-or-no nor numbers")
    table = read_numbers(path, rows, gaps=True)
    known = table[~table.isnan()]
    binary = bool(((known == 0) | (known == 1)).all())
    if meta is not None:
        task, metric = _TASKS[meta["task type"]], meta["eval metric"]
    elif binary:
        task, metric = "yes-or-no", "rocauc"
    elif table.size(1) == 1 and known.numel() == rows and bool((known == known.round()).all() & (known >= 0).all()):
        task, metric = "classes", "acc"
    else:
        task, metric = "numbers", "rmse"
    if task == "classes":
        classes = whole_numbers(path, table[:, :1], 0, 10_000 if meta is None else int(meta["num classes"]) - 1)
        return classes.flatten(), task, metric, int(classes.max()) + 1 if meta is None else int(meta["num classes"])
    if task == "yes-or-no" and not binary:
        raise ValueError(f"{path}: a label is neither 0, 1 nor empty, though its questions are answered by yes or no")
    return table.float(), task, metric, table.size(1)


def _split(folder: Path, count: int) -> tuple[Tensor, Tensor, Tensor] | None:
    found = sorted(path for path in (folder / "split").glob("*") if path.is_dir())
    if not found:
        return None
    if len(found) > 1:
        raise ValueError(f"{folder / 'split'} holds {', '.join(path.name for path in found)}; leave one split there")
    train, valid, test = (
        one_column(found[0] / f"{part}.csv.gz", None, 0, count - 1) for part in ("train", "valid", "test")
    )
    return train, valid, test


def _has_reverses(graphs: GraphSet) -> bool:
    """Whether any edge between two nodes is there in both directions."""
    size = int(graphs.node_ptr[-1])
    start = torch.repeat_interleave(graphs.node_ptr[:-1], graphs.edge_counts)
    source, target = graphs.edge_index + start
    apart = source != target
    forth, back = (source * size + target)[apart], (target * size + source)[apart]
    return bool(torch.isin(forth, back).any())


def _with_reverses(graphs: GraphSet) -> GraphSet:
    from dataclasses import replace

    twice = torch.arange(graphs.edge_index.size(1)).repeat_interleave(2)
    edge_index = torch.stack([graphs.edge_index, graphs.edge_index.flip(0)], dim=2).reshape(2, -1)
    return replace(
        graphs,
        edge_counts=2 * graphs.edge_counts,
        edge_index=edge_index,
        edge_attr=graphs.edge_attr[twice],
        edge_categories=graphs.edge_categories[twice],
        remarks=(*graphs.remarks, "each edge was added in the other direction, too"),
    )
