"""The command line's verbs for graphs and their nodes: `gnnkit nodes ...` and `gnnkit graph ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from gnnkit.cli_options import help_text, parse_options, parse_seeds, parse_whole_numbers

__all__ = ["depth", "graph_app", "nodes_app", "report", "train"]

nodes_app = typer.Typer(help="Classify the nodes of a graph, many seeds at once.", rich_markup_mode="rich")
graph_app = typer.Typer(help="Look at a graph before a network is put on it.", rich_markup_mode="rich")

_UNVERIFIED = "Take Planetoid's files though they are not the published ones by their SHA-256."

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
"""


@nodes_app.command(help=help_text(_TRAIN), short_help="Train a node classifier by a paper's recipe.")
def train(
    data: Annotated[str, Option(help="A data set of nodes.")] = "cora",
    model: Annotated[str, Option(help="gcn, gat or own.")] = "gcn",
    seeds: Annotated[str, Option(help="A count, 100, or a list, 0,24,42; a list of one ends in a comma, 7,.")] = "10",
    change: Annotated[
        list[str] | None, Option("--set", help="NAME=VALUE in the place of the recipe's; repeatable.")
    ] = None,
    seeds_at_once: Annotated[int, Option(help="Seeds in one batched model.")] = 25,
    batches: Annotated[str, Option(help="auto, whole, partition or neighbour.")] = "auto",
    num_parts: Annotated[int, Option(help="Parts of a partition.")] = 100,
    device: Annotated[str, Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    data_root: Annotated[Path | None, Option(help="Folder of the data (GNNKIT_DATA, else the cache).")] = None,
    trust_pickles: Annotated[bool, Option(help="Let ogb unpickle its files: they can run any code.")] = False,
    unverified: Annotated[bool, Option("--unverified", help=_UNVERIFIED)] = False,
    out: Annotated[Path, Option(help="Folder for the results.")] = Path("gnnkit-nodes"),
) -> None:
    from rich.console import Console

    from gnnkit.studies.nodes.training import NodeRun, summarize, train_nodes

    run = NodeRun(
        data=data,
        model=model,
        seeds=tuple(parse_seeds(seeds)),
        changes=parse_options(change) or {},
        seeds_at_once=seeds_at_once,
        batches=batches,
        num_parts=num_parts,
        device=device,
        trust_pickles=trust_pickles,
        unverified=unverified,
        data_root=data_root,
    )
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


@nodes_app.command(help="Train GCN, GCN with residuals, GCNII and GAT at several depths, and measure what depth does.")
def depth(
    depths: Annotated[str, Option(help="Numbers of layers.")] = "2,4,8,16,32",
    models: Annotated[str, Option(help="Of gcn, gcn-residual, gcn2, gat.")] = "gcn,gcn-residual,gcn2,gat",
    seeds: Annotated[int, Option(help="Seeds of each.")] = 10,
    epochs: Annotated[int, Option(help="Most epochs.")] = 200,
    data: Annotated[str, Option(help="A data set of nodes.")] = "cora",
    data_root: Annotated[Path | None, Option(help="Folder of the data (GNNKIT_DATA, else the cache).")] = None,
    unverified: Annotated[bool, Option("--unverified", help=_UNVERIFIED)] = False,
    out: Annotated[Path, Option(help="Folder for the results.")] = Path("gnnkit-depth"),
) -> None:
    from rich.console import Console

    from gnnkit.studies.nodes.depth import DepthStudy, run_depth_study

    study = DepthStudy(
        models=tuple(name.strip() for name in models.split(",") if name.strip()),
        depths=tuple(parse_whole_numbers("depths", depths)),
        seeds=seeds,
        epochs=epochs,
        data=data,
        unverified=unverified,
        data_root=data_root,
    )
    with Console(stderr=True).status("loading") as status:
        rows = run_depth_study(study, out, on_run=status.update)
    table = rows.groupby(["model", "depth"])["test_accuracy"].agg(["mean", "std"]).mul(100).round(2)
    typer.echo(table.to_string())
    typer.echo(f"Rows and figures: {out}")


_REPORT = """
Report on a graph: degrees, components, diameter, hops, receptive field by depth, bottlenecks, and a depth to start.

EDGES.csv has the columns source,target or source,target,weight, with or without a title line. On a large graph
receptive fields and curvature are sampled, and the report says how surely they are known. --out gets report.txt,
report.json, report.png and, with --save-edges, graph.graphml with each edge's curvature and resistance.

[bold]A worked example[/bold]:

\b
    gnnkit graph report friends.csv --undirected --out friends
"""


@graph_app.command(help=help_text(_REPORT), short_help="Report on a graph of your own.")
def report(
    edges: Annotated[Path, Argument(metavar="EDGES.csv", help="The edges.", show_default=False)],
    undirected: Annotated[bool, Option(help="Every edge counts in both directions.")] = False,
    hidden: Annotated[int, Option(help="Width of the network that is planned.")] = 64,
    samples: Annotated[int | None, Option(help="Nodes whose receptive field is looked at.")] = None,
    edge_samples: Annotated[int | None, Option(help="Edges whose curvature is looked at.")] = None,
    seed: Annotated[int, Option(help="Of the draws.")] = 0,
    save_edges: Annotated[bool, Option(help="Write graph.graphml too.")] = False,
    out: Annotated[Path, Option(help="Folder for the results.")] = Path("gnnkit-graph"),
) -> None:
    import networkx as nx

    from gnnkit.data.edges import read_edges
    from gnnkit.graph import report_graph, write_report

    graph = read_edges(edges, undirected=undirected)
    found = report_graph(graph, hidden_channels=hidden, samples=samples, edge_samples=edge_samples, seed=seed)
    write_report(found, out)
    if save_edges:
        nx.write_graphml(found.to_networkx(), out / "graph.graphml")
    typer.echo("\n".join(found.lines()))
    typer.echo(f"Report: {out / 'report.png'}")
