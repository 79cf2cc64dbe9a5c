"""The best graph model against the best sequence model with fewer training rows, and with more hidden inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from gnnkit.compare.conditions import BASE, Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence, best_by_validation
from gnnkit.compare.findings.difference import Difference, Words, interval_entries, judged_columns
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.findings.plots_conditions import AXES, condition_curves
from gnnkit.compare.report.tables import confidence_label, horizon_label, sample_size, score_places, step_of, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import format_number
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.paired import Judged
from gnnkit.statistics.step_down import judge_family

__all__ = ["CONDITIONS", "Point", "judge_conditions"]


@dataclass(frozen=True, kw_only=True)
class Point(Difference):
    """Two models under one condition: MAE of the graph model less that of the sequence model.

    Args:
        axis: what is changed: "train_share" or "hidden_share".
        value: the share.
        horizon: P.
        graph, sequence: names of the models.
        graph_mae, sequence_mae: their errors.
        sentence: in words.
    """

    axis: str
    value: float
    horizon: int
    graph: str
    sequence: str
    graph_mae: float
    sequence_mae: float
    sentence: str


def judge_conditions(table: ErrorTable, words: Words) -> list[Point]:
    """Set the best graph model against the best sequence model, with fewer training rows and with more hidden inputs.

    Best is who has the lowest validation MAE under that condition, so the test rows choose nobody. The base condition
    is the end of each curve.

    Args:
        table: the errors.
        words: for the sentences.

    Returns:
        A point for each axis that was asked for, each of its values and each horizon. A value with no fit of one of the
        families is left out.
    """
    points: list[Point] = []
    for axis in AXES:
        on_axis = {c for _, c in table.fits if c == Condition(**{axis: getattr(c, axis)})}
        fitted = {
            c: [o for (_, at), group in table.fits.items() if at == c for o in group if o.fitted] for c in on_axis
        }
        values = sorted({getattr(c, axis) for c, outcomes in fitted.items() if outcomes})
        asked: list[_Asked] = []
        for value in values if len(values) > 1 else ():
            condition = Condition(**{axis: value})
            pair = best_by_validation([dataclasses.replace(o, condition=BASE) for o in fitted[condition]])
            if pair is not None:
                asked += [_Asked(axis, condition, horizon, pair) for horizon in table.horizons]
        points += _points(table, words, asked)
    return points


class _Asked(NamedTuple):
    """Two models under one condition, at one horizon."""

    axis: str
    condition: Condition
    horizon: int
    pair: tuple[str, str]


def _points(table: ErrorTable, words: Words, asked: Sequence[_Asked]) -> list[Point]:
    """The points of a curve, corrected together."""
    compared = {}
    for each in asked:
        if table.is_enough(each.horizon, words.confidence):
            errors = [table.window_errors(model, each.horizon, condition=each.condition) for model in each.pair]
            compared[each] = table.compare(errors[0], errors[1], each.horizon)
    judged = dict(zip(compared, judge_family(list(compared.values()), words.confidence), strict=True))
    return [_point(table, words, each, judged.get(each)) for each in asked]


def _point(table: ErrorTable, words: Words, asked: _Asked, judged: Judged | None) -> Point:
    axis, condition, horizon, pair = asked
    value = getattr(condition, axis)
    graph_mae, sequence_mae = (table.score(model, horizon, condition=condition) for model in pair)
    row = Difference(difference=graph_mae - sequence_mae)
    if judged is not None:
        row = Difference(**judged_columns(judged))
    share = f"{100 * value:g}%"
    data = f"{share} of the training rows" if axis == "train_share" else f"{share} of the inputs hidden"
    ours, theirs = (f"{n} ({words.value(mae)})" for n, mae in zip(pair, (graph_mae, sequence_mae), strict=True))
    sentence = f"With {data}, {words.ahead(horizon)}, {ours}"
    counts = table.counts(horizon)
    if row.p is None:
        sentence += f" beside {theirs}: {words.shortage(counts, horizon)}"
    else:
        answer = "is not told apart from"
        if row.clear:
            answer = "is better than" if row.difference < 0 else "is worse than"
        seeds = [len(table.scores(model, horizon, condition=condition)) for model in pair]
        sentence += f" {answer} {theirs}: {words.difference_with_p(row)} ({words.size(counts, max(seeds))})."
        sentence += " One seed: the noise between seeds is not in the interval." if min(seeds) == 1 else ""
    return Point(
        axis=axis,
        value=value,
        horizon=horizon,
        graph=pair[0],
        sequence=pair[1],
        graph_mae=graph_mae,
        sequence_mae=sequence_mae,
        sentence=sentence,
        **vars(row),
    )


def _find(evidence: Evidence) -> list[Point]:
    return judge_conditions(evidence.table, Words.of(evidence)) if evidence.pair else []


def _section(results: Results, found: list[Point]) -> Section:
    statements, drawings, choices = [], [], []
    for axis, (title, about) in AXES.items():
        points = [point for point in found if point.axis == axis]
        if not points:
            continue
        horizons = {point.horizon for point in points}
        statements += [
            Statement(
                f"Exploratory: {point.sentence}",
                None if point.low is None else point.clear,
                sample_size(results, point.horizon, ()),
            )
            for point in points
            if point.horizon == max(horizons)  # nearer ones stand in the tables
        ]
        caption = (
            "MAE of the graph model and the sequence model that are best on the validation rows; below, graph − "
            f"sequence with its {confidence_label(results)} interval. A filled dot's interval excludes zero. "
            "Exploratory."
        )
        draw, size = partial(condition_curves, points=points, axis=axis), "half" if len(horizons) == 1 else "full"
        drawings.append(Drawing(axis.replace("_", "-"), title, caption, draw, size))
        choices.append((title, _sheet(results, points, about)))
    notes = ("Exploratory; all shares and horizons of a curve are corrected together.",)
    title, sheets = "With less data, with fewer sensors", (Sheets("Conditions", tuple(choices)),)
    return Section("conditions", title, tuple(statements), tuple(drawings), sheets, notes)


def _sheet(results: Results, points: Sequence[Point], about: str) -> Sheet:
    lines = []
    for point in points:
        places = score_places(results, point.horizon, "mae")
        lines.append(
            (
                Entry(f"{100 * point.value:g}", 100 * point.value),
                Entry(horizon_label(point.horizon, step_of(results)), point.horizon),
                *(Entry(point.graph), Entry(point.sequence)),
                *(Entry(format_number(mae, places), mae) for mae in (point.graph_mae, point.sequence_mae)),
                *interval_entries(point, places),
            )
        )
    interval = f"{confidence_label(results)} interval"
    heads = (about, "horizon", "graph", "sequence", "MAE graph", "MAE sequence", "difference", interval)
    return Sheet(with_unit("Exploratory; difference: graph − sequence", results), heads, tuple(lines), names=4)


_METHOD = (
    "Conditions: the models are trained again on the latest share of the training rows, or with a share of the "
    "inputs hidden in outages of sensors; the targets and the test windows stay the same."
)

CONDITIONS = Finding("conditions", list[Point], _find, show=_section, method=_METHOD)
