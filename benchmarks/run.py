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
import gc
import importlib
import json
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
from rows import HERE, RESULTS, Rows
from table import write_table

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


def amount(row: dict[str, Any]) -> str:
    """What a row has measured, in its unit."""
    for name, unit in (("kept_bytes", "B"), ("seconds", "s"), ("slope", f"at most {row.get('at_most')}")):
        if name in row:
            return f"{row[name]:.6f} {unit}"
    return f"{row['peak_mib']:.0f} MiB"


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
        from memory import peak_memory

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
            from memory import kept_bytes

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
