"""The settings of one fit: data, windows and training. A comparison has the same ones for every model."""

from __future__ import annotations

import math
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from gnnkit.settings.declared import Settings, Written, distinct
from gnnkit.settings.problems import Key, SpecProblems

__all__ = [
    "PATHS",
    "DataFields",
    "FitFields",
    "FoldFields",
    "SeenFields",
    "ThreadFields",
    "TrainingFields",
    "WindowFields",
]

_OWN_FILES = ("series", "graph", "places", "covariates")
_OWN_OPTIONS = (
    *("target", "known_ahead", "time_column", "node_column", "leave_out", "graph_from", "graph_weights"),
    *("graph_format", "neighbours", "places_unit", "unit", "step_minutes", "season", "missing_values", "decimal"),
)
PATHS = ("data_root", *_OWN_FILES)
"""Fields that hold a path."""


def _a_path(value: Any) -> Any:
    """A path; what is in memory is refused, with the way that there is for it."""
    if value is None or isinstance(value, (str, PathLike)):
        return value
    raise ValueError(
        f"a {type(value).__name__} is no path; what is in memory goes to the run: run(spec, "
        f"series=gnnkit.data.read_own(series, graph))"
    )


def _some_values(values: Any) -> Any:
    """One value, or several."""
    alone = isinstance(values, (int, float, str)) and not isinstance(values, bool)
    return (values,) if alone else tuple(values) if isinstance(values, list) else values


OnePath = Annotated[Path | None, BeforeValidator(_a_path)]


class DataFields(Settings, frozen=True):
    """Where the data are, and how they are read."""

    panel: ClassVar[str] = "Data"

    data: str | None = None
    """A data set of `gnnkit list`; none: the simulated network, or your own files where `series` is given."""
    data_root: Path | None = None
    """Folder with the data set's files; none: GNNKIT_DATA, else a download."""
    data_options: Annotated[dict[str, Any], Written(("--data-option",), repeated=True, example="num_nodes=16")] = Field(
        default_factory=dict
    )
    """Further arguments of the data set's loader, e.g. num_nodes = 16 for the simulated one."""
    series: OnePath = None
    """Your own series: a CSV, Parquet or NPZ file of time × nodes, or a CSV or Parquet file with a row for each time
    and node; or an NPY file of float32, which is mapped and may be larger than memory."""
    graph: OnePath = None
    """Its graph: a CSV matrix, an edge list or an NPZ file."""
    graph_format: Literal["auto", "matrix", "edges"] | None = None
    """Format of a CSV graph; none: look."""
    graph_weights: Literal["similarity", "distance"] | None = None
    """What the weights of the graph are: similarities (larger is nearer) or distances, which go through a Gaussian
    kernel; none: similarities, and an error where they surely are distances."""
    places: OnePath = None
    """Where its nodes are: a CSV or Parquet file of node, latitude, longitude or node, x, y. With no graph, one is
    made of their distances."""
    places_unit: Literal["degrees", "m", "km"] | None = None
    """What places are given in; none: by their titles."""
    graph_from: Literal["places", "correlation"] | None = None
    """What a graph is made of where there is none: the distances of the places, or the correlations of the training
    rows; none: the places, if there are any."""
    neighbours: int | None = Field(default=None, ge=1)
    """Nearest nodes that each node is joined with in a graph that is made; none: all pairs by the Gaussian kernel of
    their distance, or 5 by correlation."""
    target: int | str | None = None
    """Feature to predict, where there are several, by name or number; none: the first."""
    covariates: OnePath = None
    """What stands beside the series: a CSV, Parquet or NPZ file with a row for each time and node, or a row a time and
    a column for each covariate, or for each node."""
    known_ahead: Annotated[tuple[str, ...], BeforeValidator(_some_values)] = ()
    """Covariates that are known before their time (holidays, a weather forecast): models see their values over the
    horizon too. The others are seen up to the time of the forecast."""
    time_column: str | None = None
    """Column of the times in your own series; none: found out."""
    node_column: str | None = None
    """Column of the nodes in a series with a row for each time and node; none: found out."""
    leave_out: Annotated[tuple[str, ...], BeforeValidator(_some_values)] = ()
    """Columns of your own series and covariates that are not read."""
    unit: str | None = None
    """Unit of the target, for the report."""
    step_minutes: float | None = Field(default=None, gt=0)
    """Minutes in a row of your own files; none: from their times."""
    season: int | None = Field(default=None, ge=2)
    """Rows in a season of your own files, e.g. 288 for days of 5-minute rows; none: chosen for the data."""
    missing_values: Annotated[
        tuple[float | str, ...] | None, BeforeValidator(_some_values), Written(("--missing-value",), repeated=True)
    ] = None
    """What stands for a missing value in your own files, beside empty cells and NaN, e.g. -200 or 9999."""
    decimal: Literal[".", ","] | None = None
    """What stands before decimals in your own series; none: found out from its numbers."""
    split: tuple[float, float, float] | None = None
    """Shares of the rows for training, validation and test, in order of time; none: the data set's own, or 0.7, 0.1,
    0.2."""

    @property
    def own_options(self) -> dict[str, Any]:
        """What is said of how your own files are read, by the arguments of `gnnkit.data.read_own`; the files too."""
        return {
            name: getattr(self, name) for name in (*_OWN_FILES, *_OWN_OPTIONS) if getattr(self, name) not in (None, ())
        }

    @field_validator("target")
    @classmethod
    def _a_feature(cls, target: int | str | None) -> int | str | None:
        if isinstance(target, int) and target < 0:
            raise ValueError(f"{target} is no feature; give its name, or its number, counted from 0")
        return target

    @field_validator("split")
    @classmethod
    def _whole_split(cls, shares: tuple[float, float, float] | None) -> tuple[float, float, float] | None:
        if shares and not (all(share > 0 for share in shares) and math.isclose(sum(shares), 1, abs_tol=1e-6)):
            text = ", ".join(f"{share:g}" for share in shares)
            raise ValueError(f"{text} are not three positive shares with sum 1; give e.g. 0.7, 0.1, 0.2")
        return shares

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        found: list[tuple[Key, str]] = []
        if self.series is not None and self.data is not None:
            found.append(((), f"both data ({self.data}) and series ({self.series}) are given; give one of them"))
        given = self.own_options
        files = [name for name in _OWN_FILES if name in given]
        options = [name for name in _OWN_OPTIONS if name in given]
        if self.series is None and files:
            verb = "is" if len(files) == 1 else "are"
            text = f"{' and '.join(files)} {verb} given without series; give the file of the series too"
            found.append(((), text))
        if self.series is None and options:
            found.append(((), f"{', '.join(options)}: only for your own files; give series, or leave it out"))
        unused = [name for name in ("data_root", "data_options") if getattr(self, name)]
        if self.series is not None and unused:
            found.append(((), f"{', '.join(unused)}: only for a known data set, not for series; leave it out"))
        for name in _OWN_FILES:
            path = getattr(self, name)
            if path is not None and path.is_dir():
                found.append(((name,), f"{path} is a folder; give a file"))
            elif path is not None and not path.is_file():
                found.append(((name,), f"no such file: {path}"))
        if found:
            raise SpecProblems(found)
        return self


