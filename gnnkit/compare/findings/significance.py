"""Paired tests of the models, by the question that each answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from pydantic import AliasChoices, Field

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
from gnnkit.statistics.paired import Judged, PairedTest, detectable, judge_together
from gnnkit.statistics.ranks import block_scores, separate_blocks
from gnnkit.statistics.spans import FEWEST_SEASONS, MOST_SPANS, SPANS, span_test
from gnnkit.statistics.step_down import confidence_set, step_down

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


@dataclass(frozen=True, kw_only=True)
class PairTest(Difference):
    """A paired test of two models.

    Args:
        question: that it answers: "families", "last-value", "seasonal-naive" or "best".
        horizon, metric: P, and "mae" or "rmse".
        model, against: whose errors are compared; the difference is that of `model` less that of `against`.
        statistic: Student's t; of an older gnnkit, Diebold-Mariano's.
        comparisons: tests that the question looks at, for which p is corrected.
        seeds: of `model`.
        effect: mean difference over blocks of windows without a common target row, in deviations over them; None for
            fewer than two.
        skill: 1 − error of `model` / error of `against`.
        detectable: the smallest true difference that this test finds with a chance of 80%.
    """

    question: str
    horizon: int
    metric: str
    model: str
    against: str
    statistic: Annotated[float | None, Field(validation_alias=AliasChoices("statistic", "dm"))] = None
    comparisons: int | None = None
    seeds: int | None = None
    effect: float | None = None
    skill: float | None = None
    detectable: float | None = None


def significance(
    table: ErrorTable, *, history: int, confidence: float = 0.95, pair: tuple[str, str] | None = None
) -> list[PairTest]:
    """Every test of a comparison, per horizon and for MAE and RMSE, by the question that it answers.

    Each is Student's t over spans of test windows (`gnnkit.statistics.spans`). What it is corrected for follows from
    the question:

    - `"families"`: the graph and the sequence model that the validation rows chose; one test at each horizon, fixed
      beforehand, and corrected for the horizons together (`step_down`).
    - `"last-value"`, `"seasonal-naive"`: every trained model against that baseline, corrected together in the same way.
    - `"best"`: the model with the lowest score against every other. Who that is is seen on the very windows that are
      tested, so each other model is asked whether it is among the best (`confidence_set`).

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
    horizons = [p for p in table.horizons if table.is_enough(p, confidence)]
    benches = {(p, metric): _Bench(table, p, metric, history) for p in horizons for metric in METRICS}
    planned: dict[tuple[int, str], PairTest] = {}
    for metric in METRICS if pair else ():
        assert pair is not None  # for the type checker
        asked = [(benches[p, metric], *pair) for p in horizons]
        planned |= zip([(p, metric) for p in horizons], _together("families", asked, confidence), strict=True)
    trained = [name for name in table.families if table.families[name] != "baseline"]
    found: list[PairTest] = []
    for key, bench in benches.items():
        found += [planned[key]] if pair else []
        for reference in REFERENCES if trained else ():
            if reference in table.families:
                found += _together(reference, [(bench, name, reference) for name in trained], confidence)
        found += _against_all_others(bench, list(table.families), confidence)
    return found


class _Bench:
    """The errors of all models at one horizon and metric, and what is measured on a pair of them."""

    def __init__(self, table: ErrorTable, horizon: int, metric: str, history: int) -> None:
        self.horizon, self.metric = horizon, metric
        counts = table.counts(horizon)
        self.scores = {model: table.span_score(model, horizon, metric) for model in table.models}
        blocks = separate_blocks(counts, horizon, history)
        self.blocks = {
            model: block_scores(table.window_errors(model, horizon, metric), counts, blocks, metric == "rmse")
            for model in table.models
        }

    def mean(self, model: str) -> float:
        return float(self.scores[model].scores.mean())

    def test(self, model: str, against: str) -> PairedTest:
        return span_test(self.scores[model], self.scores[against])

    def parts(self, model: str, against: str) -> np.ndarray:
        """What each span adds to their difference."""
        return self.scores[model].parts - self.scores[against].parts

    def row(self, question: str, model: str, against: str, test: PairedTest, judged: Judged, number: int) -> PairTest:
        gaps = self.blocks[model] - self.blocks[against]
        deviation = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
        known = deviation > 1e-12 * float(self.blocks[against].mean()) if len(gaps) else False
        return PairTest(
            question=question,
            horizon=self.horizon,
            metric=self.metric,
            model=model,
            against=against,
            **judged_columns(judged),
            statistic=test.statistic if np.isfinite(test.statistic) else None,
            comparisons=number,
            seeds=len(self.scores[model].scores),
            effect=float(gaps.mean()) / deviation if known else None,
            skill=1 - self.mean(model) / self.mean(against) if self.mean(against) > 0 else None,
            detectable=detectable(test, level=judged.level),
        )


