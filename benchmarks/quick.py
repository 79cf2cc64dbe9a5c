"""How long does `gnnkit quick` take, what does it say, and how often do deep models agree?

    python benchmarks/quick.py                    all sets, then the page
    python benchmarks/quick.py --data los-loop    one of them (or several, between commas)
    python benchmarks/quick.py --write-only       the page again, from the rows

The sets are Los-loop, the simulated network, exchange rates with a graph of their correlations, and the ten of
`graphs/` in GNNKIT_DATA. Rows go to results/quick.csv, one for each set and horizon, the page to results/quick.md.
Beside an answer stand those of deep models, where results are committed: when_graph_helps.csv (the best graph against
the best sequence model, both chosen on validation rows), los_loop_honest.csv (the same choice, without a test) and
simulated_shuffled_graph.csv (each model with the given and with a shuffled graph).
"""

from __future__ import annotations

import argparse
import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from rows import DATA, RESULTS, Rows, table_of

from gnnkit.compare import Quick, quick
from gnnkit.compare.neighbours.quick import quick_of
from gnnkit.report.markdown import sections_document
from gnnkit.report.numbers import DASH, format_p
from gnnkit.settings.quick import QuickFields
from gnnkit.temporal import MODELS

ROWS, PAGE = RESULTS / "quick.csv", RESULTS / "quick.md"
FILES = ("beijing-metro", "state-flu", "japan-flu", "region-flu", "spain-covid", "pedalme")
"""Sets of `graphs/` that are read as they lie there."""
DANUBE_FROM = "1960-01-01"
ODD = {
    "danube": "no test of a graph: as published, its columns have no gaps and each begins at its gauge's own first "
    "day, so that the values of one row are of different days at most gauges",
}
"""What must be known of a set."""
SIGNS = {"graph": "yes", "nodes": "not shown", "harms": "no", "no": "no", "open": "open", "too-few": "too few"}


def _folder(name: str) -> Path:
    if DATA is None or not (DATA / "graphs" / name).is_dir():
        raise SystemExit(f"quick: there is no folder graphs/{name} in GNNKIT_DATA; set it, or choose with --data")
    return DATA / "graphs" / name


def _files(name: str) -> Quick:
    folder = _folder(name)
    return quick(folder / "series.csv", folder / "graph.csv", name=name)


def _danube() -> Quick:
    """The rows from 1960 on; see `ODD`."""
    folder = _folder("danube")
    series = pd.read_csv(folder / "series.csv.gz", parse_dates=["time"], index_col="time")
    return quick(series[series.index >= DANUBE_FROM], pd.read_csv(folder / "graph.csv"), name="danube", unit="m³/s")


def _beijing_air() -> Quick:
    folder = _folder("beijing-air")
    return quick(folder / "long.csv.gz", places=folder / "places.csv", target="pm25", name="beijing-air")


def _uk_wind() -> Quick:
    """Two stations share a name: nodes are numbered."""
    folder = _folder("uk-wind")
    values = pd.read_csv(folder / "series.csv").to_numpy(dtype=np.float64)
    return quick(values, folder / "graph.csv", name="uk-wind", step_minutes=60)


def _france() -> Quick:
    """The graph is the mean of those of its days: people who moved between two départements."""
    folder = _folder("france-mobility")
    series = pd.read_csv(folder / "series.csv", parse_dates=["time"], index_col="time")
    moved = pd.read_csv(folder / "graph_by_day.csv.gz")
    days = moved["time"].nunique()
    edges = moved[moved["source"] != moved["target"]].groupby(["source", "target"], as_index=False)["people"].sum()
    edges = edges.assign(weight=edges["people"] / days)[["source", "target", "weight"]]
    return quick(series, edges, name="france-mobility", graph_weights="similarity")


def _exchange() -> Quick:
    """It comes without a graph: one of the correlations of its training rows."""
    if DATA is None:
        raise SystemExit("quick: GNNKIT_DATA names no folder with exchange_rate/; set it, or choose with --data")
    with gzip.open(DATA / "exchange_rate" / "exchange_rate.txt.gz", "rt") as file:
        values = np.loadtxt(file, delimiter=",")
    return quick(values, graph_from="correlation", name="exchange-rate", step_minutes=1440)


SETS: dict[str, Callable[[], Quick]] = {
    "los-loop": lambda: quick_of(QuickFields(data="los-loop")),
    "simulated": lambda: quick_of(QuickFields(data_options={"num_nodes": 64, "days": 14})),
    "exchange-rate": _exchange,
    **{name: (lambda name=name: _files(name)) for name in FILES},
    "danube": _danube,
    "beijing-air": _beijing_air,
    "uk-wind": _uk_wind,
    "france-mobility": _france,
}


