"""The simulated road network, whose truth is known: is the learned graph the true one, and what does a wrong one cost?

    python benchmarks/simulated_graph.py learned         learned graphs against the true one, precision at k
    python benchmarks/simulated_graph.py shuffled        every graph model on the true graph and on a shuffled one
    python benchmarks/simulated_graph.py page            results/simulated_graph.md, from the rows of both

The true graph joins sensors within 3 miles along the road; k is the number of its pairs. Chance is k over all pairs.
The first two go on where they were cut off. GRU sees no graph, and shows what the graph models gain from theirs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rows import RESULTS, Rows
from simulated_graph_page import write_page

from gnnkit.data import GraphSeries, simulate_traffic
from gnnkit.forecasting import FitSettings, FittedForecaster, evaluate_forecaster, train_forecaster
from gnnkit.temporal import MODELS

BUDGET = {"horizons": [3, 6, 12], "history": 12, "hidden_channels": 16, "learning_rate": 5e-3, "batch_size": 32}
#: Models whose graph is read, and their settings: MTGNN's tanh saturates at the authors' alpha of 3.
LEARNERS: list[tuple[str, dict[str, float]]] = [
    ("mtgnn", {"neighbors": 8}),
    ("mtgnn", {"neighbors": 8, "alpha": 0.3}),
    ("agcrn", {}),
    ("graph-wavenet", {}),
]


def precision(adjacency: torch.Tensor, series: GraphSeries) -> dict[str, float]:
    """Share of the k strongest learned pairs that are true, either way round, for the true k and a tenth of it.

    Learned entries saturate at 1, so ties are counted as what they give on the mean.
    """
    n = series.num_nodes
    true = torch.zeros(n, n, dtype=torch.bool)
    true[series.edge_index[1], series.edge_index[0]] = True
    true = torch.triu(true | true.t(), diagonal=1)
    strength = torch.triu(torch.maximum(adjacency, adjacency.t()), diagonal=1)
    pairs = torch.triu_indices(n, n, offset=1)
    strengths, hit = strength[pairs[0], pairs[1]], true[pairs[0], pairs[1]]
    count = int(true.sum())
    return {
        "precision_at_k": expected_hits(strengths, hit, count) / count,
        "precision_at_k_tenth": expected_hits(strengths, hit, max(1, count // 10)) / max(1, count // 10),
        "chance": count / hit.numel(),
        "k": count,
        "learned_pairs": int((strength > 0).sum()),
        "ties_at_k": int((strengths == strengths.sort(descending=True).values[count - 1]).sum()),
    }


def expected_hits(strengths: torch.Tensor, hit: torch.Tensor, k: int) -> float:
    """True pairs among the k strongest, those of equal strength in random order."""
    last = strengths.sort(descending=True).values[k - 1]
    above, equal = strengths > last, strengths == last
    return float(hit[above].sum() + (k - above.sum()) * hit[equal].double().mean())


def training(fitted: FittedForecaster) -> dict[str, float | str]:
    """How the training went."""
    fit = fitted.config["fit"]
    return {"fit_epochs": fit["epochs"], "stopped": fit["stopped"], "wall_seconds": fit["wall_seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("stage", choices=["learned", "shuffled", "page"])
    parser.add_argument("--models", default=None, help="default: all that learn a graph; or every graph model and gru")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=None, help="most of a fit: 60 to learn a graph, 20 else")
    parser.add_argument("--max-seconds", type=float, default=None, help="wall budget of a fit: 180 and 60")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    learning = options.stage == "learned"
    options.epochs = options.epochs or (60 if learning else 20)
    options.max_seconds = options.max_seconds or (180.0 if learning else 60.0)
    torch.set_num_threads(options.threads)
    series = simulate_traffic(options.nodes, options.days)
    place = torch.randperm(series.num_nodes, generator=torch.Generator().manual_seed(0))
    graphs = {"given": series, "shuffled": replace(series, edge_index=place[series.edge_index])}
    key = ["model", "seed", "nodes", "days", "epochs", "budget"]
    learned = Rows(options.out / "simulated_learned_graph.csv", [*key, "settings"], options.device)
    shuffled = Rows(options.out / "simulated_shuffled_graph.csv", ["graph", *key], options.device)
    if options.stage == "page":
        write_page(learned.table, shuffled.table, options.out / "simulated_graph.md")
        return
    given = [name for name, entry in MODELS.items() if entry.family == "graph"] + ["gru"]
    names = options.models.split(",") if options.models else None
    size = {"nodes": options.nodes, "days": options.days, "epochs": options.epochs, "budget": options.max_seconds}
    runs = LEARNERS if learning else [(name, {}) for name in given]
    for name, settings in runs:
        if names and name not in names:
            continue
        for seed in (int(text) for text in options.seeds.split(",")):
            options_of_run = BUDGET | {"epochs": options.epochs, "patience": options.epochs, "device": options.device}
            options_of_run |= {"max_seconds": options.max_seconds}
            asked = FitSettings(**options_of_run)
            run = {"model": name, "seed": seed} | size
            if learning:
                run |= {"settings": json.dumps(settings)}
                if not learned.has(**run):
                    learn_graph(asked, settings, series, learned, run)
                continue
            for graph, data in graphs.items():
                if not shuffled.has(graph=graph, **run):
                    score_on(data, asked, shuffled, {"graph": graph, **run})


def learn_graph(
    asked: FitSettings, own: dict[str, float], series: GraphSeries, rows: Rows, run: dict[str, Any]
) -> None:
    """Train one model, and compare the graph that it learned with the true one."""
    fitted = train_forecaster(run["model"], asked, own, seed=run["seed"], series=series)
    adjacency = fitted.learned_adjacency()
    if adjacency is None:
        raise SystemExit(f"{run['model']} learns no graph")
    scores = evaluate_forecaster(fitted, series, device=asked.device)
    mae = scores[(scores["model"] == run["model"]) & (scores["metric"] == "mae") & (scores["score"] == "averaged")]
    found = precision(adjacency, series) | {"test_mae": float(mae.loc[mae["horizon"].idxmax(), "value"])}
    rows.add([found | training(fitted)], **run)
    print(run["model"], run["settings"], run["seed"], found, flush=True)


def score_on(series: GraphSeries, asked: FitSettings, rows: Rows, run: dict[str, Any]) -> None:
    """Train one model on one graph, and score it on the test rows."""
    fitted = train_forecaster(run["model"], asked, seed=run["seed"], series=series)
    scores = evaluate_forecaster(fitted, series, device=asked.device)
    own = scores[scores["model"] == run["model"]]
    rows.add([row | training(fitted) for row in own.drop(columns=["model", "seed"]).to_dict("records")], **run)
    errors = own[own["metric"] == "mae"]["value"].round(3).tolist()
    print(run["model"], run["graph"], run["seed"], errors, flush=True)


if __name__ == "__main__":
    main()
