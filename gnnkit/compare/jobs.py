"""The jobs of a comparison: one fit each, of one model with one seed under one condition."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gnnkit.compare.conditions import ADJACENCIES, BASE, Adjacency, Condition
from gnnkit.compare.folds import fold_series
from gnnkit.compare.pruning import Pruner
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import ComparisonSpec, FinalSpec
from gnnkit.data import GraphSeries, WindowSplits, hide_in_outages, latest_training_rows
from gnnkit.forecasting import fit_windows, train_one
from gnnkit.forecasting.dry_run import dry_run
from gnnkit.forecasting.model_settings import FIT_SETTINGS
from gnnkit.statistics.conformal import interval_levels
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.temporal.entry import core_of
from gnnkit.training import FitListeners, FitProgress, Snapshots, TrainingSettings, isolated_seed

__all__ = [
    "Job",
    "ablation_adjacencies",
    "ablation_notes",
    "check_models",
    "job_settings",
    "job_windows",
    "plan_jobs",
    "run_job",
    "unchanged_graphs",
]

_TRAINING = {*TrainingSettings.model_fields} - {"seed", "device"}


@dataclass(frozen=True)
class Job:
    """One fit.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        seed: of the first weights, the order of the batches, and what the condition draws.
        condition: what is changed about the data.
        hidden_channels: width.
        settings: what else differs from the spec: settings of training, e.g. `learning_rate`, and of the model itself.
        trials: tuning trials that were spent on the settings.
        trial: number of a tuning trial, from 1; it predicts no test window. 0 (default): a fit that is compared.
        fold: of the rolling origins, from 0 on.
        limits: by epoch, the validation MAE above which a trial is ended early (`gnnkit.compare.pruning`).

    Example:
        >>> job = Job("gcn", 1, Condition(adjacency="shuffled"))
        >>> job.key, job.label
        ('gcn-seed1-shuffled', 'gcn, seed 1, shuffled')
    """

    model: str
    seed: int
    condition: Condition = BASE
    hidden_channels: int = 16
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    trials: int = 0
    trial: int = 0
    fold: int = 0
    limits: tuple[float | None, ...] = ()

    @property
    def key(self) -> str:
        """The job's name as a file's; no two jobs of a comparison share one."""
        condition = self.condition
        parts = [_file_name(self.model), f"seed{self.seed}"]
        parts += [] if condition.adjacency == "given" else [condition.adjacency]
        parts += [] if condition.train_share == 1 else [f"train{condition.train_share!r}"]
        parts += [] if condition.hidden_share == 0 else [f"hidden{condition.hidden_share!r}"]
        parts += [f"trial{self.trial}"] if self.trial else []
        parts += [f"fold{self.fold + 1}"] if self.fold else []
        return "-".join(parts)

    @property
    def label(self) -> str:
        """The job in words."""
        words = [self.model, f"seed {self.seed}", self.condition.label, f"trial {self.trial}" if self.trial else ""]
        words += [f"fold {self.fold + 1}"] if self.fold else []
        return ", ".join(word for word in words if word)


def plan_jobs(
    spec: ComparisonSpec, chosen: Mapping[str, Mapping[str, Any]] | None = None, standing: Sequence[str] = ()
) -> list[Job]:
    """The fits that a spec asks for: the main table's first, then ablations of the graph, then learning curves.

    Args:
        spec: what is compared.
        chosen: settings by model that a budget chose, with `hidden_channels` and `trials` among them; they come before
            those of the spec.
        standing: rivals that stand beside the models of the spec (`gnnkit.compare.standing`).

    Returns:
        Every model with every seed, and of the rivals those with the first one, where a seed draws nothing; the models
        of `ablate_graph` on each other graph; every model on each share of the training rows and of hidden inputs.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> [job.key for job in plan_jobs(make_spec(models=["tgcn", "gru"], seeds=[0, 1]))]
        ['gru-seed0', 'gru-seed1', 'tgcn-seed0', 'tgcn-seed1']
    """
    models = sorted([*standing, *spec.models], key=lambda name: MODELS[name].family == "graph")  # sequence models first
    pairs = [(name, BASE) for name in models]
    pairs += [
        (name, Condition(adjacency=kind)) for name in spec.ablate_graph for kind in ablation_adjacencies(spec, name)[1:]
    ]
    pairs += [(name, Condition(train_share=share)) for share in sorted(spec.train_shares) for name in models]
    pairs += [(name, Condition(hidden_share=share)) for share in sorted(spec.hidden_shares) for name in models]
    jobs: dict[str, Job] = {}
    for name, condition in pairs:
        own = {**spec.settings.get(name, {}), **(chosen or {}).get(name, {})}
        width, trials = own.pop("hidden_channels", spec.hidden_channels), own.pop("trials", 0)
        # A seed draws outages, and nothing in a closed form.
        once = name in standing and MODELS[name].is_deterministic and not condition.hidden_share
        for seed, fold in itertools.product(spec.seeds[:1] if once else spec.seeds, range(spec.folds or 1)):
            job = Job(name, seed, condition, width if MODELS[name].has_width else 0, own, trials, fold=fold)
            jobs.setdefault(job.key, job)  # a share of 1 is the base, which is there
    return list(jobs.values())


def ablation_adjacencies(spec: ComparisonSpec, model: str) -> list[Adjacency]:
    """The graphs that an ablation trains a model on, the given one first.

    A learned one is among them where the registry has the same model with a graph that it learns. A model that ignores
    the graph that it is given has none: there is nothing to take away.
    """
    if not _uses_graph(spec, model):
        return []
    return [kind for kind in ADJACENCIES if kind != "learned" or _learned_twin(model)]


def ablation_notes(spec: ComparisonSpec) -> list[str]:
    """A sentence for every model of `ablate_graph` that ignores the graph that it is given."""
    return [
        f"{name} ignores the graph that it is given, so that its graph was not ablated."
        for name in spec.ablate_graph
        if not ablation_adjacencies(spec, name)
    ]


def unchanged_graphs(spec: ComparisonSpec, series: GraphSeries) -> dict[Adjacency, list[int]]:
    """The seeds with which another graph is the given one again, as a complete graph is that is shuffled.

    Args:
        spec: its seeds draw the graphs; there are none without an ablation.
        series: has the given graph.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> from gnnkit.data import simulate_traffic
        >>> pair = {"edge_index": torch.tensor([[0, 1], [1, 0]]), "edge_weight": torch.ones(2)}
        >>> series = dataclasses.replace(simulate_traffic(num_nodes=2, days=1), **pair)
        >>> unchanged_graphs(make_spec(models=["gcn"], ablate_graph=["gcn"], seeds=[0, 1]), series)
        {'shuffled': [0, 1], 'random': [0, 1], 'complete': [0, 1]}
    """
    given = series.edge_index, series.edge_weight
    kinds: tuple[Literal["shuffled", "random", "complete"], ...] = ("shuffled", "random", "complete")
    found: dict[Adjacency, list[int]] = {kind: [] for kind in kinds}
    if not spec.ablate_graph:
        return found
    from gnnkit.graph import graph_variant  # PyG: who changes no graph needs none

    nodes = series.num_nodes
    if series.edge_index.shape[1] < nodes * (nodes - 1):  # it is large, and another one
        kinds = ("shuffled", "random")
    for kind, seed in itertools.product(kinds, spec.seeds):
        other = _sorted_edges(*graph_variant(*given, series.num_nodes, kind, seed=seed))
        if all(torch.equal(one, two) for one, two in zip(other, _sorted_edges(*given), strict=True)):
            found[kind].append(seed)
    return found


def job_settings(spec: ComparisonSpec, job: Job) -> tuple[dict[str, Any], TrainingSettings]:
    """The settings of a job: those of its model, and those of its training.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> own, training = job_settings(make_spec(), Job("mtgnn", 0, settings={"dropout": 0.1, "learning_rate": 0.01}))
        >>> own, training.learning_rate
        ({'dropout': 0.1}, 0.01)
    """
    mine = _of_the_model(job.model)
    own = {name: value for name, value in job.settings.items() if name in mine or name not in _TRAINING}
    training = {name: value for name, value in job.settings.items() if name not in own}
    if spec.intervals == "quantile":
        training |= {"loss": "pinball", "quantiles": interval_levels(spec.coverage)}
    return own, TrainingSettings(**{**dict(spec.training_settings(job.seed)), **training})


def check_models(spec: FinalSpec, series: GraphSeries, windows: WindowSplits, jobs: Sequence[Job]) -> None:
    """Let the models of one's own among some jobs take one step on two windows each, before anything is trained.

    Raises:
        ValueError: what one gives is no forecast, or cannot learn; see `gnnkit.forecasting.dry_run`.
    """
    for job in {job.model: job for job in reversed(jobs)}.values():
        own, _ = job_settings(spec, job)
        dry_run(spec, series, windows, job.model, hidden_channels=job.hidden_channels, own=own)


def job_windows(
    spec: FinalSpec, series: GraphSeries, condition: Condition = BASE, seed: int = 0, fold: int = 0
) -> tuple[GraphSeries, WindowSplits]:
    """The data of a job: the series with the graph and the training rows of its condition, and its windows.

    Args:
        spec: history, horizons, scaler.
        series: as it was read.
        condition: what is changed (default: nothing).
        seed: draws the graph and the outages, the same for all models.
        fold: of the rolling origins.

    Returns:
        The series and the windows; targets, and the rows that are tested, are those of every job.
    """
    series = fold_series(spec, series, fold)
    if condition.train_share < 1:
        series = latest_training_rows(series, condition.train_share)
    hidden = hide_in_outages(series, condition.hidden_share, seed=seed) if condition.hidden_share > 0 else None
    if condition.adjacency not in ("given", "learned"):
        from gnnkit.graph import graph_variant

        edge_index, edge_weight = graph_variant(
            series.edge_index, series.edge_weight, series.num_nodes, condition.adjacency, seed=seed
        )
        series = dataclasses.replace(series, edge_index=edge_index, edge_weight=edge_weight)
    return series, fit_windows(spec, series, hidden=hidden, whole=spec.folds > 1)


def run_job(
    spec: FinalSpec,
    series: GraphSeries,
    job: Job,
    progress: FitProgress | None = None,
    snapshots: Snapshots | None = None,
) -> tuple[Outcome, float]:
    """Train the model of a job, and let it predict the validation and (unless it is a trial) the test windows.

    Args:
        spec: what is compared, with its history and horizons.
        series: as it was read.
        job: what to fit.
        progress: told about every step; None: quiet.
        snapshots: from which the fit goes on, and where it keeps new ones; None: none.

    Returns:
        What was predicted, and the seconds that all of it took.

    Raises:
        FloatingPointError: a loss or a gradient was not finite.
        ValueError: a setting that the model or the training does not have.
    """
    import lightning.fabric  # noqa: F401 - `fit` needs it: seconds, once a process, that are not the job's

    start = time.perf_counter()
    series, windows = job_windows(spec, series, job.condition, job.seed, job.fold)
    own, settings = job_settings(spec, job)
    name = _learned_twin(job.model) if job.condition.adjacency == "learned" else job.model
    if name is None:
        raise ValueError(f"{job.model} has no form that learns its graph; choose one of mtgnn-given, mtgnn-both")
    if job.limits:
        progress = FitListeners(progress, Pruner(job.limits))
    options: dict[str, Any] = {"hidden_channels": job.hidden_channels, "own": own, "progress": progress}
    options["snapshots"] = snapshots
    parts = ("val",) if job.trial else ("val", "test")
    trained = train_one(spec, series, name, settings, windows=windows, predict_on=parts, **options)
    validation = trained.predicted["val"]
    test = trained.predicted.get("test", validation[:0])
    quantiles: dict[str, Any] = {}
    if settings.quantiles and not MODELS[name].fits_itself:
        quantiles = {"quantiles": test, "validation_quantiles": validation}
        test, validation = (part[..., settings.quantiles.index(0.5)].contiguous() for part in (test, validation))
    family = MODELS[job.model].family
    outcome = Outcome(job.model, family, job.seed, test, trained.result, job.condition, validation, **quantiles)
    return outcome, time.perf_counter() - start


def _sorted_edges(edge_index: Tensor, edge_weight: Tensor) -> tuple[Tensor, Tensor]:
    """Edges and weights in an order that is the same for the same graph."""
    order = np.lexsort((edge_weight.numpy(), *edge_index.numpy()))
    return edge_index[:, order], edge_weight[order]


def _file_name(model: str) -> str:
    """A name as a part of a file's: one that is a place has its end, and some signs that no other place has."""
    name = re.sub(r"[^\w.-]", "_", model)
    return name if name == model else f"{name[-60:].lstrip('_.-')}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def _of_the_model(model: str) -> set[str]:
    """The settings that go to a model's constructor, even where training has one of that name.

    A rival minds its own rates and epochs; of a module the trainer does.
    """
    entry = MODELS[model]
    return {*entry.settings} - (set() if entry.fits_itself else {*FIT_SETTINGS})


