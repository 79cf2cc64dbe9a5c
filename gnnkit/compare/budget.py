"""What is the same for every model of a comparison: epochs, seconds, parameters, or trials of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.widths import asked_width, count_parameters, match_width, own_settings
from gnnkit.data import GraphSeries
from gnnkit.forecasting import model_sizes
from gnnkit.temporal import MODELS

__all__ = ["Budget", "budget_record", "match_budget"]

TOLERANCE = 0.02
"""How far from the asked number of parameters a model counts as matched."""


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
        tuning: what `gnnkit.compare.trials.tune` found, where the budget is of trials; without it, models are taken as
            the spec has them.

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
    widths = {model: asked_width(spec, model) for model in spec.models}
    counts = {model: count_parameters(model, widths[model], sizes, own_settings(spec, model)) for model in spec.models}
    # Of the first model; a rival that fits itself has none before that.
    target = spec.parameters or next((counts[model] for model in spec.models if counts[model]), 0)
    if spec.budget == "parameters":
        for model in spec.models:
            width, counts[model] = match_width(model, target, sizes, own_settings(spec, model))
            if width is not None:
                widths[model] = width
                chosen[model] = {"hidden_channels": width}
    for row in tuning:
        if row["chosen"]:
            model, settings = row["model"], dict(row["settings"])
            chosen[model] = settings | {"trials": spec.trials}
            widths[model] = settings.get("hidden_channels", widths[model])
            counts[model] = count_parameters(model, widths[model], sizes, own_settings(spec, model, settings))
    return Budget(chosen, budget_record(spec, widths=widths, parameters=counts, target=target, tuning=tuning))


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
    pruned = sum(row["pruned"] for row in tuning)
    text = (
        f"Every model had {_several(spec.trials or 1, 'trial')} on the validation rows with seed {spec.seeds[0]}: its "
        f"settings as given, and {(spec.trials or 1) - 1} that Optuna's TPE drew from its search space; the best is "
        f"compared. Trials saw no test row."
    )
    if pruned:
        text += f" {pruned} of {len(tuning)} trials {'was' if pruned == 1 else 'were'} ended early, being behind."
    if failed:
        text += f" {failed} of {len(tuning)} trials could not be built or did not end with finite numbers."
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
