"""Time gnnkit against its peers: `make bench`.

    python benchmarks/run.py                       every case on this machine, rows to benchmarks/results/
    python benchmarks/run.py --only gat-arxiv      one case
    python benchmarks/run.py --device cuda         the cases that run on a GPU

For each case the outputs and gradients of all sides are compared first; a case whose gate is shut is not timed, and the
command fails. The sides then take turns in one process: one warm-up each, then rounds in alternation; the row has the
median and the quartiles. Memory is measured in a fresh process for each side.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cases import CASES  # noqa: E402
from contest import Case  # noqa: E402
from small import kept_bytes  # noqa: E402
from table import write_table  # noqa: E402


def environment(device: torch.device) -> dict[str, object]:
    """What a row needs to be believed: when, where, with what."""
    from gnnkit.training.environment import commit, hardware

    return {
        "device": device.type,
        "hardware": torch.cuda.get_device_name(device) if device.type == "cuda" else hardware(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "huge_pages": os.environ.get("THP_MEM_ALLOC_ENABLE", "0"),
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def largest_difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """The largest difference over all tensors, each relative to its peer's largest magnitude."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} tensors stand against {len(theirs)}")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        scale = max(float(b.abs().max()), 1e-30) if b.numel() else 1.0
        worst = max(worst, float((a - b).abs().max()) / scale if b.numel() else 0.0)
    return worst


def seconds(step: Callable[[], object], device: torch.device) -> float:
    """One call, timed by CUDA events on a GPU and by the clock elsewhere."""
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3
    start_time = time.perf_counter()
    step()
    return time.perf_counter() - start_time


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second that a copy within the device's memory reads and writes: what a step can hope for."""
    source = torch.rand(2**28, device=device)
    target = torch.empty_like(source)
    times = [seconds(lambda: target.copy_(source), device) for _ in range(21)]
    return 2 * 4 * source.numel() / statistics.median(times)


def run_case(case: Case, device: torch.device) -> list[dict[str, object]]:
    """Rows of one case: the gate, a warm-up, then the rounds in alternation."""
    sides = case.build(device)
    gate = None
    if case.gate is not None:
        found = [[t.detach().clone() for t in (side.check or side.step)()] for side in sides]
        gate = max((largest_difference(found[0], other) for other in found[1:]), default=0.0)
        if not gate <= case.gate:
            raise SystemExit(f"{case.name}: sides differ by {gate:.2e}, more than {case.gate:.0e}; nothing was timed")
        del found
    for side in sides:
        side.step()
    times: list[list[float]] = [[] for _ in sides]
    for round_number in range(max(side.rounds for side in sides)):
        for side, record in zip(sides, times, strict=True):
            if round_number < side.rounds:
                record.append(seconds(side.step, device) * side.scale)
    medians = [statistics.median(record) for record in times]
    rows = []
    for side, record, median in zip(sides, times, medians, strict=True):
        low, _, high = statistics.quantiles(record, n=4)
        rows.append(
            {
                "case": case.name,
                "title": case.title,
                "side": side.name,
                "version": side.version,
                "seconds": median,
                "quartile_low": low,
                "quartile_high": high,
                "rounds": side.rounds,
                "ratio": median / medians[0],
                "at_least": case.at_least,
                "aim": case.aim,
                "largest_difference": gate,
                **case.facts,
            }
        )
    if case.moved is not None and device.type == "cuda":
        bound = case.moved / copy_bandwidth(device)
        for row in rows:
            row |= {"bound_seconds": bound, "share_of_bound": bound / row["seconds"]}
    return rows


def peak_memory(case: Case, side: int, device: torch.device) -> float:
    """MiB that a side's first step takes above what was there before it, in this process.

    A small case runs before it, so that loading compiled kernels is not counted; caches of this graph are.
    """
    if case.warm_up:
        CASES[case.warm_up].build(device)[side].step()
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
    before = high_water_mark()
    contestant.step()
    return high_water_mark() - before


