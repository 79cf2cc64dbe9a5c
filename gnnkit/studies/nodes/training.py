"""Node classification, many seeds at once: from a recipe to rows, one a seed."""

from __future__ import annotations

import hashlib
import inspect
import json
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch
from pydantic import model_validator

import gnnkit
from gnnkit.data.node_checks import check_nodes, digest_nodes
from gnnkit.data.nodes import load_nodes
from gnnkit.data.ogb_nodes import ogb_evaluator
from gnnkit.kept_files import check_claim, claim_folder, damage_named, json_of, write_json, write_text
from gnnkit.layers import NodeClassifier, SeedStack
from gnnkit.loader import NeighborLoader, PartitionLoader
from gnnkit.settings.nodes import NodeRunFields
from gnnkit.studies.nodes.recipes import NodeRecipe, node_recipe
from gnnkit.training import Snapshots, isolated_seed, resolve_device, save_checkpoint
from gnnkit.training.code import code_digest
from gnnkit.training.environment import environment
from gnnkit.training.node_batches import fit_batches, predict_batches
from gnnkit.training.ranks import current_ranks
from gnnkit.training.seeds import SeedResult, fit_seeds

__all__ = ["NodeRun", "build_models", "summarize", "train_nodes"]

_ROWS, _SNAPSHOT = "rows.json", "training.safetensors"
_CODE = ("ops", "graph", "layers", "data", "training", "studies/nodes")
# Graphs of more nodes are trained in mini-batches.
_WHOLE_GRAPH_NODES = 50_000


class NodeRun(NodeRunFields, frozen=True):
    """What `train_nodes` trains.

    Its fields are those of `gnnkit.settings.nodes.NodeRunFields`. `data` is of `gnnkit.data.nodes.NODE_DATASETS`,
    `model` of `NODE_RECIPES`, and `changes` are arguments of the model or of `SeedSettings`.

    Raises:
        ValueError: A number is out of range, a name unknown, or a change fits nothing.
    """

    @model_validator(mode="after")
    def _known_recipe(self) -> Self:
        self.recipe()
        return self

    def recipe(self) -> NodeRecipe:
        """The recipe, with the changes in it."""
        recipe = node_recipe(self.model, self.data)
        training = set(asdict(recipe.settings))
        settings = {name: value for name, value in self.changes.items() if name in training}
        model = {name: value for name, value in self.changes.items() if name not in training}
        known = set(inspect.signature(NodeClassifier).parameters) - {"in_channels", "out_channels"}
        for name in model:
            if name not in known:
                raise ValueError(f"changes: {name!r} is none of {', '.join(sorted(known | training))}")
        NodeClassifier(4, **{**recipe.model, **model, "out_channels": 2})  # its errors name what does not fit
        return replace(recipe, model={**recipe.model, **model}, settings=replace(recipe.settings, **settings))


def build_models(recipe: NodeRecipe, data: Any, seeds: Sequence[int]) -> list[NodeClassifier]:
    """An untrained model for each seed, whose start values are drawn from it alone."""
    models = []
    for seed in seeds:
        with isolated_seed(seed):
            models.append(NodeClassifier(data.num_features, out_channels=data.num_classes, **recipe.model))
    return models


