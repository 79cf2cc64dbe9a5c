"""The report on Decagon's task, drawn from rows: tables beside the published figures, and whether the graph helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gnnkit.report.markdown import markdown_list, markdown_table
from gnnkit.studies.relations.examples import records
from gnnkit.studies.relations.study import BASELINES, PUBLISHED, RUNS, compare_runs
from gnnkit.studies.relations.task import METRICS

__all__ = ["AIMS", "run_differences", "write_report"]

#: Published means over side effects, as read in the paper; None where nobody has checked the figure.
PAPERS: dict[str, tuple[float | None, ...]] = {
    "RESCAL": (None, 0.613, 0.476),
    "DEDICOM": (0.705, 0.637, 0.567),
    "DeepWalk": (0.761, 0.737, 0.658),
    "concatenated drug features": (0.793, 0.764, 0.712),
    "Decagon": tuple(PUBLISHED.values()),
}
#: Published medians over 963 side effects, and those to be reached here.
MEDIANS = {"SimplE, a later paper": (0.978, 0.971, 1.0)}
AIMS = {"auroc": 0.975, "auprc": 0.965, "ap50": 0.99}
_TITLES = {"auroc": "AUROC", "auprc": "AUPRC", "ap50": "AP@50"}
_FULL, _NO_GRAPH, _BEST = "decagon", "no-graph", "best"
_ALSO_HARD = (*METRICS, *(f"{metric}_hard" for metric in METRICS))
_ENDS = 10  # side effects shown at either end
_COSTS = ("seconds", "seconds_to_published", "epochs", "parameters", "peak_memory_mb")
_DEVIATIONS = (
    "The encoder of `decagon`: relations of drug pairs share 16 matrices (theirs: weights for each); a node has a term "
    "of its own in each layer (theirs: I is added to the adjacency of each relation within one kind of nodes, in both "
    "layers); a family's sum is divided by √R (theirs: scaled to length 1); hidden features are dropped, once (theirs: "
    "the inputs of both layers, for each relation anew). `authors-encoder` is theirs in all of this; it is `gnnkit "
    "relations train --model decagon --set encoder_form=authors`.",
    "Neither takes the transpose of a symmetric relation, which is the same matrix, for a relation of its own.",
    "Training: every pair that is no link is a negative, by cross-entropy, with Adam at 0.01, within a budget of time. "
    "Theirs: one negative a link, drawn by degree^0.75, a hinge of margin 0.1, steps of 512 links of one relation, "
    "Adam at 0.001; and the links of proteins and targets are predicted, too.",
    "Single-drug effects are nodes with edges to their drugs; in the paper they are features of the drugs.",
)
#: What only trained runs have.
_OF_TRAINING = (
    "minutes",
    "most_epochs",
    "seconds_to_published",
    "epochs",
    "parameters",
    "peak_memory_mb",
    "unpaired_hard_negatives",
)


def run_differences(out: str | Path, *, minutes: float, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    """The full model less each run of the same budget, in each metric and against both kinds of negatives.

    Args:
        out: Folder of `run_study`.
        minutes: Budget of the runs.
        seeds: Of their fits; a run's are those that are there. Default 0.

    Returns:
        A row a run and metric: what `compare_runs` says of both.
    """

    def stems(name: str) -> list[str]:
        wanted = [name] if name in BASELINES else [f"{name}-{minutes:g}min-seed{seed}" for seed in seeds]
        return [stem for stem in wanted if (Path(out) / "runs" / f"{stem}.relations.csv").is_file()]

    rows = []
    full = stems(_FULL)
    for name in (*(name for name in RUNS if name != _FULL), *BASELINES):
        if full and (other := stems(name)):
            for metric in _ALSO_HARD:
                found = compare_runs(out, full, other, metric)
                rows.append({"full": _FULL, "other": name, "minutes": minutes, "metric": metric, **found})
    return pd.DataFrame(rows)


def write_report(
    rows: pd.DataFrame, differences: pd.DataFrame, relations: dict[str, pd.DataFrame], target: str | Path
) -> None:
    """Write the report as Markdown.

    Args:
        rows: Of `run_study`, of one seed or several.
        differences: Of `run_differences`.
        relations: Run -> its table by relation, or those of several seeds one below the other.
        target: The file.

    Raises:
        ValueError: There are no rows.
    """
    if rows.empty:
        raise ValueError("rows: there is none; run_study makes them")
    rows = rows.reindex(columns=[*rows, *(name for name in _OF_TRAINING if name not in rows)])  # none but baselines
    rows = _by_run(rows).sort_values("auprc_mean")
    trained = [row for row in records(rows) if row["run"] not in BASELINES]
    parts = [*_head(rows, differences), *_answers(rows, differences)]
    for title, prefix in (("random pairs as negatives, as in the paper", ""), ("hard negatives", "hard_")):
        parts += [f"## Means over side effects, {title}", _scores(rows, prefix, "mean")]
        parts += [f"## Medians over side effects, {title}", _scores(rows, prefix, "median")]
        if prefix:
            left = 100 * max((row["unpaired_hard_negatives"] for row in trained), default=math.nan)
            parts += [
                "Hard negatives keep how often each drug stands in the positives, so that popularity says little; ends "
                f"that found no partner are left out ({'not counted' if math.isnan(left) else f'{left:.2g}%'})."
            ]
    parts += _ablations(differences)
    parts += ["## What it took", _costs(rows)]
    for run in (_BEST, _FULL):
        if run in relations:
            parts += _by_relation(run, relations[run])
    parts += ["## What differs from the authors' code", markdown_list(_DEVIATIONS)]
    Path(target).write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def _by_run(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a run: means over its fits, with `NAME_std` beside a score, and `seeds`, how many there are."""
    merged = []
    for _, fits in rows.groupby("run", sort=False):
        row: dict[str, Any] = {**fits.iloc[0].to_dict(), "seeds": len(fits)}
        if len(fits) > 1:
            for name in fits:
                values = fits[name]
                if str(name).endswith(("_mean", "_median")):
                    row |= {str(name): values.mean(), f"{name}_std": values.std(ddof=1)}
                elif name in _COSTS:
                    row[str(name)] = values.mean(skipna=False)  # one that never got there has no mean
        merged.append(row)
    return pd.DataFrame(merged)


