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
import resource
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F

from gnnkit.data.nodes import planetoid
from gnnkit.layers import SeedStack
from gnnkit.studies.nodes.recipes import NodeRecipe, node_recipe
from gnnkit.studies.nodes.training import build_models
from gnnkit.training import isolated_seed
from gnnkit.training.environment import environment
from gnnkit.training.seeds import fit_seeds

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results" / "nodes"


def cora(*, sparse: bool) -> Any:
    return planetoid("cora", DATA if DATA.is_dir() else None, sparse=sparse)


def _pyg_seed(data: Any, recipe: NodeRecipe, seed: int) -> tuple[float, float, float]:
    """Test accuracy, seconds and processor seconds of one seed in plain PyG."""
    from torch_geometric.nn import GCNConv

    with isolated_seed(seed):
        start, busy = time.perf_counter(), time.process_time()
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
        return accuracy, time.perf_counter() - start, time.process_time() - busy


def run_seeds(options: argparse.Namespace) -> list[dict[str, Any]]:
    recipe = node_recipe("gcn", "cora")
    settings = replace(recipe.settings, epochs=options.epochs, patience=None)
    recipe = replace(recipe, settings=settings)
    sparse, dense = cora(sparse=True), cora(sparse=False)
    fit_seeds(SeedStack(build_models(recipe, sparse, [0, 1])), sparse, replace(settings, epochs=2))  # compiles kernels
    _pyg_seed(dense, replace(recipe, settings=replace(settings, epochs=2)), 0)
    start, busy, accuracies = time.perf_counter(), time.process_time(), []
    for first in range(0, options.seeds, options.seeds_at_once):
        seeds = list(range(first, min(first + options.seeds_at_once, options.seeds)))
        results = fit_seeds(SeedStack(build_models(recipe, sparse, seeds), seeds), sparse, settings)
        accuracies += [result.test_accuracy for result in results]
    ours = (time.perf_counter() - start) / options.seeds, (time.process_time() - busy) / options.seeds
    theirs = [_pyg_seed(dense, recipe, seed) for seed in range(options.peer_seeds)]
    peer = sum(seconds for _, seconds, _ in theirs) / len(theirs), sum(busy for _, _, busy in theirs) / len(theirs)
    rows = []
    for name, release, values, seconds in (
        ("gnnkit, batched", version("gnnkit"), accuracies, ours),
        ("PyG, seed by seed", version("torch-geometric"), [accuracy for accuracy, _, _ in theirs], peer),
    ):
        scores = 100 * torch.tensor(values, dtype=torch.float64)
        rows.append(
            {
                "case": "GCN on Cora",
                "side": name,
                "version": release,
                "seeds": len(values),
                "epochs": options.epochs,
                "seconds_per_seed": seconds[0],
                "ratio": peer[0] / seconds[0],
                "cpu_seconds_per_seed": seconds[1],
                "cpu_ratio": peer[1] / seconds[1],
                "test_accuracy": float(scores.mean()),
                "standard_error": float(scores.std() / len(values) ** 0.5),
            }
        )
    return rows


def run_influence(options: argparse.Namespace) -> list[dict[str, Any]]:
    from torch_geometric.nn import GAT, GCN
    from torch_geometric.utils import total_influence

    from gnnkit.graph import influence_by_hop

    data, rows = cora(sparse=False), []
    for name, model in (("GCN", GCN(1433, 16, 2, 7)), ("GAT", GAT(1433, 64, 2, 7, heads=8))):
        model.eval()
        torch.manual_seed(0)
        nodes = torch.randperm(data.num_nodes)[:64]
        best: dict[str, tuple[float, float]] = {}  # seconds, and those of the processor, of the fastest round
        found: dict[str, torch.Tensor] = {}
        calls = {
            "gnnkit": lambda model=model, nodes=nodes: influence_by_hop(model, data.x, data.edge_index, nodes),
            "PyG": lambda model=model: total_influence(model, data, 3, num_samples=64, average=False)[0],
        }
        for _ in range(options.rounds):
            for side, call in calls.items():
                torch.manual_seed(0)  # PyG draws the same nodes
                start, busy = time.perf_counter(), time.process_time()
                found[side] = call()
                taken = time.perf_counter() - start, time.process_time() - busy
                best[side] = min(taken, best.get(side, taken))
        error = float((found["gnnkit"] - found["PyG"][:, :3]).abs().max() / found["PyG"].abs().max())
        for side, release in (("gnnkit", version("gnnkit")), ("PyG", version("torch-geometric"))):
            rows.append(
                {
                    "case": f"influence by hop of 64 nodes, {name}",
                    "side": side,
                    "version": release,
                    "seconds": best[side][0],
                    "ratio": best["PyG"][0] / best[side][0],
                    "cpu_seconds": best[side][1],
                    "cpu_ratio": best["PyG"][1] / best[side][1],
                    "largest_relative_difference": error,
                }
            )
    return rows


def run_report(options: argparse.Namespace) -> list[dict[str, Any]]:
    from inputs import power_law_graph
    from sides import ARXIV
    from torch_geometric.data import Data

    from gnnkit.graph import report_graph

    graph = Data(edge_index=power_law_graph(**ARXIV), num_nodes=ARXIV["num_nodes"])
    start, busy = time.perf_counter(), time.process_time()
    report = report_graph(graph)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
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
    data, path = cora(sparse=True), _rows_file(options)
    rows: list[dict[str, Any]] = pd.read_csv(path).to_dict("records") if path.exists() else []  # pyright: ignore
    done = {row["trial"] for row in rows}
    own = node_recipe("own", "cora")
    for number, (dropout, penalty, hops, width) in enumerate(TRIALS, 1):
        if number in done:
            continue
        model = {"layer": "dagnn", "num_layers": hops, "hidden_channels": width, "dropout": dropout}
        settings = replace(own.settings, weight_decay=(("*", penalty),))
        recipe = replace(own, model=model, settings=settings)
        start = time.perf_counter()
        results = fit_seeds(SeedStack(build_models(recipe, data, TRIAL_SEEDS), TRIAL_SEEDS), data, settings)
        accuracy = 100 * torch.tensor([result.val_accuracy for result in results], dtype=torch.float64)
        rows.append(
            {
                "trial": number,
                **model,
                "weight_decay": penalty,
                "seeds": len(results),
                "val_accuracy": float(accuracy.mean()),
                "val_standard_error": float(accuracy.std() / len(results) ** 0.5),
                "val_loss": sum(result.val_loss for result in results) / len(results),
                "mean_epoch": sum(result.epoch for result in results) / len(results),
                "seconds": time.perf_counter() - start,
                **environment(),
            }
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.6g")
        print({key: value for key, value in rows[-1].items() if key not in {"layer", *environment()}}, flush=True)
    return rows


def run_six(options: argparse.Namespace) -> list[dict[str, Any]]:
    from gnnkit.graph import influence_by_hop, node_id, six_node_graph
    from gnnkit.layers import NodeClassifier

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


def _rows_file(options: argparse.Namespace) -> Path:
    return options.rows or RESULTS / f"{options.case}.csv"


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
        from nodes_table import write_table

        print(write_table(RESULTS))
        return
    torch.set_num_threads(options.threads)
    rows = CASES[options.case](options)
    if options.case not in ("accuracy", "search"):
        rows = [{**row, **environment()} for row in rows]
    table = pd.DataFrame(rows)
    path = _rows_file(options)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g")
    keys = [name for name in table.columns if name not in ("recipe", *environment())]
    print(table[keys].tail(20).to_string(index=False))
    print(f"Rows: {path}")


if __name__ == "__main__":
    main()
