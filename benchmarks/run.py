"""Time gnnkit against its peers: `make bench`.

    python benchmarks/run.py                       layers and ops on this machine: results/speed-cpu.csv and README.md
    python benchmarks/run.py --device cuda         the cases that run on a GPU
    python benchmarks/run.py --only gat-arxiv      one case
    python benchmarks/run.py --page                README.md again, from the rows
    python benchmarks/run.py sequence              classifiers and combinations: results/sequence-cpu.csv
    python benchmarks/run.py text                  the character LSTM: results/text-cpu.csv
    python benchmarks/run.py relational            relational layers: results/relational_layer.csv

For each case the outputs and gradients of all sides are compared first; a case whose gate is shut is not timed, and the
command fails. The sides then take turns in one process; the row has the median and the quartiles. Memory is measured in
a fresh process for each side.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from contest import Case, compete, seconds
from inputs import molecules
from matplotlib.figure import Figure
from rows import HERE, RESULTS, Rows
from sides import small_pair
from torch import Tensor, nn

from gnnkit.report.markdown import markdown_table

#: Module and name of the cases, and the file of the rows.
SUITES = {
    "speed": ("cases", "CASES", "speed-{}.csv"),
    "sequence": ("sequence_cases", "SEQUENCE", "sequence-{}.csv"),
    "text": ("sequence_cases", "TEXT", "text-{}.csv"),
    "relational": ("cases", "RELATIONAL", "relational_layer.csv"),
}


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second that a copy within the device's memory reads and writes: what a step can hope for."""
    source = torch.rand(2**28, device=device)
    target = torch.empty_like(source)
    times = [seconds(lambda: target.copy_(source), device) for _ in range(21)]
    return 2 * 4 * source.numel() / statistics.median(times)


def timed_rows(case: Case, device: torch.device) -> list[dict[str, Any]]:
    """A row a side."""
    rows = compete(case.name, case.build(device), device, gate=case.gate)
    rows[-1] |= {} if case.at_most is None else {"at_most": case.at_most}
    if case.moved is not None and device.type == "cuda":
        bound = case.moved / copy_bandwidth(device)
        for row in rows:
            row |= {"bound_seconds": bound, "share_of_bound": bound / row["seconds"]}
    bounds = {"at_least": case.at_least, "aim": case.aim}
    return [row | {name: value for name, value in bounds.items() if value is not None} for row in rows]


def elsewhere(arguments: Sequence[str], **variables: str) -> float:
    """A figure that this command measures in a process of its own."""
    command, environment = [sys.executable, __file__, *arguments], {**os.environ, **variables}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(run.stdout.splitlines()[-1])


def memory_rows(case: Case, common: list[str], device: torch.device) -> list[dict[str, Any]]:
    """Peak memory of each side, each in a fresh process."""
    sides = [(side.name, side.version) for side in case.build(device)]
    gc.collect()
    peaks = [elsewhere([*common, "--measure", case.name, str(number)]) for number in range(len(sides))]
    bounds = {"at_least": 4.0, "aim": 8.0} if case.name == "gat-arxiv" else {}
    return [
        {"side": name, "version": release, "peak_mib": peak, "ratio": peak / max(peaks[0], 1e-9), **bounds}
        for (name, release), peak in zip(sides, peaks, strict=True)
    ]


def first_call_rows(case: Case, common: list[str]) -> list[dict[str, Any]]:
    """What compiling costs: gnnkit's first step in a fresh process, its kernels' cache empty, then filled."""
    sides, times = ("gnnkit, compiled on first use", "gnnkit, compiled kernels read from disk"), []
    with tempfile.TemporaryDirectory() as folder:
        for _ in sides:
            caches = {"NUMBA_CACHE_DIR": folder, "TRITON_CACHE_DIR": folder}
            times.append(elsewhere([*common, "--first-call", case.name], **caches))
    return [
        {"side": side, "version": version("gnnkit"), "seconds": taken, "quartile_low": taken, "quartile_high": taken}
        | {"rounds": 1, "ratio": taken / times[-1]}
        for side, taken in zip(sides, times, strict=True)
    ]


