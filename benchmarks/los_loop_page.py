"""benchmarks/results/los_loop_honest.md, from the rows beside it and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from rows import markdown_table

from gnnkit.compare.report.published import MARKS, PUBLISHED_NOTE, published_scores
from gnnkit.statistics.bootstrap import paired_interval
from gnnkit.statistics.diebold_mariano import diebold_mariano, holm
from gnnkit.temporal import MODELS

__all__ = ["all_below", "write_page"]

HEAD = """# Los-loop under the honest protocol: every model, one wall budget

Written by `python benchmarks/los_loop_honest.py page` from `los_loop_honest.csv`, `los_loop_honest_trials.csv` and
`los_loop_honest_windows.parquet`; do not edit.

"""
#: The pairs that are tested: one model with its neighbours and without.
PAIRS = [("stid-graph", "stid")]


def all_below(rows: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    """Models whose mean over seeds is below the reference in every metric and at every horizon that it has.

    Args:
        rows: Columns model, horizon, metric, value.
        reference: Columns horizon, metric, value.
    """
    means = rows.groupby(["model", "horizon", "metric"])["value"].mean()
    limits = reference.set_index(["horizon", "metric"])["value"]
    return [
        name
        for name in means.index.unique("model")
        if all((name, *key) in means.index and means[(name, *key)] < limit for key, limit in limits.items())
    ]


def published(name: str) -> pd.DataFrame:
    """MAE and RMSE of a published row, horizons in steps of five minutes."""
    return pd.DataFrame(
        [
            {"horizon": score.minutes // 5, "metric": metric, "value": getattr(score, metric)}
            for score in published_scores("los-loop")
            if score.model == name
            for metric in ("mae", "rmse")
            if getattr(score, metric) is not None
        ]
    )


def write_page(rows: pd.DataFrame, trials: pd.DataFrame, errors: pd.DataFrame, out: Path) -> None:
    """Scores up to and at each horizon, what each model was given, and what beats what."""
    rows = rows[rows["metric"].isin(["mae", "rmse"])]
    order = {name: number for number, name in enumerate(MODELS)}  # baselines before them, as they were written
    rows = rows.sort_values("model", key=lambda names: names.map(order).fillna(-1), kind="stable")
    trained = rows[rows["settings"].notna()]
    parts = [HEAD, _protocol(rows, trained, trials)]
    parts += ["## Up to the horizon, all steps averaged\n\n", _scores(rows, "averaged", with_published=True)]
    averaged = trained[trained["score"] == "averaged"]
    for label, reference in (
        ("the last value", rows[(rows["model"] == "last-value") & (rows["score"] == "averaged")]),
        ("T-GCN's published row", published("T-GCN")),
        ("the best published figures", published("Ada-GGNN")),
    ):
        found = all_below(averaged, reference)
        graph = [name for name in found if MODELS[name].family == "graph"]
        text = ", ".join(f"`{name}`" for name in found) or "none"
        parts.append(
            f"- Below {label} in MAE and RMSE, wherever it has a figure: {text} ({len(graph)} of them graph models).\n"
        )
    marks = "; ".join(f"[{mark}] {meaning}" for mark, meaning in MARKS.items())
    parts += [f"\nMarks: {marks}. {PUBLISHED_NOTE}\n\n", "## At the horizon, the last step alone\n\n"]
    parts += [
        _scores(rows, "last-step", with_published=False),
        _tests(errors),
        "\n## What each model was given\n\n",
        _given(trained),
    ]
    out.write_text("".join(parts), encoding="utf-8")


def _protocol(rows: pd.DataFrame, trained: pd.DataFrame, trials: pd.DataFrame) -> str:
    first = trained.iloc[0]
    windows = rows.groupby("horizon")["windows"].first()
    counts = ", ".join(f"{count:.0f} at {horizon * 5} minutes" for horizon, count in windows.items())
    seeds, budgets = trained.groupby("model")["seed"].nunique(), sorted(set(trained["budget"]))
    budget = " or ".join(f"{value:.0f} seconds of wall clock" if value else "no limit" for value in budgets)
    hardware = " or ".join(sorted(set(trained["hardware"])))
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(trained["commit"])))
    return (
        f"{len(seeds)} models, {seeds.min()} seeds each, one 12-step model a seed, budget of a fit: {budget} on "
        f"{first['threads']} of {first['cores']} cores of {hardware}, torch {first['torch']}, commit "
        f"{commits}. Every model predicts the change from the last value. The epoch and the settings are chosen on the "
        f"last tenth of the training rows: {len(trials)} trials in all, the same {trials['trial'].nunique()} settings "
        f"for every model, {trials['budget'].max():.0f} seconds at most each. Test windows: {counts}.\n\n"
    )


def _scores(rows: pd.DataFrame, score: str, with_published: bool) -> str:
    part = rows[rows["score"] == score]
    horizons = sorted(part["horizon"].unique())
    statistics = part.groupby(["model", "horizon", "metric"])["value"].agg(["mean", "std"])
    cut = set(part.loc[part["stopped"] == "seconds", "model"])
    lines = []
    for name in dict.fromkeys(part["model"]):
        cells = []
        for horizon in horizons:
            mae, rmse = (statistics.loc[(name, horizon, metric)] for metric in ("mae", "rmse"))
            spread = "" if pd.isna(mae["std"]) else f" ± {mae['std']:.2f}"
            cells.append(f"{mae['mean']:.3f}{spread} / {rmse['mean']:.3f}")
        family = MODELS[name].family if name in MODELS else "baseline"
        lines.append([f"`{name}`" + " †" * (name in cut), family, *cells])
    if with_published:
        scores = published_scores("los-loop")
        for name in dict.fromkeys(one.model for one in scores if one.model != "last value"):
            found = {one.minutes // 5: one for one in scores if one.model == name}
            cells = []
            for horizon in horizons:
                one = found.get(horizon)
                text = "" if one is None else f"{_figure(one.mae)} / {_figure(one.rmse)} [{one.mark}]"
                cells.append(text)
            lines.append([f"published: {name}", "", *cells])
    titles = ["model", "family", *(f"MAE / RMSE, {5 * horizon} min" for horizon in horizons)]
    return markdown_table(titles, lines) + ("\n† The budget cut off at least one of the fits.\n\n" if cut else "\n")


def _tests(errors: pd.DataFrame) -> str:
    """The pairs of `PAIRS`, tested window by window."""
    lines, p_values = [], []
    for name, against in PAIRS:
        if not {name, against} <= set(errors["model"]):
            continue
        for horizon, part in errors[errors["model"].isin([name, against])].groupby("horizon"):
            counts = part.drop_duplicates("window").sort_values("window")["targets"].to_numpy(dtype=np.float64)
            for metric, column in (("MAE", "mae"), ("RMSE", "mse")):
                tables = [
                    part[part["model"] == one].pivot_table(index="seed", columns="window", values=column).to_numpy()
                    for one in (name, against)
                ]
                squared = metric == "RMSE"
                interval = paired_interval(*tables, counts, block=12 + horizon, squared=squared, resamples=10_000)
                p_values.append(diebold_mariano(*tables, counts, lag=horizon - 1, squared=squared).p_value)
                difference = f"{interval.difference:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
                seeds = " and ".join(str(len(table)) for table in tables)
                lines.append(
                    [f"`{name}` less `{against}`", f"{5 * horizon} min", metric, difference, seeds, str(len(counts))]
                )
    if not lines:
        return ""
    adjusted = holm(p_values)
    lines = [[*line, f"{p:.2g}", f"{q:.2g}"] for line, p, q in zip(lines, p_values, adjusted, strict=True)]
    titles = ["pair", "up to", "error", "difference (95%)", "seeds", "windows", "p", f"p, Holm over these {len(lines)}"]
    return (
        "\n## With neighbours and without, tested window by window\n\nOne model with its neighbours' histories and "
        "without them. Intervals are of a moving-block bootstrap over windows, with the noise between seeds added; p "
        "is Diebold and Mariano's with fixed smoothing, the noise between seeds included.\n\n"
        + markdown_table(titles, lines)
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".rstrip("0")


def _given(trained: pd.DataFrame) -> str:
    lines = []
    for name, part in trained.groupby("model", sort=False):
        fits = part.drop_duplicates("seed")
        cut = int((fits["stopped"] == "seconds").sum())
        settings = json.loads(part["settings"].iloc[0])
        said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
        lines.append(
            [
                f"`{name}`",
                said,
                f"{fits['parameters'].iloc[0]:.0f}",
                f"{fits['epochs'].mean():.0f}",
                f"{fits['best_epoch'].mean():.0f}",
                f"{fits['epoch_seconds'].median():.2f}",
                f"{fits['wall_seconds'].mean():.0f}",
                f"{cut} of {len(fits)}",
                ", ".join(dict.fromkeys(fits["hardware"])),
            ]
        )
    titles = ["model", "settings", "parameters", "epochs", "best", "s an epoch", "seconds", "fits cut off", "on"]
    return markdown_table(titles, lines)
