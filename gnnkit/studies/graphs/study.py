"""Does the graph help? A graph model and a structure-blind rival on the same folds, fit by fit, as rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch
from pydantic import model_validator
from torch import Tensor

import gnnkit
from gnnkit.data.graph_set import GraphSet
from gnnkit.data.graphs import load_graphs
from gnnkit.kept_files import check_claim, claim_folder, damage_named, json_of, write_json, write_text
from gnnkit.kept_tensors import save_tensors
from gnnkit.settings.graphs import GraphRunFields
from gnnkit.studies.graphs.folds import GraphFold, graph_folds
from gnnkit.studies.graphs.recipes import RIVAL, GraphRecipe, graph_recipe
from gnnkit.studies.graphs.scores import HIGHER, GraphTask
from gnnkit.studies.graphs.summary import summarize_graphs
from gnnkit.studies.graphs.training import GraphFit, fit_graphs, predict_graphs, predictor_config
from gnnkit.training import Snapshots, resolve_device, save_checkpoint
from gnnkit.training.code import code_digest
from gnnkit.training.environment import environment

__all__ = ["CONSTANT", "GraphRun", "read_rows", "train_graphs"]

CONSTANT = "constant"
"""The rival that says of every graph what is most frequent, or the mean."""
_ROWS, _SNAPSHOT = "rows.json", "training.safetensors"
_CODE = ("ops", "graph", "layers", "data", "training", "studies/graphs")
_KEY = ["model", "fold", "stage", "seed", "config"]


class GraphRun(GraphRunFields, frozen=True):
    """What `train_graphs` trains.

    Its fields are those of `gnnkit.settings.graphs.GraphRunFields`. `model` is of `GRAPH_RECIPES`; `changes` and
    `tried` are of arguments of `gnnkit.layers.GraphPredictor` or of `GraphSettings`.

    Raises:
        ValueError: A number is out of range, a name unknown, or a change fits nothing.
    """

    @model_validator(mode="after")
    def _known_recipes(self) -> Self:
        self.recipes()
        return self

    def recipes(self) -> list[GraphRecipe]:
        """The model's recipe and the rival's; the rival gets what is changed of the training, not of the model."""
        recipe = graph_recipe(self.model, self.changes, self.tried)
        if self.model == RIVAL:
            return [recipe]
        training = asdict(recipe.settings)
        changes = {name: value for name, value in self.changes.items() if name in training}
        rival = graph_recipe(RIVAL, changes, {})
        nothing_tried = self.tried and not recipe.tried
        return [recipe, replace(rival, tried={}) if nothing_tried else rival]


def train_graphs(
    run: GraphRun,
    folder: str | Path,
    out: str | Path,
    *,
    data: GraphSet | None = None,
    on_epoch: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Train the model and its structure-blind rival on every fold, and say whether the graph helps.

    In each fold the settings that are tried are chosen by the score of validation graphs, which are a part of the
    training ones; those that are chosen are trained anew from each seed, and these alone are scored, once, on the test
    graphs. A fit that is done is a row, so that a run which was cut off goes on where it was, and more seeds add to
    what is there.

    Args:
        run: What to train.
        folder: Of the data; see `gnnkit.data.graphs.load_graphs`.
        out: Folder: it gets `run.json`, `rows.json` and the same as `rows.csv` (a row a fit), `summary.json`,
            `predictions/` of the test graphs, and `model/`, the checkpoint of the best validation among the scored fits
            of the model.
        data: The graphs, where they are not to be read from `folder`.
        on_epoch: Told in a few words how far it is.

    Returns:
        The summary; see `gnnkit.studies.graphs.summary.summarize_graphs`.

    Raises:
        FloatingPointError: A loss is not finite or has exploded; names the fit and the epoch.
        ValueError: `out` is a file, or holds a run that was made from something else, which is named; the graphs cannot
            be split; or see the loaders.

    Source:
        Errica et al., "A fair comparison of graph neural networks for graph classification" (2020).
    """
    recipes, out, table = run.recipes(), Path(out), Path(out) / _ROWS
    device = resolve_device(run.device)
    made_from: dict[str, Any] = {
        "recipes": {each.name: {**json.loads(each.as_json()), "tried": dict(each.tried)} for each in recipes},
        "split": {name: getattr(run, name) for name in ("target", "degrees", "folds", "validation", "split_seed")},
        "gnnkit": gnnkit.__version__,
    }
    check_claim(out, "run.json", made_from, "a run", finished=table.exists)  # before much is read
    graphs = load_graphs(folder, target=run.target) if data is None else data
    graphs = graphs.with_degrees() if run.degrees else graphs
    made_from["graphs"] = graphs.digests()
    folds = graph_folds(graphs, run.folds, run.validation, run.split_seed)
    with claim_folder(out, "run.json", made_from, "a run", finished=table.exists):
        digest = hashlib.sha256("".join(made_from["graphs"].values()).encode()).hexdigest()[:12]
        study = _Study(run, graphs, folds, made_from, digest, out, device, on_epoch)
        (out / "predictions").mkdir(exist_ok=True)
        rows = study.train(recipes)
        summary = summarize_graphs(rows, graphs, folds, out / "predictions", run.seeds)
        write_json(out / "summary.json", summary)
    return summary


