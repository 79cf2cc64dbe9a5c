"""Decagon's task on the full graph: models, baselines and ablations, each within a budget of wall minutes.

    python benchmarks/decagon.py --minutes 10                                        every model and ablation
    python benchmarks/decagon.py --runs popularity popularity-by-effect              baselines, no training
    python benchmarks/decagon.py --seeds 0 1 2                                       three fits of each
    python benchmarks/decagon.py --epochs 30 --minutes 120                           equal passes, on a busy machine too
    python benchmarks/decagon.py --report                                            only the report, from what is there
    python benchmarks/decagon.py --page                                              only README.md, from --results

Finished runs are kept in --out and not run again. After each call the folder --results holds all that is committed:
rows.csv, differences.csv (the full model less each other run; with several seeds the intervals hold the noise between
fits), relations.csv (scores by side effect), README.md, which is drawn from these, and examples.md with
reliability.csv, of the fitted `best` of the first seed.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import pandas as pd

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from rows import RESULTS, WORK

from gnnkit.data import DecagonData, load_decagon
from gnnkit.studies.relations.examples import reliability, write_examples
from gnnkit.studies.relations.fitted import load_fitted
from gnnkit.studies.relations.report import run_differences, write_report
from gnnkit.studies.relations.study import BASELINES, RUNS, run_study
from gnnkit.studies.relations.task import METRICS, make_task

KEPT = "best"
DETAILED = ("popularity-by-effect", "decagon", "no-graph", KEPT)  # runs whose scores by side effect are committed

#: PubChem's names of the drugs in the examples.
DRUGS = {
    "CID000001983": "acetaminophen",
    "CID000002162": "amlodipine",
    "CID000002171": "amoxicillin",
    "CID000002250": "atorvastatin",
    "CID000002764": "ciprofloxacin",
    "CID000003386": "fluoxetine",
    "CID000003672": "ibuprofen",
    "CID000004594": "omeprazole",
    "CID000005523": "tramadol",
}
PAIRS = [
    ("CID000002250", "CID000002162"),
    ("CID000004594", "CID000002171"),
    ("CID000003386", "CID000005523"),
]
PARTNERS = [
    ("CID000002250", "rhabdomyolysis"),
    ("CID000003672", "acute kidney failure"),
    ("CID000002764", "tendon injury"),
]


def write_results(data: DecagonData, out: Path, results: Path, rows: pd.DataFrame, options: argparse.Namespace) -> None:
    """The committed folder, from what is in the runs' folder."""
    results.mkdir(parents=True, exist_ok=True)
    rows = rows[rows["minutes"].isna() | (rows["minutes"] == options.minutes)] if "minutes" in rows else rows
    rows = rows[rows["seed"].isna() | rows["seed"].isin(options.seeds)] if "seed" in rows else rows
    rows = rows.assign(cached_load_seconds=min(timed_load(options.data_root) for _ in range(3)))
    rows.to_csv(results / "rows.csv", index=False, float_format="%.6g")
    differences = run_differences(out, minutes=options.minutes, seeds=options.seeds)
    if len(differences):
        differences.to_csv(results / "differences.csv", index=False, float_format="%.6g")
    tables = []
    for name in DETAILED:
        for seed in (None,) if name in BASELINES else options.seeds:
            path = out / "runs" / f"{name if seed is None else stem(name, options.minutes, seed)}.relations.csv"
            if path.is_file():
                tables.append(pd.read_csv(path).assign(run=name, seed=seed))
    if tables:
        pd.concat(tables).to_csv(results / "relations.csv", index=False, float_format="%.6g")
    write_page(results)
    model = out / "models" / stem(KEPT, options.minutes, options.seeds[0])
    if model.is_dir():
        fitted, _ = load_fitted(model)
        task = make_task(data)
        table = reliability(fitted, task)
        table.to_csv(results / "reliability.csv", index=False, float_format="%.6g")
        write_examples(fitted, task, results / "examples.md", pairs=PAIRS, partners=PARTNERS, names=DRUGS, table=table)


def write_page(results: Path) -> None:
    """README.md, from the rows beside it and nothing else."""
    tables = [results / f"{name}.csv" for name in ("rows", "differences", "relations")]
    rows, differences, relations = (pd.read_csv(path) if path.is_file() else pd.DataFrame() for path in tables)
    by_run = dict(iter(relations.groupby("run"))) if len(relations) else {}
    write_report(rows, differences, by_run, results / "README.md")


def timed_load(root: Path | None) -> float:
    """Seconds to read the data from the cache."""
    start = time.perf_counter()
    load_decagon(root)
    return time.perf_counter() - start


def stem(name: str, minutes: float, seed: int) -> str:
    """How `run_study` calls a run's files."""
    return f"{name}-{minutes:g}min-seed{seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", nargs="*", default=[*BASELINES, *RUNS], help="default: all")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each run's training (default: 10)")
    parser.add_argument("--epochs", type=int, default=None, help="passes of each run, within --minutes (no bound)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="a fit of each run from each (default: 0)")
    parser.add_argument("--threads", type=int, default=None, help="torch's (default: as they are)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--validations", type=int, default=10, help="within a budget (default: 10)")
    parser.add_argument("--data-root", type=Path, default=None, help="folder of the data")
    parser.add_argument("--out", type=Path, default=WORK / "decagon")
    parser.add_argument("--results", type=Path, default=RESULTS / "decagon")
    parser.add_argument("--report", action="store_true", help="train nothing, write --results from --out")
    parser.add_argument("--page", action="store_true", help="read no data, write README.md from --results alone")
    options = parser.parse_args()
    if options.page:
        write_page(options.results)
        return
    data = load_decagon(options.data_root)
    if options.report:
        rows = pd.read_csv(options.out / "rows.csv")
    else:
        rows = run_study(
            data,
            options.out,
            runs=options.runs,
            minutes=options.minutes,
            seeds=options.seeds,
            threads=options.threads,
            device=options.device,
            changes={"validations": options.validations, "epochs": options.epochs},
            keep=(KEPT,),
            source={"data": "decagon", "min_pairs": 500, "strict": False, "symmetric": False, "seed": 0},
            say=lambda line: print(line, flush=True),
        )
    write_results(data, options.out, options.results, rows, options)
    shown = ["run", *(f"{metric}_{which}" for metric in METRICS for which in ("mean", "median")), "seconds"]
    print(rows[shown].to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
