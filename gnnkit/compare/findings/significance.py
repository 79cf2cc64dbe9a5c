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
from gnnkit.compare.questions import NO_GRAPH, PLANNED, Question
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
from gnnkit.compare.standing import draws_nothing
from gnnkit.report.numbers import DASH, format_number, format_p, signed
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets
from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.paired import Judged, detectable, judge_together, spans_needed
from gnnkit.statistics.ranks import block_scores, separate_blocks
from gnnkit.statistics.spans import FEWEST_SEASONS, MOST_SPANS, SPANS, Compared, compare_scores
from gnnkit.statistics.step_down import confidence_set, judge_family

__all__ = ["REFERENCES", "SIGNIFICANCE", "PairTest", "significance"]

REFERENCES = ("last-value", "seasonal-naive")
"""The baselines that every trained model is tested against."""

_QUESTIONS = {
    "ablation": "with and without edges",
    "families": "chosen on validation rows",
    "twin": "with and without neighbours",
    "last-value": "against last-value",
    "seasonal-naive": "against seasonal-naive",
    "best": "lowest against all others",
}
"""What a test answers, in the table."""


@dataclass(frozen=True, kw_only=True)
class PairTest(Difference):
    """A paired test of two models.

    Args:
        question: that it answers: "ablation", "families", "twin", "last-value", "seasonal-naive" or "best".
        horizon, metric: P, and "mae" or "rmse".
        model, against: whose errors are compared; the difference is that of `model` less that of `against`.
        statistic: Student's t; of an older gnnkit, Diebold-Mariano's.
        comparisons: tests that the question looks at, for which p is corrected.
        seeds: of `model`.
        effect: mean difference over blocks of windows without a common target row, in deviations over them; None for
            fewer than two.
        skill: 1 − error of `model` / error of `against`.
        detectable: the smallest true difference that this test finds with a chance of 80%.
        planned: whether the question was fixed before training; all else is exploratory.
        spans: that the test was made on.
        spans_needed: with which the difference that was seen would be found with a chance of 80%; None where it is
            clear, or where no number of spans is enough.
        scores: of both models.
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
    planned: bool = False
    spans: int | None = None
    spans_needed: int | None = None
    scores: list[float] | None = None


def significance(
    table: ErrorTable, *, history: int, confidence: float = 0.95, questions: Sequence[Question] = ()
) -> list[PairTest]:
    """Every test of a comparison, per horizon and for MAE and RMSE, by the question that it answers.

    Each is Student's t over spans of test windows (`gnnkit.statistics.spans`). What it is corrected for follows from
    the question:

    - the planned ones (`gnnkit.compare.questions`), in MAE: all of them at all horizons are one family, fixed before
      training, and corrected together (`judge_family`).

    All else is exploratory:

    - the planned questions in RMSE, corrected together in the same way.
    - `"last-value"`, `"seasonal-naive"`: every trained model against that baseline, corrected together at each horizon.
    - `"best"`: the model with the lowest score against every other. Who that is is seen on the very windows that are
      tested, so each other model is asked whether it is among the best (`confidence_set`).

    Args:
        table: the errors.
        history: T, rows of history; effects are over blocks of T + P windows.
        confidence: of the intervals.
        questions: the planned ones.

    Returns:
        The tests. A horizon whose windows are too few (`is_enough`) has none. The planned question about edges is asked
        in MAE alone, and of two seeds or more: one cannot tell what the edges do from the luck of a draw.

    Example:
        >>> errors = {name: {2: [[level] * 30]} for name, level in (("last-value", 2.0), ("gru", 1.0))}
        >>> families = {"last-value": "baseline", "gru": "sequence"}
        >>> found = significance(ErrorTable.of_windows(errors, errors, {2: [1] * 30}, families), history=4)
        >>> [(test.question, test.model, test.against, test.skill) for test in found[:2]]
        [('last-value', 'gru', 'last-value', 0.5), ('best', 'gru', 'last-value', 0.5)]
    """
    horizons = [p for p in table.horizons if table.is_enough(p, confidence)]
    benches = {(p, metric): _Bench(table, p, metric, history) for p in horizons for metric in METRICS}
    planned: list[PairTest] = []
    for metric in METRICS:
        asked = [
            one for p in horizons for question in questions if (one := benches[p, metric].plan(question)) is not None
        ]
        planned += _together(asked, confidence, planned=metric == METRICS[0])
    trained = [name for name in table.families if table.families[name] != "baseline"]
    found: list[PairTest] = []
    for key, bench in benches.items():
        found += [test for test in planned if (test.horizon, test.metric) == key]
        for reference in REFERENCES if trained else ():
            if reference in table.families:
                found += _together([bench.ask(reference, name, reference) for name in trained], confidence)
        found += _against_all_others(bench, list(table.families), confidence) if table.families else []
    return found


@dataclass(frozen=True)
class _Asked:
    """A question at one horizon and metric, its test, and the scores of both sides: of seeds, and in blocks."""

    question: str
    horizon: int
    metric: str
    model: str
    against: str
    compared: Compared
    scores: tuple[np.ndarray, np.ndarray]
    blocks: tuple[np.ndarray, np.ndarray]

    def row(self, judged: Judged, number: int, planned: bool) -> PairTest:
        test, spans = self.compared.test, len(self.compared.parts)
        gaps = self.blocks[0] - self.blocks[1]
        deviation = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
        known = deviation > 1e-12 * float(self.blocks[1].mean()) if len(gaps) else False
        ours, theirs = (float(scores.mean()) for scores in self.scores)
        return PairTest(
            question=self.question,
            horizon=self.horizon,
            metric=self.metric,
            model=self.model,
            against=self.against,
            planned=planned,
            **judged_columns(judged),
            statistic=test.statistic if np.isfinite(test.statistic) else None,
            comparisons=number,
            seeds=len(self.scores[0]),
            effect=float(gaps.mean()) / deviation if known else None,
            skill=1 - ours / theirs if theirs > 0 else None,
            detectable=detectable(test, level=judged.level),
            spans=spans,
            spans_needed=None if judged.clear else spans_needed(test, spans, level=judged.level),
            scores=[ours, theirs],
        )


class _Bench:
    """The errors of all models at one horizon and metric, and what is measured on a pair of them."""

    def __init__(self, table: ErrorTable, horizon: int, metric: str, history: int) -> None:
        self.table, self.horizon, self.metric = table, horizon, metric
        self.counts = table.counts(horizon)
        self.places = separate_blocks(self.counts, horizon, history)
        self.scores = {model: table.span_score(model, horizon, metric) for model in table.models}
        self.blocks = {model: self._in_blocks(table.window_errors(model, horizon, metric)) for model in table.models}

    def mean(self, model: str) -> float:
        return float(self.scores[model].scores.mean())

    def ask(self, question: str, model: str, against: str) -> _Asked:
        both = self.scores[model], self.scores[against]
        blocks, scores = (self.blocks[model], self.blocks[against]), (both[0].scores, both[1].scores)
        return _Asked(question, self.horizon, self.metric, model, against, compare_scores(*both), scores, blocks)

    def plan(self, question: Question) -> _Asked | None:
        """A planned question; None where it is not asked of this metric, or one seed of a model that draws is there."""
        if question.kind != "ablation":
            return self.ask(question.kind, question.model, question.against)
        errors = self.table.paired_errors(question.model, NO_GRAPH, self.horizon) if self.metric == "mae" else None
        if errors is None or (len(errors[0]) < 2 and not draws_nothing(question.model)):
            return None
        gap = errors[0] - errors[1]
        compared = self.table.compare(gap, np.zeros_like(gap[:1]), self.horizon)
        scores = [seed_scores(each, self.counts, squared=False) for each in errors]
        blocks = [self._in_blocks(each) for each in errors]
        names = question.kind, self.horizon, self.metric, question.model, question.against
        return _Asked(*names, compared, (scores[0], scores[1]), (blocks[0], blocks[1]))

    def _in_blocks(self, errors: np.ndarray) -> np.ndarray:
        return block_scores(errors, self.counts, self.places, self.metric == "rmse")


def _together(asked: Sequence[_Asked], confidence: float, *, planned: bool = False) -> list[PairTest]:
    """Tests that answer one question, corrected together."""
    judged = judge_family([each.compared for each in asked], confidence)
    return [each.row(found, len(asked), planned) for each, found in zip(asked, judged, strict=True)]


def _against_all_others(bench: _Bench, names: Sequence[str], confidence: float) -> list[PairTest]:
    """The model with the lowest score against every other, each asked whether it is among the best."""
    best = min(names, key=bench.mean)
    inside = dict(zip(names, confidence_set([bench.scores[name] for name in names]), strict=True))
    found = []
    for name in (name for name in names if name != best):
        asked = bench.ask("best", best, name)
        own = asked.compared.test.p_value
        (judged,) = judge_together([asked.compared.test], confidence, [max(own, inside[name])])
        found.append(asked.row(judged, len(names) - 1, False))
    return found


def _find(evidence: Evidence) -> list[PairTest]:
    spec = evidence.spec
    return significance(evidence.table, history=spec.history, confidence=spec.confidence, questions=evidence.questions)


def _section(results: Results, tests: Sequence[PairTest]) -> Section:
    minutes, farthest = step_of(results), max(test.horizon for test in tests)
    drawings, choices = [], []
    for against in REFERENCES:
        shown = [t for t in tests if (t.horizon, t.metric, t.question) == (farthest, "mae", against)]
        if shown:
            caption = (
                f"Difference in MAE up to {ahead(results, farthest)}, with its {confidence_label(results)} interval; "
                f"left of zero a model is better than {against}. A filled dot's interval excludes zero. Exploratory."
            )
            draw = partial(differences_from, tests=shown)
            drawings.append(Drawing(f"against-{against}", f"Against {against}", caption, draw))
    keys = sorted({(test.metric, test.horizon) for test in tests})
    for metric, horizon in keys:
        chosen = [test for test in tests if (test.horizon, test.metric) == (horizon, metric)]
        choices.append((f"{horizon_label(horizon, minutes)}, {metric.upper()}", _sheet(results, chosen)))
    tested = (
        "Interval, p and colour are of one test, Student's t over spans of test windows, corrected together for what "
        "the question looks at: all planned questions at all horizons; in RMSE, the same; all trained models, against "
        "a baseline; all models, where the lowest score names the model. Planned questions were fixed before training; "
        "all others are exploratory: what they find is a hint that other data must confirm. A pair that stands under "
        "two questions has two intervals. Could find: the smallest true difference that the test finds with a chance "
        "of 80%. An interval holds the noise of test windows and of the seeds that were run, each model's own; it does "
        "not hold what other training rows or another search of settings would change, nor seeds where there is one."
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
            *(Entry(_QUESTIONS[test.question]), Entry(test.model), Entry(test.against), Entry(_standing(test))),
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
    pair = ("question", "model", "against", "standing")
    heads = (*pair, "difference", interval, "p", "tests", "t", "effect", "could find", "skill")
    return Sheet(f"{about}; {sample_size(results, horizon, models)}", heads, lines, names=4)


def _standing(test: PairTest) -> str:
    return "planned" if test.planned else "exploratory"


def _method(results: Results) -> str:
    if results.by_older_rules:
        return "Marks, intervals and p of differences are those of an older gnnkit, which tested by other rules."
    return (
        "Differences are tested by Student's t over spans of test windows (Ibragimov and Müller, 2010): whole seasons "
        f"where {FEWEST_SEASONS} or more are tested, joined to {MOST_SPANS} spans at most, else {SPANS} spans of equal "
        "length, none of which reaches from one fold into another. Windows inside a span may depend on each other in "
        "any way, and what is the same in each season is not taken for noise. The noise between each model's seeds is "
        "added (Welch, 1947); it is not pooled over models, which tells equal ones apart too often where one is less "
        "steady than the others. One rule decides mark, interval, p and sentence: the corrected p is below "
        f"{100 * (1 - results.confidence):g}%, and the {confidence_label(results)} interval is that of the same test "
        "at the level that the correction leaves it, so that it excludes zero just then. p counts as it is printed, "
        "with three decimals. Planned questions are fixed before training, or by the validation rows: one model with "
        "the given graph and without edges, the best graph against the best sequence model, and each model with "
        "neighbours against the same without. All of them at all horizons are one family, corrected together by how "
        "much they depend on each other (Romano and Wolf, 2005; Westfall and Young, 1993). All else is exploratory: "
        "the same in RMSE; every trained model against a baseline, corrected together at each horizon; and where the "
        "lowest score names the model, each other one is asked whether it is among the best (model confidence set; "
        "Hansen, Lunde and Nason, 2011), as the windows that choose it are those that test it."
    )


def _older(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What had two p values, and no name for its question."""
    return [
        row
        | {"p": row.get("p", row.get("dm_p_holm"))}
        | {"question": (asked := row.get("question", row["against"] if row["against"] in REFERENCES else "best"))}
        | {"planned": asked in PLANNED and row["metric"] == "mae"}
        for row in rows
    ]


SIGNIFICANCE = Finding(
    "significance", list[PairTest], _find, show=_section, method=_method, older=_older, in_paper=True
)
