"""`gnnkit graph`: what a graph is like, before a network is put on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from gnnkit.cli.options import help_text

__all__ = ["app", "report"]

app = typer.Typer(help="Look at a graph before a network is put on it.", rich_markup_mode="rich")

_REPORT = """
Report on a graph: degrees, components, diameter, hops, receptive field by depth, bottlenecks, and a depth to start.

EDGES.csv has the columns source,target or source,target,weight, with or without a title line. On a large graph
receptive fields and curvature are sampled, and the report says how surely they are known. --out gets report.txt,
report.json, report.png and, with --save-edges, graph.graphml with each edge's curvature and resistance.

[bold]A worked example[/bold]:

\b
    gnnkit graph report friends.csv --undirected --out friends
"""


@app.command(help=help_text(_REPORT), short_help="Report on a graph of your own.")
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
    from gnnkit.graph import check_report_folder, report_graph, write_report
    from gnnkit.kept_files import replace_file

    check_report_folder(out)  # before a large graph is looked at
    graph = read_edges(edges, undirected=undirected)
    found = report_graph(graph, hidden_channels=hidden, samples=samples, edge_samples=edge_samples, seed=seed)
    write_report(found, out)
    if save_edges:
        with replace_file(out / "graph.graphml") as part:
            nx.write_graphml(found.to_networkx(), part)
    typer.echo("\n".join(found.lines()))
    typer.echo(f"Report: {out / 'report.png'}")
