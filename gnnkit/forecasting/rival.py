"""A rival with fit and predict: any forecaster that is no module, on the windows that all models have."""

from __future__ import annotations

import inspect
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor, nn

from gnnkit.data import GraphSeries, Scaler, SeriesStore, Windows, WindowSplits, clock_features
from gnnkit.forecasting.rival_windows import RivalWindows
from gnnkit.temporal import MODELS, WrongForecast
from gnnkit.training import FitProgress, FitResult, TrainingSettings, isolated_seed, seed_everything
from gnnkit.training.memory import PeakMemory

__all__ = ["FittedRival", "Rival", "build_rival", "fit_rival", "forecast_rival", "keeps_itself", "predict_rival"]

_PEEK = 1e-4
"""Training deviations by which a forecast may change when later windows are left out: rounding, and no more."""


class Rival(Protocol):
    """What a class offers to be a rival; it knows nothing of torch, scalers or epochs.

    Its constructor gets by name what it names of `in_channels`, `hidden_channels`, `horizon`, `history`, `num_nodes`,
    `time_channels`, `edge_index` and `edge_weight` (arrays), `seed` and `max_seconds` (None: no limit). All else in it
    is a setting. `uses_graph` says whether the graph makes a difference to it (default: whether its constructor or
    `fit` names one). `num_parameters` says how many numbers it learned (default 0).
    """

    def fit(self, train: RivalWindows, validation: RivalWindows) -> Any:
        """Learn. What else it names of `edge_index`, `edge_weight`, `seed` and `max_seconds` it gets by name."""
        ...

    def predict(self, windows: RivalWindows) -> ArrayLike:
        """Forecast in the data's unit: `[W, P, N]`, or `[W · N, P]`, the rows those of `windows.frame`."""
        ...


class FittedRival(nn.Module):
    """A rival in the place of a module, so that it is kept beside the data's side of it. It is not called.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        rival: the fitted one; None (default): it is not there yet.
    """

    def __init__(self, model: str, rival: Rival | None = None) -> None:
        super().__init__()
        self.model, self.rival = model, rival


def keeps_itself(rival: Any) -> bool:
    """Whether a rival can be kept: its class has `save(self, folder)` and a classmethod `load(cls, folder)`."""
    return callable(getattr(rival, "save", None)) and callable(getattr(type(rival), "load", None))


def build_rival(
    model: str,
    sizes: Mapping[str, Any],
    training: TrainingSettings,
    own: Mapping[str, Any] | None = None,
    *,
    series: GraphSeries | None = None,
) -> Rival:
    """Make a rival that was not fitted yet.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        sizes: from `gnnkit.forecasting.model_sizes`, and `hidden_channels`.
        training: its seed and its limit of seconds.
        own: the model's own settings.
        series: whose graph it gets; None: the one of the sizes, without weights.

    Raises:
        ValueError: a setting that the model does not have, or one that it needs.
    """
    given = {**sizes, "seed": training.seed, "max_seconds": training.max_seconds}
    edges = sizes.get("edge_index")
    given["edge_index"] = np.zeros((2, 0), dtype=np.int64) if edges is None else edges.cpu().numpy()
    given["edge_weight"] = np.ones(given["edge_index"].shape[1], dtype=np.float32)
    if series is not None:
        given |= {"edge_index": series.edge_index.cpu().numpy(), "edge_weight": series.edge_weight.cpu().numpy()}
    return MODELS[model].make(given, own or {})


def fit_rival(
    model: str,
    series: GraphSeries,
    windows: WindowSplits,
    training: TrainingSettings,
    sizes: Mapping[str, Any],
    own: Mapping[str, Any] | None = None,
    *,
    progress: FitProgress | None = None,
) -> tuple[Rival, FitResult, Tensor]:
    """Make a rival, let it fit, and score it on the validation windows as every model is scored.

    The random states of Python, NumPy and torch are seeded first.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        series: the data with their graph.
        windows: training and validation windows; it sees no others.
        training: its seed and its limit of seconds.
        sizes: from `gnnkit.forecasting.model_sizes`, and `hidden_channels`.
        own: the model's own settings.
        progress: told that a fit of one step begins and ends; None: quiet.

    Returns:
        The rival, what the fit did (no epochs), and its forecasts of the validation windows, `[W, P, N]`.

    Raises:
        FloatingPointError: a forecast is not finite.
        WrongForecast: `predict` gives another shape, or reads what comes after a window.
    """
    with _seeded(training.seed):
        return _fit_rival(
            model, series, windows, training, build_rival(model, sizes, training, own, series=series), progress
        )


def _fit_rival(
    model: str,
    series: GraphSeries,
    windows: WindowSplits,
    training: TrainingSettings,
    rival: Rival,
    progress: FitProgress | None,
) -> tuple[Rival, FitResult, Tensor]:
    train, val = (RivalWindows(series, part, targets=True) for part in (windows.train, windows.val))
    memory, start = PeakMemory(torch.device("cpu")), time.perf_counter()
    if progress:
        progress.begin_fit(1)
    try:
        offered = {"seed": training.seed, "max_seconds": training.max_seconds}
        offered |= {"edge_index": train.edge_index, "edge_weight": train.edge_weight}
        _call_fit(rival, train, val, offered)
        seconds = time.perf_counter() - start
        predicted = predict_rival(model, rival, series, windows.val)
        _check_no_peek(model, rival, series, windows, predicted)
        y, observed = windows.val.targets()
        error = float(torch.where(observed, predicted - y, 0.0).abs().sum(dtype=torch.float64) / observed.sum())
        if progress:
            progress.step(epoch=1, loss=math.nan, val_mae=error)
    finally:
        if progress:
            progress.end_fit()
    result = FitResult(
        epochs=[],
        best_epoch=0,
        best_val_mae=error,
        wall_seconds=seconds,
        epoch_seconds=math.nan,
        peak_memory_mb=memory.megabytes(),
        parameters=_num_parameters(rival),
        stopped="epochs",
    )
    return rival, result, predicted


