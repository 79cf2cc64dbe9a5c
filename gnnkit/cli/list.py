"""`gnnkit list`: what there is, by name."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app", "list_"]

app = typer.Typer()
_COLUMNS = {
    "name": "name",
    "family": "family",
    "licence": "licence",
    "what it is": "description",
    "paper": "paper",
    "source": "source",
}
"""Heads of the columns in Markdown, and the fields of a record that stand there, where it has them."""


@app.command("list", help="Name the models and the data sets, a line each.")
def list_(
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown, with papers and sources.")] = False,
) -> None:
    from gnnkit.data import DATASETS
    from gnnkit.data.nodes import NODE_DATASETS
    from gnnkit.report.markdown import markdown_table
    from gnnkit.studies.nodes.recipes import NODE_RECIPES
    from gnnkit.temporal import MODELS

    sections = {"models": MODELS, "data sets": DATASETS, "recipes for nodes (gnnkit nodes train)": NODE_RECIPES}
    sections["data sets of nodes"] = NODE_DATASETS
    width = max(map(len, [*MODELS, *DATASETS, *NODE_DATASETS]))
    for title, entries in sections.items():
        records = list(entries.values())
        if markdown:
            fields = {head: field for head, field in _COLUMNS.items() if hasattr(records[0], field)}
            lines = [[str(getattr(record, field)) for field in fields.values()] for record in records]
            named = [(f"`{name}`", *rest) for name, *rest in lines]
            typer.echo(f"## {title[0].upper()}{title[1:]}\n\n{markdown_table(list(fields), named, ())}\n")
            continue
        typer.echo(title)
        for record in records:
            kind = getattr(record, "family", getattr(record, "licence", None))
            typer.echo(f"  {record.name:<{width}}  {'' if kind is None else f'{kind:<10}  '}{record.description}")
