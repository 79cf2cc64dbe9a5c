"""What is the same for every model of a comparison: epochs, seconds, parameters, or trials of a search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnkit.compare.jobs import Job, job_settings
from gnnkit.compare.pool import Work, run_jobs
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.store import JobStore
from gnnkit.compare.widths import count_parameters, match_width
from gnnkit.data import GraphSeries
from gnnkit.forecasting import model_sizes
from gnnkit.temporal import MODELS
from gnnkit.training import MatrixProgress

__all__ = ["Budget", "budget_record", "check_trials", "match_budget", "trial_jobs", "tune"]

TOLERANCE = 0.02
"""How far from the asked number of parameters a model counts as matched."""

_RATES = (1 / 8, 4.0)
_WIDTHS = (0.5, 1.0, 2.0, 4.0)
_DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.5)
_DECAYS = (1e-6, 1e-3)


@dataclass(frozen=True)
class Budget:
    """What a budget came to.

    Args:
        chosen: settings by model for `plan_jobs`: `hidden_channels` where it found one, and what a search chose, with
            the number of its `trials`.
        record: the same as `Results.budget`.
    """

    chosen: dict[str, dict[str, Any]]
    record: dict[str, Any]


def match_budget(spec: FinalSpec, series: GraphSeries, tuning: Sequence[Mapping[str, Any]] = ()) -> Budget:
    """Give every model of a spec the same budget, before anything that is compared is trained.

    Every model is built once on the way, without its numbers, so that a setting that one does not accept is an error
    here and not after hours.

    Args:
        spec: what is compared.
        series: the data; only their shape counts.
        tuning: what `tune` found, where the budget is of trials; without it, models are taken as the spec has them.

    Returns:
        Settings by model, and what to say about them.

    Raises:
        ValueError: a model does not accept a setting, or cannot have so many parameters.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> from gnnkit.data import simulate_traffic
        >>> spec = FinalSpec(models=["gru", "tgcn"], parameters=10_000)
        >>> match_budget(spec, simulate_traffic(num_nodes=4, days=1)).chosen
        {'gru': {'hidden_channels': 54}, 'tgcn': {'hidden_channels': 37}}
    """
    sizes = model_sizes(spec, series)
    chosen: dict[str, dict[str, Any]] = {}
    widths = {model: _width(spec, model) for model in spec.models}
    counts = {model: count_parameters(model, widths[model], sizes, _own(spec, model)) for model in spec.models}
    # Of the first model; a rival that fits itself has none before that.
    target = spec.parameters or next((counts[model] for model in spec.models if counts[model]), 0)
    if spec.budget == "parameters":
        for model in spec.models:
            width, counts[model] = match_width(model, target, sizes, _own(spec, model))
            if width is not None:
                widths[model] = width
                chosen[model] = {"hidden_channels": width}
    for row in tuning:
        if row["chosen"]:
            model, settings = row["model"], dict(row["settings"])
            chosen[model] = settings | {"trials": spec.trials}
            widths[model] = settings.get("hidden_channels", widths[model])
            counts[model] = count_parameters(model, widths[model], sizes, _own(spec, model, settings))
    return Budget(chosen, budget_record(spec, widths=widths, parameters=counts, target=target, tuning=tuning))


def trial_jobs(spec: FinalSpec) -> list[Job]:
    """The trials of every model: first what the spec says, then a random search around it.

    There are none unless the budget is of trials. All models meet the same draws, and a trial's draws do not depend
    on how many there are. The search draws the learning rate (log-uniform, from an eighth to four times the
    spec's), the width (half, once, twice, four times), the weight decay (none, or log-uniform from 1e-6 to 1e-3)
    and, where the model has one, the dropout. What `settings` of the spec says of a model stays as it says.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> jobs = trial_jobs(FinalSpec(models=["gru"], trials=2))
        >>> [job.key for job in jobs], jobs[0].hidden_channels
        (['gru-seed0-trial1', 'gru-seed0-trial2'], 16)
    """
    seed = spec.seeds[0]
    jobs = []
    for model in spec.models:
        fixed = spec.settings.get(model, {})
        for trial in range(1, 1 + (spec.trials or 0)):
            settings = {**({} if trial == 1 else _draw(spec, model, seed, trial)), **fixed}
            width = settings.pop("hidden_channels", _width(spec, model))
            jobs.append(Job(model, seed, hidden_channels=width, settings=settings, trial=trial))
    return jobs


def check_trials(spec: FinalSpec, series: GraphSeries, jobs: Sequence[Job]) -> None:
    """Build the model of every trial once, without its numbers, so that a draw that it refuses is found at once.

    Args:
        spec: what is compared.
        series: the data; only their shape counts.
        jobs: what `trial_jobs` gave.

    Raises:
        ValueError: a model cannot be built with the width, or another setting, of one of its trials.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> from gnnkit.data import simulate_traffic
        >>> spec = FinalSpec(models=["gru"], trials=3)
        >>> check_trials(spec, simulate_traffic(num_nodes=4, days=1), trial_jobs(spec))
    """
    sizes = model_sizes(spec, series)
    for job in jobs:
        try:
            count_parameters(job.model, job.hidden_channels, sizes, _own(spec, job.model, job.settings))
        except ValueError as error:
            width = f" and hidden_channels {job.hidden_channels}" if MODELS[job.model].has_width else ""
            raise ValueError(
                f"trials: trial {job.trial} of {job.model}, with {dict(job.settings)}{width}, cannot be built: "
                f"{error}; fix what the search must not draw under settings, e.g. --set {job.model}.hidden_channels="
                f"{spec.width(job.model)}, or give another hidden_channels"
            ) from None


def tune(
    work: Work,
    store: JobStore,
    missing: Sequence[tuple[Job, Mapping[str, Any]]],
    *,
    workers: int = 1,
    progress: MatrixProgress | None = None,
) -> list[dict[str, Any]]:
    """Train the trials of `trial_jobs`, and choose each model's by the validation MAE.

    A trial is trained as a fit of the comparison is, with the first seed; it sees no test row.

    Args:
        work: spec, data and threads.
        store: where trials are kept, each a job.
        missing: those that it does not have, with their fingerprints.
        workers: trials at a time.
        progress: told about trials.

    Returns:
        A dict for each model and trial: `model`, `trial`, `settings` (what differs from the spec, and the width),
        `val_mae` (None where its numbers were not finite, or it was lost), `seconds` (None where it was lost), `error`
        (why there is no `val_mae`), `chosen`.
    """
    jobs = trial_jobs(work.spec)
    if progress:
        left = {job for job, _ in missing}
        progress.begin_matrix([(job.model, job.label) for job in jobs], {job.label for job in jobs if job not in left})
    lost = run_jobs(work, missing, store, workers=workers, progress=progress)
    rows = [_trial_row(job, store, lost) for job in jobs]
    for model in work.spec.models:
        mine = [row for row in rows if row["model"] == model]
        # The first of the best; where every trial broke, the first, which is what the spec says.
        best = min(mine, key=lambda row: math.inf if row["val_mae"] is None else row["val_mae"])
        best["chosen"] = True
    return rows


def budget_record(
    spec: FinalSpec,
    *,
    widths: Mapping[str, int],
    parameters: Mapping[str, int],
    target: int | None = None,
    tuning: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What `Results.budget` holds: the budget in numbers, and a plain sentence or two.

    Args:
        spec: what is compared.
        widths: by model; 0 for one without a width.
        parameters: by model.
        target: parameters that were asked for, where the budget is of parameters.
        tuning: what `tune` found.
    """
    sentence = {
        "epochs": _epochs_sentence,
        "seconds": _seconds_sentence,
        "parameters": lambda spec, counts: _parameters_sentence(counts, target or 0),
        "trials": lambda spec, counts: _trials_sentence(spec, tuning),
    }[spec.budget](spec, parameters)
    return {
        "kind": spec.budget,
        "sentence": sentence,
        "widths": dict(widths),
        "parameters": dict(parameters),
        "tuning": [dict(row) for row in tuning],
    }


def _width(spec: FinalSpec, model: str) -> int:
    return spec.width(model) if MODELS[model].has_width else 0


def _own(spec: FinalSpec, model: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a model is built with beside its sizes: what the spec, or `settings`, has for it, and its quantiles."""
    given = dict(spec.settings.get(model, {}) if settings is None else settings)
    given.pop("hidden_channels", None)
    own, training = job_settings(spec, Job(model, 0, settings=given))
    return own | ({"quantiles": training.quantiles} if training.quantiles else {})


def _draw(spec: FinalSpec, model: str, seed: int, trial: int) -> dict[str, Any]:
    """One draw of the search. Every model uses up the same random numbers: what it has no use for is drawn as well."""
    random = np.random.default_rng((seed, trial))
    rate = spec.learning_rate * math.exp(random.uniform(*np.log(_RATES)))
    width = max(1, round(spec.hidden_channels * float(random.choice(_WIDTHS))))
    decay = math.exp(random.uniform(*np.log(_DECAYS)))
    drawn: dict[str, Any] = {
        "learning_rate": float(f"{rate:.3g}"),
        "weight_decay": float(f"{decay:.3g}") if random.random() < 0.5 else 0.0,
    }
    dropout = float(random.choice(_DROPOUTS))
    if MODELS[model].has_width:
        drawn["hidden_channels"] = width
    if "dropout" in MODELS[model].settings:
        drawn["dropout"] = dropout
    return drawn


def _trial_row(job: Job, store: JobStore, lost: Mapping[str, str]) -> dict[str, Any]:
    stored = None if job.key in lost else store.load(job)
    error = lost[job.key] if stored is None else stored.error
    fitted = stored.outcome.fitted if stored and stored.outcome else None
    settings = dict(job.settings) | ({"hidden_channels": job.hidden_channels} if MODELS[job.model].has_width else {})
    return {
        "model": job.model,
        "trial": job.trial,
        "settings": settings,
        "val_mae": fitted.best_val_mae if fitted else None,
        "seconds": stored.seconds if stored else None,
        "error": error,
        "chosen": False,
    }


def _epochs_sentence(spec: FinalSpec, counts: Mapping[str, int]) -> str:
    limit = f" and {_several(spec.max_seconds, 'second')}" if spec.max_seconds else ""
    return f"Every fit had the same {_several(spec.epochs, 'epoch')}{limit} at most{_stop(spec)} {_range(counts)}"


def _seconds_sentence(spec: FinalSpec, counts: Mapping[str, int]) -> str:
    return (
        f"Every fit had the same {_several(spec.max_seconds or 0, 'second')} of wall-clock time and at most "
        f"{_several(spec.epochs, 'epoch')}{_stop(spec)} {_range(counts)}"
    )


def _parameters_sentence(counts: Mapping[str, int], target: int) -> str:
    off = [
        f"{model} has {count:,} ({100 * (count / target - 1):+.1f}%"
        + (", the nearest that its width allows)" if MODELS[model].has_width else ", as it has no width)")
        for model, count in counts.items()
        if abs(count / target - 1) > TOLERANCE
    ]
    matched = len(counts) - len(off)
    text = f"The width of every model was chosen to give it {target:,} parameters; {matched} of {len(counts)} came "
    return f"{text}within {TOLERANCE:.0%}" + (f"; {'; '.join(off)}." if off else ".")


def _trials_sentence(spec: FinalSpec, tuning: Sequence[Mapping[str, Any]]) -> str:
    broke = sorted({row["model"] for row in tuning if row["chosen"] and row["val_mae"] is None})
    lost = [row for row in tuning if row["seconds"] is None]
    failed = sum(row["val_mae"] is None for row in tuning) - len(lost)
    text = (
        f"Every model had {_several(spec.trials or 1, 'trial')} on the validation rows with seed {spec.seeds[0]}: its "
        f"settings as given, and {(spec.trials or 1) - 1} of a random search over learning rate, width, weight decay "
        f"and, where it has one, dropout, with the same draws for all; the best is compared. Trials saw no test row."
    )
    if failed:
        text += f" {failed} of {len(tuning)} trials did not end with finite numbers."
    if lost:
        reasons = "; ".join(f"{row['model']}, trial {row['trial']}: {row['error']}" for row in lost)
        text += f" {len(lost)} of {len(tuning)} trials {'was' if len(lost) == 1 else 'were'} lost ({reasons})."
    if broke:
        text += f" No trial of {', '.join(broke)} came through: the settings as given are compared."
    return text


def _stop(spec: FinalSpec) -> str:
    return f", and stopped after {_several(spec.patience, 'epoch')} without a better validation error."


def _several(number: float, what: str) -> str:
    return f"{number:g} {what}" + ("" if number == 1 else "s")


def _range(counts: Mapping[str, int]) -> str:
    few, many = min(counts, key=lambda m: counts[m]), max(counts, key=lambda m: counts[m])
    if counts[few] == counts[many]:
        return f"Every model has {counts[few]:,} parameters."
    return f"Models have from {counts[few]:,} ({few}) to {counts[many]:,} parameters ({many})."
