"""`gnnkit graphs`: classes and numbers of whole graphs, and whether their edges help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.options import help_text, named_option, takes

__all__ = ["app", "train"]

app = typer.Typer(
    help="Classify whole graphs, or predict numbers of them, and see whether the edges help.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)


@app.callback()
def _root() -> None: ...


_TRAIN = """
Train a graph model on graphs as examples, beside a network that sees no edge, on the same folds.

FOLDER holds the raw files of a data set of TUDataset (DS_A.txt, DS_graph_indicator.txt, DS_graph_labels.txt, …) or of
OGB (raw/edge.csv.gz, …, split/), with OGB's metric and split. Without a split of its own: stratified folds, each of
which is tested once. Settings are chosen in each fold on validation graphs, never on test graphs.

--out gets rows.csv (a row a fit), summary.json, the test predictions, and model/ (the best on validation graphs). The
same command goes on where it was cut off, and more seeds add to what is there; another recipe or changed data need
another --out.

[bold]A worked example[/bold]: ten folds with the recipe's choice of settings; one setting, one seed; OGB's split:

\b
    gnnkit graphs train MUTAG --model gin --out mutag
    gnnkit graphs train MUTAG --model gcn --seeds 1 --set readout=mean --try none=[] --out quick
    gnnkit graphs train ogbg_molhiv --model gin-virtual-node --set epochs=50 --out hiv
"""


@app.command(
    help=help_text(_TRAIN),
    short_help="Train a graph model and its rival that sees no edge.",
    cls=takes("gnnkit.settings.graphs:GraphRunFields"),
)
def train(
    ctx: typer.Context,
    folder: Annotated[Path, Argument(help="Folder of a data set's raw files.", show_default=False)],
    out: Annotated[Path, named_option("Output", "Folder for the results. Default: gnnkit-graphs.")] = Path(
        "gnnkit-graphs"
    ),
) -> None:
    from rich.console import Console

    from gnnkit.studies.graphs.study import GraphRun, train_graphs

    run = GraphRun(**ctx.obj)
    with Console(stderr=True).status("loading") as status:
        summary = train_graphs(run, folder, out, on_epoch=status.update)
    _print_summary(summary)
    typer.echo(f"Rows: {out / 'rows.csv'}")


def _print_summary(summary: dict[str, Any]) -> None:
    from gnnkit.studies.graphs.scores import METRIC_NAMES

    metric = METRIC_NAMES[summary["metric"]]
    factor, digits, unit = (100, 2, " %") if summary["metric"] == "acc" else (1, 4, "")
    seeds = "1 seed" if summary["seeds"] == 1 else f"{summary['seeds']} seeds"
    over = f"{summary['folds']} folds of {seeds} each" if summary["folds"] > 1 else seeds
    for remark in summary["remarks"]:
        typer.echo(remark)
    typer.echo(f"test {metric} over {over}, mean ± standard deviation")
    for name, found in summary["models"].items():
        shown = f"{factor * found['mean']:.{digits}f} ± {factor * found['std']:.{digits}f}{unit}"
        typer.echo(f"  {'no model' if name == 'constant' else name:<18} {shown}")
    found = summary["difference"]
    if found is None:
        return
    words = {True: "The edges help", False: "The edges harm", None: "It is not clear that the edges help"}[
        found["helps"]
    ]
    better, low, high = (f"{factor * found[key]:+.{digits}f}" for key in ("mean", "low", "high"))
    p_value = "p < .001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.3f}".replace("0.", ".")
    points = " points" if factor == 100 else ""
    typer.echo(f"{words}: {better}{points} over structure-blind, 95% interval {low} to {high}, {p_value}")