def slope_rows(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Slopes of log(cost) over log(size) through each family of growth cases: 1 is a cost in proportion to the size."""
    found: list[dict[str, Any]] = []
    ours = rows[rows["case"].str.startswith("growth-") & (rows["side"] == "gnnkit")]
    for family, size in (("gat", "edges"), ("gcn", "edges"), ("tgcn", "nodes")):
        for amount, suffix, word in (("seconds", "", "time"), ("peak_mib", "-memory", "memory")):
            if size not in ours:  # none of them was ever measured
                continue
            points = ours[ours["case"].str.fullmatch(f"growth-{family}-[0-9]+{suffix}")].sort_values(size)
            if len(points) > 1:
                slope = float(np.polyfit(np.log(points[size]), np.log(points[amount]), 1)[0])
                row = {"case": f"slope-{family}{suffix}", "title": f"{family.upper()}: slope of {word} over {size}"}
                row |= {"side": "gnnkit", "version": version("gnnkit")}
                found.append({**row, "slope": slope, "at_most": 1.1})
    return found


def peak_memory(case: Case, side: int, device: torch.device, warm_up: Case | None) -> float:
    """MiB that a side's first step takes above what was there before it, in this process.

    A small case runs before it, so that loading compiled kernels is not counted; caches of this graph are.
    """
    if warm_up is not None:
        warm_up.build(device)[side].step()
    contestant = case.build(device)[side]
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        contestant.step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Building the input left a peak behind: give freed pages back and let Linux count its high-water mark afresh.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _high_water_mark()
    contestant.step()
    return _high_water_mark() - before


def _high_water_mark() -> float:
    """MiB: what `ru_maxrss` counts, but for the mark that a new process inherits from the one that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM: peak memory is measured on Linux alone")


def kept_bytes(device: torch.device) -> list[dict[str, Any]]:
    """Bytes that stay allocated for each of 2000 molecules that a caller holds, after a training step on each."""
    rows = []
    for side, name in enumerate(("gnnkit", "PyG GCNConv and GATConv")):
        gcn, gat = (small_pair(layer, device, cached=False)[side] for layer in ("gcn", "gat"))
        held = [(torch.randn(25, 16), molecules(1, seed)) for seed in range(2000)]

        def step(x: Tensor, edges: Tensor, gcn: nn.Module = gcn[2], gat: nn.Module = gat[2]) -> None:
            (gcn(x, edges).sum() + gat(x, edges).sum()).backward()

        for pair in held[:20]:
            step(*pair)
        gc.collect()
        before = _heap_bytes()
        for pair in held:
            step(*pair)
        gc.collect()
        kept = {"kept_bytes": (_heap_bytes() - before) / len(held), "graph_bytes": sum(part.nbytes for part in held[0])}
        rows.append({"side": name, "version": gcn[1], **kept})
    return rows


_HEAP = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` gives back."""

    _fields_ = [(name, ctypes.c_size_t) for name in _HEAP.split()]


def _heap_bytes() -> int:
    """Bytes that are allocated at the moment, in the heap and beside it."""
    look = ctypes.CDLL(None).mallinfo2
    look.restype = _Heap
    heap = look()
    return heap.uordblks + heap.hblkhd


def amount(row: dict[str, Any]) -> str:
    """What a row has measured, in its unit."""
    for name, unit in (("kept_bytes", "B"), ("seconds", "s"), ("slope", f"at most {row.get('at_most')}")):
        if name in row:
            return f"{row[name]:.6f} {unit}"
    return f"{row['peak_mib']:.0f} MiB"


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
            amount = _in_seconds(row["seconds"])
            spread = f"{_in_seconds(row['quartile_low'])} to {_in_seconds(row['quartile_high'])}"
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
            [row["title"], row["side"], _in_seconds(row["bound_seconds"]), f"{row['share_of_bound']:.0%}"]
            for row in rows[rows["share_of_bound"].notna()].to_dict("records")
        ]
        heads = ("what must move, at the speed of a copy", "side", "bound", "share of it reached")
        tables.append((heads, lines, range(2, 4)))
    return "\n\n".join(markdown_table(*table) for table in tables) + "\n"


def _in_seconds(value: float) -> str:
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


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("suite", nargs="?", default="speed", choices=list(SUITES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2, help="torch's threads on the CPU (default: 2)")
    parser.add_argument("--only", nargs="*", default=None, metavar="CASE", help="names of the suite's cases (all)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    parser.add_argument("--page", action="store_true", help="measure nothing: README.md again, from the rows")
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    parser.add_argument("--first-call", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.page:
        write_table(options.out, HERE / "README.md")
        return
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    module, name, file = SUITES[options.suite]
    cases: dict[str, Case] = getattr(importlib.import_module(module), name)

    if options.measure:
        case = cases[options.measure[0]]
        warm_up = cases[case.warm_up] if case.warm_up else None
        print(json.dumps(peak_memory(case, int(options.measure[1]), device, warm_up)))
        return
    if options.first_call:
        print(json.dumps(seconds(cases[options.first_call].build(device)[0].step, device)))
        return
    unknown = sorted(set(options.only or []) - set(cases))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(cases)}")
    table = Rows(options.out / file.format(device.type), ["case"], options.device)
    table.facts["huge_pages"] = os.environ.get("THP_MEM_ALLOC_ENABLE", "0")

    def add(name: str, rows: list[dict[str, Any]]) -> None:
        if rows:
            table.add(rows, case=name)
        for row in rows:
            ratio = f"{row['ratio']:7.3f} ×" if "ratio" in row else ""
            print(f"{name:36} {row['side']:40} {amount(row):>14}  {ratio}", flush=True)

    common = [options.suite, "--device", device.type, "--threads", str(options.threads)]
    for case in cases.values():
        if (options.only is not None and case.name not in options.only) or device.type not in case.devices:
            continue
        parts = {"": timed_rows(case, device) if case.timed else []}
        if case.memory:
            parts["-memory"] = memory_rows(case, common, device)
        if case.first_call:
            parts["-first-call"] = first_call_rows(case, common)
        if case.kept:
            parts[""] = kept_bytes(device)
        for suffix, rows in parts.items():
            what = {"-memory": ": peak memory above inputs", "-first-call": ": first step in a fresh process"}
            title = case.title + what.get(suffix, "")
            add(case.name + suffix, [{"title": title, **row, **case.facts} for row in rows])
        gc.collect()
    if options.suite == "speed":
        for row in slope_rows(table.table):
            add(row.pop("case"), [row])
        write_table(options.out, HERE / "README.md")


if __name__ == "__main__":
    main()
