"""The report's checks: prediction intervals, the budget that each model had, and the audit for leaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gnnkit.compare.report.tables import base_rows, families, horizon_label, step_of, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import DASH, decimals, format_number
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement

__all__ = ["audit_section", "audit_statements", "budget_section", "checks", "intervals_section"]

#: A coverage this far from the nominal one is marked.
_OFF = 0.02
#: With more quantile levels than this, their mean pinball loss is shown.
_LEVELS = 5
_MARKS = {"passed": "good", "failed": "bad", "allowed": "bad", "warning": "open"}


def checks(results: Results) -> list[Section]:
    """The sections for which the results have something, in the order of the report."""
    found = (intervals_section, budget_section, audit_section)
    return [section for make in found if (section := make(results)) is not None]


def intervals_section(results: Results) -> Section | None:
    """Coverage against nominal, width, CRPS and pinball loss of every model's intervals; None where there are none."""
    if not results.intervals:
        return None
    minutes = step_of(results)
    choices = []
    for horizon in sorted({int(entry["horizon"]) for entry in results.intervals}):
        own = [entry for entry in results.intervals if int(entry["horizon"]) == horizon]
        choices.append((horizon_label(horizon, minutes), _intervals_sheet(results, own)))
    methods = sorted({str(entry["method"]) for entry in results.intervals})
    said = {
        "conformal": "Split-conformal intervals: around each prediction lie the quantiles of the errors on the "
        "validation windows, scaled to the node; the same rule for every model.",
        "quantile": "Intervals of quantile heads, trained on the pinball loss; both bounds are then moved by what the "
        "validation windows ask for (conformalised). “Raw” is before that.",
    }
    statements = tuple(Statement(said[method]) for method in methods if method in said)
    notes = (
        f"Means over seeds, ± one standard deviation. In brown, coverage is over {100 * _OFF:g} points from nominal. "
        "Of two models with the right coverage the one with narrower intervals says more; CRPS and pinball loss weigh "
        "both, and lower is better.",
    )
    sheets = (Sheets("Prediction intervals", tuple(choices), chosen=len(choices) - 1),)
    return Section("intervals", "Prediction intervals", statements, (), sheets, notes)


def _intervals_sheet(results: Results, entries: list[dict[str, Any]]) -> Sheet:
    levels = sorted({level for entry in entries for level in entry.get("pinball") or {}}, key=float)
    several = len(levels) > _LEVELS
    raw = any(entry.get("raw_coverage") is not None for entry in entries)
    names = ["pinball"] if several else [f"pinball {float(level):g}" for level in levels]
    places = decimals([entry["crps"] for entry in entries if entry.get("crps") is not None], 4)
    lines = []
    for model in families(results):
        own = [entry for entry in entries if entry["model"] == model]
        if not own:
            continue
        coverage, nominal = _mean([entry["coverage"] for entry in own]), own[0]["nominal"]
        off = coverage is not None and abs(coverage - nominal) > _OFF
        pinball = [_mean([(entry.get("pinball") or {}).get(level) for entry in own]) for level in levels]
        pinball = [_mean(pinball)] if several else pinball
        width, crps = _mean([entry["width"] for entry in own]), _mean([entry.get("crps") for entry in own])
        lines.append(
            (
                Entry(model),
                Entry(str(own[0]["method"])),
                Entry(f"{100 * nominal:g} %", nominal),
                _share([entry["coverage"] for entry in own], "bad" if off else ""),
                *([_share([entry.get("raw_coverage") for entry in own])] if raw else []),
                Entry(format_number(width, max(0, places - 1)), width),
                Entry(format_number(crps, places), crps),
                *(Entry(format_number(value, places), value) for value in pinball),
            )
        )
    observed = max(int(entry.get("observed") or 0) for entry in entries)
    seeds = max(len({entry["seed"] for entry in entries if entry["model"] == line[0].text}) for line in lines)
    ahead = horizon_label(int(entries[0]["horizon"]), step_of(results))
    about = f"Steps up to {ahead} ahead; n = {observed:,} target values, {seeds} seed{'' if seeds == 1 else 's'}"
    raw_head = ("raw coverage",) if raw else ()
    heads = ("model", "method", "nominal", "coverage", *raw_head, with_unit("width", results), "CRPS", *names)
    return Sheet(about, heads, tuple(lines), names=2)


