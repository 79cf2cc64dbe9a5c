"""Given the same data as sequences and as a graph: when does each win?

    python benchmarks/when_graph_helps.py                      simulated network and Los-loop, then the statement
    python benchmarks/when_graph_helps.py --data simulated     one of them: simulated, independent, los-loop
    python benchmarks/when_graph_helps.py --write-only         the statement again, from the rows

`gnnkit compare` sets the best graph model against the best sequence model (chosen on the validation rows) at three
horizons, with 10 to 100% of the training rows, with 0 to 50% of the inputs hidden by outages of sensors, and in free
flow and congestion. Rows go to results/when_graph_helps.csv, the statement to results/when_graph_helps.md. Fits are
kept in `--work`: a run that was cut off goes on, and a data set that has its rows is not run again.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pandas as pd
from rich.console import Console
from rows import RESULTS, WORK, Rows, table_of

from gnnkit.compare import ComparisonSpec, Results, make_spec, run
from gnnkit.compare.findings import CONDITIONS, WHERE
from gnnkit.training import open_matrix

TRAIN_SHARES, HIDDEN_SHARES = (0.1, 0.2, 0.4, 0.7, 1.0), (0.0, 0.1, 0.25, 0.5)
#: Two of each family: one that is common, and one of the best that the budget allows.
MODELS = ("gru", "stid", "gcn", "stgcn")
SETTINGS = {"mtgnn-given": {"layers": 2, "dropout": 0.1}}
TITLES = {
    "horizon": "Short against long horizon",
    "step": "Each step ahead",
    "train_share": "Much against little training data",
    "hidden_share": "Few against many missing sensors",
    "state": "Free flow against congestion",
}
STATES = ("congestion", "level")
WINS = {"graph": "graph", "sequence": "sequence", "open": "not told apart", "few": "too few"}


def spec_of(name: str, options: argparse.Namespace) -> ComparisonSpec:
    """The comparison on one data set."""
    simulated: dict[str, Any] = {"num_nodes": options.nodes, "days": options.days}
    data: dict[str, Any] = {
        "simulated": {"data": "simulated", "data_options": simulated},
        "independent": {"data": "simulated", "data_options": simulated | {"independent": True}},
        "los-loop": {"data": "los-loop"},
    }[name]
    models = tuple(options.models.split(","))
    return make_spec(
        **data,
        history=12,
        horizons=(3, 6, 12),
        models=models,
        settings={model: SETTINGS[model] for model in models if model in SETTINGS},
        seeds=tuple(range(options.seeds)),
        folds=1,  # a tenth of the rows before the first of several origins would be hours
        hidden_channels=16,
        batch_size=16,
        epochs=options.epochs,
        patience=options.epochs,
        train_shares=TRAIN_SHARES,
        hidden_shares=HIDDEN_SHARES,
        threads=1,
        device="cpu",
    )


def rows_of(results: Results) -> list[dict[str, Any]]:
    """What a comparison says about the questions, one row for each interval."""
    seeds = len(results.spec["seeds"])
    windows = {p: len(results.errors.counts(p)) for p in results.horizons}
    facts = {"unit": results.data.unit, "step_minutes": results.data.step_minutes, "seeds": seeds}
    found: list[dict[str, Any]] = []
    for point in CONDITIONS.of(results):
        names = ("graph", "sequence", "graph_mae", "sequence_mae", "horizon", "difference", "low", "high")
        same = {name: getattr(point, name) for name in names} | {"windows": windows[point.horizon]}
        if point.axis == "train_share" and point.value == 1:
            found.append({"question": "horizon", "value": point.horizon, **same})
        found.append({"question": point.axis, "value": point.value, **same})
    where = WHERE.of(results)
    for stratum in where.strata if where else ():
        question = "state" if stratum.name in STATES else stratum.name
        if question not in ("state", "step") or where is None:
            continue
        graph, sequence = where.pair
        for group in stratum.groups:
            value = f"{group.label} {stratum.unit}" if question == "step" else group.label
            row = {"question": question, "value": value, "graph": graph, "sequence": sequence}
            row |= {"graph_mae": group.graph, "sequence_mae": group.sequence, "horizon": where.horizon}
            row |= {name: getattr(group, name) for name in ("difference", "low", "high", "observed")}
            found.append(row | {"windows": windows[where.horizon]})
    return [row | facts for row in found]


def winner(row: pd.Series) -> str:
    """Who wins a row: `graph`, `sequence`, `open` where the interval holds 0, `few` where there is none."""
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return "few"
    return "graph" if row["high"] < 0 else "sequence" if row["low"] > 0 else "open"


def label(row: pd.Series) -> str:
    """The value of a row in words."""
    minutes = row["step_minutes"]
    if row["question"] == "horizon":
        steps = int(float(row["value"]))
        return f"up to {steps} steps" if pd.isna(minutes) else f"up to {steps * minutes:g} minutes"
    if row["question"] == "train_share":
        return f"{100 * float(row['value']):g}% of the training rows"
    if row["question"] == "hidden_share":
        return f"{100 * float(row['value']):g}% of the inputs hidden"
    return str(row["value"])


def interval(row: pd.Series) -> str:
    """The difference and its interval."""
    if winner(row) == "few":
        return f"{row['difference']:+.3f}"
    return f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def statement(table: pd.DataFrame) -> str:
    """The answer in words and tables, from the rows and nothing else."""
    lines = [
        "# Given the same data as sequences and as a graph: which model wins, and when?",
        "",
        "Written by `python benchmarks/when_graph_helps.py` from the rows in "
        "[when_graph_helps.csv](when_graph_helps.csv); do not edit. A difference is the MAE of the best graph model "
        "less that of the best sequence model, both chosen by the validation MAE, with its 95% interval (Student's t "
        "over spans of test windows, and the noise between seeds): below zero the graph model wins. The intervals of "
        "one curve, and of one way to sort the targets, hold together. What is compared are two models; "
        "whether it is the graph that one of them wins by is not asked here.",
        "",
        "## In short",
        "",
    ]
    for question, title in TITLES.items():
        if question == "step":
            continue
        for data, part in table[table["question"] == question].groupby("data", sort=False):
            longest = part[part["horizon"] == part["horizon"].max()] if question != "horizon" else part
            verdicts: dict[str, list[str]] = {}
            for _, row in longest.iterrows():
                graph, sequence = f"`{row['graph']}` (graph)", f"`{row['sequence']}`"
                said = {"graph": f"{graph} beats {sequence} at", "sequence": f"{sequence} beats {graph} at"}
                said |= {"open": f"{graph} and {sequence} are not told apart at"}
                said |= {"few": f"too few blocks of windows to tell {graph} from {sequence} at"}
                verdicts.setdefault(said[winner(row)], []).append(f"{label(row)}, {interval(row)}")
            words = "; ".join(f"{who} {'; '.join(cases)}" for who, cases in verdicts.items())
            lines.append(f"- **{title}**, {data} ({_size(longest)}): {words}.")
    for question, title in TITLES.items():
        part = table[table["question"] == question]
        if part.empty:
            continue
        lines += ["", f"## {title}", ""]
        columns = {
            "data": lambda row: row["data"],
            "case": label,
            "horizon": _ahead,
            "graph": lambda row: f"{row['graph']} {row['graph_mae']:.3f}",
            "sequence": lambda row: f"{row['sequence']} {row['sequence_mae']:.3f}",
            "difference": interval,
            "wins": lambda row: WINS[winner(row)],
        }
        lines.append(table_of((row for _, row in part.iterrows()), columns))
    lines += ["", "## With what", ""]
    for data, part in table.groupby("data", sort=False):
        row = part.iloc[0]
        lines.append(
            f"- {data}: models {row['models']}; {_size(part)}; {row['epochs']:g} epochs a fit; MAE in {row['unit']}; "
            f"{row['hardware']}, torch {row['torch']}, commit {row['commit']}, {str(row['date'])[:10]}."
        )
    return "\n".join(lines) + "\n"


def _ahead(row: pd.Series) -> str:
    return f"{row['horizon'] * row['step_minutes']:g} min" if row["step_minutes"] > 0 else str(row["horizon"])


def _size(part: pd.DataFrame) -> str:
    low, high = int(part["windows"].min()), int(part["windows"].max())
    windows = f"{low}" if low == high else f"{low} to {high}"
    return f"n = {windows} test windows, {int(part['seeds'].max())} seeds"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default="simulated,los-loop", help="simulated, independent, los-loop")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--nodes", type=int, default=64, help="of the simulated network")
    parser.add_argument("--days", type=int, default=14, help="of the simulated network")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time, one thread each")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of rows and statement")
    parser.add_argument("--work", type=Path, default=WORK / "when_graph_helps", help="folder of fits")
    parser.add_argument("--write-only", action="store_true", help="only the statement, from the rows that are there")
    options = parser.parse_args()
    rows = Rows(options.out / "when_graph_helps.csv", ["data", "models", "epochs", "nodes", "days"], "cpu")
    for name in [] if options.write_only else options.data.split(","):
        size = {"nodes": options.nodes, "days": options.days} if name != "los-loop" else {"nodes": 207, "days": 7}
        key = {"data": name, "models": options.models.replace(",", " "), "epochs": options.epochs, **size}
        if rows.has(**key):
            continue
        folder = options.work / "-".join(str(value).replace(" ", "+") for value in key.values())
        with open_matrix(Console(stderr=True)) as progress:
            results = run(spec_of(name, options), progress, jobs=options.jobs, directory=folder, resume=True)
        rows.add(rows_of(results), **key)
        print(f"{name}: {results.environment['wall_seconds']:.0f} s, {len(results.failures)} failures", flush=True)
    (options.out / "when_graph_helps.md").write_text(statement(rows.table), encoding="utf-8")


if __name__ == "__main__":
    main()
