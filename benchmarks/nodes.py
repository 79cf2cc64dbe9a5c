"""Nodes: many seeds of GCN on Cora against PyG seed by seed, influence by hop against PyG's, a large graph's report.

    python benchmarks/nodes.py seeds             100 seeds in one batched run; PyG 10 of them, one after the other
    python benchmarks/nodes.py influence         64 nodes, against torch_geometric.utils.total_influence
    python benchmarks/nodes.py report            169,343 nodes, 2,315,598 edges: seconds and peak memory
    python benchmarks/nodes.py search            the trials of "own", by validation alone; goes on where it was
    python benchmarks/nodes.py six               the Jacobian by hop on the six-node graph
    python benchmarks/nodes.py accuracy --runs runs     collects rows.csv of `gnnkit nodes train` below a folder
    python benchmarks/nodes.py table             README.md and a figure from the rows

The rows go to benchmarks/results/nodes/NAME.csv, in the place of those that are there; `gnnkit nodes depth --out
benchmarks/results/nodes/depth` puts its rows and figures beside them. The folder of the data is GNNKIT_DATA, or
shared/data beside the checkout. PyG trains its cached GCNConv on dense features with the recipe of `gnnkit nodes train
--model gcn`: as many epochs as that one allows, validated every epoch, the weights of the least validation loss tested,
no early stop on either side.
"""

from __future__ import annotations

import argparse
import math
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from inputs import power_law_graph
from nodes_table import write_table
from rows import RESULTS, Rows
from sides import ARXIV
from torch_geometric.data import Data
from torch_geometric.nn import GAT, GCN, GCNConv
from torch_geometric.utils import total_influence

from gnnkit.data.nodes import planetoid
from gnnkit.graph import influence_by_hop, node_id, report_graph, six_node_graph
from gnnkit.layers import NodeClassifier, SeedStack
from gnnkit.studies.nodes.recipes import NodeRecipe, node_recipe
from gnnkit.studies.nodes.training import build_models
from gnnkit.training import isolated_seed
from gnnkit.training.environment import environment
from gnnkit.training.seeds import fit_seeds

FOLDER = RESULTS / "nodes"


