"""The referee judged as a whole: how often does it say "helps" of a graph that adds nothing, and of one that does?

    python benchmarks/referee_calibration.py               all worlds; goes on where it was cut off
    python benchmarks/referee_calibration.py --worlds 20   fewer of each kind
    python benchmarks/referee_calibration.py --write-only  the page again, from the rows

Each world is a week of 5-minute rows, as Los-loop is: sensors on a ring, each with errors that last (an AR(1), more of
them in the rush hours) and a daily profile. `gnnkit.compare.run` is given it whole: models are chosen on validation
rows, folds are made, all planned questions are one family. In each world it is asked with one split (about 380 test
windows) and with the folds that the series allows.

- `independent`: no sensor hears another; the given graph is the ring all the same.
- `shuffled`: each sensor hears the one upstream, and the given graph joins sensors that are seven places apart.
- `connected`: each hears the one upstream by a share, half an hour later, and the given graph is the ring. The true
  gain is that of ridge regression by its neighbours, the mean over all worlds of that share.
- `networks`: worlds as `independent`, asked with small networks, two seeds each, and the graph ablated.

`before` is the rule of an earlier gnnkit (commit 31abac4) on the same errors: Diebold and Mariano's test, corrected
after Holm over all pairs of models. Rows go to results/referee_calibration.csv, the page to
results/referee_calibration.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Read when torch is loaded: threads that wait sleep, in place of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import torch
from matplotlib import rc_context
from rows import RESULTS, Rows
from scipy import signal, stats

from gnnkit.compare import Results, make_spec, run
from gnnkit.compare.findings import SIGNIFICANCE
from gnnkit.data import GraphSeries, chronological_split
from gnnkit.report.markdown import sections_document
from gnnkit.report.sections import Entry, Picture, Section, Sheet, Sheets, Statement
from gnnkit.report.theme import STYLE, new_figure
from gnnkit.statistics.diebold_mariano import diebold_mariano
from gnnkit.statistics.paired import holm

__all__ = ["after_and_before", "cases", "make_world", "page", "rows_of"]

SENSORS, SEASON, DAYS, BURN_IN = 16, 288, 7, 500
LASTING, RUSH, APART, DELAY = 0.95, 0.8, 7, 6
HORIZONS, LEVEL, FOLDS, BATCH = (3, 12), 0.05, 3, 10
#: Shares of what a sensor measures that come from upstream, for gains of a hundredth to a fifth.
SHARES = (0.06, 0.14, 0.35, 0.7)
WORLDS = {"independent": 200, "shuffled": 100, "connected": 50, "networks": 20}
MODELS_OF = {"networks": ("ridge", "ridge-graph", "gru", "gcn")}
LINEAR = ("ridge", "seasonal-ridge", "ridge-graph")
FAST = {"epochs": 3, "hidden_channels": 8, "batch_size": 64, "learning_rate": 1e-2}


def cases(worlds: int | None = None) -> Iterator[dict[str, Any]]:
    """Every batch of worlds: its kind, share and folds, and the number of its first world."""
    for kind, count in WORLDS.items():
        shares = SHARES if kind == "connected" else (0.1,) if kind == "shuffled" else (0.0,)
        for share, folds in itertools.product(shares, (1,) if kind == "networks" else (1, FOLDS)):
            for first in range(0, min(count, worlds or count), BATCH):
                yield {"world": kind, "share": share, "folds": folds, "first": first}


def make_world(kind: str, share: float, seed: int) -> GraphSeries:
    """A week of sensors on a ring.

    With z_i the AR(1) of sensor i, z_t = a z_{t−1} + (1 + r sin(hour)) u_t, what is measured is a daily profile and

        e_i,t = √(1 − share) z_i,t + √share z_{i−1},{t−d}

    Args:
        kind: of `WORLDS`; of "shuffled" the given graph is another ring through the same sensors.
        share: of the variance that comes from the sensor upstream, d rows later.
        seed: of the noise and of the daily profiles.
    """
    rng, rows, nodes = np.random.default_rng([seed, 7]), DAYS * SEASON + BURN_IN, np.arange(SENSORS)
    hours = 2 * np.pi * np.arange(rows) / SEASON
    shocks = rng.standard_normal((rows, SENSORS)) * (1 + RUSH * np.sin(hours))[:, None]
    own = np.asarray(signal.lfilter([1.0], [1.0, -LASTING], shocks, axis=0))
    errors = np.sqrt(1 - share) * own + np.sqrt(share) * np.roll(np.roll(own, 1, axis=1), DELAY, axis=0)
    profiles = 3 * np.sin(hours[:, None] + rng.uniform(0, 2 * np.pi, SENSORS))
    values = (50 + profiles + errors)[BURN_IN:]
    ring = APART * nodes % SENSORS if kind == "shuffled" else nodes
    one, other = ring, np.roll(ring, -1)
    return GraphSeries(
        name=f"{kind} {seed}",
        values=torch.tensor(values, dtype=torch.float32).unsqueeze(-1),
        edge_index=torch.tensor(np.stack([one, other])),
        edge_weight=torch.ones(len(one)),
        node_names=tuple(map(str, nodes)),
        split=chronological_split(len(values)),
        step_minutes=1440 / SEASON,
        start=pd.Timestamp("2024-01-01"),
        season=SEASON,
    )


def judged(kind: str, share: float, folds: int, seed: int) -> Results:
    """The whole comparison of one world, without the dearest of the rivals that stand in others (VAR), and without the
    quick look, which decides nothing."""
    models = MODELS_OF.get(kind, LINEAR)
    small: dict[str, Any] = (
        {"seeds": (0, 1), "ablate_graph": ("gcn",), **FAST} if kind == "networks" else {"seeds": (0,)}
    )
    spec = make_spec(
        models=models,
        rivals=False,
        quick_look=False,
        horizons=HORIZONS,
        history=12,
        folds=folds,
        resamples=100,
        threads=1,
        device="cpu",
        **small,
    )
    return run(spec, series=make_world(kind, share, seed))


def rows_of(results: Results) -> list[dict[str, Any]]:
    """A row for each planned test: what is said now, and what the former rule says of the same errors."""
    found = []
    for test in SIGNIFICANCE.of(results):
        if not test.planned:
            continue
        names = {name: getattr(test, name) for name in ("question", "horizon", "model", "against", "difference", "p")}
        assert test.scores is not None  # every test that is made has them
        row = {
            **names,
            "clear": int(test.clear),
            "score": test.scores[1],
            "spans": test.spans,
            "tests": test.comparisons,
        }
        row |= {"windows": int((results.errors.counts(test.horizon) > 0).sum())}
        if test.question != "ablation":
            row |= after_and_before(results, test.horizon, test.model, test.against)
        found.append(row)
    return found


def after_and_before(results: Results, horizon: int, model: str, against: str) -> dict[str, float]:
    """p of the former rule: Diebold and Mariano's test of the pair alone, and after Holm over all pairs of models."""
    errors, counts = results.errors, results.errors.counts(horizon)
    pairs = list(itertools.combinations(errors.models, 2))
    own = [
        diebold_mariano(*(errors.window_errors(name, horizon) for name in pair), counts, lag=horizon - 1).p_value
        for pair in pairs
    ]
    place = next(at for at, pair in enumerate(pairs) if set(pair) == {model, against})
    return {"before_alone": own[place], "before": float(holm(own)[place])}


