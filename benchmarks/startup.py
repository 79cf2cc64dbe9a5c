"""What it costs to begin: processor seconds and memory of fresh processes, until they have answered.

    python benchmarks/startup.py                 all cases; benchmarks/results/startup-cpu.csv
    python benchmarks/startup.py --cases judge   a case alone, printed and not written
    python benchmarks/startup.py --rounds 9      more rounds (5)

The cases take turns, so that a busy minute of the machine meets all of them; the first round fills the caches and is
not counted. Seconds are those of the processor, user and system, of the whole process.

`judge` is `gnnkit judge` of ten forecasters with a million forecasts each (418 windows of 12 steps at 200 nodes), on
series and graph in CSV files, with the whole report. `… first call` is the first call of a kernel whose compiled code
lies in the user's cache, less what the same process takes without the call, in which numba is imported too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rows import HERE, RESULTS

from gnnkit.training.environment import environment

FORECASTERS, NODES, STEPS, TIMES = 10, 200, 12, 2145
PYTHON = [sys.executable, "-c"]
GNNKIT = [sys.executable, "-m", "gnnkit"]
GRAPH = "import torch, numba; from gnnkit import ops; e = torch.randint(50, (2, 200))"
CALLS = {
    "spmm": "ops.spmm(e, torch.randn(50, 8), num_dst=50)",
    "edge_attention": "ops.edge_attention(e, torch.randn(50, 2, 4), *torch.randn(2, 50, 2), num_dst=50)",
    "hop_levels": "ops.hop_levels(e, torch.tensor([0]), 50)",
}
CASES: dict[str, list[str]] = {
    "import torch": [*PYTHON, "import torch"],
    "import torch_geometric": [*PYTHON, "import torch_geometric"],
    "import gnnkit": [*PYTHON, "import gnnkit"],
    "import gnnkit.layers": [*PYTHON, "import gnnkit.layers"],
    "import gnnkit.compare, judge_forecasts": [*PYTHON, "from gnnkit.compare import judge_forecasts"],
    "gnnkit --help": [*GNNKIT, "--help"],
    "gnnkit compare --help": [*GNNKIT, "compare", "--help"],
    "a kernel's process without the call": [*PYTHON, GRAPH],
    **{f"{name}, first call": [*PYTHON, f"{GRAPH}; {call}"] for name, call in CALLS.items()},
    "judge": [*GNNKIT, "judge", "--series", "series.csv", "--graph", "graph.csv", "--horizon", "3,6,12"],
}
LESS = {f"{name}, first call": "a kernel's process without the call" for name in CALLS}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", nargs="*", choices=list(CASES), help="some of them; nothing is written")
    parser.add_argument("--rounds", type=int, default=5, help="counted runs of each case (5)")
    options = parser.parse_args()
    chosen = dict.fromkeys(options.cases or CASES)
    chosen |= dict.fromkeys(LESS[case] for case in [*chosen] if case in LESS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        CASES["judge"] += judged_files(folder) if "judge" in chosen else []
        found: dict[str, list[tuple[float, float]]] = {case: [] for case in chosen}
        for turn in range(options.rounds + 1):
            for case, runs in found.items():
                run = spent(CASES[case], folder)
                runs += [run] if turn else []
    rows = [row(case, runs, found.get(LESS.get(case, ""))) for case, runs in found.items()]
    table = pd.DataFrame([each | environment() for each in rows])
    print(table[["case", "seconds", "least_seconds", "memory_mb"]].to_string(index=False))
    if not options.cases:
        table.to_csv(RESULTS / "startup-cpu.csv", index=False)


def row(case: str, runs: list[tuple[float, float]], less: list[tuple[float, float]] | None) -> dict[str, object]:
    """Medians over the rounds; of a call, less its process without it."""
    seconds = [one[0] for one in runs]
    base = [one[0] for one in less] if less else [0.0]
    median, least = (measure(seconds) - measure(base) for measure in (statistics.median, min))
    memory = statistics.median(one[1] for one in runs)
    return {"case": case, "rounds": len(runs), "seconds": median, "least_seconds": least, "memory_mb": memory}


def spent(words: list[str], folder: Path) -> tuple[float, float]:
    """Processor seconds and peak memory in MB of one process."""
    environ = os.environ | {"PYTHONPATH": str(HERE.parent)}
    child = subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)[:200]} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def judged_files(folder: Path) -> list[str]:
    """Files of a judgement of the stated size, and the options that name them."""
    rng = np.random.default_rng(0)
    phase = 2 * np.pi * (np.arange(TIMES)[:, None] / 288 + rng.random(NODES))
    values = 50 + 10 * np.sin(phase) + 0.1 * np.cumsum(rng.standard_normal((TIMES, NODES)), axis=0)
    times = pd.date_range("2024-01-01", periods=TIMES, freq="5min", name="time")
    pd.DataFrame(values.astype(np.float32), times, [f"s{node}" for node in range(NODES)]).to_csv(folder / "series.csv")
    ring = np.eye(NODES)
    pd.DataFrame(np.roll(ring, 1, 0) + np.roll(ring, -1, 0)).to_csv(folder / "graph.csv", header=False, index=False)
    first = TIMES - TIMES // 5 - 1  # of a window that ends at the last row but P
    origins = np.arange(first, TIMES - STEPS)
    true = values[origins[:, None] + np.arange(1, STEPS + 1)]
    options = ["--out", "judged"]
    for number in range(FORECASTERS):
        noise = (1 + 0.1 * number) * rng.standard_normal(true.shape)
        np.savez(folder / f"r{number}.npz", forecasts=(true + noise).astype(np.float32), origins=origins)
        options += ["--forecasts", f"r{number}=r{number}.npz"]
    return options


if __name__ == "__main__":
    main()