def train_nodes(
    run: NodeRun,
    out: str | Path,
    *,
    data: Any = None,
    on_epoch: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Train every seed that is not there yet, and write the rows of all.

    A block of seeds that is done is kept in `rows.json`, so that a run which was cut off goes on where it was, and more
    seeds add to what is there. What they were made from (features, edges, labels, split, recipe, version) is kept in
    `run.json`: seeds of anything else are never put beside them.

    Args:
        run: What to train.
        out: Folder: it gets `run.json`, `rows.json` and the same as `rows.csv` (a row a seed), `summary.json`, and
            `model/`, the checkpoint of the seed of the highest validation accuracy.
        data: The graph, a PyG `Data`, where it is not to be loaded by `run.data`.
        on_epoch: Told in a few words how far it is.

    Returns:
        The rows of the seeds of this run, in their order.

    Raises:
        FloatingPointError: A loss is not finite; names the seed and the epoch.
        ValueError: `out` is a file, or holds a run that was made from something else, which is named; the graph cannot
            be trained on; or see the loaders.
        ImportError: `batches="neighbour"` where PyG cannot sample.
    """
    recipe = run.recipe()
    resolve_device(run.device)  # before a large graph is loaded
    if (ranks := current_ranks()) is not None and run.batches != "neighbour":
        raise ValueError(
            f"batches is {run.batches!r}, and {ranks.count} processes share the seeds of sampled neighbours: give "
            "--batches neighbour, or run without torchrun"
        )
    out = Path(out)
    table = out / _ROWS
    made_from: dict[str, Any] = {
        "data": run.data,
        "model": dict(recipe.model),
        "settings": asdict(recipe.settings),
        "gnnkit": gnnkit.__version__,
    }
    check_claim(out, "run.json", made_from, "a run", finished=table.exists)  # before a large graph is loaded
    options: dict[str, Any] = {"trust_pickles": run.trust_pickles, "unverified": run.unverified}
    graph: Any = load_nodes(run.data, run.data_root, **options) if data is None else data
    if data is not None:
        check_nodes(graph)
    whole = run.batches == "whole" or (run.batches == "auto" and int(graph.num_nodes or 0) <= _WHOLE_GRAPH_NODES)
    if whole and graph.y.dim() != 1:
        raise ValueError(f"data={run.data!r} has {graph.y.size(1)} tasks: use batches='partition' or 'neighbour'")
    digests = digest_nodes(graph)
    made_from["graph"] = digests
    made_from["batches"] = "whole" if whole else "neighbour" if run.batches == "neighbour" else f"{run.num_parts} parts"
    with claim_folder(out, "run.json", made_from, "a run", finished=table.exists):
        device = resolve_device(run.device)
        digest = hashlib.sha256("".join(digests.values()).encode()).hexdigest()[:12]
        training = _Training(run, made_from, recipe, graph.to(str(device)) if whole else graph, digest, whole, device)
        rows = training.train_missing(out, on_epoch)
        chosen = rows.set_index("seed").loc[list(run.seeds)].reset_index()
        write_json(out / "summary.json", summarize(chosen))
    return chosen


@dataclass(frozen=True)
class _Training:
    """What the seeds of a run share."""

    run: NodeRun
    made_from: dict[str, Any]
    recipe: NodeRecipe
    graph: Any
    digest: str
    whole: bool
    device: torch.device

    def train_missing(self, out: Path, on_epoch: Callable[[str], None] | None) -> Any:
        """Train the seeds that have no row yet, block by block; the rows of all."""
        table = out / _ROWS
        rows: Any = _read_rows(table, self.digest)
        done = set() if rows.empty else set(rows["seed"])
        missing = [seed for seed in self.run.seeds if seed not in done]
        size = self.run.seeds_at_once if self.whole else 1
        if not missing:  # perhaps cut off behind its last row
            write_text(out / "rows.csv", rows.to_csv(index=False))
            Snapshots(out / _SNAPSHOT, {}).remove()
        for start in range(0, len(missing), size):
            seeds = missing[start : start + size]

            def watch(epoch: int, left: float, seeds: list[int] = seeds) -> None:
                if on_epoch is not None:
                    what = f"{left} training" if self.whole else f"loss {left:.4f}"
                    on_epoch(f"seeds {seeds[0]} to {seeds[-1]}: epoch {epoch}, {what}")

            began = time.perf_counter()
            models = build_models(self.recipe, self.graph, seeds)
            extra: dict[str, Any] = {}
            # One of other seeds, or of other code, is begun anew: what it would save is a part of one block.
            made_from = {**self.made_from, "seeds": seeds, "code": code_digest(*_CODE)}
            snapshots = Snapshots(out / _SNAPSHOT, made_from, anew=True)
            if self.whole:
                stack = SeedStack(models, seeds).to(self.device)
                results = fit_seeds(stack, self.graph, self.recipe.settings, on_epoch=watch, snapshots=snapshots)
            else:
                results, extra = self._fit_large(models[0].to(self.device), seeds[0], watch, snapshots)
            block = {
                "parameters": sum(p.numel() for p in models[0].parameters()),
                "seconds": (time.perf_counter() - began) / len(seeds),
                "seeds_at_once": len(seeds),
            }
            for result in results:
                row = {**self._row(result, block), **extra, **environment(self.device)}
                rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
            _keep_best(out, self.recipe, self.graph, results, rows)
            write_json(table, {"rows": rows.to_dict(orient="records")}, indent=1)
            write_text(out / "rows.csv", rows.to_csv(index=False))
            snapshots.remove()
        return rows

    def _fit_large(
        self, model: NodeClassifier, seed: int, watch: Callable[[int, float], None], snapshots: Snapshots
    ) -> tuple[list[SeedResult], dict[str, Any]]:
        run, graph = self.run, self.graph
        if graph.x is not None and graph.x.layout != torch.strided and run.batches == "neighbour":
            graph = graph.clone()
            graph.x = graph.x.to_dense()
        halo = len(model.layers)
        whole: Any = PartitionLoader(graph, run.num_parts, halo=halo + 1, shuffle=False)
        if run.batches == "neighbour":
            batches: Any = NeighborLoader(
                graph, [10] * halo, input_nodes=graph.train_mask, batch_size=1024, shuffle=True
            )
        else:
            batches = PartitionLoader(graph, run.num_parts, parts_per_batch=max(1, run.num_parts // 10), seed=seed)
        options: dict[str, Any] = {"seed": seed, "whole": whole, "on_epoch": watch, "snapshots": snapshots}
        result = fit_batches(model, graph, batches, self.recipe.settings, **options)
        extra: dict[str, Any] = {}
        if run.data.startswith("ogbn-"):
            evaluator = ogb_evaluator(run.data)
            logits, chosen = predict_batches(model, graph, whole), graph.test_mask
            predicted = logits.argmax(dim=-1, keepdim=True) if graph.y.dim() == 1 else logits
            truth = graph.y.view(graph.y.size(0), -1)
            scores = evaluator.eval({"y_true": truth[chosen].numpy(), "y_pred": predicted[chosen].numpy()})
            extra = {f"ogb_{name}": float(value) for name, value in scores.items()}
        return [result], extra

    def _row(self, result: SeedResult, block: dict[str, Any]) -> dict[str, Any]:
        names = ("seed", "test_accuracy", "val_accuracy", "train_accuracy", "val_loss", "epochs", "epoch")
        return {
            "data": self.run.data,
            "data_hash": self.digest,
            "model": self.run.model,
            **{name: getattr(result, name) for name in names},
            **block,
            "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "num_nodes": self.graph.num_nodes,
            "num_edges": self.graph.num_edges,
            "recipe": json.dumps({**self.recipe.model, **asdict(self.recipe.settings)}, sort_keys=True),
        }


def summarize(rows: Any) -> dict[str, Any]:
    """Mean and standard deviation over seeds, in percent.

    Args:
        rows: As `train_nodes` returns them.

    Returns:
        `data`, `model`, `seeds`, and for test and validation accuracy mean, standard deviation (ddof 1) and standard
        error; `seconds` of all seeds together. JSON values.
    """
    summary: dict[str, Any] = {"data": rows["data"].iloc[0], "model": rows["model"].iloc[0], "seeds": len(rows)}
    for part in ("test", "val"):
        values = 100 * rows[f"{part}_accuracy"]
        deviation = float(values.std()) if len(values) > 1 else 0.0
        summary[part] = {
            "mean": float(values.mean()),
            "std": deviation,
            "standard_error": deviation / len(values) ** 0.5,
        }
    summary["seconds"] = float(rows["seconds"].sum())
    summary["hardware"] = str(rows["hardware"].iloc[0])
    return summary


def _keep_best(out: Path, recipe: NodeRecipe, graph: Any, results: list[SeedResult], rows: Any) -> None:
    best = max(results, key=lambda result: result.val_accuracy)
    if best.val_accuracy < rows["val_accuracy"].max():
        return
    config = {"in_channels": graph.num_features, "out_channels": graph.num_classes, **recipe.model}
    model = NodeClassifier(**config)
    model.load_state_dict(best.state)
    save_checkpoint(out / "model", model, config)


def _read_rows(table: Path, digest: str) -> pd.DataFrame:
    """The rows that are there already: whole, of this very graph, and each with a result."""
    if not table.exists():
        return pd.DataFrame()
    with damage_named(f"out: {table}", "give another folder (--out)"):
        rows: Any = pd.DataFrame(json_of(table.read_bytes())["rows"])
        whole = rows[["seed", "data_hash", "test_accuracy", "val_accuracy", "val_loss"]].notna().all(axis=1)
    if not whole.all():
        row = int((~whole).to_numpy().argmax())
        raise ValueError(f"out: {table} is damaged: row {row} has no result; give another folder (--out)")
    other = rows["data_hash"] != digest
    if other.any():
        row = rows[other].iloc[0]
        raise ValueError(
            f"out: {table}: seed {row['seed']} was trained on another graph (data_hash {row['data_hash']}, now "
            f"{digest}); give another folder (--out)"
        )
    return rows
