"""`gnnkit nodes`: node classifiers, trained by papers' recipes and by depth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gnnkit.cli.options import help_text, named_option, takes

__all__ = ["app", "depth", "train"]

app = typer.Typer(help="Classify the nodes of a graph, many seeds at once.", rich_markup_mode="rich")

_OUT = "Output"

_TRAIN = """
Train a node classifier by a paper's recipe, many seeds of it in one batched model.

Models: gcn and gat with their papers' settings, and own, gnnkit's recipe. Data: cora, citeseer, pubmed (raw files in
the folder planetoid of GNNKIT_DATA, else downloaded), ogbn-arxiv, ogbn-products, ogbn-proteins. --out gets rows.csv (a
row a seed), summary.json and model/ (the seed that was best on validation nodes). The same command goes on where it was
cut off, and more seeds add to what is there; another recipe or changed data need another --out.

[bold]A worked example[/bold]: the table of both papers on Cora, and a wider GCN:

\b
    gnnkit nodes train --data cora --model gcn --seeds 100 --out cora-gcn
    gnnkit nodes train --data cora --model gat --seeds 100 --out cora-gat
    gnnkit nodes train --model gcn --set hidden_channels=64 --set epochs=300 --out wide

[bold]On two devices[/bold]: processes share the seeds of sampled neighbours:

\b
    torchrun --nproc-per-node 2 -m gnnkit nodes train --data ogbn-products --batches neighbour --out products
"""


@app.command(
    help=help_text(_TRAIN),
    short_help="Train a node classifier by a paper's recipe.",
    cls=takes("gnnkit.settings.nodes:NodeRunFields"),
)
def train(
    ctx: typer.Context,
    out: Annotated[Path, named_option(_OUT, "Folder for the results. Default: gnnkit-nodes.")] = Path("gnnkit-nodes"),
) -> None:
    from rich.console import Console

    from gnnkit.studies.nodes.training import NodeRun, summarize, train_nodes

    run = NodeRun(**ctx.obj)
    with Console(stderr=True).status("loading") as status:
        rows = train_nodes(run, out, on_epoch=status.update)
    _print_summary(summarize(rows))
    typer.echo(f"Rows: {out / 'rows.csv'}")


def _print_summary(summary: dict[str, Any]) -> None:
    seeds = "1 seed" if summary["seeds"] == 1 else f"{summary['seeds']} seeds"
    for part, name in (("test", "test"), ("val", "validation")):
        score = summary[part]
        typer.echo(
            f"{name + ' accuracy':<20} {score['mean']:.2f} ± {score['std']:.2f} % over {seeds} "
            f"(standard error {score['standard_error']:.2f})"
        )
    typer.echo(f"{'time':<20} {summary['seconds']:.1f} s for all seeds")


@app.command(
    help="Train GCN, GCN with residuals, GCNII and GAT at several depths, and measure what depth does.",
    cls=takes("gnnkit.settings.nodes:DepthFields"),
)
def depth(
    ctx: typer.Context,
    out: Annotated[Path, named_option(_OUT, "Folder for the results. Default: gnnkit-depth.")] = Path("gnnkit-depth"),
) -> None:
    from rich.console import Console

    from gnnkit.studies.nodes.depth import DepthStudy, run_depth_study

    study = DepthStudy(**ctx.obj)
    with Console(stderr=True).status("loading") as status:
        rows = run_depth_study(study, out, on_run=status.update)
    table = rows.groupby(["model", "depth"])["test_accuracy"].agg(["mean", "std"]).mul(100).round(2)
    typer.echo(table.to_string())
    typer.echo(f"Rows and figures: {out}")
