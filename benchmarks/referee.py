"""The comparisons of specs/*.toml: every model on Los-loop and on the simulated network; rows and reports.

    python benchmarks/referee.py                    both, two fits at a time (about an hour)
    python benchmarks/referee.py los-loop --jobs 1
    python benchmarks/referee.py --only-judge       the finished fits again, with the statistics of now; trains nothing

Each is what `gnnkit compare --spec benchmarks/specs/NAME.toml --jobs 2 --out runs/referee/NAME` gives. What is in the
folder is not run again, so a run that was cut off goes on. rows.csv and report.md of each land in results/referee/NAME.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rich.console import Console
from rows import HERE, RESULTS, WORK

from gnnkit.compare import read_spec, render_terminal, run, write_output
from gnnkit.training import open_matrix

SPECS = {path.stem: path for path in sorted((HERE / "specs").glob("*.toml"))}
KEPT = ("rows.csv", "report.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("specs", nargs="*", default=list(SPECS), help=f"of {', '.join(SPECS)} (all)")
    parser.add_argument("--jobs", type=int, default=2, help="fits at a time (default: 2)")
    parser.add_argument("--out", type=Path, default=WORK / "referee", help="folder of the runs")
    parser.add_argument("--only-judge", action="store_true", help="train nothing")
    options = parser.parse_args()
    for name in options.specs:
        folder, how = options.out / name, {"only_judge": True} if options.only_judge else {"resume": True}
        with open_matrix(Console(stderr=True)) as progress:
            results = run(read_spec(SPECS[name]), progress, jobs=options.jobs, directory=folder, **how)
        print(f"Report: {write_output(results, folder)}")
        render_terminal(results, Console(width=100))
        spent = {key: results.environment[key] for key in ("fit_seconds", "referee_seconds", "wall_seconds")}
        print(f"{name}: {spent}, {100 * spent['referee_seconds'] / spent['fit_seconds']:.1f}% beyond the fits")
        target = RESULTS / "referee" / name
        target.mkdir(parents=True, exist_ok=True)
        for file in KEPT:
            shutil.copyfile(folder / file, target / file)


if __name__ == "__main__":
    main()