@dataclass(frozen=True)
class _Study:
    """What the fits of a run share."""

    run: GraphRun
    graphs: GraphSet
    folds: list[GraphFold]
    made_from: dict[str, Any]
    digest: str
    out: Path
    device: torch.device
    on_epoch: Callable[[str], None] | None

    def train(self, recipes: list[GraphRecipe]) -> pd.DataFrame:
        """Train what has no row yet; the rows of all."""
        rows = read_rows(self.out / _ROWS, self.digest)
        for number, fold in enumerate(self.folds):
            for recipe in recipes:
                rows = self._fold(rows, number, fold, recipe)
            if self._row_of(rows, CONSTANT, number, "final", 0, "{}") is None:
                task = GraphTask(self.graphs, fold.train)
                found = {}
                for part, chosen in (("val", fold.val), ("test", fold.test)):
                    found[f"{part}_score"] = task.score(task.constant(chosen.numel()), self.graphs.y[chosen])
                constant = task.constant(fold.test.numel())
                rows = self._keep(rows, CONSTANT, number, "final", 0, "{}", found, constant)
        write_text(self.out / "rows.csv", rows.to_csv(index=False))  # perhaps cut off behind its last row
        Snapshots(self.out / _SNAPSHOT, {}).remove()
        return rows

    def _fold(self, rows: pd.DataFrame, number: int, fold: GraphFold, recipe: GraphRecipe) -> pd.DataFrame:
        configs = [(values, json.dumps(values, sort_keys=True)) for values in recipe.configs()]
        if len(configs) > 1:
            # The first seed's: a setting is chosen before a test graph is looked at.
            for values, text in configs:
                if self._row_of(rows, recipe.name, number, "trial", 0, text) is None:
                    _, fit = self._fit(number, fold, recipe.with_values(values), 0, "trial")
                    rows = self._keep(rows, recipe.name, number, "trial", 0, text, _figures(fit))
            trials = [self._row_of(rows, recipe.name, number, "trial", 0, text) for _, text in configs]
            sign = 1 if HIGHER[self.graphs.metric] else -1
            best = max(
                range(len(trials)), key=lambda place: (sign * trials[place]["val_score"], -trials[place]["val_loss"])
            )  # pyright: ignore
            configs = [configs[best]]
        values, text = configs[0]
        for seed in self.run.seeds:
            if self._row_of(rows, recipe.name, number, "final", seed, text) is None:
                model, fit = self._fit(number, fold, recipe.with_values(values), seed, "final")
                task = GraphTask(self.graphs, fold.train)
                predicted = task.predictions(predict_graphs(model, self.graphs, fold.test, self.device))
                found = {**_figures(fit), "test_score": task.score(predicted, self.graphs.y[fold.test])}
                found["parameters"] = sum(p.numel() for p in model.parameters())
                before = rows
                if recipe.name == self.run.model:
                    self._keep_best(before, recipe.with_values(values), model, found["val_score"])
                rows = self._keep(rows, recipe.name, number, "final", seed, text, found, predicted)
        return rows

    def _fit(self, number: int, fold: GraphFold, recipe: GraphRecipe, seed: int, stage: str) -> tuple[Any, GraphFit]:
        what = f"{recipe.name}, fold {number + 1} of {len(self.folds)}, {stage}, seed {seed}"

        def watch(epoch: int, loss: float) -> None:
            if self.on_epoch is not None:
                self.on_epoch(f"{what}: epoch {epoch}, loss {loss:.4f}")

        # One of another fit, or of other code, is begun anew: what it would save is a part of one fit.
        fit = {"model": recipe.name, "fold": number, "stage": stage, "seed": seed, "settings": recipe.as_json()}
        made_from = {**self.made_from, "fit": fit, "code": code_digest(*_CODE)}
        snapshots = Snapshots(self.out / _SNAPSHOT, made_from, anew=True)
        try:
            return fit_graphs(self.graphs, fold, recipe, seed, self.device, on_epoch=watch, snapshots=snapshots)
        except FloatingPointError as error:
            raise FloatingPointError(f"{what}: {error}") from None

    def _keep(
        self,
        rows: pd.DataFrame,
        model: str,
        fold: int,
        stage: str,
        seed: int,
        config: str,
        figures: dict[str, Any],
        predicted: Tensor | None = None,
    ) -> pd.DataFrame:
        """Add a row, and write all; its predictions are there before it is."""
        if predicted is not None:
            path = self.out / "predictions" / f"{model}-fold{fold}-seed{seed}.safetensors"
            save_tensors(path, {"graphs": self.folds[fold].test, "predicted": predicted.contiguous()}, {"model": model})
        row = {
            "data": self.graphs.name,
            "data_hash": self.digest,
            "metric": self.graphs.metric,
            "model": model,
            "fold": fold,
            "stage": stage,
            "seed": seed,
            "config": config,
            **figures,
            **environment(self.device),
        }
        rows = _typed(pd.concat([rows, pd.DataFrame([row])], ignore_index=True))
        write_json(self.out / _ROWS, {"rows": [_known(each) for each in rows.to_dict(orient="records")]}, indent=1)
        write_text(self.out / "rows.csv", rows.to_csv(index=False))
        Snapshots(self.out / _SNAPSHOT, {}).remove()
        return rows

    @staticmethod
    def _row_of(rows: pd.DataFrame, *key: Any) -> Any:
        """The row of a fit, or None."""
        if rows.empty:
            return None
        found: Any = rows
        for name, value in zip(_KEY, key, strict=True):
            found = found[found[name] == value]
        return None if found.empty else found.iloc[0]

    def _keep_best(self, rows: pd.DataFrame, recipe: GraphRecipe, model: Any, val_score: float) -> None:
        """Keep the model where no scored fit of it that is there validated better."""
        sign = 1 if HIGHER[self.graphs.metric] else -1
        if not rows.empty:
            others: Any = rows[(rows["model"] == recipe.name) & (rows["stage"] == "final")]["val_score"]
            if len(others) and sign * val_score < (sign * others).max():
                return
        save_checkpoint(self.out / "model", model, predictor_config(recipe, self.graphs))


