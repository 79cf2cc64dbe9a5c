"""Made-up results of a comparison, small or large, whole or odd, for the tests of whatever draws from them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare.report.html import render_html
from gnnkit.compare.results import CURVE_COLUMNS, ROW_COLUMNS, STEP_COLUMNS, DataFacts, Results, Traces

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
        common |= {"adjacency": "given", "train_share": 1.0, "hidden_share": 0.0, "leak": ""}
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
                words = f"At {ahead} ahead, tgcn is better than gru by {interval}."
                verdicts.append(
                    {
                        **base,
                        "kind": "families",
                        "model": "tgcn",
                        "against": "gru",
                        "planned": metric == "mae",
                        "sentence": words,
                    }
                )
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
        data=DataFacts(
            name=name,
            source="a test",
            unit=unit,
            step_minutes=step_minutes,
            season=288,
            rows=2016,
            nodes=nodes,
            edges=edges,
            missing_share=0.0125,
            split="70/10/20 by time",
            split_rows={"train": [0, 1411], "val": [1411, 1612], "test": [1612, 2016]},
            node_names=[f"node {i}" for i in range(nodes)],
            positions=grid if positions else None,
            start="2012-03-01T00:00:00" if step_minutes else None,
        ),
        rows=pd.DataFrame(rows, columns=ROW_COLUMNS),
        curves=pd.DataFrame(curves, columns=CURVE_COLUMNS),
        step_errors=pd.DataFrame(steps, columns=STEP_COLUMNS),
        node_errors={
            model: [None if i == 1 else levels[model] + np.sin(i) + rng.normal(0, 0.1) for i in range(nodes)]
            for model in families
        },
        traces=Traces([f"node {k}" for k in range(3)], [1612 + int(t) for t in day], last, true, predicted),
        findings={"verdicts": verdicts},
        notes=["historical-average uses the training mean of the same time of day."],
    )  # fmt: skip


def make_rich_results(**options: Any) -> Results:
    """`make_results` with every later field filled: tests, ablation, conditions, where, intervals, audit."""
    results = make_results(**options)
    rng = np.random.default_rng(1)
    kinds = {model: results.family(model) for model in results.models}
    trained = [model for model, family in kinds.items() if family != "baseline"]
    sequence = [model for model in trained if kinds[model] == "sequence"]
    graph = [model for model in trained if kinds[model] == "graph"]
    last, nodes = max(results.horizons), int(results.data.nodes)
    rows = results.rows
    rows["hidden_channels"] = np.where(rows["family"] == "baseline", 0, 32)
    rows["trials"] = np.where(rows["family"] == "baseline", 0, 4)
    shuffled = rows[rows["model"] == "tgcn"].assign(adjacency="shuffled", value=99.0)
    results.rows = pd.concat([rows, shuffled], ignore_index=True)
    results.findings["significance"] = [
        {
            "question": "last-value",
            "horizon": horizon,
            "metric": metric,
            "model": model,
            "against": "last-value",
            "difference": gap,
            "low": gap - 0.1,
            "high": gap + 0.1,
            "clear": abs(gap) > 0.1,
            "dm": gap / 0.05,
            "p": 0.05 * 0.1 / abs(gap) if abs(gap) > 0.1 else 0.5,
            "comparisons": len(trained),
            "seeds": 3,
            "effect": gap * 2,
            "skill": -gap / 3.15,
        }
        for horizon in results.horizons
        for metric in ("mae", "rmse")
        for model in trained
        for gap in [float(rng.normal(-0.15, 0.15))]
    ]
    names = list(kinds)
    results.findings["ranks"] = [
        {
            "horizon": horizon,
            "metric": "mae",
            "models": names,
            "mean_ranks": [float(x) for x in np.linspace(len(names) - 1, 1.6, len(names))],
            "groups": [names[:3], names[-3:]],
            "blocks": 16,
            "critical_difference": 2.4,
        }
        for horizon in results.horizons
    ]
    if graph and sequence:
        _add_graph_questions(results, graph[-1], sequence[-1], last, nodes, rng)
    results.findings["intervals"] = [
        {
            "model": model,
            "seed": seed,
            "horizon": horizon,
            "method": "conformal",
            "nominal": 0.9,
            "coverage": 0.9 + float(rng.normal(0, 0.02)),
            "width": 9.0 + float(rng.normal()),
            "crps": 2.1 + float(rng.normal(0, 0.1)),
            "pinball": {"0.05": 0.42, "0.5": 1.45, "0.95": 0.5},
            "observed": 91_000,
        }
        for model in names
        for seed in ((0, 1, 2) if model in trained else (0,))
        for horizon in results.horizons
    ]
    results.findings["audit"] = [
        {"cause": "scaler-fitted-on-test", "status": "passed", "detail": "fitted on rows 0 to 1410, the training rows"},
        {"cause": "shared-target-rows", "status": "allowed", "detail": "rows 1400 to 1410 are targets of two splits"},
        {"cause": "constant-series", "status": "warning", "detail": "2 nodes never change: node 3, node 9"},
    ]
    results.findings["budget"] = {
        "kind": "parameters",
        "sentence": "Every model has 18,000 parameters, within 2%.",
        "widths": dict.fromkeys(trained, 32),
        "parameters": {model: 18_000 + 10 * i for i, model in enumerate(trained)},
        "tuning": [
            {
                "model": model,
                "trial": trial,
                "settings": {"learning_rate": 0.01 / (trial + 1)},
                "val_mae": 3.0 + 0.1 * trial,
                "seconds": 12.5,
                "chosen": trial == 0,
            }
            for model in trained
            for trial in range(4)
        ],
    }
    results.inferred = ["history 12: inferred as one hour of 5-minute rows.", "season 288: rows repeat after a day."]
    return results


def _add_graph_questions(
    results: Results, graph: str, sequence: str, horizon: int, nodes: int, rng: np.random.Generator
) -> None:
    kinds = ("given", "identity", "shuffled", "random", "complete")
    gaps = {"identity": 0.21, "shuffled": 0.34, "random": 0.29, "complete": 0.02}
    test = {"against": "given", "horizon": horizon, "p": 0.016}
    words = f"The given graph helps {graph} up to 60 minutes ahead: without edges the MAE rises by 0.21."
    asked = {
        "kind": "ablation",
        "horizon": horizon,
        "metric": "mae",
        "model": graph,
        "against": f"{graph} without edges",
    }
    asked |= {"difference": -0.21, "low": -0.3, "high": -0.12, "clear": True, "p": 0.016, "planned": True}
    results.findings["verdicts"].append(asked | {"sentence": words})
    results.findings["ablation"] = {
        "horizon": horizon,
        "verdict": "helps",
        "notes": ["learned: only for models that learn a graph."],
        "sentence": words,
        "rows": [
            {
                "model": graph,
                "adjacency": kind,
                "horizon": horizon,
                "mae": 3.9 + gaps.get(kind, 0.0),
                "std": 0.02,
                "seeds": 3,
            }
            for kind in kinds
        ],
        "tests": [
            {
                **test,
                "model": graph,
                "adjacency": kind,
                "difference": gap,
                "low": gap - 0.09,
                "high": gap + 0.09,
                "clear": gap > 0.09,
                "planned": kind == "identity",
            }
            for kind, gap in gaps.items()
        ],
    }
    results.findings["conditions"] = [
        {
            "axis": axis,
            "value": value,
            "horizon": horizon,
            "graph": graph,
            "sequence": sequence,
            "graph_mae": 4.0 + loss,
            "sequence_mae": 4.0 + 1.2 * loss,
            "difference": -0.2 * loss,
            "low": -0.2 * loss - 0.08,
            "high": -0.2 * loss + 0.08,
            "clear": 0.2 * loss > 0.08,
            "sentence": f"With {axis} {value:g}, {graph} is better than {sequence} by {0.2 * loss:.2f}.",
        }
        for axis, points in (
            ("train_share", ((0.1, 1.5), (0.25, 0.8), (0.5, 0.3), (1.0, 0.05))),
            ("hidden_share", ((0.0, 0.05), (0.2, 0.4), (0.4, 0.9))),
        )
        for value, loss in points
    ]
    hours = list(range(24))
    strata = [
        {
            "name": name,
            "title": title,
            "unit": unit,
            "groups": [
                {
                    "label": label,
                    "observed": 8000 + 7 * i,
                    "graph": 3.0 + 0.1 * i,
                    "sequence": 3.1 + 0.1 * i,
                    "difference": -0.1 + 0.03 * i,
                    "low": -0.2 + 0.03 * i,
                    "high": 0.03 * i,
                }
                for i, label in enumerate(labels)
            ],
        }
        for name, title, unit, labels in (
            ("horizon", "Step ahead", "minutes", [str(5 * step) for step in range(1, horizon + 1)]),
            ("hour", "Hour of the day", "", [f"{hour:02d}" for hour in hours]),
            ("day", "Day of the week", "", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
            ("degree", "Neighbours", "edges", ["0–1", "2", "3", "4+"]),
            ("congestion", "Speed level", "mph", ["below 20", "20–40", "40–60", "above 60"]),
        )
    ]
    daily = 0.15 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    heat = [
        [None if node == 1 and hour < 4 else float(daily[hour] + rng.normal(0, 0.08)) for hour in hours]
        for node in range(nodes)
    ]
    results.findings["where"] = {
        "pair": [graph, sequence],
        "horizon": horizon,
        "strata": strata,
        "heat": {"nodes": [f"node {i}" for i in range(nodes)], "hours": hours, "difference": heat},
        "windows": {
            side: [
                {
                    "window": 10 * i,
                    "row": 1630 + 10 * i,
                    "time": f"2012-03-06T{14 + i % 8}:20:00",
                    "difference": sign * (2.5 - 0.1 * i),
                    "node": f"node {i % nodes}",
                    "history": [60.0 - t for t in range(12)],
                    "true": [None if t == 2 else 47.0 - 0.5 * t for t in range(horizon)],
                    "graph": [47.0 - 0.4 * t for t in range(horizon)],
                    "sequence": [48.0 + 0.1 * t for t in range(horizon)],
                }
                for i in range(10)
            ]
            for side, sign in (("graph", -1), ("sequence", 1))
        },
    }


@pytest.fixture
def rich_results() -> Callable[..., Results]:
    """The maker of made-up results in which every field is filled."""
    return make_rich_results


@pytest.fixture
def fake_results() -> Callable[..., Results]:
    """The maker of made-up results; its arguments choose what is odd about them."""
    return make_results


@pytest.fixture(scope="session")
def rich_report() -> str:
    """The report of the made-up results in which every field is filled, drawn once."""
    return render_html(make_rich_results())


@pytest.fixture(scope="session")
def whole() -> str:
    """The report of the plain made-up results, drawn once."""
    return render_html(make_results())
