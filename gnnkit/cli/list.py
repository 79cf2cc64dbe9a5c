"""`gnnkit list`: what there is, by name."""

from __future__ import annotations

import typer

__all__ = ["app", "list_"]

app = typer.Typer()


@app.command("list", help="Name the models and the data sets, a line each.")
def list_() -> None:
    from gnnkit.data import DATASETS
    from gnnkit.data.nodes import NODE_DATASETS
    from gnnkit.studies.nodes.recipes import NODE_RECIPES
    from gnnkit.temporal import MODELS

    width = max(map(len, [*MODELS, *DATASETS, *NODE_DATASETS]))
    typer.echo("models")
    for entry in MODELS.values():
        typer.echo(f"  {entry.name:<{width}}  {entry.family:<8}  {entry.description}")
    typer.echo("data sets")
    for name, description in DATASETS.items():
        typer.echo(f"  {name:<{width}}  {description}")
    typer.echo("recipes for nodes (gnnkit nodes train)")
    for recipe in NODE_RECIPES.values():
        typer.echo(f"  {recipe.name:<{width}}  {recipe.description}")
    typer.echo("data sets of nodes")
    for name, description in NODE_DATASETS.items():
        typer.echo(f"  {name:<{width}}  {description}")