def _uses_graph(spec: ComparisonSpec, model: str) -> bool:
    """Whether the given graph makes a difference to the model; it may depend on its settings."""
    entry = MODELS[model]
    if entry.is_own:  # its constructor may mind made-up sizes; what its class says holds for all of them
        return entry.family == "graph" and bool(getattr(core_of(entry.build), "uses_graph", True))
    own = {name: value for name, value in spec.settings.get(model, {}).items() if name not in _TRAINING}
    if entry.fits_itself:
        return bool(entry.make({}, own).uses_graph)
    sizes = {"hidden_channels": spec.hidden_channels, "history": spec.history or 12, "num_nodes": 4}
    sizes |= {"edge_index": torch.zeros(2, 0, dtype=torch.int64)}
    with isolated_seed(0):
        return bool(build_forecaster(model, in_channels=1, horizon=1, **{**sizes, **own}).uses_graph)


def _learned_twin(model: str) -> str | None:
    """The registry's name of the same model with a graph that it learns in place of the given one; None without one."""
    build = MODELS[model].build
    if not isinstance(build, partial) or "graph" not in build.keywords:
        return None
    for name, entry in MODELS.items():
        other = entry.build
        wanted = {**build.keywords, "graph": "learned"}
        if isinstance(other, partial) and other.func is build.func and other.keywords == wanted:
            return name
    return None