class FoldFields(Settings, frozen=True):
    """How often the rows are split."""

    panel: ClassVar[str] = "Data"

    folds: int | None = Field(default=None, ge=1, le=50)
    """Rolling origins: each fold trains on the rows before its test rows, and the test rows of all folds follow each
    other over most of the series; none: 3 where the rows allow it, else 1, which is one split, that of the data set
    where it has one of its own."""


class SeenFields(Settings, frozen=True):
    """How far back a window goes, and how far ahead."""

    panel: ClassVar[str] = "Windows and width"

    history: int | None = Field(default=None, ge=1)
    """Rows that a model sees; none: chosen for the data (12 for the known data sets)."""
    horizons: Annotated[tuple[int, ...] | None, Written(("--horizon",))] = None
    """Steps ahead that are scored, positive and none twice; none: chosen for the data (3, 6, 12 for the known ones)."""

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
        return tuple(sorted(distinct(steps, "a horizon")))


class WindowFields(SeenFields, frozen=True):
    """What a model sees and predicts."""

    hidden_channels: Annotated[int, Written(("--hidden",))] = Field(default=16, ge=1)
    """Width of a model whose own settings give no other."""
    residual: bool | None = None
    """True: a model predicts the change from the last value; false: the value itself; none: chosen by the training and
    validation rows."""
    time_features: bool = False
    """True: a model also sees time of day and weekday."""
    scaler: Literal["standard", "max", "max-node", "max-all", "max-node-all"] = "standard"
    """Scaler of the inputs, fitted on the training rows: by mean and deviation, or by the largest value, of each node
    or of all. "max-all" and "max-node-all" are fitted on all rows, a leak that only a comparison can allow
    (`allow_leaks`)."""


class TrainingFields(Settings, frozen=True):
    """How a model is trained.

    The defaults are the same for `gnnkit train`, `gnnkit compare` and `gnnkit.training.fit`: a model that is kept is
    the one that was compared.
    """

    panel: ClassVar[str] = "Training"

    max_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Wall-clock limit of a fit in seconds; none: no limit. The epoch that it cuts short is validated."""
    epochs: int = Field(default=8, ge=1)
    """Most epochs of a fit; a small number by default: on the validation rows of the simulated network 20 epochs gain
    a GRU 2%. With the budget "seconds" of a comparison, 1000 where none are given."""
    batch_size: int = Field(default=32, ge=1)
    """Windows in a step."""
    learning_rate: float = Field(default=5e-3, gt=0, allow_inf_nan=False)
    """Learning rate of Adam, at the start."""
    weight_decay: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """L2 penalty in Adam."""
    clip: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Largest norm of the gradient."""
    patience: int = Field(default=5, ge=1)
    """Epochs without a better validation MAE before training stops; those in which a model does not yet learn all
    horizons do not count."""
    loss: Literal["mae", "mse", "huber"] = "mae"
    """What training lowers; with the intervals "quantile" of a comparison it is the pinball loss, and no other can be
    asked for."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Of the learning rate: it falls to 0 over `epochs`, or over `max_seconds` where these end first, or stays."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Precision, as in Lightning Fabric."""


class ThreadFields(Settings, frozen=True):
    """What a fit takes of the processor."""

    panel: ClassVar[str] = "Training"

    threads: int | None = Field(default=None, ge=1)
    """Threads of a fit on the processor; none: OMP_NUM_THREADS, else by its size. The same number gives the same rows,
    byte for byte."""


class FitFields(ThreadFields, TrainingFields, WindowFields, DataFields, frozen=True):
    """One fit: data, windows, training."""
