"""What depth does to node classifiers: accuracy, Dirichlet energy and influence by hop, at depth 2 to 32."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import torch
from torch_geometric.data import Data

import gnnkit
from gnnkit.data.node_checks import check_nodes, digest_nodes
from gnnkit.data.nodes import load_nodes
from gnnkit.graph import influence_by_hop, smoothness_by_layer
from gnnkit.layers import NodeClassifier, SeedStack
from gnnkit.settings.nodes import DepthFields
from gnnkit.studies.claim import check_claim, claim_folder, read_json
from gnnkit.studies.node_recipes import NodeRecipe
from gnnkit.studies.nodes import build_models
from gnnkit.training import replace_file
from gnnkit.training.environment import environment
from gnnkit.training.seeds import SeedSettings, fit_seeds

__all__ = ["DEPTH_MODELS", "DepthStudy", "run_depth_study"]

#: What is compared: plain stacks, and the cures.
DEPTH_MODELS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "gcn": {"layer": "gcn", "hidden_channels": 32},
        "gcn-residual": {"layer": "gcn", "hidden_channels": 32, "residual": "previous"},
        "gcn2": {"layer": "gcn2", "hidden_channels": 32},
        "gat": {"layer": "gat", "hidden_channels": 8, "heads": 4, "activation": "elu"},
    }
)


class DepthStudy(DepthFields, frozen=True):
    """What is run: every model at every depth, with the same training for all.

    Args: those of `gnnkit.settings.nodes.DepthFields`; the models are those of `DEPTH_MODELS`.

    Raises:
        ValueError: An unknown model or a number out of range.
    """

    def settings(self) -> SeedSettings:
        """The training, the same for all: the epoch is chosen on validation nodes."""
        return SeedSettings(
            epochs=self.epochs,
            learning_rate=0.01,
            weight_decay=(("*.bias", 0.0), ("*", 5e-4)),
            patience=max(1, self.epochs // 4),
            stop_rule="accuracy",
            keep="best",
        )


def run_depth_study(
    study: DepthStudy, out: str | Path, *, data: Data | None = None, on_run: Callable[[str], None] | None = None
) -> pd.DataFrame:
    """Train what is not there yet, and write rows and figures of all.

    Args:
        study: What to run.
        out: Folder: a file a model and depth in `runs/`, `rows.csv` (a row a model, depth and seed), `layers.csv`
            (smoothness by layer, before and after training), `influence.csv`, and the figures `accuracy.png`,
            `energy.png` and `influence.png`.
        data: The graph, where it is not to be loaded by name.
        on_run: Told what is being trained.

    Returns:
        The rows.

    Raises:
        FloatingPointError: A loss is not finite; names model, depth, seed and epoch.
        ValueError: `out` is a file or holds a study that was made from something else, which is named; or see the
            loaders.
    """
    from gnnkit.studies.depth_plots import write_depth_figures

    out = Path(out)
    made_from: dict[str, Any] = {key: getattr(study, key) for key in ("seeds", "epochs", "influence_nodes", "data")}
    made_from["gnnkit"] = gnnkit.__version__

    def finished() -> bool:
        return any((out / "runs").glob("*.json"))

    check_claim(out, "study.json", made_from, "a study", finished=finished)  # before a large graph is loaded
    graph = load_nodes(study.data, study.data_root, unverified=study.unverified) if data is None else data
    if data is not None:
        check_nodes(graph)
    claim_folder(out, "study.json", {**made_from, "graph": digest_nodes(graph)}, "a study", finished=finished)
    (out / "runs").mkdir(exist_ok=True)
    for depth in study.depths:
        for model in study.models:
            file = out / "runs" / f"{model}-{depth}.json"
            if not file.exists():
                if on_run is not None:
                    on_run(f"{model}, {depth} layers")
                try:
                    result = _run(study, model, depth, graph)
                except FloatingPointError as error:
                    raise FloatingPointError(f"{model} of {depth} layers: {error}") from None
                with replace_file(file) as part:
                    part.write_text(json.dumps(result) + "\n", encoding="utf-8")
    found = [read_json(file) for file in sorted((out / "runs").glob("*.json"))]
    tables = {}
    for name in ("rows", "layers", "influence"):
        tables[name] = pd.DataFrame([row for run in found for row in run[name]])
        tables[name] = tables[name].sort_values(["depth", "model"], kind="stable", ignore_index=True)
        tables[name].to_csv(out / f"{name}.csv", index=False)
    write_depth_figures(tables["rows"], tables["layers"], tables["influence"], out)
    return tables["rows"]


def _run(study: DepthStudy, name: str, depth: int, graph: Data) -> dict[str, Any]:
    recipe = NodeRecipe(name, "", {**DEPTH_MODELS[name], "num_layers": depth}, study.settings())
    seeds = list(range(study.seeds))
    start = time.perf_counter()
    models = build_models(recipe, graph, seeds)
    fresh = _smoothness(models[0], graph)
    results = fit_seeds(SeedStack(models, seeds), graph, recipe.settings)
    seconds = time.perf_counter() - start
    key = {"model": name, "depth": depth}
    facts = {"parameters": sum(p.numel() for p in models[0].parameters()), "seconds": seconds, **environment()}
    rows = [
        {
            **key,
            "seed": result.seed,
            "test_accuracy": result.test_accuracy,
            "val_accuracy": result.val_accuracy,
            "epoch": result.epoch,
            "epochs": result.epochs,
            **facts,
        }
        for result in results
    ]
    models[0].load_state_dict(results[0].state)
    layers = [{**key, "stage": "start", **row} for row in fresh]
    layers += [{**key, "stage": "trained", **row} for row in _smoothness(models[0], graph)]
    return {"rows": rows, "layers": layers, "influence": _influence(study, models[0], graph, key)}


def _smoothness(model: NodeClassifier, graph: Any) -> list[dict[str, Any]]:
    found = smoothness_by_layer(model, graph.x, graph.edge_index)
    return [{"layer": place, **asdict(layer)} for place, layer in enumerate(found)]


def _influence(study: DepthStudy, model: NodeClassifier, graph: Any, key: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = graph.test_mask.nonzero().view(-1)
    nodes = nodes[torch.randperm(nodes.numel(), generator=torch.Generator().manual_seed(0))[: study.influence_nodes]]
    x = graph.x
    dense = x.to_dense() if x.layout != torch.strided else x
    found = influence_by_hop(model, dense, graph.edge_index, nodes, max_hops=max(study.depths)).double()
    share = (found / found.sum(dim=1, keepdim=True).clamp(min=1e-300)).mean(dim=0)
    total = found.mean(dim=0)
    return [
        {**key, "hop": hop, "influence": float(total[hop]), "share": float(share[hop]), "nodes": nodes.numel()}
        for hop in range(total.numel())
    ]