def high_water_mark() -> float:
    """MiB: what `ru_maxrss` counts, but for the mark that a new process inherits from the one that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM: peak memory is measured on Linux alone")


def memory_rows(case: Case, device: torch.device) -> list[dict[str, object]]:
    """Peak memory of each side, each in a fresh process."""
    rows, names = [], [(side.name, side.version) for side in case.build(device)]
    gc.collect()
    for index, (name, release) in enumerate(names):
        command = [sys.executable, __file__, "--device", device.type, "--measure", case.name, str(index)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append({"side": name, "version": release, "peak_mib": json.loads(output.splitlines()[-1])})
    return [
        {
            "case": f"{case.name}-memory",
            "title": f"{case.title}: peak memory above inputs",
            "ratio": row["peak_mib"] / max(rows[0]["peak_mib"], 1e-9),
            "at_least": 4.0 if case.name == "gat-arxiv" else None,
            "aim": 8.0 if case.name == "gat-arxiv" else None,
            **case.facts,
            **row,
        }
        for row in rows
    ]


def first_call_rows(case: Case, device: torch.device) -> list[dict[str, object]]:
    """What compiling costs: gnnkit's first step in a fresh process, its kernels' cache empty, then filled."""
    command = [sys.executable, __file__, "--device", device.type, "--first-call", case.name]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = {"NUMBA_CACHE_DIR": folder, "TRITON_CACHE_DIR": folder}
        for side in ("gnnkit, compiled on first use", "gnnkit, compiled kernels read from disk"):
            run = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **place})
            rows.append(
                {"side": side, "version": version("gnnkit"), "seconds": json.loads(run.stdout.splitlines()[-1])}
            )
    return [
        {
            "case": f"{case.name}-first-call",
            "title": f"{case.title}: first step in a fresh process",
            "quartile_low": row["seconds"],
            "quartile_high": row["seconds"],
            "rounds": 1,
            "ratio": row["seconds"] / rows[-1]["seconds"],
            **case.facts,
            **row,
        }
        for row in rows
    ]


def growth_rows(rows: pd.DataFrame) -> list[dict[str, object]]:
    """Slopes of log(cost) over log(size) through each family of growth cases: 1 is a cost in proportion to the size."""
    found: list[dict[str, object]] = []
    ours = rows[rows["case"].str.startswith("growth-") & (rows["side"] == "gnnkit")]
    for family, size in (("gat", "edges"), ("gcn", "edges"), ("tgcn", "nodes")):
        if size not in ours:  # none of them was ever measured
            continue
        for amount, suffix in (("seconds", ""), ("peak_mib", "-memory")):
            pattern = f"growth-{family}-[0-9]+{suffix}"
            points = ours[ours["case"].str.fullmatch(pattern)].sort_values(size)
            if len(points) < 2:
                continue
            slope = np.polyfit(np.log(points[size]), np.log(points[amount]), 1)[0]
            found.append(
                {
                    "case": f"slope-{family}{suffix}",
                    "title": f"{family.upper()}: slope of {'memory' if suffix else 'time'} over {size}",
                    "side": "gnnkit",
                    "version": version("gnnkit"),
                    "slope": float(slope),
                    "at_most": 1.1,
                }
            )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2, help="torch's threads on the CPU (default: 2)")
    parser.add_argument("--only", nargs="*", default=None, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder of the rows")
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "SIDE"), help=argparse.SUPPRESS)
    parser.add_argument("--first-call", metavar="CASE", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)

    if options.measure:
        print(json.dumps(peak_memory(CASES[options.measure[0]], int(options.measure[1]), device)))
        return
    if options.first_call:
        ours = CASES[options.first_call].build(device)[0]
        print(json.dumps(seconds(ours.step, device)))
        return
    unknown = sorted(set(options.only or []) - set(CASES))
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    chosen = [c for name, c in CASES.items() if (options.only is None or name in options.only)]
    chosen = [c for c in chosen if device.type in c.devices]

    facts = environment(device)
    target = options.out / f"speed-{device.type}.csv"
    for case in chosen:
        rows = run_case(case, device) if case.timed else []
        if case.memory:
            rows += memory_rows(case, device)
        if case.first_call:
            rows += first_call_rows(case, device)
        if case.kept:
            rows += kept_bytes(device)
        for row in rows:
            ratio = f"{row['ratio']:7.2f} ×" if "ratio" in row else ""
            print(f"{row['case']:28} {row['side']:40} {amount(row):>12}  {ratio}", flush=True)
        merge_rows(target, pd.DataFrame([{**row, **facts} for row in rows]))
        gc.collect()
    slopes = growth_rows(pd.read_csv(target))
    for row in slopes:
        print(f"{row['case']:28} {row['title']:40} {row['slope']:12.2f}  at most {row['at_most']}", flush=True)
    if slopes:
        merge_rows(target, pd.DataFrame([{**row, **facts} for row in slopes]))
    write_table(options.out, HERE / "README.md")


def amount(row: dict[str, Any]) -> str:
    """What a row has measured, in its unit."""
    if "kept_bytes" in row:
        return f"{row['kept_bytes']:.0f} B of {row['graph_bytes']} B"
    return f"{row['seconds']:.6f} s" if "seconds" in row else f"{row['peak_mib']:.0f} MiB"


def merge_rows(target: Path, fresh: pd.DataFrame) -> None:
    """Put fresh rows in the place of the same cases' old ones; every other row stays as it was measured."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        old = pd.read_csv(target)
        fresh = pd.concat([old[~old["case"].isin(fresh["case"])], fresh], ignore_index=True)
    fresh.to_csv(target, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
