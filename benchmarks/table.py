"""Write benchmarks/README.md and its bar charts from the rows in benchmarks/results, and from nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from gnnkit.report.markdown import markdown_table

__all__ = ["write_table"]

HEAD = """# Benchmarks

Written by `make bench` from the rows in [results](results); do not edit. Each ratio is the peer's median over
gnnkit's, both measured in one process, in turns, after their outputs and gradients were found equal. One step is a
forward and a backward pass in float32, where nothing else is said. Bars: the peer's time, or memory, in multiples of
gnnkit's.
"""


def write_table(results: Path, target: Path) -> None:
    """Write the page and one chart a device beside it.

    Args:
        results: The folder of `speed-cpu.csv` and `speed-cuda.csv`; a missing one is reported as not measured.
        target: The Markdown file to write; the charts go into `results`.
    """
    parts = [HEAD]
    for device, label in (("cpu", "CPU"), ("cuda", "CUDA")):
        source = results / f"speed-{device}.csv"
        parts.append(f"## {label}\n")
        if not source.exists():
            parts.append("Not measured.\n")
            continue
        rows = pd.read_csv(source)
        settings = rows[["hardware", "threads", "torch", "huge_pages", "commit", "date"]].drop_duplicates()
        for row in settings.itertuples():
            pages = "on" if str(row.huge_pages) == "1" else "off"
            parts.append(
                f"{row.hardware}, {row.threads} threads, torch {row.torch}, huge pages {pages}, "
                f"commit {row.commit}, {row.date}.\n"
            )
        chart = f"speed-{device}.svg"
        _bars(rows).savefig(results / chart, bbox_inches="tight", metadata={"Date": None})
        parts += [f"![ratios](results/{chart})\n", _markdown(rows)]
    target.write_text("\n".join(parts), encoding="utf-8")


def _markdown(rows: pd.DataFrame) -> str:
    lines = []
    for row in rows[~rows["case"].str.startswith("slope-")].to_dict("records"):
        if not math.isnan(row.get("kept_bytes", math.nan)):
            amount, spread = f"{row['kept_bytes']:.0f} B of the graph's own {row['graph_bytes']:.0f} B", ""
        elif math.isnan(row["seconds"]):
            amount, spread = f"{row['peak_mib']:.0f} MiB", ""
        else:
            amount = _seconds(row["seconds"])
            spread = f"{_seconds(row['quartile_low'])} to {_seconds(row['quartile_high'])}"
        ours = row["side"].startswith("gnnkit")
        bounds = ["" if ours or math.isnan(row[name]) else f"{row[name]:g} ×" for name in ("at_least", "aim")]
        ratio = "" if math.isnan(row["ratio"]) else f"{row['ratio']:.2f} ×"
        lines.append([row["title"], f"{row['side']} {row['version']}", amount, spread, ratio, *bounds])
    tables = [(("case", "side", "median", "quartiles", "ratio", "at least", "aim"), lines, range(2, 7))]
    slopes = rows[rows["case"].str.startswith("slope-")].to_dict("records")
    if slopes:
        lines = [[row["title"], f"{row['slope']:.2f}", f"{row['at_most']:g}"] for row in slopes]
        tables.append((("growth, log over log", "slope", "at most"), lines, range(1, 3)))
    if "share_of_bound" in rows:
        lines = [
            [row["title"], row["side"], _seconds(row["bound_seconds"]), f"{row['share_of_bound']:.0%}"]
            for row in rows[rows["share_of_bound"].notna()].to_dict("records")
        ]
        heads = ("what must move, at the speed of a copy", "side", "bound", "share of it reached")
        tables.append((heads, lines, range(2, 4)))
    return "\n\n".join(markdown_table(*table) for table in tables) + "\n"


def _seconds(value: float) -> str:
    if value < 1e-3:
        return f"{1e6 * value:.0f} µs"
    return f"{1e3 * value:.2f} ms" if value < 1 else f"{value:.2f} s"


def _bars(rows: pd.DataFrame) -> Figure:
    peers = rows[~rows["side"].str.startswith("gnnkit") & rows["ratio"].notna()]
    labels = [f"{row.title}: {row.side}" for row in peers.itertuples()]
    figure = Figure(figsize=(9, 0.34 * len(peers) + 0.9))
    axes = figure.subplots()
    axes.barh(labels, peers["ratio"], color="#0072B2")
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("multiples of gnnkit's")
    axes.invert_yaxis()
    axes.tick_params(labelsize=8)
    for position, ratio in enumerate(peers["ratio"]):
        axes.text(ratio, position, f" {ratio:.1f} ×", va="center", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
