"""`gnnkit evaluate`: a trained model, scored."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument

from gnnkit.cli.options import named_option, trust_option
from gnnkit.kept_files import write_text

__all__ = ["app", "check_file", "evaluate", "print_scores"]

app = typer.Typer(rich_markup_mode="rich")


@app.command(
    help="Score a trained model, beside the last value, on the test rows of its data or of another series: the last "
    "fifth, unless the training's spec has a split.",
    short_help="Score a trained model.",
)
def evaluate(
    folder: Annotated[Path, Argument(help="Folder that `gnnkit train` wrote.")],
    trust_code: Annotated[bool, trust_option("Data")] = False,
    series: Annotated[
        Path | None, named_option("Data", "Another series of the same nodes (the one trained on).")
    ] = None,
    covariates: Annotated[Path | None, named_option("Data", "What stands beside that series.")] = None,
    step_minutes: Annotated[float | None, named_option("Data", "Minutes in a row of it.")] = None,
    device: Annotated[str, named_option("Output", "auto, cpu, cuda, cuda:1, mps (auto).")] = "auto",
    out: Annotated[Path | None, named_option("Output", "CSV file for the rows.")] = None,
) -> None:
    from gnnkit.forecasting import TrainedRowsWarning, evaluate_forecaster, load_fitted, read_series

    check_file(out, series)
    fitted = load_fitted(folder, trust_code=trust_code)
    for name, value in (("step_minutes", step_minutes), ("covariates", covariates)):
        if series is None and value is not None:
            raise ValueError(f"{name}: only for another series; give --series, or leave it out")
    options = {"step_minutes": step_minutes, "covariates": covariates}
    other = None if series is None else read_series(series, fitted, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TrainedRowsWarning)
        rows = evaluate_forecaster(fitted, other, device=device)
    for warning in caught:
        typer.echo(f"gnnkit: {warning.message}", err=True)
    print_scores(rows, fitted.config["unit"], out)


def check_file(out: Path | None, series: Path | None) -> None:
    """Refuse a file that cannot be written, or that is the input, before anything is computed."""
    if out is None:
        return
    if out.is_dir() or not out.absolute().parent.is_dir():
        reason = "is a folder" if out.is_dir() else "lies in no folder that is there"
        raise ValueError(f"out: {out} {reason}; name a file")
    if series is not None and out.exists() and series.exists() and out.samefile(series):
        raise ValueError(f"out: {out} is the series that is read; name another file")


def print_scores(rows, unit: str, out: Path | None) -> None:
    """Print MAE and RMSE as a table, and write all rows where a file is named."""
    if out is not None:
        write_text(out, rows.to_csv(index=False, float_format="%.6g"))
    shown = rows[rows["metric"].isin(["mae", "rmse"])].assign(score=rows["score"] + " " + rows["metric"])
    table = shown.pivot_table(index=["horizon", "model"], columns="score", values="value", sort=False)
    windows = int(rows["windows"].max())
    typer.echo(f"{rows['data'].iloc[0]}: errors on the test rows, {windows} windows{f', {unit}' if unit else ''}")
    least = table.to_numpy()[table.to_numpy() > 0].min(initial=1.0)
    places = max(0, 3 - math.floor(math.log10(least)))  # four digits of the smallest error
    typer.echo(table.to_string(float_format=f"%.{places}f"))
