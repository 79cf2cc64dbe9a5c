"""The report's small print: methods, caveats, the spec, and how to make the same again."""

from __future__ import annotations

import shlex
from typing import Any

import tomli_w

from gnnkit.compare.report.tables import base_rows, edges_in_words, families
from gnnkit.compare.results import DataFacts, Results
from gnnkit.forecasting.forms import FORMS
from gnnkit.report.numbers import DASH

__all__ = ["caveats", "plain_text", "protocol", "rerun_command", "spec_text"]

_FEW_SEEDS = 6


def protocol(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was run, as headed lists of name and value."""
    data, environment = results.data, results.environment
    about = [
        ("name", data.name),
        ("source", data.source or DASH),
        ("unit", data.unit or "not given"),
        ("missing", DASH if data.missing_share is None else f"{100 * data.missing_share:.2f} % of the values"),
        ("hash", str(environment.get("data_hash") or DASH)),
        ("graph", _graph(data)),
        *_covariates(data),
        ("split", data.split or DASH),
        *((f"{part} rows", f"{int(rows[0]):,} to {int(rows[1]) - 1:,}") for part, rows in data.split_rows.items()),
    ]
    scaling, scaler = "fitted on the observed values of the training rows alone", str(results.spec.get("scaler") or "")
    if scaler.endswith("-all"):  # gnnkit.data.SCALERS
        scaling = f"by {scaler}: fitted on the whole series, test rows included, as a published protocol does"
    scored = ("scores", "in the data's unit; every observed value weighs the same, missing ones are not scored")
    rules = [
        ("form", f"every model predicts {FORMS[bool(results.spec.get('residual'))]}"),
        ("scaling", scaling),
        ("choice of epoch", "lowest validation MAE; test rows are read once, for the scores"),
        scored,
        ("deviation", "standard deviation over seeds (n − 1); none for baselines, which have no seed"),
    ]
    if _is_judged(results):
        rules = [("forecasts", "made elsewhere; nothing was trained here"), scored]
    machine = [(key.replace("_", " "), plain_text(value)) for key, value in environment.items() if key != "data_hash"]
    return [("Data", about), ("Protocol", rules), ("Environment", machine)]


def _graph(data: DataFacts) -> str:
    """What the graph is, and how it was made."""
    count = edges_in_words(data) if data.edges else "none"
    return f"{count}: {data.graph_source}" if data.graph_source else count


def _covariates(data: DataFacts) -> list[tuple[str, str]]:
    """What stands beside the target, who sees it, and when."""
    past = [name for name in data.covariates if name not in data.known_ahead]
    found = []
    if past:
        found.append(("past covariates", f"{', '.join(past)}: seen up to the time of the forecast"))
    if data.known_ahead:
        names = ", ".join(data.known_ahead)
        found.append(("known ahead", f"{names}: seen over the horizon too, as said in the spec"))
    if data.target_only:
        found.append(("see the target alone", ", ".join(data.target_only)))
    return found


def _is_judged(results: Results) -> bool:
    """Whether nothing was trained, for `gnnkit judge` has no models."""
    return "forecasts" in results.spec and "models" not in results.spec


def spec_text(results: Results) -> str:
    """What was asked for, as the TOML file that `gnnkit compare --spec` takes.

    Returns:
        The fields that are set, then a table for each field with names of its own.

    Example:
        >>> from types import SimpleNamespace
        >>> print(spec_text(SimpleNamespace(spec={"epochs": 8, "unit": None, "settings": {"gru": {"bias": True}}})))
        epochs = 8
        <BLANKLINE>
        [settings.gru]
        bias = true
    """
    return tomli_w.dumps(
        _without_none({name: value for name, value in results.spec.items() if name != "command"})
    ).strip()


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """TOML has no form for None: the key is left out."""
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None and value != {}
    }


def plain_text(value: Any) -> str:
    """A setting, or a list or table of them, in one line; a dash where there is none."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {plain_text(item)}" for key, item in value.items() if item is not None) or DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_text(item) for item in value) or DASH
    return DASH if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def rerun_command(results: Results) -> str:
    """The command that makes this comparison again.

    Returns:
        `spec["command"]` where the run noted it; else the spec's fields as flags, or, where single models have
        settings or ranges, the command for the spec's file.
    """
    spec = results.spec
    if spec.get("command"):
        return str(spec["command"])
    if spec.get("settings") or spec.get("search"):
        return "gnnkit compare --spec spec.toml"
    if _is_judged(results) and not spec["forecasts"]:  # of what was in memory there is no command
        return "gnnkit.compare.judge_forecasts(series, forecasts, ...)"
    words = ["gnnkit", "judge" if _is_judged(results) else "compare"]
    for key, value in spec.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, dict):
            words += [word for name, option in value.items() for word in (flag, f"{name}={option}")]
        elif isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif value is not None and value not in ([], ()):
            words += [flag, _flag_value(key, value)]
    return shlex.join(words)


def _flag_value(key: str, value: Any) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value)
    if key == "seeds" and list(value) == list(range(len(value))):
        return str(len(value))  # a lone number is a count of seeds
    return ",".join(str(item) for item in value) + ("," if key == "seeds" and len(value) == 1 else "")


def caveats(results: Results) -> list[str]:
    """What a reader must hold against the numbers, as far as the results themselves show it.

    Returns:
        Sentences; the results' own notes come first.
    """
    rows = base_rows(results)
    trained = rows[rows["family"] != "baseline"]
    found = list(results.notes)
    for failure in results.failures:
        condition = f" ({failure.condition})" if failure.condition else ""
        found.append(f"{failure.model}{condition} with seed {failure.seed} failed and has no row: {failure.error}")
    seeds = int(trained["seed"].nunique())
    if not trained.empty and seeds == 1:
        found.append("One seed: how far a model's score moves from one initialisation to the next is not known here.")
    elif not trained.empty and seeds < _FEW_SEEDS:
        found.append(f"{seeds} seeds: a deviation over so few is itself uncertain.")
    late = _still_improving(results)
    if late:
        found.append(
            f"Best epoch within the last tenth of the budget: {', '.join(late)}. More epochs may improve these rows."
        )
    windows = int(rows["windows"].min()) if rows["windows"].notna().any() else 0
    split = "" if results.folds > 1 else " and one split by time"
    found.append(
        f"One data set{split}: at least {windows:,} test windows, which overlap and so are not "
        "independent. Other months or other places may rank the models differently."
    )
    missing = results.data.missing_share or 0
    if missing > 0:
        found.append(f"{100 * missing:.2f} % of the values are missing: filled from the past as input, never scored.")
    if rows.loc[rows["metric"] == "mape", "value"].isna().any():
        found.append(f"MAPE has no value where no true value differs from zero; it is shown as {DASH}.")
    if results.data.positions is None:
        found.append("The data give no positions: distances on the map mean nothing beyond the graph's edges.")
    return found


def _still_improving(results: Results) -> list[str]:
    late, rows = [], base_rows(results)
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        if family != "baseline" and (own["best_epoch"] >= 0.9 * own["epochs"]).mean() > 0.5 and own["epochs"].max() > 1:
            late.append(model)
    return late
