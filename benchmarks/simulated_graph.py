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

import pandas as pd
import torch
from rows import RESULTS, Rows

from gnnkit.data import GraphSeries, simulate_traffic
from gnnkit.forecasting import FitSettings, evaluate_forecaster, train_forecaster
from gnnkit.report.markdown import markdown_table
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


HEAD = """# A simulated road network, whose graph is known

Written by `python benchmarks/simulated_graph.py page` from `simulated_learned_graph.csv` and
`simulated_shuffled_graph.csv`; do not edit.

"""


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """By how much the error grows when the true graph is replaced by a shuffled one, for each model and horizon.

    A row for each model and horizon, in the order of `rows`: the mean error on either graph; mean and standard
    deviation over the seeds of the growth, as a share of the error on the true graph.
    """
    sides = rows.pivot_table(index=["model", "horizon", "seed"], columns="graph", values="value", sort=False)
    sides["growth"] = sides["shuffled"] / sides["given"] - 1
    groups = sides.groupby(["model", "horizon"], sort=False)
    found = groups[["given", "shuffled"]].mean()
    found["growth"], found["deviation"] = groups["growth"].mean(), groups["growth"].std()
    return found.reset_index()


def write_page(learned: pd.DataFrame, shuffled: pd.DataFrame, out: Path) -> None:
    """How much of the true graph is learned, and what a wrong one costs each model."""
    if learned.empty or shuffled.empty:
        raise SystemExit("there are no rows of both stages; run `learned` and `shuffled` first")
    parts = [HEAD, "## Is the learned graph the true one?\n\n", _protocol(learned), _learned(learned)]
    parts += ["\n## What a shuffled graph costs\n\n", _protocol(shuffled), _shuffled(shuffled)]
    out.write_text("".join(parts), encoding="utf-8")


def _protocol(rows: pd.DataFrame) -> str:
    first, seeds = rows.iloc[0], rows["seed"].nunique()
    threads = "1 thread" if first["threads"] == 1 else f"{first['threads']:.0f} threads"
    hardware, commits = (", ".join(dict.fromkeys(rows[name])) for name in ("hardware", "commit"))
    return (
        f"{first['nodes']:.0f} sensors, {first['days']:.0f} days of 5 minutes, {seeds} seeds a model, at most "
        f"{first['epochs']:.0f} epochs or {first['budget']:.0f} seconds a fit, {threads} of "
        f"{hardware}, torch {first['torch']}, commit {commits}.\n\n"
    )


def _learned(rows: pd.DataFrame) -> str:
    lines = []
    for (name, settings), part in rows.groupby(["model", "settings"], sort=False):
        cells = [f"{part[column].mean():.3f} ± {part[column].std():.3f}" for column in _PRECISIONS]
        chance, ties = part["chance"].iloc[0], part["ties_at_k"].mean()
        cells += [f"{chance:.3f}", f"{part['precision_at_k'].mean() / chance:.1f} ×", f"{ties:.0f}"]
        said = ", ".join(f"{key} {value:g}" for key, value in json.loads(settings).items())
        cells += [f"{part['test_mae'].mean():.3f}", f"{part['fit_epochs'].mean():.0f}"]
        lines.append([f"`{name}`", said, *cells])
    k = int(rows["k"].iloc[0])
    titles = ["model", "settings", f"precision at {k}", f"precision at {max(1, k // 10)}", "chance", "times chance"]
    titles += ["tied at k", "MAE, 60 min", "epochs"]
    return markdown_table(titles, lines) + (
        "\n\nPrecision at k: the share of the k strongest learned pairs that are true, either way round; "
        f"{k} pairs are. Entries that saturate are tied, and count as what they give on the mean.\n"
    )


_PRECISIONS = ("precision_at_k", "precision_at_k_tenth")


