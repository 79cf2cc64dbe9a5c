"""What is asked of a comparison, checked before anything is read or trained."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gnnkit.data import DATASETS
from gnnkit.temporal import MODELS
from gnnkit.training import TrainingSettings, resolve_device

__all__ = ["DEFAULT_MODELS", "ComparisonSpec", "make_spec"]

Value = TypeVar("Value")

DEFAULT_MODELS = ("lstm", "bilstm", "gru", "gcn", "tgcn")


class ComparisonSpec(BaseModel):
    """One comparison: a data set, models, seeds and one budget for all of them.

    Every model is trained once a seed, to predict max(`horizons`) steps, and scored at each horizon. `make_spec` builds
    one, with errors of one line.

    Args:
        data: a name of `gnnkit.data.DATASETS` (default `"simulated"`, or your own files where `series` is given).
        data_root: the folder with the data set's files; None: `GNNKIT_DATA`, else a download.
        data_options: further arguments of the data set's loader, e.g. `{"num_nodes": 16}` for the simulated one.
        series: your own series, a CSV, Parquet or NPZ file of time × nodes.
        graph: its graph, a CSV matrix, an edge list or an NPZ file.
        graph_format: of a CSV graph; None: look.
        target: number of the feature to predict, where there are several (default 0).
        unit: the unit of the target, for the report.
        step_minutes: minutes in a row.
        season: rows in a season, e.g. 288 for days of 5-minute rows.
        history: rows that a model sees (default 12).
        horizons: steps ahead that are scored (default 3, 6, 12); positive, sorted, none twice.
        models: names of `gnnkit.temporal.MODELS`.
        seeds: one training a seed and model (default 0, 1, 2).
        hidden_channels: width of every model (default 16).
        residual: True (default): every model predicts the change from the last value; False: the value itself.
        time_features: True: every model also sees time of day and weekday (default False).
        scaler: `"standard"` (default) or `"max"`.
        epochs, batch_size, learning_rate, patience: a small budget by default (8, 32, 0.005, 5). On the validation rows
            of the simulated network 20 epochs gain a GRU 2%, and twice the width with them another 1.5%.
        weight_decay, clip, loss, schedule, max_seconds, device, precision: as in `gnnkit.training.TrainingSettings`;
            `max_seconds` is for one fit.
        resamples: bootstrap resamples for the intervals (default 2000).
        confidence: of the intervals (default 0.95).

    Raises:
        pydantic.ValidationError: a value is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    data: str | None = None
    data_root: Path | None = None
    data_options: dict[str, Any] = Field(default_factory=dict)
    series: Path | None = None
    graph: Path | None = None
    graph_format: Literal["auto", "matrix", "edges"] | None = None
    target: int | None = Field(default=None, ge=0)
    unit: str | None = None
    step_minutes: float | None = Field(default=None, gt=0)
    season: int | None = Field(default=None, ge=2)
    history: int = Field(default=12, ge=1)
    horizons: tuple[int, ...] = (3, 6, 12)
    models: tuple[str, ...] = DEFAULT_MODELS
    seeds: tuple[int, ...] = (0, 1, 2)
    hidden_channels: int = Field(default=16, ge=1)
    residual: bool = True
    time_features: bool = False
    scaler: Literal["standard", "max"] = "standard"
    epochs: int = Field(default=8, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=5e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    clip: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    patience: int = Field(default=5, ge=1)
    loss: Literal["mae", "mse"] = "mae"
    schedule: Literal["cosine", "constant"] = "cosine"
    max_seconds: float | None = Field(default=None, gt=0)
    device: str = "auto"
    precision: Literal["32-true", "64-true", "16-mixed", "bf16-mixed", "bf16-true", "16-true"] = "32-true"
    resamples: int = Field(default=2000, ge=100)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)

    @field_validator("data")
    @classmethod
    def _known_data(cls, name: str | None) -> str | None:
        if name is not None and name not in DATASETS:
            raise ValueError(f"unknown data set {name!r}{_nearest(name, DATASETS)}")
        return name

    @field_validator("models")
    @classmethod
    def _known_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"no model is named; choose from {', '.join(MODELS)}")
        for name in names:
            if name not in MODELS:
                raise ValueError(f"unknown model {name!r}{_nearest(name, MODELS)}")
        return _distinct(names, "a model")

    @field_validator("horizons")
    @classmethod
    def _sorted_horizons(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not steps:
            raise ValueError("no horizon is given; give steps ahead, e.g. 3,6,12")
        for step in steps:
            if step < 1:
                raise ValueError(f"{step} is not a number of steps ahead; give positive whole numbers, e.g. 3,6,12")
        return tuple(sorted(_distinct(steps, "a horizon")))

    @field_validator("seeds")
    @classmethod
    def _usable_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("no seed is given; give a count (3) or a list (0,24,42)")
        for seed in seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"{seed} is not a seed; give whole numbers from 0 to {2**32 - 1}")
        return _distinct(seeds, "a seed")

    @field_validator("device")
    @classmethod
    def _present_device(cls, device: str) -> str:
        resolve_device(device)
        return device

    @model_validator(mode="after")
    def _one_source(self) -> "ComparisonSpec":
        if self.series is not None and self.data is not None:
            raise ValueError(f"both data ({self.data}) and series ({self.series}) are given; give one of them")
        if self.series is None and self.graph is not None:
            raise ValueError("graph is given without series; give the file of the series too")
        own = ("graph_format", "target", "unit", "step_minutes", "season")
        given = [name for name in own if getattr(self, name) is not None]
        if self.series is None and given:
            raise ValueError(f"{', '.join(given)}: only for your own files; give series, or leave it out")
        for name in ("series", "graph"):
            path = getattr(self, name)
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: no such file: {path}")
        return self

    def training_settings(self, seed: int) -> TrainingSettings:
        """The training settings of one run."""
        names = [
            "epochs",
            "batch_size",
            "learning_rate",
            "weight_decay",
            "clip",
            "patience",
            "loss",
            "schedule",
            "max_seconds",
            "device",
            "precision",
        ]
        return TrainingSettings(seed=seed, **{name: getattr(self, name) for name in names})

    def to_json(self) -> dict[str, Any]:
        """Everything that was asked for, as JSON values."""
        return self.model_dump(mode="json")


def make_spec(**values: Any) -> ComparisonSpec:
    """Build a `ComparisonSpec`, with errors that fit on one line.

    Args:
        values: the arguments of `ComparisonSpec`.

    Raises:
        ValueError: a value is not allowed; the message names the argument, the value and what is allowed.

    Example:
        >>> make_spec(models=["lstm", "tgcn"], horizons=[12, 3]).horizons
        (3, 12)
    """
    try:
        return ComparisonSpec(**values)
    except ValidationError as error:
        raise ValueError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"there is no such setting{_nearest(where, ComparisonSpec.model_fields)}"
    elif first["type"] != "value_error":
        # pydantic's own messages do not show the value.
        message = f"{first['input']!r} is not allowed: {message[:1].lower()}{message[1:]}"
    return f"{where}: {message}" if where else message


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return (
        f"; did you mean {near[0]!r}? " + f"Known: {', '.join(known)}" if near else f"; choose from {', '.join(known)}"
    )


def _distinct(values: tuple[Value, ...], what: str) -> tuple[Value, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice; give {what} once")
    return values
