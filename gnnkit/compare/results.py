"""What a comparison found: the one object that is saved, loaded and drawn from."""

import json
import math
import numbers
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnnkit.compare.errors import ErrorTable
from gnnkit.kept_files import current_file, damage_named, json_of, new_name, sha256_of, with_checksum

__all__ = ["CURVE_COLUMNS", "OLDER_RULES", "ROW_COLUMNS", "STEP_COLUMNS", "DataFacts", "Failure", "Results", "Traces"]

_WAY_OUT = "finish the run (gnnkit compare --resume DIR), or judge it again (gnnkit report DIR --judge)"

FORMAT = 5
"""Version of the layout of `results.json`."""

OLDER_RULES = (
    "These results were judged by an older gnnkit, with other tests; where its finished fits are there, gnnkit report "
    "--judge judges them again."
)
"""The first note of results of an earlier layout."""

ROW_COLUMNS = [
    *("data", "data_hash", "model", "family", "seed", "adjacency", "train_share", "hidden_share", "leak"),
    *("history", "horizon", "score", "metric", "value", "windows"),
    *(
        "hidden_channels",
        "trials",
        "parameters",
        "epochs",
        "best_epoch",
        "epoch_seconds",
        "wall_seconds",
        "peak_memory_mb",
    ),
    *("device", "hardware", "threads", "torch", "gnnkit", "commit", "date"),
]
"""Columns of `Results.rows`, in the order of `rows.csv`."""

CURVE_COLUMNS = ["model", "seed", "epoch", "train_loss", "val_mae", "seconds"]
STEP_COLUMNS = ["model", "seed", "step", "mae", "rmse"]


@dataclass
class DataFacts:
    """What the data of a comparison were.

    Args:
        name, source, unit: of the data; `unit` is empty where it is unknown.
        step_minutes: minutes of a step; None where they are unknown, or where `step_unit` names a longer step.
        season: rows after which the series repeats itself.
        start: ISO time of row 0.
        rows, nodes, features: how many.
        missing_share: of the values.
        split: its label.
        split_rows: `{"train": [first, stop], ...}`; with several folds, `{"fold 1, train": ...}`.
        node_names: of the nodes.
        positions: `[[x, y], ...]`; None where there are none.
        edges: `[i, j, weight]` of each.
        graph_source: how the graph was made, where gnnkit made it.
        covariates: names of the features beside the target.
        known_ahead: those of them that are known ahead.
        target_only: models that see none of them; empty where there are none.
    """

    name: str = ""
    source: str | None = None
    unit: str = ""
    step_minutes: float | None = None
    step_unit: str | None = None
    season: int | None = None
    start: str | None = None
    rows: int | None = None
    nodes: int | None = None
    features: int | None = None
    missing_share: float | None = None
    split: str | None = None
    split_rows: dict[str, list[int]] = field(default_factory=dict)
    node_names: list[str] = field(default_factory=list)
    positions: list[list[float]] | None = None
    edges: list[list[float]] = field(default_factory=list)
    graph_source: str = ""
    covariates: list[str] = field(default_factory=list)
    known_ahead: list[str] = field(default_factory=list)
    target_only: list[str] = field(default_factory=list)


@dataclass
class Traces:
    """P-step-ahead predictions of a few nodes over a season of the test rows; None where nothing was observed.

    Args:
        nodes: their names.
        rows: of the series.
        horizon: P.
        true: `[node][row]`.
        predicted: `[model][node][row]`.
    """

    nodes: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    horizon: int | None = None
    true: list[list[float | None]] = field(default_factory=list)
    predicted: dict[str, list[list[float | None]]] = field(default_factory=dict)


@dataclass
class Failure:
    """A fit that failed; it has no rows. `condition` is in words, and empty for the base."""

    model: str
    seed: int
    error: str
    condition: str = ""


def _no_errors() -> ErrorTable:
    """A table without any model."""
    return ErrorTable.of_windows({}, {}, {}, {})


