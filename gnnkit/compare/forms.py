"""In which form a model predicts: the change from the last value, or the value itself. The validation rows choose."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from gnnkit.compare.budget import trial_jobs
from gnnkit.compare.jobs import Job, plan_jobs
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import StoredJob

__all__ = ["FORMS", "choose_forms", "form_jobs", "form_sentence"]

FORMS: Mapping[bool, str] = MappingProxyType({True: "the change from the last value", False: "the value itself"})
"""What a model predicts: with the residual form, and without it."""


def form_jobs(spec: FinalSpec, chosen: Mapping[str, Mapping[str, Any]] | None = None) -> list[Job]:
    """Two fits of every model, with the first seed: one in each form. None where the spec says which form it is.

    They are fits of the comparison itself, or, where settings are searched for, first trials: of each pair, the one that
    is chosen is not run again.

    Args:
        spec: what is compared.
        chosen: settings by model that a budget chose, as `plan_jobs` takes them.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> from gnnkit.compare.spec.comparison import resolve
        >>> specs = [resolve(make_spec(models=["gru"], residual=residual)) for residual in (None, True)]
        >>> [job.key for job in form_jobs(specs[0])], form_jobs(specs[1])
        (['gru-seed0', 'gru-seed0-value'], [])
    """
    if spec.residual is not None:
        return []
    if spec.budget == "trials":
        first = [job for job in trial_jobs(spec) if job.trial == 1]
    else:
        first = [job for job in plan_jobs(spec, chosen) if job.condition.is_base and job.seed == spec.seeds[0]]
    return [dataclasses.replace(job, residual=residual) for job in first for residual in FORMS]


def choose_forms(
    jobs: Sequence[Job], stored: Mapping[Job, StoredJob]
) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """Of each model's two fits, the form with the lower validation MAE; equal ones, or none, leave the change.

    Args:
        jobs: what `form_jobs` gave.
        stored: what became of them; those that are not there were lost.

    Returns:
        `{"residual": …}` by model, for `plan_jobs`; and the rows of `Results.forms`.
    """
    errors: dict[str, dict[bool, float | None]] = {}
    for job in jobs:
        found = stored.get(job)
        fitted = found.outcome.fitted if found and found.outcome else None
        errors.setdefault(job.model, {})[job.residual] = fitted.best_val_mae if fitted else None
    chosen, rows = {}, []
    for model, found in errors.items():
        change, value = (math.inf if found[form] is None else found[form] for form in FORMS)
        residual = change <= value
        chosen[model] = {"residual": residual}
        form = "change" if residual else "value"
        rows.append({"model": model, "form": form, "change_val_mae": found[True], "value_val_mae": found[False]})
    return chosen, rows


def form_sentence(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was chosen, in a sentence or two; empty where nothing was to choose."""
    if not rows:
        return ""
    by_form = {form: [row["model"] for row in rows if row["form"] == form] for form in ("change", "value")}
    parts = [
        f"{', '.join(names)} {'predicts' if len(names) == 1 else 'predict'} {FORMS[form == 'change']}"
        for form, names in by_form.items()
        if names
    ]
    return f"Chosen by the validation MAE of one fit in each form: {'; '.join(parts)}."