def spent(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call returns, its seconds, and those of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    found = call()
    return found, time.perf_counter() - start, time.process_time() - busy


def pyg_seed(data: Any, recipe: NodeRecipe, seed: int) -> float:
    """Test accuracy of one seed in plain PyG."""
    with isolated_seed(seed):
        width, rate = recipe.model["hidden_channels"], recipe.model["dropout"]
        layers: Any = torch.nn.ModuleList(
            [GCNConv(data.num_features, width, cached=True), GCNConv(width, data.num_classes, cached=True)]
        )
        decayed = layers[0].lin.weight
        others = [parameter for parameter in layers.parameters() if parameter is not decayed]
        groups = [{"params": [decayed], "weight_decay": 5e-4}, {"params": others}]
        optimizer = torch.optim.Adam(groups, lr=recipe.settings.learning_rate)

        def scores(training: bool) -> torch.Tensor:
            h = layers[0](F.dropout(data.x, rate, training), data.edge_index).relu()
            return layers[1](F.dropout(h, rate, training), data.edge_index)

        least, accuracy = float("inf"), 0.0
        for _ in range(recipe.settings.epochs):
            optimizer.zero_grad()
            F.cross_entropy(scores(True)[data.train_mask], data.y[data.train_mask]).backward()
            optimizer.step()
            with torch.no_grad():
                out = scores(False)
                loss = float(F.cross_entropy(out[data.val_mask], data.y[data.val_mask]))
                if loss < least:
                    right = out.argmax(dim=1) == data.y
                    least, accuracy = loss, float(right[data.test_mask].double().mean())
        return accuracy


def run_seeds(options: argparse.Namespace) -> list[dict[str, Any]]:
    recipe = node_recipe("gcn", "cora")
    recipe = replace(recipe, settings=replace(recipe.settings, epochs=options.epochs, patience=None))
    short = replace(recipe, settings=replace(recipe.settings, epochs=2))
    sparse, dense = planetoid("cora", sparse=True), planetoid("cora", sparse=False)

    def batched(recipe: NodeRecipe, count: int) -> list[float]:
        found = []
        for first in range(0, count, options.seeds_at_once):
            seeds = list(range(first, min(first + options.seeds_at_once, count)))
            found += fit_seeds(SeedStack(build_models(recipe, sparse, seeds), seeds), sparse, recipe.settings)
        return [result.test_accuracy for result in found]

    def one_by_one(recipe: NodeRecipe, count: int) -> list[float]:
        return [pyg_seed(dense, recipe, seed) for seed in range(count)]

    batched(short, 2)  # compiles kernels
    one_by_one(short, 1)
    rows = []
    for name, package, run, count in (
        ("gnnkit, batched", "gnnkit", batched, options.seeds),
        ("PyG, seed by seed", "torch-geometric", one_by_one, options.peer_seeds),
    ):
        accuracies, seconds, busy = spent(partial(run, recipe, count))
        scores = 100 * torch.tensor(accuracies, dtype=torch.float64)
        row = {"case": "GCN on Cora", "side": name, "version": version(package), "seeds": count}
        row |= {"epochs": options.epochs, "seconds_per_seed": seconds / count, "cpu_seconds_per_seed": busy / count}
        row |= {"test_accuracy": float(scores.mean()), "standard_error": float(scores.std() / count**0.5)}
        rows.append(row)
    for row in rows:
        row["ratio"] = rows[-1]["seconds_per_seed"] / row["seconds_per_seed"]
        row["cpu_ratio"] = rows[-1]["cpu_seconds_per_seed"] / row["cpu_seconds_per_seed"]
    return rows


def run_influence(options: argparse.Namespace) -> list[dict[str, Any]]:
    data, rows = planetoid("cora", sparse=False), []
    for name, model in (("GCN", GCN(1433, 16, 2, 7)), ("GAT", GAT(1433, 64, 2, 7, heads=8))):
        model.eval()
        torch.manual_seed(0)
        nodes = torch.randperm(data.num_nodes)[:64]
        best: dict[str, tuple[float, float]] = {}  # seconds, and those of the processor, of the fastest round
        found: dict[str, torch.Tensor] = {}
        calls = {
            "gnnkit": partial(influence_by_hop, model, data.x, data.edge_index, nodes),
            "PyG": lambda model=model: total_influence(model, data, 3, num_samples=64, average=False)[0],
        }
        for _ in range(options.rounds):
            for side, call in calls.items():
                torch.manual_seed(0)  # PyG draws the same nodes
                found[side], *taken = spent(call)
                best[side] = min((taken[0], taken[1]), best.get(side, (math.inf, math.inf)))
        error = float((found["gnnkit"] - found["PyG"][:, :3]).abs().max() / found["PyG"].abs().max())
        for side, package in (("gnnkit", "gnnkit"), ("PyG", "torch-geometric")):
            seconds, busy = best[side]
            row = {"case": f"influence by hop of 64 nodes, {name}", "side": side, "version": version(package)}
            row |= {"seconds": seconds, "ratio": best["PyG"][0] / seconds}
            row |= {"cpu_seconds": busy, "cpu_ratio": best["PyG"][1] / busy, "largest_relative_difference": error}
            rows.append(row)
    return rows


def run_report(options: argparse.Namespace) -> list[dict[str, Any]]:
    graph = Data(edge_index=power_law_graph(**ARXIV), num_nodes=ARXIV["num_nodes"])
    report, seconds, busy = spent(lambda: report_graph(graph))
    fields = report.fields
    return [
        {
            "case": "graph report, power-law graph of ogbn-arxiv's size",
            **ARXIV,
            "seconds": seconds,
            "cpu_seconds": busy,
            "peak_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            "sampled_nodes": fields.nodes.numel(),
            "largest_relative_standard_error_of_fields": float((fields.standard_error() / fields.mean()).max()),
            "sampled_edges": report.curvature.numel(),
            "relative_standard_error_of_resistance": report.resistance_error,
            "suggested_depth": report.depth.depth,
        }
    ]


# Settings of the trials, in the order in which they were tried: dropout, L2 penalty, hops, hidden channels.
TRIALS = (
    (0.5, 5e-3, 10, 64),
    (0.8, 5e-3, 10, 64),
    (0.8, 5e-3, 16, 64),
    (0.8, 1e-2, 10, 64),
    (0.7, 1e-2, 10, 64),
    (0.8, 2e-2, 10, 64),
    (0.8, 1e-2, 16, 64),
    (0.8, 1e-2, 10, 32),
    (0.8, 5e-3, 10, 32),
    (0.8, 1e-2, 8, 32),
    (0.8, 1e-2, 12, 32),
)
# The seeds of `gnnkit nodes train --seeds 100` are 0 to 99.
TRIAL_SEEDS = range(1000, 1008)


def run_search(options: argparse.Namespace) -> list[dict[str, Any]]:
    data, own = planetoid("cora", sparse=True), node_recipe("own", "cora")
    table = Rows(options.rows, ["trial"], "cpu")
    for number, (dropout, penalty, hops, width) in enumerate(TRIALS, 1):
        if table.has(trial=number):
            continue
        model = {"layer": "dagnn", "num_layers": hops, "hidden_channels": width, "dropout": dropout}
        recipe = replace(own, model=model, settings=replace(own.settings, weight_decay=(("*", penalty),)))
        stack = SeedStack(build_models(recipe, data, TRIAL_SEEDS), TRIAL_SEEDS)
        results, seconds, _ = spent(partial(fit_seeds, stack, data, recipe.settings))
        accuracy = 100 * torch.tensor([result.val_accuracy for result in results], dtype=torch.float64)
        row = {**model, "weight_decay": penalty, "seeds": len(results), "val_accuracy": float(accuracy.mean())}
        row |= {"val_standard_error": float(accuracy.std() / len(results) ** 0.5)}
        row |= {"val_loss": fmean(result.val_loss for result in results)}
        row |= {"mean_epoch": fmean(result.epoch for result in results), "seconds": seconds}
        table.add([row], trial=number)
        print(number, row, flush=True)
    return table.table.to_dict("records")  # pyright: ignore[reportReturnType]


def run_six(options: argparse.Namespace) -> list[dict[str, Any]]:
    graph: Any = six_node_graph()
    rows = []
    for layers in (1, 2, 3, 4, 5):
        with isolated_seed(0):
            model = NodeClassifier(8, 8, 8, num_layers=layers, activation="none").double()
            x = torch.randn(6, 8, dtype=torch.float64)
        found = influence_by_hop(model, x, graph.edge_index, [node_id(graph, "E")], max_hops=4)[0]
        rows += [{"layers": layers, "hop": hop, "influence": value} for hop, value in enumerate(found.tolist())]
    return rows


def run_accuracy(options: argparse.Namespace) -> list[dict[str, Any]]:
    files = sorted(Path(options.runs).rglob("rows.csv"))
    if not files:
        raise SystemExit(f"{options.runs} holds no rows.csv; `gnnkit nodes train --out {options.runs}/NAME` makes one")
    rows = [row for file in files for row in pd.read_csv(file).to_dict("records") if "val_loss" in row]
    keys = [(row["data"], row["model"], row["seed"]) for row in rows]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise SystemExit(
            f"{options.runs} holds {twice[1]} on {twice[0]}, seed {twice[2]}, twice; give a folder of one run each"
        )
    return sorted(rows, key=lambda row: (row["data"], row["model"], row["seed"]))


CASES = {
    "seeds": run_seeds,
    "influence": run_influence,
    "report": run_report,
    "search": run_search,
    "six": run_six,
    "accuracy": run_accuracy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("case", choices=[*CASES, "table"])
    parser.add_argument("--seeds", type=int, default=100, help="seeds of the batched run (default: 100)")
    parser.add_argument("--peer-seeds", type=int, default=10, help="seeds of PyG (default: 10)")
    parser.add_argument("--seeds-at-once", type=int, default=100, help="seeds in one batched model (default: 100)")
    parser.add_argument("--epochs", type=int, default=200, help="epochs of each seed (default: 200)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the fastest counts (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="of torch and the kernels (default: 2)")
    parser.add_argument("--runs", default="runs", help="folder with runs of `gnnkit nodes train` (default: runs)")
    parser.add_argument("--rows", type=Path, default=None, help="file (default: benchmarks/results/nodes/NAME.csv)")
    options = parser.parse_args()
    if options.case == "table":
        print(write_table(FOLDER))
        return
    torch.set_num_threads(options.threads)
    options.rows = options.rows or FOLDER / f"{options.case}.csv"
    rows = CASES[options.case](options)
    if options.case not in ("accuracy", "search"):
        rows = [{**row, **environment()} for row in rows]
    table = pd.DataFrame(rows)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.rows, index=False, float_format="%.6g")
    print(table.drop(columns=["recipe", *environment()], errors="ignore").tail(20).to_string(index=False))
    print(f"Rows: {options.rows}")


if __name__ == "__main__":
    main()
