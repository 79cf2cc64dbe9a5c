"""`gnnkit list`: what there is, by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Option

if TYPE_CHECKING:
    from gnnkit.data import Dataset

__all__ = ["app", "list_"]

app = typer.Typer()

_COLUMNS = {"family": "family", "licence": "licence", "what it is": "description", "paper": "paper", "source": "source"}


@app.command("list", help="Name the models and the data sets, a line each.")
def list_(
    markdown: Annotated[bool, Option("--markdown", help="Tables in Markdown, with papers and sources.")] = False,
    data: Annotated[
        bool, Option("--data", help="Only the data sets of series, and which of them are at hand.")
    ] = False,
) -> None:
    from gnnkit.data import DATASETS

    if data:
        _at_hand(DATASETS.values(), markdown)
        return
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
        kinds = max(len(getattr(record, next(iter(fields.values())))) for record in records)
        typer.echo(title.lower())
        for record in records:
            kind = getattr(record, next(iter(fields.values())))
            words = [f"{record.name:<{width}}", *([f"{kind:<{kinds}}"] if len(fields) > 1 else []), record.description]
            typer.echo("  " + "  ".join(words))


def _at_hand(records: Iterable[Dataset], markdown: bool) -> None:
    """A line for each data set: whether its files are in `GNNKIT_DATA` or the user's cache, licence and description."""
    from gnnkit.report.markdown import markdown_table

    rows = [[record.name, _place(record), record.licence, record.description, record.source] for record in records]
    if markdown:
        typer.echo(markdown_table(["name", "files", "licence", "what it is", "source"], rows, ()))
        return
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        typer.echo("  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[3]]))


def _place(record: Dataset) -> str:
    if record.at_hand():
        return "at hand"
    return "by download" if all(file.url for file in record.files) else "by hand"