def said(table: pd.DataFrame) -> pd.DataFrame:
    """For each world: whether a planned question said "helps", now and by the former rule, and its smallest p."""
    better = table["difference"] < 0
    gain = (-table["difference"] / table["score"]).where(
        (table["model"] == "ridge-graph") & (table["against"] == "ridge")
    )
    columns = {
        "now": better & (table["clear"] == 1),
        "before": better & (table["before"] < LEVEL),
        "p_now": table["p"].where(better, 1.0),
        "p_before": table["before_alone"].where(better, 1.0),
        "gain": gain,
    }
    worlds = table.assign(**columns).groupby(["world", "share", "folds", "seed"], sort=False)
    found = worlds[["now", "before"]].max().join(worlds[["p_now", "p_before"]].min()).join(worlds["gain"].mean())
    return found.reset_index()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Shares of "helps" by kind, share and folds; at equal size, power is that at the 5% point of the null worlds."""
    worlds, found = said(table), []
    null = worlds[worlds["world"] == "independent"]
    for (kind, share, folds), part in worlds.groupby(["world", "share", "folds"], sort=False):
        row = {"world": kind, "share": share, "folds": folds, "worlds": len(part), "gain": part["gain"].mean()}
        row |= {"gain_error": part["gain"].std(ddof=1) / np.sqrt(len(part)) if len(part) > 1 else np.nan}
        for rule in ("now", "before"):
            count = int(part[rule].sum())
            low, high = stats.binomtest(count, len(part)).proportion_ci(0.95, "exact")
            row |= {rule: count / len(part), f"{rule}_low": low, f"{rule}_high": high}
            border = null.loc[null["folds"] == folds, f"p_{rule}"]
            row[f"{rule}_equal"] = (
                float((part[f"p_{rule}"] <= border.quantile(LEVEL)).mean()) if len(border) else np.nan
            )
        found.append(row)
    return pd.DataFrame(found)


def draw(found: pd.DataFrame) -> Any:
    """The share of worlds in which "helps" is said as a function of the true gain."""
    with rc_context(STYLE):
        figure, (axes,) = new_figure(6.4, 3.6)
        for rule, style in (("now", "-"), ("before", ":")):
            for folds, color in ((1, "C0"), (FOLDS, "C1")):
                part = found[(found["folds"] == folds) & found["world"].isin(["independent", "connected"])]
                part = part.sort_values("gain")
                place = "one split" if folds == 1 else f"{folds} folds"
                axes.plot(
                    100 * part["gain"], 100 * part[rule], style, color=color, marker="o", label=f"{rule}, {place}"
                )
                if rule == "now":
                    bounds = 100 * part["now_low"], 100 * part["now_high"]
                    axes.fill_between(100 * part["gain"], *bounds, color=color, alpha=0.15, linewidth=0)
        axes.axhline(100 * LEVEL, color="0.5", linewidth=1)
        axes.set_xlabel("true gain by the graph, % of the MAE")
        axes.set_ylabel("worlds in which it is said to help, %")
        axes.legend()
    return figure


def page(table: pd.DataFrame, folder: Path) -> str:
    """The page, from the rows and nothing else; the figure is written beside it."""
    found = summary(table)
    draw(found).savefig(folder / "referee_calibration.png", dpi=110)
    null = found[found["world"] != "connected"]
    worst = null.loc[null["now"].idxmax()]
    told = (
        f'Of worlds whose graph adds nothing, "helps" is said in at most {_share(worst, "now")} '
        f"({worst['world']}, {_place(worst)}); the aim is at most {100 * LEVEL:g}% but for binomial noise."
    )
    heads = ("world", "hears", "tested", "worlds", "true gain", "helps", "95% interval")
    heads += ("helps, before", "95% interval", "at equal size", "before, at equal size")
    lines = tuple(
        (
            *(Entry(str(row["world"])), Entry(f"{100 * row['share']:g} %"), Entry(_place(row))),
            *(Entry(f"{row['worlds']:,}"), Entry(f"{100 * row['gain']:+.1f} ± {100 * row['gain_error']:.1f} %")),
            *(Entry(text) for rule in ("now", "before") for text in (_percent(row[rule]), _bounds(row, rule))),
            *(Entry(_percent(row[f"{rule}_equal"])) for rule in ("now", "before")),
        )
        for _, row in found.iterrows()
    )
    sheet = Sheet('Share of the worlds in which a planned question says "helps"', heads, lines, names=3)
    picture = Picture("referee_calibration.png", "Share of worlds in which the graph is said to help", folder)
    notes = (
        "True gain: that of ridge-graph over ridge, the mean over the worlds, with its standard error. Before: Diebold "
        "and Mariano's test after Holm over all pairs of models, the rule of commit 31abac4. At equal size: the "
        "power of each where its level is moved so that it says helps in 5% of the independent worlds that were tested "
        "in the same way.",
    )
    row = table.iloc[-1]
    about = (
        "Written by python benchmarks/referee_calibration.py from the rows in referee_calibration.csv; do not edit. "
        f"{row['hardware']}, torch {row['torch']}, commit {row['commit']}, {str(row['date'])[:10]}."
    )
    section = Section(
        "calibration",
        "How often is a graph said to help?",
        (Statement(told),),
        sheets=(Sheets("Worlds", (("all", sheet),)),),
        notes=notes,
        pictures=(picture,),
    )
    return sections_document("The referee judged as a whole", about, [section])


def _place(row: Any) -> str:
    return "one split" if row["folds"] == 1 else f"{row['folds']:g} folds"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{100 * share:.1f} %"


def _bounds(row: Any, rule: str) -> str:
    return f"{100 * row[f'{rule}_low']:.1f} to {100 * row[f'{rule}_high']:.1f} %"


def _share(row: Any, rule: str) -> str:
    return f"{_percent(row[rule])} (95% interval {_bounds(row, rule)}, {row['worlds']:,} worlds)"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--worlds", type=int, help="at most so many of each kind (default: all)")
    parser.add_argument("--write-only", action="store_true", help="only the page, from the rows that are there")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of rows, page and figure")
    options = parser.parse_args()
    if options.worlds is not None and options.worlds < 1:
        parser.error(f"--worlds is {options.worlds}: give at least 1")
    rows = Rows(options.out / "referee_calibration.csv", ["world", "share", "folds", "first"], "cpu")
    for case in [] if options.write_only else cases(options.worlds):
        if rows.has(**case):
            continue
        kind, share, folds, first = case.values()
        found: list[dict[str, Any]] = []
        seconds = 0.0
        for seed in range(first, first + BATCH):
            results = judged(kind, share, folds, seed)
            own = results.environment["wall_seconds"]
            found += [{"seed": seed, **row, "seconds": own} for row in rows_of(results)]
            seconds += own / BATCH
        rows.add(found, **case)
        helped = said(pd.DataFrame([{**case, **row} for row in found]))["now"].sum()
        print(*case.values(), f"helps in {helped} of {BATCH}, {seconds:.1f} s a world", flush=True)
    if rows.table.empty:
        parser.error("there are no rows yet; leave --write-only out")
    (options.out / "referee_calibration.md").write_text(page(rows.table, options.out), encoding="utf-8")


if __name__ == "__main__":
    main()
