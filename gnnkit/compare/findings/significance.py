"""Paired tests of the models, by the question that each answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from gnnkit.compare.errors import METRICS, ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import Difference, interval_entries, judged_columns
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.findings.plots_significance import differences_from
from gnnkit.compare.report.tables import (
    METRIC_NAMES,
    ahead,
    confidence_label,
    horizon_label,
    sample_size,
    score_places,
    step_of,
    with_unit,
)
from gnnkit.compare.results import Results
from gnnkit.report.numbers import DASH, format_number, format_p, signed
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets
from gnnkit.statistics.diebold_mariano import Judged, PairedTest, judge_together
from gnnkit.statistics.ranks import block_scores, separate_blocks
from gnnkit.statistics.spans import FEWEST_SEASONS, MOST_SPANS, SPANS

__all__ = ["REFERENCES", "SIGNIFICANCE", "PairTest", "significance"]

REFERENCES = ("last-value", "seasonal-naive")
"""The baselines that every trained model is tested against."""

_QUESTIONS = {
    "families": "chosen on validation rows",
    "last-value": "against last-value",
    "seasonal-naive": "against seasonal-naive",
    "best": "lowest against all others",
}
"""What a test answers, in the table."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class PairTest(Difference):
    """A paired test of two models (`ErrorTable.test`).

    Args:
        question: that it answers: "families", "last-value", "seasonal-naive" or "best".
        horizon, metric: P, and "mae" or "rmse".
        model, against: whose errors are compared; the difference is that of `model` less that of `against`.
        dm: its statistic.
        comparisons: pairs that the question looks at, for which p is corrected.
        seeds: of `model`.
        effect: mean difference over blocks of windows without a common target row, in deviations over them; None for
            fewer than two.
        skill: 1 − error of `model` / error of `against`.
    """

    question: str
    horizon: int
    metric: str
    model: str
    against: str
    dm: float | None = None
    comparisons: int | None = None
    seeds: int | None = None
    effect: float | None = None
    skill: float | None = None


def significance(
    table: ErrorTable, *, history: int, confidence: float = 0.95, pair: tuple[str, str] | None = None
) -> list[PairTest]:
    """Every test of a comparison, per horizon and for MAE and RMSE, by the question that it answers.

    One test decides each (`ErrorTable.test`). What it is corrected for (`judge_together`) follows from the question:

    - `"families"`: the graph and the sequence model that the validation rows chose; one test, fixed beforehand.
    - `"last-value"`, `"seasonal-naive"`: every trained model against that baseline; as many tests as trained models.
    - `"best"`: the model with the lowest score against every other. Who that is is seen on the very windows that are
      tested, so the correction is over all k (k − 1) / 2 pairs of the k models.

    Args:
        table: the errors.
        history: T, rows of history; effects are over blocks of T + P windows.
        confidence: of the intervals.
        pair: the best graph and the best sequence model, as chosen on the validation rows; None: no such question.

    Returns:
        The tests. A horizon whose windows are too few (`is_enough`) has none.

    Example:
        >>> errors = {name: {2: [[level] * 30]} for name, level in (("last-value", 2.0), ("gru", 1.0))}
        >>> families = {"last-value": "baseline", "gru": "sequence"}
        >>> found = significance(ErrorTable.of_windows(errors, errors, {2: [1] * 30}, families), history=4)
        >>> [(test.question, test.model, test.against, test.skill) for test in found[:2]]
        [('last-value', 'gru', 'last-value', 0.5), ('best', 'gru', 'last-value', 0.5)]
    """
    found: list[PairTest] = []
    for horizon in table.horizons:
        if not table.is_enough(horizon, confidence):
            continue
        for metric in METRICS:
            bench = _Bench(table, horizon, metric, history)
            for question, shown, asked in _questions(bench, table.families, pair):
                judged = dict(zip(asked, judge_together([bench.test(*two) for two in asked], confidence), strict=True))
                found += [bench.row(question, *two, judged[two], len(asked)) for two in shown]
    return found


