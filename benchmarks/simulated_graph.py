"""The simulated road network, whose truth is known: is the learned graph the true one, and what does a wrong one cost?

    python benchmarks/simulated_graph.py learned         MTGNN's learned graph against the true one, precision at k
    python benchmarks/simulated_graph.py shuffled        every graph model on the true graph and on a shuffled one
    python benchmarks/simulated_graph.py page            results/simulated_graph.md, from the rows of both

The true graph joins sensors within 3 miles along the road; k is the number of its pairs. Chance is k over all pairs.
The first two go on where they were cut off. GRU sees no graph, and shows what the graph models gain from theirs.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from rows import RESULTS, Rows
from simulated_graph_page import write_page

from gnnkit.compare import make_spec
from gnnkit.data import GraphSeries, simulate_traffic
from gnnkit.forecasting import FittedForecaster, evaluate_forecaster, train_forecaster
from gnnkit.temporal import MODELS

BUDGET = {"horizons": [3, 6, 12], "history": 12, "hidden_channels": 16, "learning_rate": 5e-3, "batch_size": 32}


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
    parser.add_argument(
        "--models", default=None, help="default: mtgnn, agcrn, graph-wavenet; or every graph model and gru"
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--max-seconds", type=float, default=60.0, help="wall budget of a fit (60)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    series = simulate_traffic(options.nodes, options.days)
    place = torch.randperm(series.num_nodes, generator=torch.Generator().manual_seed(0))
    graphs = {"given": series, "shuffled": replace(series, edge_index=place[series.edge_index])}
    key = ["model", "seed", "nodes", "days", "epochs", "budget"]
    learned = Rows(options.out / "simulated_learned_graph.csv", key, options.device)
    shuffled = Rows(options.out / "simulated_shuffled_graph.csv", ["graph", *key], options.device)
    if options.stage == "page":
        write_page(learned.table, shuffled.table, options.out / "simulated_graph.md")
        return
    given = [name for name, entry in MODELS.items() if entry.family == "graph"] + ["gru"]
    names = options.models.split(",") if options.models else None
    size = {"nodes": options.nodes, "days": options.days, "epochs": options.epochs, "budget": options.max_seconds}
    for name in names or (["mtgnn", "agcrn", "graph-wavenet"] if options.stage == "learned" else given):
        for seed in (int(text) for text in options.seeds.split(",")):
            options_of_run = BUDGET | {"epochs": options.epochs, "patience": options.epochs, "device": options.device}
            options_of_run |= {"max_seconds": options.max_seconds}
            spec = make_spec(models=[name], seeds=[seed], **options_of_run)
            for graph, data in graphs.items():
                run = {"model": name, "seed": seed} | size
                if options.stage == "learned":
                    if graph == "shuffled" or learned.has(**run):
                        continue
                    settings = {"neighbors": 8} if name.startswith("mtgnn") else {}
                    fitted = train_forecaster(spec, settings, series=data)
                    adjacency = fitted.learned_adjacency()
                    if adjacency is None:
                        raise SystemExit(f"{name} learns no graph")
                    found = precision(adjacency, data)
                    learned.add([found | training(fitted)], **run)
                    print(name, seed, found, flush=True)
                elif not shuffled.has(graph=graph, **run):
                    fitted = train_forecaster(spec, series=data)
                    scores = evaluate_forecaster(fitted, data, device=options.device)
                    rows = scores[scores["model"] == name].drop(columns=["model", "seed"]).to_dict("records")
                    shuffled.add([row | training(fitted) for row in rows], graph=graph, **run)
                    errors = scores[(scores["model"] == name) & (scores["metric"] == "mae")]["value"].round(3).tolist()
                    print(name, graph, seed, errors, flush=True)


if __name__ == "__main__":
    main()
