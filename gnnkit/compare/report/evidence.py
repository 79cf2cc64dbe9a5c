"""The report's evidence: paired tests, ablation of the graph, harder conditions, and where the errors differ."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from gnnkit.compare.report.plots_conditions import AXES, condition_curves
from gnnkit.compare.report.plots_significance import ablation_differences, critical_difference, differences_from
from gnnkit.compare.report.plots_where import heat_map, strata_plot, windows_plot
from gnnkit.compare.report.tables import METRIC_NAMES, horizon_label, sample_size, step_of, untyped, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import DASH, decimals, format_number, format_p, signed
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement

__all__ = [
    "ablation_section",
    "conditions_section",
    "evidence",
    "significance_section",
    "where_section",
]

#: What a test answers, in the table.
_QUESTIONS = {
    "families": "chosen on validation rows",
    "last-value": "against last-value",
    "seasonal-naive": "against seasonal-naive",
    "best": "lowest against all others",
}
_FILLED = "A filled dot's interval excludes zero."


def evidence(results: Results) -> list[Section]:
    """The sections for which the results have something, in the order of the report."""
    found = (significance_section, ablation_section, conditions_section, where_section)
    return [section for make in found if (section := make(results)) is not None]


def significance_section(results: Results) -> Section | None:
    """Differences with intervals, Diebold-Mariano, skill and effect, and ranks; None where no test was made."""
    if not results.significance and not results.ranks:
        return None
    minutes = step_of(results)
    drawings, choices = [], []
    farthest = max((int(test["horizon"]) for test in results.significance), default=max(results.horizons))
    ahead = horizon_label(farthest, minutes)
    confidence = _confidence(results)
    for against in ("last-value", "seasonal-naive"):
        if any((t["horizon"], t["metric"], t["question"]) == (farthest, "mae", against) for t in results.significance):
            drawings.append(
                Drawing(
                    f"against-{against}",
                    f"Against {against}",
                    f"Difference in MAE up to {ahead} ahead, with its {confidence} interval; left of zero a model is "
                    f"better than {against}. {_FILLED}",
                    partial(differences_from, against=against, horizon=farthest),
                )
            )
    for ranks in _shown_ranks(results):
        metric = METRIC_NAMES.get(ranks["metric"], ranks["metric"])
        drawings.append(
            Drawing(
                f"ranks-{ranks['horizon']}-{ranks['metric']}",
                f"Mean ranks, {horizon_label(ranks['horizon'], minutes)}",
                f"Mean rank in {metric} over {ranks['blocks']:,} blocks of windows, the best on the left. A bar joins "
                f"models that are not told apart.{_friedman(ranks)}",
                partial(critical_difference, ranks=ranks),
            )
        )
    keys = list(dict.fromkeys((int(test["horizon"]), test["metric"]) for test in results.significance))
    keys.sort(key=lambda key: (key[1], key[0]))
    for horizon, metric in keys:
        tests = [t for t in results.significance if (t["horizon"], t["metric"]) == (horizon, metric)]
        choices.append((f"{horizon_label(horizon, minutes)}, {metric.upper()}", _tests_sheet(results, tests)))
    tested = (
        "Interval, p and colour are of one test, Diebold-Mariano's (DM: its statistic), corrected after Holm for the "
        "pairs that the question looks at: one that the validation rows chose; as many as there are trained models "
        "against a baseline; all pairs of models where the lowest score names the model. A pair that stands under two "
        "questions has two intervals."
    )
    if results.by_older_rules:
        tested = (
            "Interval and colour are of a bootstrap without a correction, p is of Diebold-Mariano's test (DM: its "
            "statistic) after Holm over all pairs: the two may disagree."
        )
    notes = [
        f"Difference: error of the model minus that of the other; below zero the model is better. {tested} "
        "Effect: the mean difference over blocks of windows that share no row to predict, in deviations over them. "
        "Skill: 1 − error ÷ error of the other."
    ]
    sheets = (Sheets("Paired tests", tuple(choices), chosen=_last_mae(keys)),) if choices else ()
    return Section("tests", "Are the differences more than noise?", (), tuple(drawings), sheets, tuple(notes))


def _friedman(ranks: dict[str, Any]) -> str:
    p_value = ranks.get("friedman_p")
    return "" if p_value is None else f" Friedman's test over all of them: p {_equals(format_p(p_value))}."


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _shown_ranks(results: Results) -> list[dict[str, Any]]:
    """The ranks of every horizon; of the nearest and the farthest where there are more than four."""
    ordered = sorted(results.ranks, key=lambda ranks: int(ranks["horizon"]))
    return ordered if len(ordered) <= 4 else [ordered[0], ordered[-1]]


def _last_mae(keys: list[tuple[int, str]]) -> int:
    found = [number for number, (_, metric) in enumerate(keys) if metric == "mae"]
    return found[-1] if found else 0


def _tests_sheet(results: Results, tests: list[dict[str, Any]]) -> Sheet:
    horizon, metric = int(tests[0]["horizon"]), tests[0]["metric"]
    places = _places(results, horizon, metric)
    heads = ["question", "model", "against", "difference", f"{_confidence(results)} interval", "p", "pairs", "DM"]
    lines = []
    for test in tests:
        line = [Entry(_QUESTIONS[test["question"]]), Entry(test["model"]), Entry(test["against"])]
        line += [
            *_interval_entries(test, places),
            Entry(format_p(test.get("p")), test.get("p")),
            Entry(format_number(test.get("comparisons"), 0), test.get("comparisons")),
            Entry(signed(test.get("dm"), 2), test.get("dm")),
        ]
        line += [Entry(signed(test.get("effect"), 2), test.get("effect")), _percent(test.get("skill"))]
        lines.append(tuple(line))
    models = {name for test in tests for name in (test["model"], test["against"])}
    about = (
        f"{with_unit(METRIC_NAMES[metric], results)} up to {_ahead(results, horizon)}; {_n(results, horizon, models)}"
    )
    return Sheet(about, (*heads, "effect", "skill"), tuple(lines), names=3)


def ablation_section(results: Results) -> Section | None:
    """The same models with their graph changed; None where that was not asked for."""
    found = results.ablation
    if not found.get("sentence"):
        return None
    horizon = int(found["horizon"])
    places = _places(results, horizon, "mae")
    tests = {(test["model"], test["adjacency"]): test for test in found.get("tests", [])}
    heads = (
        "model",
        "adjacency",
        "MAE",
        "±",
        "difference",
        f"{_confidence(results)} interval",
        "p",
        "seeds",
    )
    lines = []
    for row in found.get("rows", []):
        test = tests.get((row["model"], row["adjacency"]))
        compared = _interval_entries(test, places) if test else [Entry(DASH), Entry(DASH)]
        p_value = test.get("p") if test else None
        lines.append(
            (
                Entry(row["model"]),
                Entry(row["adjacency"]),
                Entry(format_number(row["mae"], places), row["mae"]),
                Entry(format_number(row.get("std"), places), row.get("std")),
                *compared,
                Entry(format_p(p_value), p_value),
                Entry(str(row["seeds"]), row["seeds"]),
            )
        )
    models = {row["model"] for row in found.get("rows", [])}
    about = (
        f"{with_unit('MAE', results)} up to {_ahead(results, horizon)}; {_n(results, horizon, models)}; difference "
        "from the graph as given"
    )
    drawings = ()
    if tests:
        drawings = (
            Drawing(
                "ablation",
                "What a change of the graph costs",
                f"Difference in MAE from the same model with the graph as given, with its {_confidence(results)} "
                f"interval; right of zero the change makes the forecasts worse. {_FILLED}",
                ablation_differences,
            ),
        )
    verdict = Statement(found["sentence"], found["verdict"] != "open", _n(results, horizon, models))
    sheets = (Sheets("Ablation", (("all", Sheet(about, heads, tuple(lines), names=2)),)),) if lines else ()
    return Section(
        "ablation", "Does the given graph matter?", (verdict,), drawings, sheets, tuple(found.get("notes", ()))
    )


def conditions_section(results: Results) -> Section | None:
    """Less training data and more hidden sensors; None where neither was asked for."""
    if not results.conditions:
        return None
    statements, drawings, choices = [], [], []
    for axis, (title, _) in AXES.items():
        points = [point for point in results.conditions if point["axis"] == axis]
        if not points:
            continue
        horizons = {int(point["horizon"]) for point in points}
        statements += [
            Statement(
                point["sentence"],
                None if point["low"] is None else bool(point["clear"]),
                _n(results, point["horizon"], ()),
            )
            for point in points
            if int(point["horizon"]) == max(horizons)  # nearer ones stand in the tables
        ]
        pair = "the graph model and the sequence model that are best on the validation rows"
        drawings.append(
            Drawing(
                axis.replace("_", "-"),
                title,
                f"MAE of {pair}; below, graph − sequence with its {_confidence(results)} interval. {_FILLED}",
                partial(condition_curves, axis=axis),
                "half" if len(horizons) == 1 else "full",
            )
        )
        choices.append((title, _conditions_sheet(results, points, AXES[axis][1])))
    sheets = (Sheets("Conditions", tuple(choices)),)
    title = "With less data, with fewer sensors"
    notes = ("Each share and horizon is tested by itself, without a correction for their number.",)
    return Section("conditions", title, tuple(statements), tuple(drawings), sheets, notes)


def _conditions_sheet(results: Results, points: list[dict[str, Any]], about: str) -> Sheet:
    heads = (
        about,
        "horizon",
        "graph",
        "sequence",
        "MAE graph",
        "MAE sequence",
        "difference",
        f"{_confidence(results)} interval",
    )
    minutes, lines = step_of(results), []
    for point in points:
        places = _places(results, int(point["horizon"]), "mae")
        lines.append(
            (
                Entry(f"{100 * point['value']:g}", 100 * point["value"]),
                Entry(horizon_label(int(point["horizon"]), minutes), point["horizon"]),
                Entry(point["graph"]),
                Entry(point["sequence"]),
                Entry(format_number(point["graph_mae"], places), point["graph_mae"]),
                Entry(format_number(point["sequence_mae"], places), point["sequence_mae"]),
                *_interval_entries(point, places),
            )
        )
    return Sheet(with_unit("Difference: graph − sequence", results), heads, tuple(lines), names=4)


def where_section(results: Results) -> Section | None:
    """Strata, nodes × hours and the windows in which each side wins most; None where a family is missing."""
    where = results.where
    if not where:
        return None
    graph, sequence = where["pair"]
    horizon = int(where["horizon"])
    ahead = _ahead(results, horizon)
    drawings: list[Drawing] = []
    strata = [stratum for stratum in where.get("strata", []) if stratum["groups"]]
    if strata:
        caption = (
            f"{graph} − {sequence}, MAE up to {ahead}, in groups of the test values, with {_confidence(results)} "
            f"intervals; below zero {graph} is better. Filled, in the winner's colour: the interval excludes zero."
        )
        drawings.append(Drawing("strata", "By step, time, place and state", caption, strata_plot, "full"))
    heat = where.get("heat") or {}
    if any(value is not None for line in heat.get("difference", []) for value in line):
        note = f" {heat['note']}" if heat.get("note") else ""
        caption = f"{graph} − {sequence} at each node and hour; orange: {graph} is better, blue: {sequence}.{note}"
        drawings.append(Drawing("heat", "Nodes × hours", caption, heat_map, "full"))
    for side, winner in (("graph", graph), ("sequence", sequence)):
        windows = (where.get("windows") or {}).get(side)
        if windows:
            title = f"The {len(windows)} windows in which {winner} wins most"
            caption = (
                "History and truth in grey, the forecasts in colour, at the node drawn; the number is the difference "
                f"{graph} − {sequence} over all nodes. Picked for their size: they show how, not how often."
            )
            drawings.append(Drawing(f"windows-{side}", title, caption, partial(windows_plot, side=side), "full"))
    choices = tuple((str(stratum["title"]), _stratum_sheet(results, stratum, graph, sequence)) for stratum in strata)
    sheets = (Sheets("The same as tables", choices, folded=True),) if choices else ()
    if not drawings:
        return None
    told = f"{graph} beside {sequence}, of their families the best on the validation rows, up to {ahead}."
    said = (Statement(told, sample=_n(results, horizon, (graph, sequence))),)
    notes = () if not strata else ("The groups are looked at one by one, without a correction for their number.",)
    return Section("where", "Where the error lives", said, tuple(drawings), sheets, notes)


def _stratum_sheet(results: Results, stratum: dict[str, Any], graph: str, sequence: str) -> Sheet:
    places = _places(results, max(results.horizons), "mae")
    unit = f" ({stratum['unit']})" if stratum.get("unit") else ""
    heads = (f"{stratum['title']}{unit}", graph, sequence, "difference", f"{_confidence(results)} interval", "observed")
    lines = tuple(
        (
            Entry(str(group["label"]), float(number)),
            Entry(format_number(group.get("graph"), places), group.get("graph")),
            Entry(format_number(group.get("sequence"), places), group.get("sequence")),
            *_interval_entries(group, places),
            Entry(format_number(group.get("observed"), 0), group.get("observed")),
        )
        for number, group in enumerate(stratum["groups"])
    )
    about = f"{with_unit('MAE', results)} by {stratum['title'].lower()}; observed: target values"
    return Sheet(about, heads, lines)


def _interval_entries(found: dict[str, Any], places: int) -> list[Entry]:
    """Difference and interval; where it is clear, good below zero and bad above."""
    low, high, difference = found.get("low"), found.get("high"), found.get("difference")
    clear = found.get("clear")
    if clear is None:
        clear = low is not None and high is not None and (low > 0 or high < 0)
    mark = "" if not clear or difference is None else "good" if difference < 0 else "bad"
    interval = DASH if low is None or high is None else f"{signed(low, places)} to {signed(high, places)}"
    return [Entry(signed(difference, places), difference, mark), Entry(interval, low)]


def _percent(value: float | None) -> Entry:
    return Entry(DASH if value is None else f"{signed(100 * value, 1)} %", value)


def _places(results: Results, horizon: int, metric: str) -> int:
    """Decimals that show four digits of the horizon's scores."""
    rows = untyped(results.rows)
    chosen = rows[(rows["horizon"] == horizon) & (rows["metric"] == metric)]
    return decimals(chosen["value"].tolist(), 4)


def _confidence(results: Results) -> str:
    return f"{100 * float(results.spec.get('confidence') or 0.95):g}%"


def _ahead(results: Results, horizon: int) -> str:
    return f"{horizon_label(horizon, step_of(results))} ahead"


def _n(results: Results, horizon: int, models: Iterable[str]) -> str:
    return sample_size(results, int(horizon), models)