@dataclass(repr=False)
class Results:
    """Everything that one comparison found, as plain numbers; plots and reports are drawn from this and nothing else.

    Args:
        spec: what was asked for, as JSON values (`ComparisonSpec.to_json`).
        environment: versions, `hardware`, `cores`, `threads` of a fit, `device`, `commit`, `date`, `data_hash`,
            `code_hash` (of the code that trains), `jobs` (fits at a time), `wall_seconds` (of the last run, if it was
            cut off before), `fit_seconds` (of all fits), `referee_seconds` (what the comparison took beside them).
        data: what was compared on.
        rows: one line per model, seed, condition, horizon, score and metric; columns `ROW_COLUMNS`. `family` is
            `"baseline"`, `"sequence"` or `"graph"`; `score` is `"averaged"` (all steps 1 … horizon) or `"last-step"`;
            `metric` is mae, rmse, mape (percent), accuracy, r2 or var. Baselines have seed 0 and 0 parameters, and NaN
            where only training gives a number. `adjacency` `"given"`, `train_share` 1 and `hidden_share` 0 are the base
            condition: all else but the findings on ablation and conditions speaks of it alone. `leak` names the leaks
            that were allowed, with a question mark those that are suspected.
        curves: training curves; columns `CURVE_COLUMNS`. `val_mae` is in the data's unit.
        step_errors: error of each single step on the windows of the largest horizon; columns `STEP_COLUMNS`.
        errors: errors of each model, seed and test window at each horizon.
        node_errors: `[model]` → mean absolute error of each node at the largest horizon (seeds averaged).
        traces: a few predictions to draw.
        notes: sentences about the data or the baselines that a reader must know.
        failures: fits that failed.
        inferred: what was inferred about the data, in sentences.
        findings: what was found, by the name of the finding. `Finding.of(results)` has it as typed rows:
            `from gnnkit.compare.findings import VERDICTS`, then `VERDICTS.of(results)`.
    """

    spec: dict[str, Any]
    environment: dict[str, Any]
    data: DataFacts
    rows: pd.DataFrame
    curves: pd.DataFrame
    step_errors: pd.DataFrame
    errors: ErrorTable = field(default_factory=_no_errors)
    node_errors: dict[str, list] = field(default_factory=dict)
    traces: Traces = field(default_factory=Traces)
    notes: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    inferred: list[str] = field(default_factory=list)
    findings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        trained = [model for model in self.models if self.family(model) != "baseline"]
        seeds = self.rows.loc[self.rows["model"].isin(trained), "seed"].nunique()
        horizons = ", ".join(map(str, self.horizons))
        lost = len(self.failures)
        failed = f"; {lost} fit{'' if lost == 1 else 's'} failed" if lost else ""
        return (
            f"{type(self).__name__}({self.data.name}: {', '.join(trained) or 'baselines alone'} × {seeds} "
            f"seed{'' if seeds == 1 else 's'}, {horizons} steps ahead, {len(self.rows):,} rows{failed})"
        )

    @property
    def confidence(self) -> float:
        """Of the intervals of differences."""
        return float(self.spec.get("confidence") or 0.95)

    @property
    def folds(self) -> int:
        """Rolling origins; 1: one split."""
        return int(self.spec.get("folds") or 1)

    @property
    def by_older_rules(self) -> bool:
        """Whether an older gnnkit judged them, by rules that are not those of today."""
        return OLDER_RULES in self.notes

    @property
    def models(self) -> list[str]:
        """Names of the models that have rows: baselines, then sequence, then graph models, each in the order asked."""
        return list(self.rows["model"].unique())

    @property
    def horizons(self) -> list[int]:
        """The horizons scored, in steps, ascending."""
        return sorted(int(h) for h in self.rows["horizon"].unique())

    def family(self, model: str) -> str:
        """The family of `model`: `"baseline"`, `"sequence"` or `"graph"`."""
        return str(self.rows.loc[self.rows["model"] == model, "family"].iloc[0])

    def save(self, directory: str | Path) -> None:
        """Write `rows.csv`, the same as `rows.parquet`, and `results.json` (all the rest) into `directory`.

        The folder is made when it is missing.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.rows.to_csv(directory / "rows.csv", index=False)
        self.rows.to_parquet(directory / "rows.parquet", index=False)
        document: dict[str, Any] = {"format": FORMAT, "gnnkit_results": True, **self.errors.to_json()}
        document |= {name: getattr(self, name) for name in _OWN}
        # A record that was not made is an empty object.
        document |= {name: {} if found is None else found for name, found in self.findings.items()}
        document["rows_sha256"] = sha256_of(directory / "rows.csv")
        text = json.dumps(with_checksum(_plain(document)), allow_nan=False, separators=(",", ":"))
        (directory / "results.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> "Results":
        """Read what `save` wrote, in this layout or an earlier one; what an earlier one does not have is empty.

        Raises:
            FileNotFoundError: `directory` has no `results.json` or no `rows.csv`.
            ValueError: `results.json` is not one of gnnkit's, or is of a later layout; or a file is damaged.
        """
        directory = Path(directory)
        for name in ("results.json", "rows.csv"):
            if not any(path.is_file() for path in (directory / name, new_name(directory / name))):
                raise FileNotFoundError(f"{directory} holds no {name}: it is not the output of `gnnkit compare`")
        with damage_named(directory / "results.json", _WAY_OUT):
            document: Any = json_of((directory / "results.json").read_bytes())
        if not isinstance(document, dict) or document.get("gnnkit_results") is not True:
            raise ValueError(
                f"{directory / 'results.json'} was not written by `gnnkit compare`; give one of its folders"
            )
        if not isinstance(document.get("format"), int):
            raise ValueError(f"{directory / 'results.json'} is damaged (it has no format); {_WAY_OUT}")
        if document["format"] > FORMAT:
            raise ValueError(
                f"{directory / 'results.json'} has layout {document['format']}; this gnnkit reads up to {FORMAT}: "
                f"update gnnkit"
            )
        digest = document.pop("rows_sha256", None)  # earlier ones kept none
        table = directory / "rows.csv"
        if digest is not None:
            table = current_file(table, digest, _WAY_OUT)
        with damage_named(table, _WAY_OUT):
            return cls._of(table, document)

    @classmethod
    def _of(cls, table: Path, document: Any) -> "Results":
        """Results of the two files that keep them."""
        rows = pd.read_csv(table, dtype="str", keep_default_na=False)
        for name in rows.columns.difference(_TEXT_COLUMNS):
            rows[name] = _numbers(rows[name].tolist())
        for name, value in _ADDED_COLUMNS.items():
            if name not in rows:
                rows[name] = value
        rows = pd.DataFrame(rows, columns=ROW_COLUMNS)
        if document["format"] < FORMAT:
            document = {**dict.fromkeys((*_OWN, *_ERRORS), ()), **document}
        own: dict[str, Any] = {name: document[name] for name in _OWN}
        own["notes"] = [*([OLDER_RULES] if document["format"] < FORMAT else []), *own["notes"]]
        own["inferred"] = list(own["inferred"])
        own |= {name: pd.DataFrame(own[name]) for name in ("curves", "step_errors")}
        own |= {"data": _record(DataFacts, own["data"]), "traces": _record(Traces, own["traces"])}
        own["failures"] = [_record(Failure, failure) for failure in own["failures"]]
        families = dict(zip(rows["model"], rows["family"], strict=True))
        absolute, squared, counts = (dict(document[name]) for name in _ERRORS)
        errors = ErrorTable.of_windows(absolute, squared, counts, families, document.get("window_spans"))
        known = {"format", "gnnkit_results", "window_errors", "window_spans", *_OWN, *_ERRORS}
        findings = {name: found for name, found in document.items() if name not in known}
        return cls(rows=rows, errors=errors, findings=findings, **own)


_ADDED_COLUMNS = {
    "adjacency": "given",
    "train_share": 1.0,
    "hidden_share": 0.0,
    "leak": "",
    "hidden_channels": math.nan,
    "trials": 0,
}
"""Columns that earlier layouts did not have, and what they are for their rows."""


_TEXT_COLUMNS = (
    *("data", "data_hash", "model", "family", "adjacency", "leak", "score", "metric"),
    *("device", "hardware", "torch", "gnnkit", "commit", "date"),
)
_OWN = (
    "spec",
    "environment",
    "data",
    "curves",
    "step_errors",
    "node_errors",
    "traces",
    "notes",
    "failures",
    "inferred",
)
"""Fields of `Results` that `results.json` has under their own names; the findings stand beside them."""
_ERRORS = ("seed_window_errors", "seed_window_squared", "window_counts")


def _record(kind: type, values: Any) -> Any:
    """A record from JSON values; what they lack has its default, and what it does not know is left out."""
    values = dict(values)
    return kind(**{each.name: values[each.name] for each in fields(kind) if each.name in values})


def _numbers(texts: list[str]) -> list[int] | list[float]:
    """Numbers as they were written, bit for bit, which read_csv's own parser does not promise; empty is NaN."""
    if all(text.lstrip("-").isdigit() for text in texts):
        return [int(text) for text in texts]
    return [float(text) if text else math.nan for text in texts]


def _plain(value: Any) -> Any:
    """JSON values: NaN and infinities become null, numpy scalars become Python's, keys become strings.

    Records become objects, without the fields that are left out where they are None.
    """
    if type(value) is float:  # most are
        return value if math.isfinite(value) else None
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, pd.DataFrame):
        value = value.to_dict(orient="list")
    if is_dataclass(value) and not isinstance(value, type):
        found = {each: getattr(value, each.name) for each in fields(value)}
        value = {each.name: v for each, v in found.items() if v is not None or "omit" not in each.metadata}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)
