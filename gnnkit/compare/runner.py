"""Run a comparison: one spec × models × seeds → rows, errors and verdicts."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gnnkit.compare.baselines import BASELINES, historical_average_note
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, Results
from gnnkit.compare.scores import Outcome, node_errors, score_rows, step_rows, traces, window_errors
from gnnkit.compare.spec import ComparisonSpec, FinalSpec, resolve
from gnnkit.compare.verdicts import verdicts
from gnnkit.data import GraphSeries, WindowSplits, load, make_windows, read_own
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.training import FitProgress, FitResult, isolated_seed, resolve_device
from gnnkit.training.environment import environment
from gnnkit.training.fit import fit, predict

__all__ = ["load_series", "run"]


def run(spec: ComparisonSpec, progress: FitProgress | None = None, *, series: GraphSeries | None = None) -> Results:
    """Train every model with every seed on the same windows, and compare them with each other and the baselines.

    A model is trained once a seed to predict max(horizons) steps and scored at each horizon P on the test windows that
    hold P targets, twice: over all steps 1 … P and over step P alone. All errors are in the data's unit. A fit whose
    numbers stop being finite has no rows: it stands in `Results.failures`, and the others go on.

    Args:
        spec: what to compare; `make_spec` builds it.
        progress: told about runs and steps; None: quiet.
        series: the data, in place of what `spec.data` or `spec.series` names.

    Returns:
        Everything that was found.

    Raises:
        ValueError: the data cannot be read, or is too short for history and horizons; before anything is trained.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> small = {"num_nodes": 8, "days": 2}
        >>> spec = make_spec(data_options=small, models=["gru"], seeds=[0], epochs=1, horizons=[3])
        >>> results = run(spec)
        >>> results.models
        ['last-value', 'rolling-average', 'historical-average', 'gru']
    """
    start = time.perf_counter()
    series = load_series(spec) if series is None else series
    spec = resolve(spec)
    windows = _windows(spec, series)
    place = environment(resolve_device(spec.device))
    failures: list[dict[str, Any]] = []
    outcomes = [
        Outcome(name, "baseline", 0, baseline(series, windows.test), None) for name, baseline in BASELINES.items()
    ]
    runs = [(name, seed) for name in _ordered(spec.models) for seed in spec.seeds]
    for number, (name, seed) in enumerate(runs):
        if progress:
            progress.begin_run(f"{name}, seed {seed}", number, len(runs))
        try:
            fitted, predicted = _train(spec, series, windows, name, seed, progress)
        except FloatingPointError as error:
            failures.append({"model": name, "seed": seed, "error": str(error)})
            continue
        outcomes.append(Outcome(name, MODELS[name].family, seed, predicted, fitted))

    place |= {"data_hash": series.digest(), "wall_seconds": time.perf_counter() - start}
    shared = {"data": series.name, "data_hash": place["data_hash"], "history": spec.history}
    shared |= {key: place[key] for key in ("device", "hardware", "threads", "torch", "gnnkit", "commit", "date")}
    true, mask = _test_targets(windows)
    rows = score_rows(outcomes, true, mask, {p: windows.test.count(p) for p in spec.horizons})
    absolute, squared, counts = window_errors(outcomes, true, mask, {p: windows.test.count(p) for p in spec.horizons})
    families = {outcome.model: outcome.family for outcome in outcomes}
    longest = windows.test.count(max(spec.horizons))
    note = historical_average_note(series)
    return Results(
        spec=spec.to_json(),
        environment=place,
        data=_describe(series),
        rows=pd.DataFrame([shared | row for row in rows], columns=ROW_COLUMNS),
        curves=pd.DataFrame([row for outcome in outcomes for row in _curve(outcome)], columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(step_rows(outcomes, true[:longest], mask[:longest]), columns=STEP_COLUMNS),
        window_errors={name: {p: _mean(table) for p, table in found.items()} for name, found in absolute.items()},
        seed_window_errors=absolute,
        seed_window_squared=squared,
        window_counts=counts,
        node_errors=node_errors(outcomes, true[:longest], mask[:longest]),
        traces=traces(outcomes, series, windows.test, true, mask),
        verdicts=verdicts(
            absolute,
            squared,
            counts,
            families,
            history=spec.history,
            unit=series.unit,
            step_minutes=series.step_minutes,
            resamples=spec.resamples,
            confidence=spec.confidence,
        ),
        notes=[note] if note else [],
        failures=failures,
    )


def load_series(spec: ComparisonSpec) -> GraphSeries:
    """The data that a spec names: a known data set, or your own files.

    Raises:
        ValueError: it cannot be read; the message says what is wrong with which file.
    """
    if spec.series is None:
        return load(spec.data or "simulated", spec.data_root, **spec.data_options)
    names = ("graph_format", "target", "unit", "step_minutes", "season")
    options = {name: getattr(spec, name) for name in names if getattr(spec, name) is not None}
    return read_own(spec.series, spec.graph, **options)


def _windows(spec: FinalSpec, series: GraphSeries) -> WindowSplits:
    longest = max(spec.horizons)
    # Asked for in full first: a split that is too short for the longest horizon is an error, not a row without windows.
    options = {"history": spec.history, "scaler": spec.scaler, "time_features": spec.time_features}
    make_windows(series, horizon=longest, **options)
    windows = make_windows(series, horizon=longest, min_horizon=min(spec.horizons), **options)
    for part in ("val", "test"):
        chosen = getattr(windows, part)
        if not chosen.batch(torch.arange(chosen.count(longest))).y_mask.any():
            raise ValueError(
                f"the {part} split of {series.name} has no observed target in rows {chosen.rows.start} to "
                f"{chosen.rows.stop - 1}; give a series with values there"
            )
    return windows


def _train(
    spec: FinalSpec, series: GraphSeries, windows: WindowSplits, name: str, seed: int, progress: FitProgress | None
) -> tuple[FitResult, Tensor]:
    with isolated_seed(seed):  # one seed, one draw of the first weights, whatever was trained before
        forecaster = build_forecaster(
            name,
            in_channels=windows.train.num_features,
            time_channels=windows.train.time_channels,
            horizon=max(spec.horizons),
            history=spec.history,
            num_nodes=series.num_nodes,
            hidden_channels=spec.hidden_channels,
            residual=spec.residual,
        )
    graph = (series.edge_index, series.edge_weight)
    fitted = fit(forecaster, windows, *graph, spec.training_settings(seed), progress=progress)
    return fitted, predict(forecaster, windows.test, *graph, device=spec.device)


def _ordered(models: tuple[str, ...]) -> list[str]:
    """Sequence models before graph models, each in the order asked."""
    return sorted(models, key=lambda name: MODELS[name].family == "graph")


def _test_targets(windows: WindowSplits) -> tuple[Tensor, Tensor]:
    """All test targets [W, P, N] in the data's unit, and which of them were observed."""
    batch = windows.test.batch(torch.arange(len(windows.test)))
    return batch.y, batch.y_mask