Asked = tuple[_Bench, str, str]
"""A bench, and the two models that are compared on it."""


def _together(question: str, asked: Sequence[Asked], confidence: float) -> list[PairTest]:
    """Tests that answer one question, corrected together."""
    tests = [bench.test(model, against) for bench, model, against in asked]
    parts = [bench.parts(model, against) for bench, model, against in asked]
    # At a far horizon the last windows of one split, and with them a span, may have no target.
    corrected = step_down(tests, np.stack(parts)) if len({len(each) for each in parts}) == 1 else None
    judged = judge_together(tests, confidence, corrected)
    return [
        bench.row(question, model, against, test, found, len(asked))
        for (bench, model, against), test, found in zip(asked, tests, judged, strict=True)
    ]


def _against_all_others(bench: _Bench, names: Sequence[str], confidence: float) -> list[PairTest]:
    """The model with the lowest score against every other, each asked whether it is among the best."""
    best = min(names, key=bench.mean)
    inside = dict(zip(names, confidence_set([bench.scores[name] for name in names]), strict=True))
    found = []
    for name in (name for name in names if name != best):
        test = bench.test(best, name)
        (judged,) = judge_together([test], confidence, [max(test.p_value, inside[name])])
        found.append(bench.row("best", best, name, test, judged, len(names) - 1))
    return found


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
    tested = (
        "Interval, p and colour are of one test, Student's t over spans of test windows, corrected together for what "
        "the question looks at: the horizons, of the pair that the validation rows chose; all trained models, against "
        "a baseline; all models, where the lowest score names the model. A pair that stands under two questions has "
        "two intervals. Could find: the smallest true difference that the test finds with a chance of 80%."
    )
    if results.by_older_rules:
        tested = "Interval, p and colour are those of an older gnnkit."
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
            *(Entry(signed(value, 2), value) for value in (test.statistic, test.effect)),
            Entry(format_number(test.detectable, places), test.detectable),
            Entry(DASH if test.skill is None else f"{signed(100 * test.skill, 1)} %", test.skill),
        )
        for test in tests
    )
    models = {name for test in tests for name in (test.model, test.against)}
    about = f"{with_unit(METRIC_NAMES[metric], results)} up to {ahead(results, horizon)}"
    interval = f"{confidence_label(results)} interval"
    pair = ("question", "model", "against")
    heads = (*pair, "difference", interval, "p", "tests", "t", "effect", "could find", "skill")
    return Sheet(f"{about}; {sample_size(results, horizon, models)}", heads, lines, names=3)


def _method(results: Results) -> str:
    if results.by_older_rules:
        return "Marks, intervals and p of differences are those of an older gnnkit, which tested by other rules."
    return (
        "Differences are tested by Student's t over spans of test windows (Ibragimov and Müller, 2010): whole seasons "
        f"where {FEWEST_SEASONS} or more are tested, joined to {MOST_SPANS} spans at most, else {SPANS} spans of equal "
        "length, none of which reaches from one fold into another. Windows inside a span may depend on each other in "
        "any way, and what is the same in each season is not taken for noise. The noise between each model's seeds is "
        "added (Welch, 1947). One rule decides mark, interval, p and sentence: the corrected p is below "
        f"{100 * (1 - results.confidence):g}%, and the {confidence_label(results)} interval is that of the same test "
        "at the level that the correction leaves it, so that it excludes zero just then. Tests that answer one "
        "question are corrected together, by how much they depend on each other (Romano and Wolf, 2005; Westfall and "
        "Young, 1993): the pair that the validation rows chose, over the horizons; every trained model against a "
        "baseline. Where the lowest score names the model, each other one is asked whether it is among the best (model "
        "confidence set; Hansen, Lunde and Nason, 2011), as the windows that choose it are those that test it."
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