class _Bench:
    """The errors of all models at one horizon and metric, and what is measured on a pair of them."""

    def __init__(self, table: ErrorTable, horizon: int, metric: str, history: int) -> None:
        self.table, self.horizon, self.metric = table, horizon, metric
        counts = table.counts(horizon)
        self.errors = {model: table.window_errors(model, horizon, metric) for model in table.models}
        self.scores = {model: table.scores(model, horizon, metric) for model in table.models}
        blocks = separate_blocks(counts, horizon, history)
        self.blocks = {
            name: block_scores(found, counts, blocks, metric == "rmse") for name, found in self.errors.items()
        }
        self._tests: dict[tuple[str, str], PairedTest] = {}

    def test(self, model: str, against: str) -> PairedTest:
        """The test of a pair, made once whichever questions look at it."""
        if (model, against) not in self._tests:
            two = self.errors[model], self.errors[against]
            self._tests[model, against] = self.table.test(*two, self.horizon, self.metric)
        return self._tests[model, against]

    def row(self, question: str, model: str, against: str, judged: Judged, comparisons: int) -> PairTest:
        ours, theirs = self.scores[model], self.scores[against]
        gaps = self.blocks[model] - self.blocks[against]
        deviation = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
        known = deviation > 1e-12 * float(self.blocks[against].mean()) if len(gaps) else False
        statistic = self.test(model, against).statistic
        return PairTest(
            question=question,
            horizon=self.horizon,
            metric=self.metric,
            model=model,
            against=against,
            **judged_columns(judged),
            dm=statistic if np.isfinite(statistic) else None,
            comparisons=comparisons,
            seeds=len(ours),
            effect=float(gaps.mean()) / deviation if known else None,
            skill=1 - float(ours.mean() / theirs.mean()) if theirs.mean() > 0 else None,
        )


def _questions(bench: _Bench, families: dict[str, str], pair: tuple[str, str] | None) -> list[tuple[str, Pairs, Pairs]]:
    """Each question, the pairs that are shown for it, and all pairs that it looks at."""
    trained = [name for name in families if families[name] != "baseline"]
    found: list[tuple[str, Pairs, Pairs]] = [("families", [pair], [pair])] if pair else []
    for reference in REFERENCES:
        if reference in families and trained:
            pairs = [(name, reference) for name in trained]
            found.append((reference, pairs, pairs))
    ranked = sorted(families, key=lambda name: float(bench.scores[name].mean()))
    # The lower score first, so that the pairs of the best one are among them as they are shown.
    every = list(combinations(ranked, 2))
    best = [(ranked[0], name) for name in families if name != ranked[0]]
    return [*found, ("best", best, every)] if best else found


def _find(evidence: Evidence) -> list[PairTest]:
    spec = evidence.spec
    return significance(evidence.table, history=spec.history, confidence=spec.confidence, pair=evidence.pair)


def _section(results: Results, tests: Sequence[PairTest]) -> Section:
    minutes, farthest = step_of(results), max(test.horizon for test in tests)
    drawings, choices = [], []
    for against in REFERENCES:
        shown = [t for t in tests if (t.horizon, t.metric, t.question) == (farthest, "mae", against)]
        if shown:
            caption = (
                f"Difference in MAE up to {ahead(results, farthest)}, with its {confidence_label(results)} interval; "
                f"left of zero a model is better than {against}. A filled dot's interval excludes zero."
            )
            draw = partial(differences_from, tests=shown)
            drawings.append(Drawing(f"against-{against}", f"Against {against}", caption, draw))
    keys = sorted({(test.metric, test.horizon) for test in tests})
    for metric, horizon in keys:
        chosen = [test for test in tests if (test.horizon, test.metric) == (horizon, metric)]
        choices.append((f"{horizon_label(horizon, minutes)}, {metric.upper()}", _sheet(results, chosen)))
    test = "Student's t over spans of test windows" if results.folds > 1 else "Diebold-Mariano's"
    tested = (
        f"Interval, p and colour are of one test, {test} ({_statistic(results)}: its statistic), corrected after Holm "
        "for the pairs that the question looks at: one that the validation rows chose; as many as there are trained "
        "models against a baseline; all pairs of models where the lowest score names the model. A pair that stands "
        "under two questions has two intervals."
    )
    if results.by_older_rules:
        tested = (
            "Interval and colour are of a bootstrap without a correction, p is of Diebold-Mariano's test (DM: its "
            "statistic) after Holm over all pairs: the two may disagree."
        )
    note = (
        f"Difference: error of the model minus that of the other; below zero the model is better. {tested} "
        "Effect: the mean difference over blocks of windows that share no row to predict, in deviations over them. "
        "Skill: 1 − error ÷ error of the other."
    )
    last_mae = max((number for number, (metric, _) in enumerate(keys) if metric == "mae"), default=0)
    sheets = Sheets("Paired tests", tuple(choices), chosen=last_mae)
    return Section("tests", "Are the differences more than noise?", (), tuple(drawings), (sheets,), (note,))


