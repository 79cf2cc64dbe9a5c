"""Made-up results of a comparison, small or large, whole or odd, for the tests of whatever draws from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare.report import render_html
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, Results

BASELINES = {"last-value": 3.15, "rolling-average": 3.9, "historical-average": 4.4}
MODELS = {"lstm": ("sequence", 2.98), "bilstm": ("sequence", 2.99), "gru": ("sequence", 2.95),
          "gcn": ("graph", 4.1), "tgcn": ("graph", 2.90)}  # fmt: skip


def make_results(
    *,
    name: str = "los-loop",
    models: dict[str, tuple[str, float]] | None = None,
    seeds: tuple[int, ...] = (0, 1, 2),
    horizons: tuple[int, ...] = (3, 6, 12),
    nodes: int = 24,
    positions: bool = True,
    nan_mape: bool = False,
    step_minutes: float | None = 5.0,
    unit: str = "mph",
    clear: bool = True,
) -> Results:
    """Results whose numbers have the right order of size; `tgcn` (or the last model) wins everywhere."""
    models = MODELS if models is None else models
    rng = np.random.default_rng(0)
    last = max(horizons)
    families = {**dict.fromkeys(BASELINES, "baseline"), **{model: family for model, (family, _) in models.items()}}
    levels = {**BASELINES, **{model: level for model, (_, level) in models.items()}}
    rows: list[dict[str, Any]] = []
    curves, steps = [], []
    for model, family in families.items():
        trained = family != "baseline"
        common = {"data": name, "data_hash": "ab12", "model": model, "family": family, "history": 12}
        common |= {"parameters": 18_000 + 61 * len(model) if trained else 0, "epochs": 30 if trained else np.nan}
        common |= {"epoch_seconds": 1.5 + len(model) / 10 if trained else np.nan, "hardware": "a CPU", "threads": 2}
        for seed in seeds if trained else (0,):
            shift = rng.normal(0, 0.02) if trained else 0.0
            best = int(rng.integers(12, 24)) if trained else np.nan
            for horizon in horizons:
                for score, growth in (("averaged", 0.11), ("last-step", 0.2)):
                    mae = levels[model] + growth * (horizon - 3) + shift
                    values = {"mae": mae, "rmse": 1.7 * mae, "mape": np.nan if nan_mape else 2.6 * mae}
                    values |= {"accuracy": 0.98 - mae / 40, "r2": 0.95 - mae / 25, "var": 0.951 - mae / 25}
                    for metric, value in values.items():
                        rows.append({**common, "seed": seed, "horizon": horizon, "score": score, "metric": metric,
                                     "value": value, "windows": 392 - horizon, "best_epoch": best})  # fmt: skip
            for step in range(1, last + 1):
                error = levels[model] - 0.9 + 0.9 * np.sqrt(step / 3) + shift
                steps.append((model, seed, step, error, 1.7 * error))
            for epoch in range(1, 31 if trained else 0):
                noise = rng.normal(0, 0.01)
                curves.append(
                    (model, seed, epoch, 1 / epoch, levels[model] + 4 * np.exp(-epoch / 4) + shift + noise, 2.0)
                )
    side = int(np.ceil(np.sqrt(nodes)))
    grid = [[float(i % side) + 0.2 * np.sin(i), float(i // side) + 0.2 * np.cos(3 * i)] for i in range(nodes)]
    edges = [
        [i, j, 0.5 + 0.1 * (i % 3)] for i in range(nodes) for j in (i + 1, i + side) if j < nodes and (i + 1) % side
    ]
    edges += [[j, i, w] for i, j, w in edges] + [[0, 0, 1.0]]
    day = np.arange(288)
    true = [[None if t == 40 else 60 - 25 * np.exp(-(((t - 100 - 9 * k) / 22) ** 2)) for t in day] for k in range(3)]
    predicted = {
        model: [[(60.0 if y is None else y) + rng.normal(0, 1.5) for y in line] for line in true] for model in families
    }
    others = [model for model in families if model in models]
    best_model = ("tgcn" if "tgcn" in models else others[-1]) if others else "last-value"
    verdicts = []
    for horizon in horizons:
        for metric in ("mae", "rmse"):
            base = {"horizon": horizon, "metric": metric, "score": "averaged", "difference": -0.05, "clear": clear,
                    "low": -0.08, "high": -0.02 if clear else 0.03}  # fmt: skip
            rival = "gru" if "gru" in models and best_model != "gru" else "rolling-average"
            ahead = f"{horizon * step_minutes:g} minutes" if step_minutes else f"{horizon} steps"
            interval = f"0.05 {unit} (95% interval 0.02 to 0.08)"
            words = f"At {ahead} ahead, {best_model} has the lowest {metric.upper()}, below {rival} by {interval}."
            tied = [] if clear else [rival]
            verdicts.append(
                {**base, "kind": "winner", "model": best_model, "against": rival, "tied": tied, "sentence": words}
            )
            if {"gru", "tgcn"} <= set(models):
                words = f"The graph helps at {ahead} ahead: tgcn is better than gru by {interval}."
                verdicts.append({**base, "kind": "graph", "model": "tgcn", "against": "gru", "sentence": words})
            for model in others:
                gap = levels[model] - levels["last-value"]
                words = f"At {ahead} ahead, {model} differs from last-value by {gap:.2f} {unit}."
                own = {"model": model, "against": "last-value", "difference": gap, "clear": model != "bilstm"}
                verdicts.append({**base, **own, "kind": "persistence", "sentence": words})
            summary = {"kind": "persistence-summary", "horizon": horizon, "metric": metric, "score": "averaged"}
            verdicts.append({**summary, "better": [], "open": [], "worse": [], "sentence": "A summary."})
    return Results(
        spec={"data": name, "horizons": list(horizons), "models": others, "seeds": list(seeds), "epochs": 30,
              "series": None, "hidden_channels": 32},
        environment={"torch": "2.13.0", "gnnkit": "0.1.0", "hardware": "a CPU, 2 cores", "threads": 2,
                     "commit": "0123abc", "date": "2026-01-02T03:04:05", "data_hash": "ab12" * 16,
                     "wall_seconds": 815.2},
        data={"name": name, "source": "a test", "unit": unit, "step_minutes": step_minutes, "season": 288, "rows": 2016,
              "nodes": nodes, "edges": edges, "missing_share": 0.0125, "split": "70/10/20 by time",
              "split_rows": {"train": [0, 1411], "val": [1411, 1612], "test": [1612, 2016]},
              "node_names": [f"node {i}" for i in range(nodes)], "positions": grid if positions else None,
              "start": "2012-03-01T00:00:00" if step_minutes else None},
        rows=pd.DataFrame(rows, columns=ROW_COLUMNS),
        curves=pd.DataFrame(curves, columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(steps, columns=STEP_COLUMNS),
        node_errors={
            model: [None if i == 1 else levels[model] + np.sin(i) + rng.normal(0, 0.1) for i in range(nodes)]
            for model in families
        },
        traces={"nodes": [f"node {k}" for k in range(3)], "rows": [1612 + int(t) for t in day], "horizon": last,
                "true": true, "predicted": predicted},
        verdicts=verdicts,
        notes=["historical-average uses the training mean of the same time of day."],
    )  # fmt: skip


@pytest.fixture
def fake_results() -> Callable[..., Results]:
    """The maker of made-up results; its arguments choose what is odd about them."""
    return make_results


@pytest.fixture(scope="session")
def whole() -> str:
    """The report of the plain made-up results, drawn once."""
    return render_html(make_results())
