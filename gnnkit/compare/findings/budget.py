"""What each model was given: width, parameters, trials, epochs, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.findings.plots_trials import trial_curves
from gnnkit.compare.report.tables import base_rows, families, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import decimals, format_number
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement

__all__ = ["BUDGET", "BudgetRecord", "Trial"]

_CAPTION = (
    "Each dot is a trial: the best validation MAE of its fit. The line is the best so far; the trial where it last "
    "falls is compared. The first trial has the settings as given; a hollow dot was ended early, as it was behind; a "
    "triangle lies above the axis."
)


@dataclass(frozen=True)
class Trial:
    """One trial of a search, as `gnnkit.compare.trials.tune` describes it."""

    model: str
    trial: int
    settings: dict[str, Any]
    val_mae: float | None = None
    seconds: float | None = None
    error: str | None = None
    chosen: bool = False
    epochs: int | None = None
    pruned: bool = False


@dataclass(frozen=True)
class BudgetRecord:
    """What is the same for every model, in numbers and in a plain sentence or two.

    Args:
        kind: "epochs", "seconds", "parameters" or "trials".
        sentence: in words.
        widths, parameters: by model.
        tuning: the trials.
    """

    kind: str
    sentence: str = ""
    widths: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    tuning: list[Trial] = field(default_factory=list)


def _find(evidence: Evidence) -> BudgetRecord | None:
    return TypeAdapter(BudgetRecord).validate_python(evidence.budget) if evidence.budget else None


def _section(results: Results, budget: BudgetRecord) -> Section:
    rows, lines = base_rows(results), []
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        if family == "baseline" or own["parameters"].isna().all():  # made elsewhere
            continue
        seconds, epochs, memory = (_known(own, name) for name in ("wall_seconds", "epochs", "peak_memory_mb"))
        figures = (
            (budget.widths.get(model, _known(own, "hidden_channels")), 0),
            (budget.parameters.get(model, _known(own, "parameters")), 0),
            (sum(trial.model == model for trial in budget.tuning), 0),
            *((epochs, 1), (seconds, 1), (memory, 0)),
        )
        lines.append((Entry(model), *(Entry(format_number(value, places), value) for value, places in figures)))
    heads = ("model", "width", "parameters", "tuning trials", "epochs", "seconds", "peak MB")
    sheet = Sheet("Means over the fits of the seeds; seconds: wall time of one fit", heads, tuple(lines))
    sheets = [Sheets("Budget", (("all", sheet),))]
    drawings = ()
    if budget.tuning:
        if any(trial.val_mae is not None for trial in budget.tuning):
            draw = partial(trial_curves, trials=budget.tuning)
            drawings = (Drawing("trials", "What the trials found", _CAPTION, draw),)
        trials = (("all", _tuning_sheet(results, budget.tuning)),)
        sheets.append(Sheets(f"All {len(budget.tuning):,} tuning trials", trials, folded=True))
    statements = (Statement(budget.sentence),) if budget.sentence else ()
    return Section("budget", "What each model was given", statements, drawings, tuple(sheets))


def _tuning_sheet(results: Results, tuning: Sequence[Trial]) -> Sheet:
    places = decimals([trial.val_mae for trial in tuning if trial.val_mae is not None], 4)
    lines = tuple(
        (
            Entry(trial.model),
            Entry(str(trial.trial), trial.trial),
            Entry(format_number(trial.val_mae, places), trial.val_mae, "good" if trial.chosen else ""),
            Entry(format_number(trial.epochs, 0), trial.epochs),
            Entry(format_number(trial.seconds, 1), trial.seconds),
            Entry(_fate(trial)),
            Entry(", ".join(f"{name} {_setting(value)}" for name, value in trial.settings.items())),
        )
        for trial in tuning
    )
    heads = ("model", "trial", "validation MAE", "epochs", "seconds", "outcome", "settings")
    about = with_unit("A search on the validation rows alone; test rows take no part", results)
    return Sheet(about, heads, lines, words=2)


def _fate(trial: Trial) -> str:
    """What became of a trial, where it is not one that others were better than."""
    if trial.chosen:
        return "chosen"
    return "ended early" if trial.pruned else "" if trial.error is None else "failed"


def _known(rows: Any, column: str) -> float | None:
    if column not in rows or not rows[column].notna().any():
        return None
    return float(rows[column].mean())


def _setting(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


BUDGET = Finding("budget", BudgetRecord | None, _find, show=_section, after_figures=True)
