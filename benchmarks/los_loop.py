"""The Los-loop table: every model of the first release, three seeds, scored at 15, 30, 45 and 60 minutes.

    make los-loop       the whole table, to benchmarks/results/los_loop.csv, and a report in runs/los-loop
    python benchmarks/los_loop.py --models gru,tgcn --seeds 0 --out runs/try        a part of it, to look at

The data are the official test rows (1613 to 2016) and their windows; the last tenth of the training rows is kept for
validation, the epoch is chosen there, and the test rows are scored once. The budget below is the same for all models.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from rich.console import Console

from gnnkit.compare import check_output, make_spec, render_terminal, run, write_output
from gnnkit.compare.report.published import published_scores
from gnnkit.training import open_progress

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data"

#: The models of the committed table; `gnnkit list` names more.
TABLE = "rnn,lstm,bilstm,gru,rnn-joint,lstm-joint,bilstm-joint,gru-joint,gcn,tgcn,tgcn-official"

BUDGET = {
    "horizons": [3, 6, 9, 12],
    "history": 12,
    "epochs": 8,
    "patience": 8,
    "batch_size": 16,
    "hidden_channels": 32,
    "learning_rate": 1e-2,
    "residual": True,
    "schedule": "cosine",
    "loss": "mae",
    "device": "auto",
}


def published_rows() -> pd.DataFrame:
    """The published figures as rows of the same table; `mark` tells where each is from."""
    rows = []
    for score in published_scores("los-loop"):
        for metric in ("mae", "rmse", "accuracy", "r2"):
            value = getattr(score, metric)
            if value is not None:
                rows.append(
                    {
                        "data": "los-loop",
                        "model": f"published: {score.model}",
                        "horizon": score.minutes // 5,
                        "score": "averaged",
                        "metric": metric,
                        "value": value,
                        "mark": score.mark,
                        "source": score.source,
                    }
                )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", default=TABLE, help=f"names, as in `gnnkit list` (default: {TABLE})")
    parser.add_argument("--seeds", default="0,1,2", help="default: 0,1,2")
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "los-loop", help="folder of the report")
    parser.add_argument("--rows", type=Path, default=None, help="where to write the table as CSV")
    options = parser.parse_args()

    spec = make_spec(
        data="los-loop",
        data_root=DATA if (DATA / "losloop").is_dir() else None,
        models=options.models.split(","),
        seeds=[int(seed) for seed in options.seeds.split(",")],
        **BUDGET,
    )
    check_output(options.out)
    progress = open_progress(Console(stderr=True))
    if progress is None:
        results = run(spec)
    else:
        with progress:
            results = run(spec, progress)
    write_output(results, options.out)
    render_terminal(results, Console(width=100))
    print(f"{results.environment['wall_seconds'] / 60:.1f} minutes on {results.environment['hardware']}")
    if options.rows:
        ours = results.rows.assign(mark="gnnkit", source="this run")
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        pd.concat([ours, published_rows()], ignore_index=True).to_csv(options.rows, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
