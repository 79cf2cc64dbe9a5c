"""gnnkit of this checkout against gnnkit of another one: is any case slower than it was?

    python benchmarks/against.py OTHER                     every timed case that both have, rows to results/
    python benchmarks/against.py OTHER --only gat-arxiv    one case, whose row is replaced

Each case is timed in fresh processes, those of the two checkouts in turns, and each goes first in every
other turn; a process takes gnnkit's side of the case
alone, warms it up and reports the median of its rounds. A row has the median over the processes, and the ratio of this
checkout's to the other's: above 1 is slower.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from rows import RESULTS, Rows

HERE = Path(__file__).resolve().parent

MEASURE = """
import statistics, sys, time
sys.path.insert(0, sys.argv[1] + "/benchmarks")
import torch
from cases import CASES
side = CASES[sys.argv[2]].build(torch.device(sys.argv[3]))[0]
def seconds():
    start = time.perf_counter()
    side.step()
    if sys.argv[3] == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
first = min(seconds() for _ in range(3))
print(statistics.median(seconds() for _ in range(max(7, min(int(sys.argv[4]), int(2 / first))))))
"""


def measure(checkout: Path, case: str, device: str, rounds: int) -> float:
    """Median seconds of gnnkit's step, in a process that imports this checkout's gnnkit and cases."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(checkout), case, device, str(rounds)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise SystemExit(f"{case} of {checkout.name}: {run.stderr.strip().splitlines()[-1]}")
    return float(run.stdout)


def case_names(checkout: Path) -> list[str]:
    """The cases of a checkout that are timed."""
    code = "import sys; sys.path.insert(0, sys.argv[1] + '/benchmarks'); from cases import CASES\n"
    code += "print(*(name for name, case in CASES.items() if case.timed and 'cpu' in case.devices))"
    run = subprocess.run(
        [sys.executable, "-c", code, str(checkout)],
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.split()


def commit_of(checkout: Path) -> str:
    """The commit that a checkout is at."""
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--only", default="", help="cases, separated by commas (all)")
    parser.add_argument("--turns", type=int, default=4, help="processes of each checkout (4)")
    parser.add_argument("--rounds", type=int, default=200, help="most rounds in a process (200)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    here, other = HERE.parent, options.other.resolve()
    known = case_names(other)
    names = options.only.split(",") if options.only else [name for name in case_names(here) if name in known]
    table = Rows(options.out / f"against-{options.device}.csv", ["case"], options.device)
    for name in names:
        times: dict[Path, list[float]] = {here: [], other: []}
        for turn in range(options.turns):
            for checkout in (here, other) if turn % 2 else (other, here):  # neither is always the one that goes first
                times[checkout].append(measure(checkout, name, options.device, options.rounds))
        ours, theirs = (statistics.median(times[checkout]) for checkout in (here, other))
        pairs = [new / old for new, old in zip(times[here], times[other], strict=True)]
        row = {"seconds": ours, "other_seconds": theirs, "ratio": ours / theirs}
        row |= {"least": min(pairs), "most": max(pairs), "turns": options.turns, "other": commit_of(other)}
        table.add([row], case=name)
        print(f"{name:24s} {ours:.6f} s against {theirs:.6f} s: {ours / theirs:.3f}", flush=True)


if __name__ == "__main__":
    main()