def predict_rival(
    model: str, rival: Rival, series: GraphSeries, windows: Windows, *, count: int | None = None
) -> Float[Tensor, "W P N"]:
    """Forecasts of a fitted rival for every window, or the first `count` of them, in the data's unit.

    Raises:
        FloatingPointError: one is not finite.
        WrongForecast: it gives another shape.
    """
    asked = RivalWindows(series, windows, targets=False, count=count)
    given = rival.predict(asked)
    found = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    wanted = (len(asked), asked.horizon, len(asked.node_names))
    if found.shape == (wanted[0] * wanted[2], wanted[1]):
        found = found.reshape(wanted[0], wanted[2], wanted[1]).transpose(0, 2, 1)
    if found.shape != wanted or not np.issubdtype(found.dtype, np.number):
        raise WrongForecast(
            f"model {model!r}: predict gives {list(found.shape)} of {found.dtype}, and should give numbers [W, P, N], "
            f"which is {list(wanted)}, or [W · N, P] in the rows of windows.frame()"
        )
    if not np.isfinite(found).all():
        share = 100 * float((~np.isfinite(found)).mean())
        raise FloatingPointError(
            f"{share:.3g}% of the numbers that predict gives are not finite: fill the gaps of the histories "
            "(windows.filled, or frame(fill=True)), or say what stands for them"
        )
    return torch.from_numpy(np.ascontiguousarray(found, dtype=np.float32))


def forecast_rival(
    model: str,
    rival: Rival,
    series: GraphSeries,
    fill: Float[Tensor, "N F"],
    *,
    history: int,
    horizon: int,
    time_features: bool = False,
    weekdays: Sequence[int] | None = None,
) -> Float[Tensor, "P N"]:
    """Forecasts of the P steps after the last row of a series.

    Args:
        model: the rival's name.
        rival: fitted.
        series: the latest rows.
        fill: what stands for a gap without a past, `[N, F]`.
        history: T.
        horizon: P.
        time_features: whether it sees time of day and weekday (default False).
        weekdays: what each weekday is told as, see `gnnkit.data.clock_features`.
    """
    rows = series.num_rows
    # After the last row come as many unknown ones as are to be forecast.
    unknown = torch.full((horizon, *series.values.shape[1:]), math.nan, dtype=series.values.dtype)
    longer = replace(series, values=torch.cat([series.values, unknown]))
    filled = []
    for row in longer.values:
        filled.append(torch.where(row.isnan(), filled[-1] if filled else fill, row))
    bits = torch.from_numpy(np.packbits(~longer.values.isnan().numpy(), axis=0))
    clock = clock_features(longer, weekdays=weekdays) if time_features else None
    store = SeriesStore(torch.stack(filled), bits, clock)
    rows = series.num_rows
    scaler = Scaler(torch.zeros(1, series.num_features), torch.ones(1, series.num_features), 1.0)
    windows = Windows(store, range(rows - history, rows + horizon), history=history, horizon=horizon, scaler=scaler)
    return predict_rival(model, rival, longer, windows)[0]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed all that a rival may draw from, and give the caller's random states back."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002 - many libraries draw from it
    with isolated_seed(seed):
        seed_everything(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)  # noqa: NPY002


def _call_fit(rival: Rival, train: RivalWindows, validation: RivalWindows, offered: Mapping[str, Any]) -> None:
    """Call `fit` with its windows by place, and by name with what else it names."""
    parameters = list(inspect.signature(rival.fit).parameters.values())
    named = {p.name: offered[p.name] for p in parameters if p.name in offered}
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    several = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
    placed = sum(p.kind in by_place and p.name not in offered for p in parameters)
    windows = (train, validation)[: 2 if several else placed]
    fit: Any = rival.fit
    fit(*windows, **named)


def _check_no_peek(
    model: str, rival: Rival, series: GraphSeries, windows: WindowSplits, predicted: Float[Tensor, "W P N"]
) -> None:
    """Refuse forecasts that change when the windows after them are left out: the history of one holds what was to be
    forecast before it."""
    some = max(1, len(predicted) // 2)
    alone = predict_rival(model, rival, series, windows.val, count=some)
    least = _PEEK * windows.scaler.target_deviation
    if torch.allclose(alone, predicted[:some], rtol=_PEEK, atol=least):
        return
    again = predict_rival(model, rival, series, windows.val, count=some)
    if torch.allclose(alone, again, rtol=_PEEK, atol=least):  # else it draws its forecasts: nothing can be said
        raise WrongForecast(
            f"model {model!r}: predict gives other forecasts of the same windows when those after them are left out, "
            "so it reads what comes later; forecast each window from its own history"
        )


def _num_parameters(rival: Any) -> int:
    count: Any = getattr(rival, "num_parameters", 0)
    found: Any = count() if callable(count) else count
    return int(found)