def rows_of(found: Quick, seconds: float, processor: float) -> list[dict[str, Any]]:
    """One row for each horizon."""
    facts = found.facts
    same: dict[str, Any] = {name: facts[name] for name in ("rows", "nodes", "edges", "history", "unit", "step")}
    same |= {"windows": found.found.windows, "spans": found.found.spans, "folds": found.found.folds}
    same |= {"shuffles": found.found.shuffles, "seconds": seconds, "processor_seconds": processor}
    for model in ("ridge", "ridge-graph"):
        left = found.found.left_of(model, "lagged")
        for name in ("agreement", "shuffled", "p", "shuffled_p", "clear"):
            same[f"{model}_left_{name}"] = None if left is None else getattr(left, name)
    table = found.table().reset_index()
    return [dict(row) | same for row in table.to_dict("records")]


def deep_answers(folder: Path) -> pd.DataFrame:
    """What committed results of deep models say: data, horizon, source, answer ("yes", "no", "open") and the change."""
    found: list[dict[str, Any]] = []
    helps = _read(folder / "when_graph_helps.csv")
    if helps is not None:
        for row in helps[helps["question"] == "horizon"].itertuples():
            answer = "yes" if row.high < 0 else "no" if row.low > 0 else "open"
            source = f"{row.graph} against {row.sequence}"
            change = row.difference / row.sequence_mae
            found.append(
                {"data": row.data, "horizon": row.horizon, "source": source, "answer": answer, "change": change}
            )
    honest = _read(folder / "los_loop_honest.csv")
    if honest is not None:
        found += _chosen(honest)
    shuffled = _read(folder / "simulated_shuffled_graph.csv")
    if shuffled is not None:
        found += _shuffled(shuffled)
    return pd.DataFrame(found, columns=["data", "horizon", "source", "answer", "change"])


def _read(path: Path) -> Any:
    return pd.read_csv(path) if path.is_file() else None


def _chosen(table: Any) -> list[dict[str, Any]]:
    """The best graph against the best sequence model on the validation rows; which is lower, without a test."""
    table = table[(table["score"] == "averaged") & (table["metric"] == "mae") & table["best_val_mae"].notna()]
    table = table[[name in MODELS for name in table["model"]]]
    families = {name: MODELS[name].family for name in table["model"].unique()}
    validation = table.groupby("model")["best_val_mae"].mean()
    best = {}
    for family in ("graph", "sequence"):
        names = [name for name, kind in families.items() if kind == family]
        if not names:
            return []
        best[family] = min(names, key=lambda name: validation[name])
    scores = table.groupby(["model", "horizon"])["value"].mean()
    found = []
    for horizon in sorted(table["horizon"].unique()):
        graph, sequence = (scores[best[family], horizon] for family in ("graph", "sequence"))
        source = f"{best['graph']} against {best['sequence']}, untested"
        answer = "yes" if graph < sequence else "no"
        found.append({"data": "los-loop", "horizon": int(horizon), "source": source, "answer": answer})
        found[-1]["change"] = graph / sequence - 1
    return found


def _shuffled(table: Any) -> list[dict[str, Any]]:
    """Each model with the given graph against itself with a shuffled one: lower with every seed, with none, or open."""
    table = table[(table["score"] == "averaged") & (table["metric"] == "mae")]
    keys = ["model", "horizon", "seed"]
    wide = table.pivot_table(index=keys, columns="graph", values="value")
    if not {"given", "shuffled"} <= set(wide.columns):
        return []
    wide = wide.dropna(subset=["given", "shuffled"])
    found = []
    for (model, horizon), group in wide.groupby(level=["model", "horizon"]):
        change = (group["given"] / group["shuffled"] - 1).to_numpy()
        if not change.any():  # it has no graph
            continue
        answer = "yes" if (change < 0).all() else "no" if (change > 0).all() else "open"
        source = f"{model}, given against shuffled"
        row = {"data": "simulated", "horizon": int(horizon), "source": source, "answer": answer}
        found.append(row | {"change": float(change.mean())})
    return found


def agreement(row: Any, deep: pd.DataFrame) -> str:
    """How many of the deep results at a row's horizon give a change of the same sign, and how many the same answer."""
    own = deep[(deep["data"] == row["data"]) & (deep["horizon"] == row["horizon"])]
    if own.empty:
        return DASH
    sign = float(np.sign(row["difference"]))
    same_sign = int((np.sign(own["change"]) == sign).sum())
    same = int((own["answer"] == SIGNS[row["kind"]]).sum())
    return f"sign {same_sign} of {len(own)}, answer {same} of {len(own)}"