def _noise(differences: pd.DataFrame) -> str:
    """What the intervals of differences hold."""
    if differences.empty:
        return ""
    once = dict.fromkeys(row["other"] for row in records(differences) if 1 in (row["seeds"], row["other_seeds"]))
    if not once:
        return (
            "Those of differences are Student's, from the noise between side effects and between fits (Welch and "
            "Satterthwaite)."
        )
    which = "" if len(once) == differences["other"].nunique() else f" from {', '.join(f'`{name}`' for name in once)}"
    return (
        f"**The noise between fits is not in them**: differences{which} are of one fit from one seed, and the next fit "
        "would differ, too. Several seeds (`--seeds 0 1 2`) put it into the interval."
    )


def _head(rows: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    first = rows.iloc[0]
    fits = max(int(row["seeds"]) for row in records(rows))
    several = f" Where a run has several fits (up to {fits}), scores are mean ± deviation over them." * (fits > 1)
    loading = ""
    if "cached_load_seconds" in rows:
        loading = f"; from the cache the data are there in {first['cached_load_seconds']:.2f} s"
    return [
        "# Which side effect will two drugs have together? Decagon's task on the full graph",
        f"Written by a command from rows.csv, differences.csv and relations.csv; do not edit. {first['entities']:.0f} "
        f"drugs, {first['relations']:.0f} side effects, {first['links']:,.0f} links, data {first['data_hash']}; "
        f"{_budget(rows)} of training a run{loading}. Intervals are 95%, a "
        f"bootstrap over side effects.{several} {_noise(differences)}".rstrip(),
        "Side effects of at least 500 drug pairs are taken. The paper counts 964 of them and 4,576,785 links; the "
        "published files hold 963 and 4,576,287. The next side effect in the files has 498 pairs, and the difference "
        "is 498: the paper has that one too.",
        "Each side effect's pairs are split 80/10/10, both directions of a pair into one part. Published figures "
        "were read in the papers; all others were measured here.",
    ]


def _budget(rows: pd.DataFrame) -> str:
    """What each run was given: passes, where they were counted, else minutes."""
    passes, minutes = (sorted(rows[name].dropna().unique()) for name in ("most_epochs", "minutes"))
    if passes:
        return f"{' or '.join(f'{value:g}' for value in passes)} passes"
    return f"{', '.join(f'{value:g}' for value in minutes) or 'no'} minutes, validation included,"


def _answers(rows: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    lines = []
    for run, wanted, which, whose in (
        (BASELINES[1], PUBLISHED, "mean", "published"),
        (_FULL, PUBLISHED, "mean", "published"),
        (_BEST, AIMS, "median", "the aim"),
    ):
        for row in (row for row in records(rows) if row["run"] == run):
            reached = [f"{_TITLES[m]} {row[f'{m}_{which}']:.3f} ({whose} {wanted[m]:g})" for m in METRICS]
            short = [_TITLES[m] for m in METRICS if not row[f"{m}_{which}"] >= wanted[m]]
            verdict = f"below it in {', '.join(short)}" if short else "all reached"
            note = ", which counts links and trains nothing," if run in BASELINES else ","
            lines.append(f"- **`{run}`**{note} {which}s on the test links: {', '.join(reached)}: {verdict}.")
    found = [_one_difference(differences, _NO_GRAPH, metric) for metric in ("auprc", "auprc_hard")]
    words = [_in_words(each) for each in found if each is not None]
    once = any(each is not None and 1 in (each["seeds"], each["other_seeds"]) for each in found)
    fits = "; one fit of each, the noise between fits not counted" if once else ""
    said = "Not measured: it takes the runs `decagon` and `no-graph`."
    if len(words) == len(found):
        budget = "passes" if len(rows["most_epochs"].dropna()) else "time"
        said = (
            f"{words[0][0]}: AUPRC with graph convolution less without it is {words[0][1]} at one budget of {budget}, "
            f"{words[1][1]} against hard negatives{fits}."
        )
    return ["\n".join([*lines, f"- **Does the graph help here?** {said}"])]


def _one_difference(differences: pd.DataFrame, other: str, metric: str) -> dict[str, Any] | None:
    found = [row for row in records(differences) if (row["other"], row["metric"]) == (other, metric)]
    return found[0] if found else None


def _in_words(found: dict[str, Any]) -> tuple[str, str]:
    verdict = "Yes" if found["low"] > 0 else "No" if found["high"] < 0 else "It cannot be told"
    interval = f"({found['low']:+.4f} to {found['high']:+.4f})"
    return verdict, f"{found['difference']:+.4f} {interval}, better in {100 * found['better']:.0f}% of the side effects"


def _scores(rows: pd.DataFrame, prefix: str, which: str) -> str:
    published = {} if prefix else PAPERS if which == "mean" else MEDIANS
    lines = [
        [f"*{name}, published*", *("" if value is None else f"{value:.3f}" for value in figures)]
        for name, figures in published.items()
    ]
    names = [f"{prefix}{metric}_{which}" for metric in METRICS]
    lines += [[f"`{row['run']}`", *(_score(row, name) for name in names)] for row in records(rows)]
    return markdown_table(["run", *_TITLES.values()], lines)


def _score(row: dict[str, Any], name: str) -> str:
    if row["seeds"] > 1:
        return f"{row[name]:.4f} ± {row[f'{name}_std']:.4f}"
    return f"{row[name]:.4f} ({row[f'{name}_low']:.4f} to {row[f'{name}_high']:.4f})"


def _ablations(differences: pd.DataFrame) -> list[str]:
    if differences.empty:
        return []
    lines = []
    for other in dict.fromkeys(differences["other"]):
        cells = [f"`{other}`"]
        for metric in ("auroc", "auprc", "ap50", "auprc_hard"):
            found = _one_difference(differences, other, metric)
            assert found is not None
            cells.append(f"{found['difference']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})")
        lines.append(cells)
    return [
        "## The full model less each other run, at the same budget",
        "Mean difference over side effects on the same test links; above 0 the full model, `decagon`, is better.",
        markdown_table(["other", *_TITLES.values(), "AUPRC, hard"], lines),
    ]


def _costs(rows: pd.DataFrame) -> str:
    lines = []
    for row in records(rows):
        reached = "" if row["run"] in BASELINES else _amount(row["seconds_to_published"]) or "never"
        amounts = [_amount(row[name]) for name in ("epochs", "parameters", "peak_memory_mb")]
        where = [
            f"{row['hardware']}, {row['threads']} threads",
            f"torch {row['torch']}, {row['commit']}, {row['date']}",
        ]
        lines.append([f"`{row['run']}`", _amount(row["seconds"]), reached, *amounts, *where])
    header = ["run", "seconds", "to the published scores", "passes", "parameters", "peak MB", "hardware", "software"]
    return markdown_table(header, lines)


def _amount(value: float) -> str:
    """Empty where there is none."""
    return "" if math.isnan(value) else f"{value:,.0f}"


def _by_relation(run: str, table: pd.DataFrame) -> list[str]:
    if "seed" in table:
        table = pd.DataFrame(table.groupby("title", as_index=False, sort=False)[["links", *METRICS]].mean())
    ordered = table.dropna(subset=["auprc"]).sort_values("auprc", ascending=False)

    def shown(part: pd.DataFrame) -> str:
        return markdown_table(
            ["side effect", "test links", *_TITLES.values()],
            [[row["title"], f"{row['links']:.0f}", *(f"{row[m]:.3f}" for m in METRICS)] for row in records(part)],
        )

    return [
        f"## Best and worst side effects of `{run}`, by AUPRC",
        shown(ordered.head(_ENDS)),
        shown(ordered.tail(_ENDS).iloc[::-1]),
    ]
