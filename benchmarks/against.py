"""gnnkit of this checkout against gnnkit of another one: is any case slower than it was?

    python benchmarks/against.py OTHER                     every timed case that both have, rows to results/
    python benchmarks/against.py OTHER --only gat-arxiv    one case, whose row is replaced

Two processes are alive, one of each checkout, and each builds gnnkit's side of the case. They step in turns, one waits
while the other works, so that a drift of the machine's speed meets both. A row has the median of the seconds of each,
and the median over the rounds of this checkout's seconds over the other's: above 1 is slower. The pair of processes is
started a few times, for where memory lies differs between them; `least` and `most` are over these.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rows import RESULTS, Rows

HERE = Path(__file__).resolve().parent
SECONDS = 15.0  # of the steps of a pair of processes, where --rounds does not end them before

STEP = """
import sys, time
sys.path.insert(0, sys.argv[1] + "/benchmarks")
import torch
from cases import CASES
side = CASES[sys.argv[2]].build(torch.device(sys.argv[3]))[0]
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    side.step()
    if sys.argv[3] == "cuda":
        torch.cuda.synchronize()
    print(time.perf_counter() - start, flush=True)
"""
REST = 0.01  # seconds after a step: the threads of the process that worked have gone to sleep


class Checkout:
    """A process that imports a checkout's gnnkit and cases, and steps when it is told to; a context manager."""

    def __init__(self, folder: Path, case: str, device: str):
        self.name = f"{case} of {folder.name}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", STEP, str(folder), case, device],
            # A thread that waits sleeps at once: none of one process spins while the other works.
            env={**os.environ, "PYTHONPATH": str(folder), "OMP_WAIT_POLICY": "PASSIVE"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def __enter__(self) -> Checkout:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def step(self) -> float:
        """Seconds of one step."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        seconds = float(self._answer())
        time.sleep(REST)
        return seconds

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        return line


def pairs(here: Path, other: Path, case: str, device: str, rounds: int) -> list[tuple[float, float]]:
    """Seconds of the two checkouts' steps, round by round, after some that are not counted."""
    with Checkout(here, case, device) as ours, Checkout(other, case, device) as theirs:
        first = min(max(ours.step(), theirs.step()) for _ in range(3))
        found = []
        for turn in range(max(9, min(rounds, int(SECONDS / first)))):
            if turn % 2:  # neither is always the one that goes first
                found.append((ours.step(), theirs.step()))
            else:
                found.append((theirs.step(), ours.step())[::-1])
    return found


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
    parser.add_argument("--processes", type=int, default=3, help="times that the pair of processes is started (3)")
    parser.add_argument("--rounds", type=int, default=200, help="most rounds of a pair of processes (200)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    here, other = HERE.parent, options.other.resolve()
    known = case_names(other)
    names = options.only.split(",") if options.only else [name for name in case_names(here) if name in known]
    table = Rows(options.out / f"against-{options.device}.csv", ["case"], options.device)
    for name in names:
        runs = [pairs(here, other, name, options.device, options.rounds) for _ in range(options.processes)]
        ratios = [statistics.median(new / old for new, old in run) for run in runs]
        ours, theirs = (statistics.median(pair[side] for run in runs for pair in run) for side in (0, 1))
        ratio = statistics.median(new / old for run in runs for new, old in run)
        row = {"seconds": ours, "other_seconds": theirs, "ratio": ratio, "least": min(ratios), "most": max(ratios)}
        row |= {"processes": options.processes, "rounds": sum(map(len, runs)), "other": commit_of(other)}
        table.add([row], case=name)
        print(f"{name:24s} {ours:.6f} s against {theirs:.6f} s: {ratio:.3f}", flush=True)


if __name__ == "__main__":
    main()
