"""What is asked of a comparison, checked before anything is read or trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gnnkit.compare.leakage.audit import CAUSES
from gnnkit.compare.spec.inputs import a_path, names_of_models, some_values
from gnnkit.compare.spec.problems import Key, SpecProblems, key_text, nearest, one_line, spec_problems
from gnnkit.compare.spec.settings import check_settings
from gnnkit.data import DATASETS
from gnnkit.temporal import MODELS
from gnnkit.training import TrainingSettings, resolve_device

__all__ = ["DEFAULT_MODELS", "ComparisonSpec", "FinalSpec", "make_spec", "resolve"]

Value = TypeVar("Value")
BudgetKind = Literal["epochs", "seconds", "parameters", "trials"]
OnePath = Annotated[Path | None, BeforeValidator(a_path)]
Share = Annotated[float, Field(allow_inf_nan=False)]

DEFAULT_MODELS = ("lstm", "bilstm", "gru", "gcn", "tgcn")
_OWN_FILES = ("graph_format", "target", "unit", "step_minutes", "season", "missing_values", "decimal")


class ComparisonSpec(BaseModel, frozen=True):
    """One comparison: a data set, models, seeds and one budget for all of them.

    Every model is trained once a seed, to predict max(`horizons`) steps, and scored at each horizon. `make_spec` builds
    one from arguments and `read_spec` from a file, both with errors of one line.

    Args: the text below each field says what it is; `gnnkit compare --schema` prints them all.

    Raises:
        pydantic.ValidationError: a value is not allowed.
    """

    # The text below a field is its description, in the JSON schema too: it is written once.
    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)

    data: str | None = None
    """A data set of `gnnkit list`; none: the simulated network, or your own files where `series` is given."""
    data_root: Path | None = None
    """Folder with the data set's files; none: GNNKIT_DATA, else a download."""
    data_options: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the data set's loader, e.g. num_nodes = 16 for the simulated one."""
    series: OnePath = None
    """Your own series: a CSV, Parquet or NPZ file of time × nodes."""
    graph: OnePath = None
    """Its graph: a CSV matrix, an edge list or an NPZ file."""
    graph_format: Literal["auto", "matrix", "edges"] | None = None
    """Format of a CSV graph; none: look."""
    target: int | None = Field(default=None, ge=0)
    """Number of the feature to predict, where there are several; none: the first."""
    unit: str | None = None
    """Unit of the target, for the report."""
    step_minutes: float | None = Field(default=None, gt=0)
    """Minutes in a row of your own files."""
    season: int | None = Field(default=None, ge=2)
    """Rows in a season of your own files, e.g. 288 for days of 5-minute rows."""
    missing_values: Annotated[tuple[float | str, ...] | None, BeforeValidator(some_values)] = None
    """What stands for a missing value in your own files, beside empty cells and NaN, e.g. -200 or 9999."""
    decimal: Literal[".", ","] | None = None
    """What stands before decimals in your own series; none: found out from its numbers."""
    split: tuple[float, float, float] | None = None
    """Shares of the rows for training, validation and test, in order of time; none: the data set's own, or 0.7, 0.1,
    0.2."""
    history: int | None = Field(default=None, ge=1)
    """Rows that a model sees; none: chosen for the data (12 for the known data sets)."""
    horizons: tuple[int, ...] | None = None
    """Steps ahead that are scored, positive and none twice; none: chosen for the data (3, 6, 12 for the known ones)."""
    models: Annotated[tuple[str, ...], BeforeValidator(names_of_models)] = DEFAULT_MODELS
    """Models of `gnnkit list`."""
    settings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Settings of single models, by model: hidden_channels, learning_rate, weight_decay, or the model's own."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; every model is trained once with each."""
    hidden_channels: int = Field(default=16, ge=1)
    """Width of every model that `settings` gives no other."""
    residual: bool | None = None
    """True: every model predicts the change from the last value; false: the value itself; none: chosen by the
    training and validation rows."""
    time_features: bool = False
    """True: every model also sees time of day and weekday."""
    scaler: Literal["standard", "max", "max-node", "max-all", "max-node-all"] = "standard"
    """Scaler of the inputs, fitted on the training rows: by mean and deviation, or by the largest value, of each node
    or of all. "max-all" and "max-node-all" are fitted on all rows, a leak that `allow_leaks` must allow."""
    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall-clock limit of each fit in seconds; none: no limit. Needed by the budget "seconds"."""
    parameters: int | None = Field(default=None, ge=1)
    """Parameters of every model with the budget "parameters"; none: those of the first model at its width."""
    trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of every model with the budget "trials", each trained as a fit is, with the first seed."""
    budget: BudgetKind = Field(
        default_factory=lambda fields: _budget_of(fields), json_schema_extra={"default": "epochs"}
    )
    """What is the same for every model: epochs; wall seconds of a fit (`max_seconds`); parameters, by a width that is
    found for each model; or trials of a random search on the validation rows."""
    epochs: int = Field(
        default_factory=lambda fields: 1000 if fields.get("budget") == "seconds" else 8,
        ge=1,
        json_schema_extra={"default": 8},
    )
    """Most epochs of a fit; a small number by default: on the validation rows of the simulated network 20 epochs gain
    a GRU 2%. With the budget "seconds", 1000 where none are given."""
    batch_size: int = Field(default=32, ge=1)
    """Windows in a step."""
    learning_rate: float = Field(default=5e-3, gt=0, allow_inf_nan=False)
    """Learning rate of Adam, at the start."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """L2 penalty in Adam."""
    clip: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Largest norm of the gradient."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation MAE before training stops."""
    loss: Literal["mae", "mse", "huber"] = "mae"
    """What training lowers; with the intervals "quantile" it is the pinball loss, and no other can be asked for."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Of the learning rate: it falls to 0 over `epochs`, or over `max_seconds` where these end first, or stays."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Precision, as in Lightning Fabric."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of each fit on the processor; none: chosen. The same number gives the same rows, byte for byte."""
    ablate_graph: tuple[str, ...] = ()
    """Graph models that are also trained on other graphs (none, shuffled, random, complete, learned): does the graph
    matter? "all": every graph model of `models`."""
    train_shares: tuple[Share, ...] = ()
    """Shares of the training rows, above 0 to 1, the latest of which models are also trained on."""
    hidden_shares: tuple[Share, ...] = ()
    """Shares of the inputs, from 0 to below 1, that outages of sensors also hide; targets stay."""
    intervals: Literal["conformal", "quantile"] = "conformal"
    """How prediction intervals are made: from the errors on the validation rows, or by quantile heads."""
    coverage: float = Field(default=0.9, gt=0, lt=1)
    """Share of the targets that a prediction interval should hold."""
    allow_leaks: tuple[str, ...] = ()
    """Causes of the leakage audit that may fail, to reproduce a published protocol; they label the rows."""
    resamples: int = Field(default=2000, ge=100)
    """Bootstrap resamples for the intervals of groups of targets: where the errors of two models differ."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence of the intervals of differences."""

    @field_validator("data")
    @classmethod
    def _known_data(cls, name: str | None) -> str | None:
        if name is not None and name not in DATASETS:
            raise ValueError(f"unknown data set {name!r}{nearest(name, DATASETS)}")
        return name

    @field_validator("split")
    @classmethod
    def _whole_split(cls, shares: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if shares and not (all(share > 0 for share in shares) and math.isclose(sum(shares), 1, abs_tol=1e-6)):
            text = ", ".join(f"{share:g}" for share in shares)
            raise ValueError(f"{text} are not three positive shares with sum 1; give e.g. 0.7, 0.1, 0.2")
        return shares

    @field_validator("models")
    @classmethod
    def _known_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"no model is named; choose from {', '.join(MODELS)}")
        wrong = [(i, name) for i, name in enumerate(names) if name not in MODELS]
        if wrong:
            raise SpecProblems([((i,), f"unknown model {name!r}{nearest(name, MODELS)}") for i, name in wrong])
        return _distinct(names, "a model")

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, settings: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        return check_settings(settings, info.data.get("models", tuple(MODELS)))

    @field_validator("horizons")
    @classmethod
    def _sorted_horizons(cls, steps: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if steps is None:
            return None
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

    @field_validator("ablate_graph", mode="before")
    @classmethod
    def _all_graph_models(cls, names: Any, info: ValidationInfo) -> Any:
        if names == "all" or (isinstance(names, (list, tuple)) and list(names) == ["all"]):
            names = [name for name in info.data.get("models", ()) if MODELS[name].family == "graph"]
            if not names and "models" in info.data:
                raise ValueError("models names no graph model; add one, e.g. tgcn, or leave ablate_graph out")
        return tuple(names) if isinstance(names, list) else names

    @field_validator("ablate_graph")
    @classmethod
    def _graph_models(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = [name for name in info.data.get("models", MODELS) if MODELS[name].family == "graph"]
        wrong = [(i, name) for i, name in enumerate(names) if name not in known]
        if wrong:
            text = "is none of the graph models that are compared"
            raise SpecProblems([((i,), f"{name!r} {text}{nearest(name, known or ['all'])}") for i, name in wrong])
        return _distinct(names, "a model")

    @field_validator("train_shares", "hidden_shares")
    @classmethod
    def _shares(cls, shares: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        of_rows = info.field_name == "train_shares"
        for share in shares:
            if of_rows and not 0 < share <= 1:
                raise ValueError(f"{share:g} is not a share above 0, at most 1; give e.g. 0.1,0.3,1")
            if not of_rows and not 0 <= share < 1:
                raise ValueError(f"{share:g} is not a share of at least 0 and below 1; give e.g. 0,0.2,0.5")
        return tuple(sorted(_distinct(shares, "a share")))

    @field_validator("allow_leaks")
    @classmethod
    def _known_causes(cls, causes: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [(i, cause) for i, cause in enumerate(causes) if cause not in CAUSES]
        if wrong:
            raise SpecProblems(
                [((i,), f"{cause!r} is no cause of a leak{nearest(cause, CAUSES)}") for i, cause in wrong]
            )
        return _distinct(causes, "a cause")

    @model_validator(mode="after")
    def _one_source(self) -> ComparisonSpec:
        found: list[tuple[Key, str]] = []
        if self.series is not None and self.data is not None:
            found.append(((), f"both data ({self.data}) and series ({self.series}) are given; give one of them"))
        if self.series is None and self.graph is not None:
            found.append(((), "graph is given without series; give the file of the series too"))
        given = [name for name in _OWN_FILES if getattr(self, name) is not None]
        if self.series is None and given:
            found.append(((), f"{', '.join(given)}: only for your own files; give series, or leave it out"))
        unused = [name for name in ("data_root", "data_options") if getattr(self, name)]
        if self.series is not None and unused:
            found.append(((), f"{', '.join(unused)}: only for a known data set, not for series; leave it out"))
        for name in ("series", "graph"):
            path = getattr(self, name)
            if path is not None and path.is_dir():
                found.append(((name,), f"{path} is a folder; give a file"))
            elif path is not None and not path.is_file():
                found.append(((name,), f"no such file: {path}"))
        if found:
            raise SpecProblems(found)
        return self

    @model_validator(mode="after")
    def _one_loss(self) -> ComparisonSpec:
        if self.intervals == "quantile" and self.loss != "mae":
            text = f"{self.loss!r} cannot be lowered with intervals 'quantile', which train on the pinball loss"
            raise SpecProblems([(("loss",), f"{text}; leave one of them out")])
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> ComparisonSpec:
        found: list[tuple[Key, str]] = []
        for name in ("parameters", "trials"):
            if getattr(self, name) is not None and self.budget != name:
                found.append(((name,), f"only with the budget {name!r}, which is {self.budget!r}; leave one out"))
        for kind, name, example in (("seconds", "max_seconds", "60"), ("trials", "trials", "10")):
            if self.budget == kind and getattr(self, name) is None:
                found.append((("budget",), f"{kind!r} needs {name}; give it, e.g. {example}"))
        for model, settings in self.settings.items():
            if self.budget == "parameters" and "hidden_channels" in settings:
                text = "the width is found by the budget 'parameters'; leave it out"
                found.append((("settings", model, "hidden_channels"), text))
        if found:
            raise SpecProblems(found)
        return self

    def width(self, model: str) -> int:
        """The width that is asked of a model."""
        return self.settings.get(model, {}).get("hidden_channels", self.hidden_channels)

    def training_settings(self, seed: int) -> TrainingSettings:
        """The training settings of one run, but for what `settings` says of its model."""
        names = ("epochs", "batch_size", "learning_rate", "weight_decay", "clip", "patience", "loss", "schedule")
        values = {name: getattr(self, name) for name in (*names, "max_seconds", "device", "precision")}
        return TrainingSettings(seed=seed, **values)

    def to_json(self) -> dict[str, Any]:
        """Everything that was asked for, as JSON values."""
        return self.model_dump(mode="json")


class FinalSpec(ComparisonSpec, frozen=True):
    """A spec in which nothing is open: `resolve` makes it."""

    history: int = Field(default=12, ge=1)
    """Rows that a model sees."""
    horizons: tuple[int, ...] = (3, 6, 12)
    """Steps ahead that are scored."""
    residual: bool = True
    """True: every model predicts the change from the last value; false: the value itself."""
    reach_back: bool = Field(default=False, exclude=True)
    """Whether the first histories of validation and test lie in the rows before (see `make_windows`); it follows from
    the data."""


def make_spec(**values: Any) -> ComparisonSpec:
    """Build a `ComparisonSpec`, with errors that fit on one line.

    Args:
        values: the arguments of `ComparisonSpec`.

    Raises:
        ValueError: a value is not allowed; the message names the argument, the value and what is allowed, for up to
            three arguments.

    Example:
        >>> make_spec(models=["lstm", "tgcn"], horizons=[12, 3]).horizons
        (3, 12)
    """
    try:
        return ComparisonSpec(**values)
    except ValidationError as error:
        found = spec_problems(error, ComparisonSpec.model_fields)
        raise ValueError(one_line([f"{key_text(key)}: {text}" if key else text for key, text in found])) from None


def resolve(
    spec: ComparisonSpec,
    *,
    history: int = 12,
    horizons: tuple[int, ...] = (3, 6, 12),
    reach_back: bool = False,
    residual: bool = True,
) -> FinalSpec:
    """The final spec: a history and horizons that were left open are filled in.

    Args:
        spec: what was asked for; what it says stays.
        history: for a spec without one, as chosen for the data (default 12).
        horizons: likewise (default 3, 6, 12).
        reach_back: whether the first histories of validation and test lie in the rows before (default False).
        residual: for a spec that leaves the form open, as chosen for the data (default True).

    Example:
        >>> resolve(make_spec(horizons=[5]), history=8, horizons=(1, 2)).horizons
        (5,)
    """
    values = dict(spec)
    values["history"] = history if spec.history is None else spec.history
    values["horizons"] = tuple(sorted(horizons)) if spec.horizons is None else spec.horizons
    values["reach_back"] = reach_back
    values["residual"] = residual if spec.residual is None else spec.residual
    return FinalSpec.model_construct(**values)


def _budget_of(fields: dict[str, Any]) -> BudgetKind:
    """What is the same for every model where nothing says it: whatever a number is given for."""
    if fields.get("parameters") is not None:
        return "parameters"
    return "epochs" if fields.get("trials") is None else "trials"


def _distinct(values: tuple[Value, ...], what: str) -> tuple[Value, ...]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice; give {what} once")
    return values
