"""What a comparison found: the one object that is saved, loaded and drawn from."""

import json
import math
import numbers
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["CURVE_COLUMNS", "OLDER_RULES", "ROW_COLUMNS", "STEP_COLUMNS", "Results"]

FORMAT = 3
"""Version of the layout of `results.json`."""

OLDER_RULES = (
    "These results were judged by an older gnnkit, whose marks follow intervals without a correction for the number of "
    "pairs; where its finished fits are there, gnnkit report --judge judges them again."
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
class Results:
    """Everything that one comparison found, as plain numbers; plots and reports are drawn from this and nothing else.

    Args:
        spec: what was asked for, as JSON values (`ComparisonSpec.to_json`).
        environment: versions, `hardware`, `cores`, `threads` of a fit, `device`, `commit`, `date`, `data_hash`,
            `code_hash` (of the code that trains), `jobs` (fits at a time), `wall_seconds` (of the last run, if it was
            cut off before), `fit_seconds` (of all fits), `referee_seconds` (what the comparison took beside them).
        data: `name`, `source`, `unit`, `step_minutes`, `season`, `rows`, `nodes`, `edges` (list of
            `[i, j, weight]`), `missing_share`, `split` (label), `split_rows` (`{"train": [first, stop], ...}`),
            `node_names`, `positions` (`[[x, y], ...]` or None), `start` (ISO time of row 0 or None).
        rows: one line per model, seed, condition, horizon, score and metric; columns `ROW_COLUMNS`. `family` is
            `"baseline"`, `"sequence"` or `"graph"`; `score` is `"averaged"` (all steps 1 … horizon) or `"last-step"`;
            `metric` is mae, rmse, mape (percent), accuracy, r2 or var. Baselines have seed 0 and 0 parameters, and NaN
            where only training gives a number. `adjacency` `"given"`, `train_share` 1 and `hidden_share` 0 are the base
            condition: all other fields but `ablation` and `conditions` speak of it alone. `leak` names the leaks that
            were allowed, with a question mark those that are suspected.
        curves: training curves; columns `CURVE_COLUMNS`. `val_mae` is in the data's unit.
        step_errors: error of each single step on the windows of the largest horizon; columns `STEP_COLUMNS`.
        window_errors: `[model][str(horizon)]` → list of the mean absolute error of each test window over the steps
            1 … horizon, averaged over seeds (None where a window has no observed target).
        seed_window_errors: `[model][str(horizon)]` → the same per seed, `[seed][window]`.
        seed_window_squared: `[model][str(horizon)]` → mean **squared** error per seed and window.
        window_counts: `[str(horizon)]` → observed targets in each window.
        node_errors: `[model]` → mean absolute error of each node at the largest horizon (seeds averaged).
        traces: `{"nodes": [name], "rows": [row], "horizon": P, "true": [node][t], "predicted": {model: [node][t]}}`:
            P-step-ahead predictions of a few nodes over a season of the test rows; None where nothing was observed.
        verdicts: dicts with `kind`, `horizon`, `metric` (`"mae"` or `"rmse"`), `score` (`"averaged"`), `model`,
            `against`, `difference` (error of `model` minus that of `against`; negative: `model` is better),
            `low`, `high` (interval of the difference), `p` and `clear`, which always agree, `sentence`. `kind` is
            `"winner"` (best model against the best that is tied with it, else the runner-up; `tied`: those that it is
            not clearly below; `clear` where none is), `"persistence"` (every trained model against `last-value`) or
            `"families"` (the graph model against the sequence model that the validation rows chose; absent when a
            family has no model, and where there is no graph). A `"persistence-summary"` has, in place of a pair and its
            interval, the lists `better`, `open` and `worse` of trained models; a `"too-few"` stands alone at a horizon
            whose windows are too few to judge.
        notes: sentences about the data or the baselines that a reader must know.
        failures: `{"model", "seed", "condition", "error"}` of each fit that failed (`condition` in words, empty for the
            base); such a fit has no rows.
        significance: dicts, one for each `question` (`"families"`, `"last-value"`, `"seasonal-naive"`, `"best"`),
            horizon, metric (`"mae"`, `"rmse"`), `model` and `against`, with `difference`, `low`, `high`, `p`, `clear`
            (which always agree: a Diebold-Mariano test, `dm` its statistic, corrected for the `comparisons` of its
            question), `seeds`, `effect` (difference in standard deviations) and `skill` (1 − ratio).
        ranks: dicts, one a horizon: `metric`, `models`, `mean_ranks`, `groups` (models not told apart), `blocks`,
            `critical_difference`.
        ablation: `horizon`, `rows` (`model`, `adjacency`, `horizon`, `mae`, `std`, `seeds`), `tests` (`model`,
            `adjacency`, `against`, `horizon`, `difference`, `low`, `high`, `p`, `clear`), `verdict`
            (`"yes"`, `"no"`, `"open"`), `sentence`, `notes`; empty where it was not asked for.
        conditions: best graph model against best sequence model with fewer training rows or more hidden inputs: `axis`
            (`"train_share"`, `"hidden_share"`), `value`, `horizon`, `graph`, `sequence`, `graph_mae`, `sequence_mae`,
            `difference`, `low`, `high`, `p`, `clear`, `sentence`.
        where: where the errors of the `pair` (graph, sequence) differ at `horizon`: `strata`, `heat` (nodes × hours),
            `windows` (the ten in which each wins most); see `gnnkit.compare.statistics.where`. Empty where a family is
            missing.
        intervals: dicts of `model`, `seed`, `horizon`, `method`, `nominal`, `coverage`, `width`, `crps`, `pinball`
            (by level), `observed`.
        audit: `cause`, `status` (`"passed"`, `"allowed"`, `"warning"`) and `detail` of each check for leaks.
        budget: `kind`, `sentence`, `widths`, `parameters` and `tuning` (the trials).
        inferred: what was inferred about the data, in sentences.
    """

    spec: dict[str, Any]
    environment: dict[str, Any]
    data: dict[str, Any]
    rows: pd.DataFrame
    curves: pd.DataFrame
    step_errors: pd.DataFrame
    window_errors: dict[str, dict[str, list]] = field(default_factory=dict)
    seed_window_errors: dict[str, dict[str, list]] = field(default_factory=dict)
    seed_window_squared: dict[str, dict[str, list]] = field(default_factory=dict)
    window_counts: dict[str, list[int]] = field(default_factory=dict)
    node_errors: dict[str, list] = field(default_factory=dict)
    traces: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    significance: list[dict[str, Any]] = field(default_factory=list)
    ranks: list[dict[str, Any]] = field(default_factory=list)
    ablation: dict[str, Any] = field(default_factory=dict)
    conditions: list[dict[str, Any]] = field(default_factory=list)
    where: dict[str, Any] = field(default_factory=dict)
    intervals: list[dict[str, Any]] = field(default_factory=list)
    audit: list[dict[str, Any]] = field(default_factory=list)
    budget: dict[str, Any] = field(default_factory=dict)
    inferred: list[str] = field(default_factory=list)

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

    def verdict(self, kind: str, *, horizon: int, metric: str = "mae") -> list[dict[str, Any]]:
        """The verdicts of one kind at one horizon and metric."""
        return [v for v in self.verdicts if (v["kind"], v["horizon"], v["metric"]) == (kind, horizon, metric)]

    def save(self, directory: str | Path) -> None:
        """Write `rows.csv`, the same as `rows.parquet`, and `results.json` (all the rest) into `directory`.

        The folder is made when it is missing.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.rows.to_csv(directory / "rows.csv", index=False)
        self.rows.to_parquet(directory / "rows.parquet", index=False)
        document: dict[str, Any] = {"format": FORMAT, "gnnkit_results": True}
        for name in _JSON_FIELDS:
            document[name] = getattr(self, name)
        for name in _TABLE_FIELDS:
            document[name] = getattr(self, name).to_dict(orient="list")
        text = json.dumps(_plain(document), allow_nan=False, separators=(",", ":"))
        (directory / "results.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> "Results":
        """Read what `save` wrote, in this layout or an earlier one; what an earlier one does not have is empty.

        Raises:
            FileNotFoundError: `directory` has no `results.json` or no `rows.csv`.
            ValueError: `results.json` is not one of gnnkit's, or is of a later layout.
        """
        directory = Path(directory)
        for name in ("results.json", "rows.csv"):
            if not (directory / name).is_file():
                raise FileNotFoundError(f"{directory} holds no {name}: it is not the output of `gnnkit compare`")
        document = json.loads((directory / "results.json").read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("gnnkit_results") is not True:
            raise ValueError(
                f"{directory / 'results.json'} was not written by `gnnkit compare`; give one of its folders"
            )
        if document["format"] > FORMAT:
            raise ValueError(
                f"{directory / 'results.json'} has layout {document['format']}; this gnnkit reads up to {FORMAT}: "
                f"update gnnkit"
            )
        rows = pd.read_csv(directory / "rows.csv", dtype="str", keep_default_na=False)
        for name in rows.columns.difference(_TEXT_COLUMNS):
            rows[name] = _numbers(rows[name].tolist())
        for name, value in _ADDED_COLUMNS.items():
            if name not in rows:
                rows[name] = value
        tables = {name: pd.DataFrame(document[name]) for name in _TABLE_FIELDS}
        fields = {name: document[name] for name in _JSON_FIELDS if name in document or document["format"] == FORMAT}
        if document["format"] < 3:
            _by_older_rules(fields)
        return cls(rows=pd.DataFrame(rows, columns=ROW_COLUMNS), **tables, **fields)


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
_TABLE_FIELDS = ("curves", "step_errors")
_JSON_FIELDS = (
    *("spec", "environment", "data", "window_errors", "seed_window_errors", "seed_window_squared", "window_counts"),
    *("node_errors", "traces", "verdicts", "notes", "failures", "significance", "ranks", "ablation", "conditions"),
    *("where", "intervals", "audit", "budget", "inferred"),
)


def _by_older_rules(fields: dict[str, Any]) -> None:
    """Bring what gnnkit found up to layout 2 into today's fields, and tell the reader by which rules it was found.

    Its marks follow intervals that no correction widened, beside p values that one did. Sentences that say of the graph
    what was tested of two models are left out.
    """
    fields["verdicts"] = [verdict for verdict in fields.get("verdicts", []) if verdict["kind"] != "graph"]
    for test in (*fields.get("significance", []), *fields.get("ablation", {}).get("tests", [])):
        test["p"] = test.get("dm_p_holm")
    for test in fields.get("significance", []):
        test["question"] = test["against"] if test["against"] in ("last-value", "seasonal-naive") else "best"
    fields["notes"] = [OLDER_RULES, *fields.get("notes", [])]


def _numbers(texts: list[str]) -> list[int] | list[float]:
    """Numbers as they were written, bit for bit, which read_csv's own parser does not promise; empty is NaN."""
    if all(text.lstrip("-").isdigit() for text in texts):
        return [int(text) for text in texts]
    return [float(text) if text else math.nan for text in texts]


def _plain(value: Any) -> Any:
    """JSON values: NaN and infinities become null, numpy scalars become Python's, keys become strings."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)
