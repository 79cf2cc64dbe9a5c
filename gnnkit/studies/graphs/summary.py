"""What a run's rows say: mean and deviation of each model over folds, and whether the graph helps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnnkit.data.graph_set import GraphSet
from gnnkit.kept_tensors import load_tensors
from gnnkit.statistics.folds import fold_test, jackknife_test
from gnnkit.statistics.paired import PairedTest, judge_together
from gnnkit.studies.graphs.folds import GraphFold
from gnnkit.studies.graphs.recipes import RIVAL
from gnnkit.studies.graphs.scores import HIGHER, GraphTask

__all__ = ["CONFIDENCE", "summarize_graphs"]

CONFIDENCE = 0.95


def summarize_graphs(
    rows: Any, graphs: GraphSet, folds: Sequence[GraphFold], predictions: Path, seeds: Sequence[int]
) -> dict[str, Any]:
    """Mean and deviation of each model, and the difference of the graph model and the structure-blind one.

    A model's score in a fold is its mean over seeds. Over folds, the test of their difference is `fold_test`; of one
    given split, `jackknife_test` over its test graphs.

    Args:
        rows: Of a run.
        graphs, folds: What it was of.
        predictions: Folder of its predictions.
        seeds: That count.

    Returns:
        JSON values: `metric`, `graphs`, `folds`, `seeds`; `models`, of each `mean` and `std` of the test score (over
        folds; over seeds where the split is given) and `val_mean`; `chosen` settings of each fold; `difference`, with
        `low`, `high`, `p_value` and `helps` (true, false, or None: not told apart), positive where the graph model is
        better. `difference` is None where the rival itself was trained alone.
    """
    final = rows[rows["stage"] == "final"]
    names = list(dict.fromkeys(final["model"]))
    chosen = {
        name: final[(final["model"] == name) & final["seed"].isin([0] if name == "constant" else list(seeds))]
        for name in names
    }
    scores = {name: found.groupby("fold")["test_score"].mean().to_numpy() for name, found in chosen.items()}
    models = {}
    for name, found in chosen.items():
        spread = scores[name] if len(folds) > 1 else found["test_score"].to_numpy()
        models[name] = {
            "mean": float(scores[name].mean()),
            "std": float(spread.std(ddof=1)) if len(spread) > 1 else 0.0,
            "val_mean": float(found["val_score"].mean()),
            "seconds": float(rows[rows["model"] == name].get("seconds", pd.Series(dtype=float)).sum()),
        }
    graph_models = [name for name in names if name not in (RIVAL, "constant")]
    summary: dict[str, Any] = {
        "data": graphs.name,
        "metric": graphs.metric,
        "graphs": len(graphs),
        "folds": len(folds),
        "seeds": len(seeds),
        "models": models,
        "chosen": {name: found.groupby("fold")["config"].first().tolist() for name, found in chosen.items()},
        "remarks": list(graphs.remarks),
        "difference": None,
    }
    if graph_models and RIVAL in scores:
        test = _test(graph_models[0], scores, graphs, folds, predictions, seeds)
        judged = judge_together([test], CONFIDENCE, [test.p_value])[0]
        sign = 1 if HIGHER[graphs.metric] else -1
        ends = sorted((sign * judged.low, sign * judged.high))
        summary["difference"] = {
            "mean": sign * judged.difference,
            "low": ends[0],
            "high": ends[1],
            "p_value": judged.p_value,
            "confidence": CONFIDENCE,
            "helps": bool(sign * judged.difference > 0) if judged.clear else None,
        }
    return summary


def _test(
    name: str,
    scores: dict[str, np.ndarray],
    graphs: GraphSet,
    folds: Sequence[GraphFold],
    predictions: Path,
    seeds: Sequence[int],
) -> PairedTest:
    if len(folds) > 1:
        return fold_test(scores[name], scores[RIVAL])
    task, test = GraphTask(graphs, folds[0].train), folds[0].test
    sides = [
        [
            task.scorer(
                load_tensors(predictions / f"{model}-fold0-seed{seed}.safetensors")[1]["predicted"], graphs.y[test]
            )
            for seed in seeds
        ]
        for model in (name, RIVAL)
    ]
    return jackknife_test(sides[0], sides[1], test.numel())