def page(table: pd.DataFrame, deep: pd.DataFrame) -> str:
    """The page, from the rows."""
    columns: dict[str, Callable[[Any], str]] = {
        "data": lambda row: row["data"],
        "rows × nodes": lambda row: f"{row['rows']:,} × {row['nodes']:,}",
        "steps": lambda row: str(row["horizon"]),
        "no edges": lambda row: f"{row['none']:.4g}",
        "given": lambda row: f"{row['given']:.4g}",
        "shuffled": lambda row: DASH if pd.isna(row["shuffled"]) else f"{row['shuffled']:.4g}",
        "change": lambda row: _percent(row["difference"], row["none"]),
        "p": lambda row: format_p(row["p"]),
        "against shuffled": lambda row: _percent(row.get("difference_shuffled"), row["shuffled"]),
        "p ": lambda row: format_p(row.get("p_shuffled")),
        "could be found": lambda row: _percent(row["detectable"], row["none"]),
        "helps?": lambda row: SIGNS[row["kind"]],
        "deep models agree": lambda row: agreement(row, deep),
        "seconds": lambda row: f"{row['seconds']:.1f}",
        "processor seconds": lambda row: f"{row['processor_seconds']:.1f}",
    }
    records = table.to_dict("records")
    document = sections_document("A verdict in a minute, on every set at hand", _about(table), [])
    left = {
        "data": lambda row: row["data"],
        **{
            f"{model}, {head}": (lambda row, name=f"{model}_left_{key}": _share(row[name]))
            for model in ("ridge", "ridge-graph")
            for head, key in (("agree in sign", "agreement"), ("shuffled", "shuffled"))
        },
        **{
            f"{model}, left?": (lambda row, name=f"{model}_left_clear": "yes" if row[name] is True else "not seen")
            for model in ("ridge", "ridge-graph")
        },
    }
    once = list({row["data"]: row for row in records}.values())
    deep_columns: dict[str, Callable[[Any], str]] = {
        "data": lambda row: row["data"],
        "steps": lambda row: str(row["horizon"]),
        "models": lambda row: row["source"],
        "change": lambda row: _percent(row["change"], 1.0),
        "helps?": lambda row: row["answer"],
    }
    blocks = [
        document.rstrip(),
        "## Does the given graph help ridge regression?",
        table_of(records, columns),
        *(f"`{name}` is {text}." for name, text in ODD.items() if name in set(table["data"])),
        "## Is anything left in the errors that neighbours' last errors tell?",
        table_of(once, left),
    ]
    if len(deep):
        blocks += ["## What deep models say", table_of(deep.to_dict("records"), deep_columns)]
    return "\n\n".join(blocks) + "\n"


def _about(table: pd.DataFrame) -> str:
    places = [", ".join(sorted(map(str, table[name].unique()))) for name in ("hardware", "threads", "torch", "commit")]
    return (
        "Written by python benchmarks/quick.py from quick.csv; do not edit. Ridge regression without neighbours, with "
        "those of the given graph, and with those of shuffled graphs; MAE over all steps up to the horizon. "
        f"{places[0]}, {places[1]} threads, torch {places[2]}, commit {places[3]}."
    )


def _percent(difference: float | None, whole: float | None) -> str:
    if difference is None or whole is None or pd.isna(difference) or pd.isna(whole) or not whole:
        return DASH
    return f"{100 * difference / whole:+.2g}%".replace("-", "−")


def _share(value: Any) -> str:
    return DASH if value is None or pd.isna(value) else f"{100 * float(value):.1f}%"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", default=",".join(SETS), help=f"sets, of {', '.join(SETS)}")
    parser.add_argument("--rows", type=Path, default=ROWS, help="file of the rows")
    parser.add_argument("--page", type=Path, default=PAGE, help="file of the page")
    parser.add_argument("--write-only", action="store_true", help="no run: the page from the rows")
    options = parser.parse_args()
    rows = Rows(options.rows, ["data"], "cpu")
    for name in () if options.write_only else options.data.split(","):
        if name not in SETS:
            parser.error(f"data: {name!r} is none of {', '.join(SETS)}")
        if rows.has(data=name):
            continue
        start, before = time.perf_counter(), time.process_time()
        found = SETS[name]()
        seconds, processor = time.perf_counter() - start, time.process_time() - before
        rows.add(rows_of(found, seconds, processor), data=name)
        print(f"{name}: {found.found.sentence} ({processor:.1f} s)", flush=True)
    if rows.table.empty:
        parser.error(f"{options.rows} has no rows; run it without --write-only")
    options.page.write_text(page(rows.table, deep_answers(RESULTS)), encoding="utf-8")
    print(f"{options.page}: written")


if __name__ == "__main__":
    main()