def _sheet(results: Results, tests: Sequence[PairTest]) -> Sheet:
    horizon, metric = tests[0].horizon, tests[0].metric
    places = score_places(results, horizon, metric)
    lines = tuple(
        (
            *(Entry(_QUESTIONS[test.question]), Entry(test.model), Entry(test.against)),
            *interval_entries(test, places),
            Entry(format_p(test.p), test.p),
            Entry(format_number(test.comparisons, 0), test.comparisons),
            *(Entry(signed(value, 2), value) for value in (test.dm, test.effect)),
            Entry(DASH if test.skill is None else f"{signed(100 * test.skill, 1)} %", test.skill),
        )
        for test in tests
    )
    models = {name for test in tests for name in (test.model, test.against)}
    about = f"{with_unit(METRIC_NAMES[metric], results)} up to {ahead(results, horizon)}"
    interval = f"{confidence_label(results)} interval"
    pair = ("question", "model", "against")
    heads = (*pair, "difference", interval, "p", "pairs", _statistic(results), "effect", "skill")
    return Sheet(f"{about}; {sample_size(results, horizon, models)}", heads, lines, names=3)


def _statistic(results: Results) -> str:
    return "t" if results.folds > 1 else "DM"


_OVER_WINDOWS = (
    "Differences are tested by Diebold-Mariano: the mean difference of the windows' losses over its standard error, "
    "two-sided, p from Student's t. The variance is a fixed-smoothing one (Lazarus et al., 2018; Coroneo and Iacone, "
    "2020) with the correction of Harvey, Leybourne and Newbold (1997) carried over, and the noise between seeds added."
)
_OVER_SPANS = (
    "Differences are tested by Student's t over spans of the test windows of all folds (Ibragimov and Müller, 2010): "
    f"whole seasons where {FEWEST_SEASONS} or more are tested, joined to {MOST_SPANS} spans at most, else {SPANS} spans "
    "of equal length; no span reaches from one fold into another, and the noise between seeds is added. Windows inside "
    "a span may depend on each other in any way, and what is the same in each season is not taken for noise."
)


def _method(results: Results) -> str:
    if results.by_older_rules:
        return (
            "Marks of differences are those of an older gnnkit: they follow intervals of a moving-block bootstrap over "
            "the test windows (Künsch, 1989). p is of another test, Diebold-Mariano's, after Holm (1979) over all "
            "pairs of models at a horizon and metric. The two may disagree."
        )
    return (
        f"{_OVER_SPANS if results.folds > 1 else _OVER_WINDOWS} One rule decides mark, interval, p and sentence: p "
        f"after Holm (1979) is below {100 * (1 - results.confidence):g}%; the {confidence_label(results)} interval is "
        "that of the same test "
        "at the level that the correction leaves it, so that it excludes zero just then. Corrected is for the pairs "
        "that a question looks at: one pair that the validation rows chose; every trained model against a baseline; "
        "all k (k − 1) / 2 pairs of k models where the lowest score names the model, as the windows that choose it are "
        "those that test it."
    )


def _older(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What had two p values, and no name for its question."""
    return [
        row
        | {"p": row.get("p", row.get("dm_p_holm"))}
        | {"question": row.get("question", row["against"] if row["against"] in REFERENCES else "best")}
        for row in rows
    ]


SIGNIFICANCE = Finding(
    "significance", list[PairTest], _find, show=_section, method=_method, older=_older, in_paper=True
)
