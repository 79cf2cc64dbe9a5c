"""benchmarks/results/simulated_graph.md, from the rows beside it and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from rows import markdown_table

from gnnkit.temporal import MODELS

__all__ = ["growth", "write_page"]

HEAD = """# A simulated road network, whose graph is known

Written by `python benchmarks/simulated_graph.py page` from `simulated_learned_graph.csv` and
`simulated_shuffled_graph.csv`; do not edit.

"""


def growth(rows: pd.DataFrame) -> pd.DataFrame:
    """By how much the error grows when the true graph is replaced by a shuffled one, for each model and horizon.

    Args:
        rows: Columns graph ("given" or "shuffled"), model, seed, horizon, value; one row a seed and graph.

    Returns:
        A row for each model and horizon, in the order of `rows`: the mean error on either graph; mean and standard
        deviation over the seeds of the growth, as a share of the error on the true graph; seeds that it grew for.
    """
    sides = rows.pivot_table(index=["model", "horizon", "seed"], columns="graph", values="value", sort=False)
    sides["growth"] = sides["shuffled"] / sides["given"] - 1
    groups = sides.groupby(["model", "horizon"], sort=False)
    found = groups[["given", "shuffled"]].mean()
    found["growth"], found["deviation"] = groups["growth"].mean(), groups["growth"].std()
    found["grew"], found["seeds"] = groups["growth"].agg(lambda values: (values > 0).sum()), groups.size()
    return found.reset_index()


def write_page(learned: pd.DataFrame, shuffled: pd.DataFrame, out: Path) -> None:
    """How much of the true graph is learned, and what a wrong one costs each model."""
    if learned.empty or shuffled.empty:
        raise SystemExit("there are no rows of both stages; run `learned` and `shuffled` first")
    parts = [HEAD, "## Is the learned graph the true one?\n\n", _protocol(learned), _learned(learned)]
    parts += ["\n## What a shuffled graph costs\n\n", _protocol(shuffled), _shuffled(shuffled)]
    out.write_text("".join(parts), encoding="utf-8")


def _protocol(rows: pd.DataFrame) -> str:
    first, seeds = rows.iloc[0], rows["seed"].nunique()
    threads = "1 thread" if first["threads"] == 1 else f"{first['threads']:.0f} threads"
    hardware, commits = (", ".join(dict.fromkeys(rows[name])) for name in ("hardware", "commit"))
    return (
        f"{first['nodes']:.0f} sensors, {first['days']:.0f} days of 5 minutes, {seeds} seeds a model, at most "
        f"{first['epochs']:.0f} epochs or {first['budget']:.0f} seconds a fit, {threads} of "
        f"{hardware}, torch {first['torch']}, commit {commits}.\n\n"
    )


def _learned(rows: pd.DataFrame) -> str:
    lines = []
    for (name, settings), part in rows.groupby(["model", "settings"], sort=False):
        cells = [f"{part[column].mean():.3f} ± {part[column].std():.3f}" for column in _PRECISIONS]
        chance, ties = part["chance"].iloc[0], part["ties_at_k"].mean()
        cells += [f"{chance:.3f}", f"{part['precision_at_k'].mean() / chance:.1f} ×", f"{ties:.0f}"]
        said = ", ".join(f"{key} {value:g}" for key, value in json.loads(settings).items())
        cells += [f"{part['test_mae'].mean():.3f}", f"{part['fit_epochs'].mean():.0f}"]
        lines.append([f"`{name}`", said, *cells])
    k = int(rows["k"].iloc[0])
    titles = ["model", "settings", f"precision at {k}", f"precision at {max(1, k // 10)}", "chance", "times chance"]
    titles += ["tied at k", "MAE, 60 min", "epochs"]
    return markdown_table(titles, lines) + (
        f"\nPrecision at k: the share of the k strongest learned pairs that are true, either way round; {k} pairs are. "
        "Entries that saturate are tied, and count as what they give on the mean.\n"
    )


_PRECISIONS = ("precision_at_k", "precision_at_k_tenth")


def _shuffled(rows: pd.DataFrame) -> str:
    cut = set(rows.loc[rows["stopped"] == "seconds", "model"])
    found = growth(rows[(rows["metric"] == "mae") & (rows["score"] == "averaged")])
    lines = []
    for name in [model for model in MODELS if model in set(found["model"])]:
        part = found[found["model"] == name]
        cells = [
            f"{row.given:.3f} → {row.shuffled:.3f}, {_percent(row.growth)} ± {100 * row.deviation:.1f} %"
            for row in part.itertuples()
        ]
        lines.append([f"`{name}`" + " †" * (name in cut), *cells])
    titles = ["model", *(f"MAE, {5 * horizon:.0f} min" for horizon in found["horizon"].unique())]
    note = "\n† The budget cut off at least one of the fits.\n" if cut else ""
    return markdown_table(titles, lines) + (
        "\nMean over the seeds on the true graph → on the same graph with its nodes permuted, and the growth of each "
        "seed's error, mean ± standard deviation. A model that learns its own graph alone, or has none, is not told of "
        f"the change: its error is the same but for fits that the budget cut off.\n{note}"
    )


def _percent(share: float) -> str:
    """With its sign, and without one where it rounds to nothing."""
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"
