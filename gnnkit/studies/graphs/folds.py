"""Which graphs train, which choose and which are scored."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor

from gnnkit.data.graph_set import GraphSet

__all__ = ["GraphFold", "graph_folds"]


@dataclass(frozen=True)
class GraphFold:
    """The graphs of one fold, by number: no graph is in two parts."""

    train: Tensor
    val: Tensor
    test: Tensor


def graph_folds(graphs: GraphSet, folds: int, validation: float, seed: int) -> list[GraphFold]:
    """The data set's own split as one fold; else folds of which each is scored once, stratified by class.

    Args:
        graphs: The graphs.
        folds: K.
        validation: Share of a fold's training graphs that are held out to choose by.
        seed: Of the folds.

    Raises:
        ValueError: There are fewer graphs than folds, or a class has fewer, so that some fold has none of it.
    """
    if graphs.split is not None:
        return [GraphFold(*graphs.split)]
    parts = round(1 / validation)
    if len(graphs) < folds + 1:
        raise ValueError(f"folds: {len(graphs)} graphs are too few for {folds} folds; give fewer")
    y = None
    if graphs.task == "classes":
        counts = torch.bincount(graphs.y, minlength=graphs.num_classes)
        if bool((counts < folds).any()):
            rare = int(counts.argmin())
            raise ValueError(
                f"folds: class {rare} has {int(counts[rare])} graphs, fewer than {folds} folds; give --folds "
                f"{max(2, int(counts[rare]))}, or leave its graphs out"
            )
        y = graphs.y.numpy()
    found = []
    for number, (others, test) in enumerate(_parts(np.arange(len(graphs)), y, folds, seed)):
        theirs = None if y is None else y[others]
        most = len(others) if theirs is None else int(np.bincount(theirs).max())
        if most < 2:
            raise ValueError(f"folds: {len(graphs)} graphs are too few to hold some out of each fold; give more graphs")
        # Of a small set a larger share validates: one of a class is the least.
        train, val = next(_parts(others, theirs, min(parts, most), seed * 1000 + number))
        found.append(GraphFold(*(torch.from_numpy(rows) for rows in (train, val, test))))
    return found


def _parts(rows: np.ndarray, y: np.ndarray | None, count: int, seed: int):
    """The rows without each part, and the part."""
    kind = KFold if y is None else StratifiedKFold
    with warnings.catch_warnings():
        # A class that is rarer than the parts are many: some parts have none of it.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for others, part in kind(count, shuffle=True, random_state=seed % 2**32).split(rows, y):
            yield rows[others], rows[part]
