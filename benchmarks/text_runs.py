"""The long runs of the text study: both recipes, the ablation, the short book; rows to results/text_runs.csv.

    python benchmarks/text_runs.py                           all (some hours on two cores, some minutes on a GPU)
    python benchmarks/text_runs.py --only report             one group: report, better, short or ablation; repeatable
    python benchmarks/text_runs.py --only ablation-report    one run by the name of its folder
    python benchmarks/text_runs.py --only report --only better --only short          all that the study's page shows

Each run is a folder in --out (runs/text), and is what this command would make:

    gnnkit text train BOOK.txt --preset NAME --steps STEPS --out FOLDER

A run that is there is not made again, and one that was cut off goes on, so the same command can be given any number of
times; several runs may go side by side. The books are karamazov.txt and heart_of_darkness.txt in the folder `text` of
GNNKIT_DATA. In the end the study (`gnnkit text study`) of what was made, the ablation aside, is written to --out/study
(with --only NAME to --out/study-NAME, unless all but the ablation are named); its Markdown page, rows and figure are
copied to results/text (text/NAME).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rows import DATA, RESULTS, WORK, Rows

from gnnkit.studies.text.settings import ABLATION, TextSettings, preset
from gnnkit.studies.text.study import study_texts
from gnnkit.studies.text.training import train_text


class Run(NamedTuple):
    """One training: its group and folder, which book, which recipe, how many steps."""

    group: str
    folder: str
    book: str
    preset: str
    steps: int


LARGE, SHORT = "karamazov", "heart_of_darkness"
RUNS = (
    Run("report", "karamazov", LARGE, "report", 25_000),
    Run("better", "karamazov-better", LARGE, "better", 25_000),
    Run("short", "heart-of-darkness", SHORT, "report", 6_000),
    Run("short", "heart-of-darkness-25000", SHORT, "report", 25_000),  # as many as the long book's
    *(Run("ablation", f"ablation-{name}", LARGE, name, 3_000) for name in ABLATION),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    groups = list(dict.fromkeys(run.group for run in RUNS))
    choices = [*groups, *(run.folder for run in RUNS if run.folder not in groups)]
    parser.add_argument("--only", action="append", choices=choices, help="a group or a run; repeatable (all)")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--precision", default="32-true", help='or bf16-mixed; a run keeps its own (default: "32-true")'
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch on the CPU")
    parser.add_argument("--out", type=Path, default=WORK / "text", help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the rows and the study's page")
    parser.add_argument("--steps-at-most", type=int, default=None, help="to try it out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if DATA is None:
        raise SystemExit("set GNNKIT_DATA to the folder that holds text/karamazov.txt")
    data = DATA / "text"
    console, studied = Console(stderr=True), []
    table = Rows(options.results / "text_runs.csv", ["run"], "cpu")
    table.facts = {}  # a row says itself with what it was measured
    whole = not options.only or set(groups) - {"ablation"} <= set(options.only)
    named = [] if whole else ["+".join(options.only)]
    for run in RUNS:
        if options.only and not {run.group, run.folder} & set(options.only):
            continue
        steps = min(run.steps, options.steps_at_most or run.steps)
        settings = TextSettings(
            **{**preset(run.preset), "steps": steps, "device": options.device, "precision": options.precision}
        )
        console.print(f"{run.folder}: {run.preset}, {steps:,} steps", highlight=False)
        row = train_text(data / f"{run.book}.txt", settings, options.out / run.folder, console=console)
        del row["stages"]
        figures = "accuracy {accuracy:.4f}, {nats:.4f} nats; held out {val_bits:.4f} and {test_bits:.4f} bits"
        print(f"{run.folder:32} {figures.format(**row)}", flush=True)
        # After each: whoever stops here keeps the rows so far.
        table.add([{"group": run.group, "preset": run.preset, **row}], run=run.folder)
        if run.group != "ablation":
            studied.append(options.out / run.folder)
    if studied:
        study, kept = options.out / "-".join(["study", *named]), options.results.joinpath("text", *named)
        study_texts(studied, study, device="cpu")
        print(f"Study: {study / 'report.html'}")
        kept.mkdir(parents=True, exist_ok=True)
        for former in kept.glob("curves*.png"):
            former.unlink()
        for pattern in ("report.md", "rows.csv", "*.png"):
            for file in study.glob(pattern):
                shutil.copyfile(file, kept / file.name)


if __name__ == "__main__":
    main()