def _figures(fit: GraphFit) -> dict[str, Any]:
    names = ("val_score", "val_loss", "epoch", "epochs", "seconds")
    return {name: getattr(fit, name) for name in names}


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what it has no value of: a trial has no test score."""
    return {name: value for name, value in row.items() if pd.notna(value)}


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Whole numbers stay such where some rows have none."""
    return rows.astype({name: "Int64" for name in ("epoch", "epochs", "parameters") if name in rows})


def read_rows(table: Path, digest: str) -> pd.DataFrame:
    """The rows that are there already: whole, of these very graphs, each with a validation, a test score where scored.

    Raises:
        ValueError: The file is damaged, or of other graphs.
    """
    if not table.exists():
        return pd.DataFrame()
    with damage_named(f"out: {table}", "give another folder (--out)"):
        rows: Any = pd.DataFrame(json_of(table.read_bytes())["rows"])
        whole = rows[[*_KEY, "data_hash", "val_score"]].notna().all(axis=1)
        rows = _typed(rows)
        whole &= (rows["stage"] != "final") | rows["test_score"].notna()
    if not whole.all():
        row = int((~whole).to_numpy().argmax())
        raise ValueError(f"out: {table} is damaged: row {row} has no result; give another folder (--out)")
    other = rows["data_hash"] != digest
    if other.any():
        row = rows[other].iloc[0]
        raise ValueError(
            f"out: {table}: a fit was trained on other graphs (data_hash {row['data_hash']}, now {digest}); give "
            "another folder (--out)"
        )
    return rows
