"""The report's small print: methods, caveats, the spec, and how to make the same again."""

from __future__ import annotations

import shlex
from typing import Any

import tomli_w

from gnnkit.compare.report.tables import base_rows, families
from gnnkit.compare.results import Results
from gnnkit.compare.statistics.enough import fewest_spans
from gnnkit.forecasting.forms import FORMS
from gnnkit.report.numbers import DASH

__all__ = ["caveats", "methods", "protocol", "rerun_command", "spec_text"]

_FEW_SEEDS = 6


def protocol(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """What was run, as headed lists of name and value."""
    data, environment = results.data, results.environment
    missing = data.get("missing_share")
    split_rows = data.get("split_rows") or {}
    about = [
        ("name", str(data.get("name", ""))),
        ("source", str(data.get("source") or DASH)),
        ("unit", str(data.get("unit") or "not given")),
        ("missing", DASH if missing is None else f"{100 * float(missing):.2f} % of the values"),
        ("hash", str(environment.get("data_hash") or DASH)),
        ("split", str(data.get("split") or DASH)),
        *((f"{part} rows", f"{int(rows[0]):,} to {int(rows[1]) - 1:,}") for part, rows in split_rows.items()),
    ]
    rules = [
        ("form", f"every model predicts {FORMS[bool(results.spec.get('residual'))]}"),
        ("scaling", _scaling(str(results.spec.get("scaler") or ""))),
        ("choice of epoch", "lowest validation MAE; test rows are read once, for the scores"),
        ("scores", "in the data's unit; every observed value weighs the same, missing ones are not scored"),
        ("deviation", "standard deviation over seeds (n − 1); none for baselines, which have no seed"),
    ]
    machine = [(key.replace("_", " "), _plain(value)) for key, value in environment.items() if key != "data_hash"]
    return [("Data", about), ("Protocol", rules), ("Environment", machine)]


def _scaling(name: str) -> str:
    if name.endswith("-all"):  # gnnkit.data.SCALERS
        return f"by {name}: fitted on the whole series, test rows included, as a published protocol does"
    return "fitted on the observed values of the training rows alone"


def methods(results: Results) -> list[str]:
    """How the numbers of this report came about, as far as the results have them.

    Args:
        results: What a comparison found.

    Returns:
        Sentences with their sources.
    """
    spec = results.spec
    confidence = float(spec.get("confidence") or 0.95)
    level, other = f"{100 * confidence:g}%", f"{100 * (1 - confidence):g}%"
    found = []
    if results.by_older_rules and (results.verdicts or results.significance):
        found.append(
            "Marks of differences are those of an older gnnkit: they follow intervals of a moving-block bootstrap over "
            "the test windows (Künsch, 1989). p is of another test, Diebold-Mariano's, after Holm (1979) over all "
            "pairs of models at a horizon and metric. The two may disagree."
        )
    elif results.verdicts or results.significance:
        found.append(
            "Differences are tested by Diebold-Mariano: the mean difference of the windows' losses over its standard "
            "error, two-sided, p from Student's t. The variance is a fixed-smoothing one (Lazarus et al., 2018; "
            "Coroneo and Iacone, 2020) with the correction of Harvey, Leybourne and Newbold (1997) carried over, and "
            "the noise between seeds added. One rule decides mark, interval, p and sentence: p after Holm (1979) is "
            f"below {other}; the {level} interval is that of the same test at the level that the correction leaves it, "
            "so that it excludes zero just then. Corrected is for the pairs that a question looks at: one pair that "
            "the validation rows chose; every trained model against a baseline; all k (k − 1) / 2 pairs of k models "
            "where the lowest score names the model, as the windows that choose it are those that test it."
        )
        found.append(
            f"A verdict needs test windows that hold {fewest_spans(confidence)} spans of the horizon without a common "
            f"row: of fewer, even a model that wins every one does so by chance with a probability of 2 / 2ⁿ > "
            f"{1 - confidence:.2g} (sign test; Dixon and Mood, 1946)."
        )
    if results.where:
        draws = f", {int(spec['resamples']):,} draws" if spec.get("resamples") else ""
        found.append(
            f"Intervals of groups of targets ({level}): moving-block bootstrap over the test windows (Künsch, 1989"
            f"{draws}), the same blocks for both models; a block has history + horizon windows (at most a third of "
            "all). Widened for the number of blocks (Student's t) and by the deviation between seeds."
        )
    if results.ranks:
        found.append(
            "Mean ranks: the models are ranked within each block of windows; where Friedman's test rejects that all "
            "are equal, two of them are told apart whose mean ranks differ by more than Nemenyi's critical difference "
            "(Demšar, 2006)."
        )
    if results.ablation:
        found.append(
            "Ablation: the same recipe trained with another graph. identity: no edges; shuffled: the nodes' places in "
            "the graph are permuted; random: other edges, the same degrees; complete: every pair of nodes; learned: "
            "the model learns its graph."
        )
    if results.conditions:
        found.append(
            "Conditions: the models are trained again on the latest share of the training rows, or with a share of the "
            "inputs hidden in outages of sensors; the targets and the test windows stay the same."
        )
    if results.intervals:
        found.append(
            "Prediction intervals: coverage is the share of observed test values inside; CRPS (continuous ranked "
            "probability score) and pinball loss are in the data's unit."
        )
    return found


def spec_text(results: Results) -> str:
    """What was asked for, as the TOML file that `gnnkit compare --spec` takes.

    Args:
        results: What a comparison found.

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


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain(item)}" for key, item in value.items() if item is not None) or DASH
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value) or DASH
    return DASH if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def rerun_command(results: Results) -> str:
    """The command that makes this comparison again.

    Args:
        results: What a comparison found.

    Returns:
        `spec["command"]` where the run noted it; else the spec's fields as flags, or, where single models have
        settings, the command for the spec's file.
    """
    spec = results.spec
    if spec.get("command"):
        return str(spec["command"])
    if spec.get("settings"):
        return "gnnkit compare --spec spec.toml"
    words = ["gnnkit", "compare"]
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

    Args:
        results: What a comparison found.

    Returns:
        Sentences; the results' own notes come first.
    """
    rows = base_rows(results)
    trained = rows[rows["family"] != "baseline"]
    found = list(results.notes)
    found += [_failure(failure) for failure in results.failures]
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
    found.append(
        f"One data set and one split by time: at least {windows:,} test windows, which overlap and so are not "
        "independent. Other months or other places may rank the models differently."
    )
    missing = results.data.get("missing_share") or 0
    if missing > 0:
        found.append(
            f"{100 * float(missing):.2f} % of the values are missing: filled from the past as input, never scored."
        )
    if rows.loc[rows["metric"] == "mape", "value"].isna().any():
        found.append(f"MAPE has no value where no true value differs from zero; it is shown as {DASH}.")
    if results.data.get("positions") is None:
        found.append("The data give no positions: distances on the map mean nothing beyond the graph's edges.")
    return found


def _failure(failure: dict[str, Any]) -> str:
    condition = f" ({failure['condition']})" if failure.get("condition") else ""
    return f"{failure['model']}{condition} with seed {failure['seed']} failed and has no row: {failure['error']}"


def _still_improving(results: Results) -> list[str]:
    late, rows = [], base_rows(results)
    for model, family in families(results).items():
        own = rows[rows["model"] == model]
        if family != "baseline" and (own["best_epoch"] >= 0.9 * own["epochs"]).mean() > 0.5 and own["epochs"].max() > 1:
            late.append(model)
    return late
