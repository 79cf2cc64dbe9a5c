"""From settings to data: the series that they name, what they leave open, and windows without a leak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from jaxtyping import Bool
from pydantic import Field
from torch import Tensor

from gnnkit.data import (
    GraphSeries,
    Scaler,
    WindowSplits,
    chronological_split,
    infer_settings,
    load,
    make_windows,
    read_own,
)
from gnnkit.data.clock import TIME_CHANNELS
from gnnkit.data.known_ahead import known_channels
from gnnkit.forecasting.forms import choose_form
from gnnkit.forecasting.settings import FitSettings

__all__ = [
    "FinalFit",
    "apply_split",
    "check_observed",
    "fit_windows",
    "fit_work",
    "load_series",
    "model_sizes",
    "settle",
]


class FinalFit(FitSettings, frozen=True):
    """Settings of a fit in which nothing is open: `settle` makes them."""

    history: int = Field(default=12, ge=1)
    horizons: tuple[int, ...] = (3, 6, 12)
    residual: bool = True
    reach_back: bool = Field(default=False, exclude=True)
    """Whether the first histories of validation and test lie in the rows before (see `make_windows`); it follows from
    the data."""


Final = TypeVar("Final", bound=FinalFit)


def load_series(settings: FitSettings) -> GraphSeries:
    """The data that settings name: a known data set, or your own files.

    Raises:
        ValueError: it cannot be read; the message says what is wrong with which file.
    """
    if settings.series is None:
        series = load(settings.data or "simulated", settings.data_root, **settings.data_options)
    else:
        series = read_own(**settings.own_options, split=settings.split)
    return apply_split(settings, series)


def apply_split(settings: FitSettings, series: GraphSeries) -> GraphSeries:
    """The series, split as the settings say; as it is where they say nothing."""
    if settings.split is None:
        return series
    return series.with_split(chronological_split(series.num_rows, settings.split))


def settle(
    settings: FitSettings, series: GraphSeries, final: type[Final] = FinalFit
) -> tuple[Final, GraphSeries, list[str]]:
    """Split a series as settings say, and fill in what they leave to the data: history, horizons, season, form.

    Args:
        settings: what was asked for; what it says stays.
        series: the data that it names.
        final: the class of the final settings (default `FinalFit`).

    Returns:
        The final settings, the series with its split and season, and sentences on what was inferred.

    Raises:
        TypeError: the series is none.
        ValueError: the series is too short for a window, or for what is asked.
    """
    if not isinstance(series, GraphSeries):
        raise TypeError(
            f"series: expected a GraphSeries, got a {type(series).__name__}; gnnkit.data.read_own(series, graph) makes "
            f"one of a data frame and a graph"
        )
    series = apply_split(settings, series)
    inferred = infer_settings(series, history=settings.history, horizons=settings.horizons)
    sentences, residual = list(inferred.sentences), settings.residual
    if residual is None:
        form = choose_form(series, max(inferred.horizons))
        residual = form.residual
        sentences.append(form.sentence)
    found = {"history": inferred.history, "horizons": inferred.horizons, "reach_back": inferred.reach_back}
    settled = final.model_construct(**{**dict(settings), **found, "residual": residual})
    return settled, replace(series, season=inferred.season), sentences


def fit_windows(
    settings: FinalFit,
    series: GraphSeries,
    *,
    scaler: Scaler | None = None,
    weekdays: Sequence[int] | None = None,
    hidden: Bool[Tensor, "L N"] | None = None,
    whole: bool = False,
) -> WindowSplits:
    """Training, validation and test windows; the scaler is fitted on the training rows, unless `scaler` says else.

    Args:
        settings: history, horizons, scaler, time features.
        series: the data with their split.
        scaler: a fitted one, in place of the settings'.
        weekdays: what each weekday is told as, see `gnnkit.data.clock_features`.
        hidden: values that models must not see (default: none).
        whole: True makes it an error that a split is too short for the longest horizon (default False: for the
            shortest).
    """
    return make_windows(
        series,
        history=settings.history,
        horizon=max(settings.horizons),
        min_horizon=None if whole else min(settings.horizons),
        scaler=settings.scaler if scaler is None else scaler,
        time_features=settings.time_features,
        reach_back=settings.reach_back,
        weekdays=weekdays,
        hidden=hidden,
    )


def fit_work(settings: FinalFit, series: GraphSeries) -> int:
    """Multiplications that a layer needs for a batch, B · T · N · C²: by it a fit takes threads (`fit_threads`).

    The same for all models of a comparison, whose seconds then mean the same.
    """
    return settings.batch_size * settings.history * series.num_nodes * settings.hidden_channels**2


def model_sizes(settings: FinalFit, series: GraphSeries) -> dict[str, Any]:
    """What settings and data make of a model, but for its width: arguments of `gnnkit.temporal.build_forecaster`."""
    time_channels = TIME_CHANNELS if settings.time_features else 0
    known = known_channels(len(series.known_ahead), settings.history, max(settings.horizons))
    return {
        "in_channels": series.num_features + known + time_channels,
        "time_channels": time_channels,
        "horizon": max(settings.horizons),
        "history": settings.history,
        "num_nodes": series.num_nodes,
        "edge_index": series.edge_index,
        "residual": settings.residual,
    }


def check_observed(series: GraphSeries, windows: WindowSplits) -> None:
    """Refuse a series of whose training, validation or test targets nothing is known.

    Raises:
        ValueError: there is no observed value among them; the message names the rows.
    """
    for part in ("train", "val", "test"):
        chosen = getattr(windows, part)
        first = chosen.rows.start + chosen.history + chosen.lead - 1  # each row from here on is a target
        if not chosen.store.observes_targets(range(first, chosen.rows.stop)):
            rows = series.split.parts[part]
            raise ValueError(
                f"the {part} split of {series.name} has no observed target in rows {rows.start} to {rows.stop - 1}; "
                f"give a series with values there"
            )