def _curve(outcome: Outcome) -> list[dict[str, Any]]:
    records = outcome.fitted.epochs if outcome.fitted else []
    return [{"model": outcome.model, "seed": outcome.seed} | dataclasses.asdict(record) for record in records]


def _mean(per_seed: list[list[float | None]]) -> list[float | None]:
    """Mean over seeds of every window; the windows without a target are the same for all seeds."""
    return [None if column[0] is None else float(np.mean(column)) for column in zip(*per_seed, strict=True)]


def _describe(series: GraphSeries) -> dict[str, Any]:
    edges = zip(*series.edge_index.tolist(), series.edge_weight.tolist(), strict=True)
    return {
        "name": series.name,
        "source": series.source,
        "unit": series.unit,
        "step_minutes": series.step_minutes,
        "season": series.season,
        "start": None if series.start is None else series.start.isoformat(),
        "rows": series.num_rows,
        "nodes": series.num_nodes,
        "features": series.num_features,
        "missing_share": float(series.values[..., 0].isnan().double().mean()),
        "split": series.split.label,
        "split_rows": {part: [rows.start, rows.stop] for part, rows in series.split.parts.items()},
        "node_names": list(series.node_names),
        "positions": None if series.positions is None else series.positions.tolist(),
        "edges": [list(edge) for edge in edges],
    }