def _shuffled(rows: pd.DataFrame) -> str:
    cut = set(rows.loc[rows["stopped"] == "seconds", "model"])
    found = growth(rows[(rows["metric"] == "mae") & (rows["score"] == "averaged")])
    lines = []
    for name in [model for model in MODELS if model in set(found["model"])]:
        part = found[found["model"] == name]
        cells = [
            f"{row.given:.3f} → {row.shuffled:.3f}, {_percent(row.growth)} ± {100 * row.deviation:.1f} %"
            for row in part.itertuples()
        ]
        lines.append([f"`{name}`" + " †" * (name in cut), *cells])
    titles = ["model", *(f"MAE, {5 * horizon:.0f} min" for horizon in found["horizon"].unique())]
    note = "\n† The budget cut off at least one of the fits.\n" if cut else ""
    return markdown_table(titles, lines) + (
        "\n\nMean over the seeds on the true graph → on the same graph with its nodes permuted, and the growth of each "
        "seed's error, mean ± standard deviation. A model that learns its own graph alone, or has none, is not told of "
        f"the change: its error is the same but for fits that the budget cut off.\n{note}"
    )


def _percent(share: float) -> str:
    """With its sign, and without one where it rounds to nothing."""
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


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
    epochs = options.epochs or (60 if learning else 20)
    budget = options.max_seconds or (180.0 if learning else 60.0)
    torch.set_num_threads(options.threads)
    key = ["model", "seed", "nodes", "days", "epochs", "budget"]
    learned = Rows(options.out / "simulated_learned_graph.csv", [*key, "settings"], options.device)
    shuffled = Rows(options.out / "simulated_shuffled_graph.csv", ["graph", *key], options.device)
    if options.stage == "page":
        write_page(learned.table, shuffled.table, options.out / "simulated_graph.md")
        return
    series = simulate_traffic(options.nodes, options.days)
    place = torch.randperm(series.num_nodes, generator=torch.Generator().manual_seed(0))
    graphs = {"given": series}
    if not learning:
        graphs["shuffled"] = replace(series, edge_index=place[series.edge_index])
    names = options.models.split(",") if options.models else None
    given = [*(name for name, entry in MODELS.items() if entry.family == "graph"), "gru"]
    size = {"nodes": options.nodes, "days": options.days, "epochs": epochs, "budget": budget}
    table = learned if learning else shuffled
    runs = LEARNERS if learning else [(name, {}) for name in given]
    for name, settings in runs if names is None else [run for run in runs if run[0] in names]:
        for seed in (int(text) for text in options.seeds.split(",")):
            limits = {"epochs": epochs, "patience": epochs, "max_seconds": budget, "device": options.device}
            asked = FitSettings(**(BUDGET | limits))
            for graph, data in graphs.items():
                run = {"model": name, "seed": seed, **size}
                run |= {"settings": json.dumps(settings)} if learning else {"graph": graph}
                if not table.has(**run):
                    table.add(fit_rows(data, asked, settings, name, seed, learning), **run)
                    print(*run.values(), flush=True)


def fit_rows(
    series: GraphSeries, asked: FitSettings, own: dict[str, float], model: str, seed: int, learning: bool
) -> list[dict[str, Any]]:
    """Train one model on one graph: its scores on the test rows, or how much of the true graph it learned."""
    fitted = train_forecaster(model, asked, own, seed=seed, series=series)
    fit = fitted.config["fit"]
    facts = {"fit_epochs": fit["epochs"], "stopped": fit["stopped"], "wall_seconds": fit["wall_seconds"]}
    scores = evaluate_forecaster(fitted, series, device=asked.device)
    scores = scores[scores["model"] == model].drop(columns=["model", "seed"])
    if not learning:
        return [row | facts for row in scores.to_dict("records")]
    adjacency = fitted.learned_adjacency()
    if adjacency is None:
        raise SystemExit(f"{model} learns no graph")
    mae = scores[(scores["metric"] == "mae") & (scores["score"] == "averaged")]
    return [precision(adjacency, series) | {"test_mae": float(mae.loc[mae["horizon"].idxmax(), "value"])} | facts]


if __name__ == "__main__":
    main()
