"""`gnnkit forecast`: the next steps, by a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.evaluate import check_file
from gnnkit.cli.options import help_text, named_option, trust_option

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["app", "forecast"]

app = typer.Typer(rich_markup_mode="rich")

_FORECAST = """
Forecast the steps after the last row of a file, as CSV: a row a step, a column a node, in the data's unit. Behind them
stand two columns more of each node, NODE low and NODE high, the ends of an interval around the forecast.

The file holds the latest rows of the nodes that the model was trained on, at least as many as its history; empty cells
are filled from the past. With times in its first column, the forecast's rows have theirs. What the model reads
beside them stands in the same file, as in training, or in --covariates; what it knows ahead is needed for the steps to
come too.
"""


@app.command(help=help_text(_FORECAST), short_help="Forecast the next steps from the latest rows.")
def forecast(
    folder: Annotated[Path, Argument(help="Folder that `gnnkit train` wrote.")],
    series: Annotated[Path, named_option("Data", "The latest rows: CSV, Parquet or NPZ of time × nodes.")],
    trust_code: Annotated[bool, trust_option("Data")] = False,
    covariates: Annotated[
        Path | None,
        named_option("Data", "What stands beside them; what is known ahead also for the steps to come."),
    ] = None,
    step_minutes: Annotated[float | None, named_option("Data", "Minutes in a row (from the times).")] = None,
    coverage: Annotated[
        float, named_option("Output", "Share of the values that an interval should hold, in whole percent (0.9).")
    ] = 0.9,
    out: Annotated[Path | None, named_option("Output", "CSV file for the forecast (printed).")] = None,
) -> None:
    from gnnkit.forecasting import forecast_frame, load_fitted, read_latest
    from gnnkit.forecasting.forecast import silent_nodes

    check_file(out, series)
    fitted = load_fitted(folder, trust_code=trust_code)
    latest = read_latest(series, fitted, step_minutes=step_minutes, covariates=covariates)
    remark = silent_nodes(latest, fitted.config["history"])
    if remark is not None:
        typer.echo(f"gnnkit: {remark}", err=True)
    text = _wide(
        forecast_frame(fitted, latest, coverage=coverage)
    ).to_csv()  # float32 in as many digits as tell it apart
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"Forecast: {out}")


def _wide(found: pd.DataFrame) -> pd.DataFrame:
    """A row a step, with its time or its number; a column a node, and then two more of each, where it has intervals."""
    index = "time" if found.index.name == "time" else "step"
    nodes = list(dict.fromkeys(found["node"]))
    wide: Any = found.reset_index().pivot(index=index, columns="node")
    ends = [(end, node) for node in nodes for end in ("low", "high") if end in found]
    wide = wide[[*(("forecast", node) for node in nodes), *ends]]
    wide.columns = [node if end == "forecast" else f"{node} {end}" for end, node in wide.columns]
    return wide