def _share(values: Sequence[float | None], mark: str = "") -> Entry:
    """Mean share in percent with its deviation over seeds."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return Entry(DASH)
    mean = sum(known) / len(known)
    if len(known) == 1:
        return Entry(f"{mean:.1f} %", mean, mark)
    spread = (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5
    return Entry(f"{mean:.1f} ± {spread:.1f} %", mean, mark)


def budget_section(results: Results) -> Section | None:
    """What each model was given: width, parameters, trials, epochs, seconds; None where no budget was noted."""
    if not results.budget:
        return None
    budget, rows = results.budget, base_rows(results)
    tuning = budget.get("tuning") or []
    lines = []
    for model, family in families(results).items():
        if family == "baseline":
            continue
        own = rows[rows["model"] == model]
        width = budget.get("widths", {}).get(model, _known(own, "hidden_channels"))
        parameters = budget.get("parameters", {}).get(model, _known(own, "parameters"))
        trials = len([trial for trial in tuning if trial["model"] == model])
        lines.append(
            (
                Entry(model),
                Entry(format_number(width, 0), width),
                Entry(format_number(parameters, 0), parameters),
                Entry(str(trials), trials),
                *(
                    Entry(format_number(value, 1), value)
                    for value in (_known(own, "epochs"), _known(own, "wall_seconds"))
                ),
                Entry(format_number(_known(own, "peak_memory_mb"), 0), _known(own, "peak_memory_mb")),
            )
        )
    heads = ("model", "width", "parameters", "tuning trials", "epochs", "seconds", "peak MB")
    sheet = Sheet("Means over the fits of the seeds; seconds: wall time of one fit", heads, tuple(lines))
    sheets = [Sheets("Budget", (("all", sheet),))]
    if tuning:
        sheets.append(
            Sheets(f"All {len(tuning):,} tuning trials", (("all", _tuning_sheet(results, tuning)),), folded=True)
        )
    statements = (Statement(budget["sentence"]),) if budget.get("sentence") else ()
    return Section("budget", "What each model was given", statements, (), tuple(sheets))


def _tuning_sheet(results: Results, tuning: list[dict[str, Any]]) -> Sheet:
    places = decimals([trial["val_mae"] for trial in tuning if trial.get("val_mae") is not None], 4)
    lines = []
    for trial in tuning:
        settings = ", ".join(f"{name} {_setting(value)}" for name, value in trial["settings"].items())
        chosen = bool(trial.get("chosen"))
        lines.append(
            (
                Entry(trial["model"]),
                Entry(str(trial["trial"]), trial["trial"]),
                Entry(format_number(trial.get("val_mae"), places), trial.get("val_mae"), "good" if chosen else ""),
                Entry(format_number(trial.get("seconds"), 1), trial.get("seconds")),
                Entry("chosen" if chosen else ""),
                Entry(settings),
            )
        )
    heads = ("model", "trial", "validation MAE", "seconds", "", "settings")
    about = with_unit("Random search on the validation rows alone; test rows take no part", results)
    return Sheet(about, heads, tuple(lines), words=2)


def audit_section(results: Results) -> Section | None:
    """Each check for leaks and what it found; None where no audit was noted."""
    if not results.audit:
        return None
    lines = tuple(
        (Entry(check["cause"]), Entry(check["status"], mark=_MARKS.get(check["status"], "")), Entry(check["detail"]))
        for check in results.audit
    )
    said = audit_statements(results)
    if not said:
        names = ", ".join(check["cause"] for check in results.audit)
        said = [
            Statement(
                f"Nothing was found by the checks that were made: {names}. What each looked at stands beside it; how "
                "the values and the graph came about before gnnkit read them was not checked."
            )
        ]
    sheet = Sheet("Made before anything was trained", ("check", "result", "what was found"), lines, words=2)
    return Section("audit", "Leakage audit", tuple(said), (), (Sheets("Audit", (("all", sheet),)),))


def audit_statements(results: Results) -> list[Statement]:
    """What a reader must know of the audit before any number: leaks that were allowed, and warnings."""
    found = []
    for check in results.audit:
        if check["status"] in ("allowed", "failed"):
            how = "allowed by name" if check["status"] == "allowed" else "not passed"
            found.append(f"Leak ({check['cause']}), {how}: {check['detail']}")
        elif check["status"] == "warning":
            found.append(f"Warning ({check['cause']}): {check['detail']}")
    return [Statement(text if text.endswith("?") else text.rstrip(".") + ".", warning=True) for text in found]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _known(rows: Any, column: str) -> float | None:
    if column not in rows or not rows[column].notna().any():
        return None
    return float(rows[column].mean())


def _setting(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
