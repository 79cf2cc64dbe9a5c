"""`gnnkit list`: what there is, by name."""

from __future__ import annotations

from typing import Annotated

import typer
from typer import Option

__all__ = ["app", "list_"]

app = typer.Typer()

_COLUMNS = {"family": "family", "licence": "licence", "what it is": "description", "paper": "paper", "source": "source"}


@app.command("list", help="Name the models and the data sets, a line each.")
def list_(
    markdown: Annotated[bool, Option("--markdown", help="Tables in Markdown, with papers and sources.")] = False,
) -> None:
    from gnnkit.data import DATASETS
    from gnnkit.data.nodes import NODE_DATASETS
    from gnnkit.report.markdown import markdown_table
    from gnnkit.studies.graphs.recipes import GRAPH_RECIPES
    from gnnkit.studies.nodes.recipes import NODE_RECIPES
    from gnnkit.temporal import MODELS

    sections = {"Models": MODELS, "Data sets": DATASETS, "Recipes for nodes (gnnkit nodes train)": NODE_RECIPES}
    sections["Data sets of nodes"] = NODE_DATASETS
    sections["Recipes for graphs (gnnkit graphs train)"] = GRAPH_RECIPES
    width = max(len(name) for entries in sections.values() for name in entries)
    for title, entries in sections.items():
        records = list(entries.values())
        fields = {head: field for head, field in _COLUMNS.items() if hasattr(records[0], field)}
        if markdown:
            rows = [[f"`{record.name}`", *(getattr(record, field) for field in fields.values())] for record in records]
            typer.echo(f"## {title}\n\n{markdown_table(['name', *fields], rows, ())}\n")
            continue
        typer.echo(title.lower())
        for record in records:
            kind = getattr(record, next(iter(fields.values())))
            words = [f"{record.name:<{width}}", *([f"{kind:<10}"] if len(fields) > 1 else []), record.description]
            typer.echo("  " + "  ".join(words))
