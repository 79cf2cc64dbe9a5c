"""Decagon's task on the full graph: models, baselines and ablations, each within a budget of wall minutes.

    python benchmarks/decagon.py --runs popularity popularity-by-effect              baselines, no training
    python benchmarks/decagon.py --runs decagon best --minutes 60                    the table's models
    python benchmarks/decagon.py --minutes 10                                        every model and ablation

Finished runs are kept in --out and not run again. Rows of all of them go to benchmarks/results/decagon.csv, differences
between the full model and each ablation, with intervals over side effects, to benchmarks/results/decagon_graph.csv.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pandas as pd

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from gnnkit.data import load_decagon
from gnnkit.studies.relations import BASELINES, RUNS, compare_runs, run_study
from gnnkit.studies.relations_task import METRICS

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"


def differences(out: Path, minutes: float, seed: int) -> pd.DataFrame:
    """The full model less each run of the same budget, in each metric and against both kinds of negatives."""
    full = f"decagon-{minutes:g}min-seed{seed}"
    others = [name for name in RUNS if name != "decagon"]
    stems = {name: f"{name}-{minutes:g}min-seed{seed}" for name in others} | {name: name for name in BASELINES}
    rows = []
    for name, stem in stems.items():
        if not all((out / "runs" / f"{each}.relations.csv").exists() for each in (full, stem)):
            continue
        for metric in (*METRICS, *(f"{metric}_hard" for metric in METRICS)):
            found = compare_runs(out, full, stem, metric)
            rows.append({"full": "decagon", "without": name, "minutes": minutes, "metric": metric, **found})
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", nargs="*", default=[*BASELINES, *RUNS], help="default: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run's training (default: 10)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--threads", type=int, default=None, help="torch's (default: as they are)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--validations", type=int, default=10, help="within a budget (default: 10)")
    parser.add_argument("--data-root", type=Path, default=DATA if (DATA / "decagon").is_dir() else None)
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "decagon")
    parser.add_argument("--rows", type=Path, default=HERE / "results" / "decagon.csv")
    options = parser.parse_args()
    rows = run_study(
        load_decagon(options.data_root),
        options.out,
        runs=options.runs,
        minutes=options.minutes,
        seeds=options.seeds,
        threads=options.threads,
        device=options.device,
        changes={"validations": options.validations},
        say=lambda line: print(line, flush=True),
    )
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(options.rows, index=False, float_format="%.6g")
    graph = differences(options.out, options.minutes, options.seeds[0])
    if len(graph):
        graph.to_csv(options.rows.with_name("decagon_graph.csv"), index=False, float_format="%.6g")
    shown = ["run", *(f"{metric}_{which}" for metric in METRICS for which in ("mean", "median")), "seconds"]
    print(rows[shown].to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
