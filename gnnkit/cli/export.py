"""`gnnkit export`: a trained model as one file that runs without gnnkit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.evaluate import check_file
from gnnkit.cli.options import help_text, named_option, trust_option

__all__ = ["app", "export"]

app = typer.Typer(rich_markup_mode="rich")

_MODEL = "The model"

_EXPORT = """
Write a trained model as one file that runs without gnnkit: a program of torch, which torch.export.load reads, or of
ONNX (pip install "gnnkit\\[onnx]"). Before it is kept it is compared with the model on random inputs: other sizes than
its example's, gaps, and edges of every kind, such as self-loops, duplicates and none at all.

A forecaster takes the latest rows in the data's unit, NaN where nothing was observed, a batch of any size, and gives
forecasts in the data's unit with the ends of an interval. Its scaler, and its graph unless --graph given, are in the
file. FILE.json says what goes in and comes out: names, shapes, units, nodes, steps. The same stands in the file.

[bold]A worked example[/bold]

\b
    gnnkit train stid-graph --series speeds.csv --graph adjacency.csv --out mine
    gnnkit export mine --out mine.pt2
    gnnkit export mine --format onnx --out mine.onnx
"""


@app.command(help=help_text(_EXPORT), short_help="Write a trained model as a file of torch or ONNX.")
def export(
    folder: Annotated[Path, Argument(help="Folder that `gnnkit train` or `gnnkit nodes train` wrote.")],
    out: Annotated[Path, named_option("Output", "The file, e.g. mine.pt2 or mine.onnx.")],
    trust_code: Annotated[bool, trust_option(_MODEL)] = False,
    format: Annotated[str, named_option("Output", "torch or onnx (torch).")] = "torch",
    graph: Annotated[
        str, named_option(_MODEL, "kept: the graph is in the file; given: the edges are an input (kept).")
    ] = "kept",
    nodes: Annotated[
        str, named_option(_MODEL, "kept: for its own nodes; given: for any, and what scales them is an input (kept).")
    ] = "kept",
    coverage: Annotated[
        float, named_option(_MODEL, "Share of the values that an interval should hold, in whole percent (0.9).")
    ] = 0.9,
) -> None:
    for name, value, allowed in (
        ("format", format, ("torch", "onnx")),
        ("graph", graph, ("kept", "given")),
        ("nodes", nodes, ("kept", "given")),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be {' or '.join(allowed)}, got {value!r}")
    check_file(out, None)
    from gnnkit.export import export_folder, export_to

    chosen: Any = format
    options: dict[str, Any] = {"graph": graph, "nodes": nodes}
    found = export_to(export_folder(folder, coverage=coverage, trust_code=trust_code, **options), out, format=chosen)
    for part in ("inputs", "outputs"):
        for value in found[part]:
            unit = f" {value['unit']}" if value["unit"] else ""
            shape = ", ".join(map(str, value["shape"]))
            typer.echo(f"{part[:-1]:<6}  {value['name']:<12} [{shape}]{unit}: {value['meaning']}")
    checked = found["checked"]
    typer.echo(
        f"checked: as the model on {checked['inputs']} random inputs, to {checked['largest_difference']:.1g} "
        f"(allowed {checked['allowed']:g})"
    )
    typer.echo(f"Program: {out}, described in {out.name}.json")
