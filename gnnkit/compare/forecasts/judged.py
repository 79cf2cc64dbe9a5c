"""Judge forecasts that were made elsewhere: against the baselines, and against each other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.folds import Fold
from gnnkit.compare.forecasts.align import Aligned, align
from gnnkit.compare.forecasts.read import read_forecasts
from gnnkit.compare.judge import judge
from gnnkit.compare.results import Results
from gnnkit.compare.spec.comparison import ComparisonSpec, FinalSpec
from gnnkit.data import GraphSeries, WindowSplits, infer_settings, make_windows, read_own
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.forecasting.settings import FitSettings
from gnnkit.forecasting.settle import apply_split, load_series
from gnnkit.settings.judging import JudgeFields
from gnnkit.training.environment import environment

__all__ = ["align_files", "judge_forecasts"]


def judge_forecasts(
    series: Any = None,
    forecasts: Mapping[str, Any] | None = None,
    *,
    graph: Any = None,
    validation_forecasts: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Results:
    """Judge forecasts that were made elsewhere as `run` judges the models that it trains; nothing is trained.

    The baselines forecast the same targets. What follows is the whole report: errors, tests, ranks, where the errors of
    two models differ, and intervals where there are quantiles or validation forecasts.

    A forecast's origin is the last row that it knows; its step 1 is the row after it. Judged are the forecasts of the
    test rows. Those of validation rows calibrate intervals, and choose between models of one family.

    Args:
        series: a `GraphSeries`, or what `gnnkit.data.read_own` reads: a path, a frame, an array `[rows, nodes]`; None:
            the data set that `data` names.
        forecasts: by name: an array or tensor `[W, P, N]` or `[seeds, W, P, N]`; a dict of one with `origins`, `nodes`,
            `quantiles`, `levels`, `seeds`; a long data frame; or the path of an NPZ, NPY, CSV or Parquet file of them.
        graph: of the series, as `read_own` reads it; None: none, or that of the `GraphSeries`.
        validation_forecasts: of the same models for validation rows, in the same forms.
        settings: fields of `gnnkit.settings.judging.JudgeFields`, as `gnnkit judge --help` prints them: `history`,
            `horizons`, `split`, `season`, `origins`, `missing_forecasts`, `graph_forecasts`, `coverage`, ….

    Returns:
        Everything that was found.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file or an array is no forecast of this series; windows, steps, nodes or times do not fit; a
            forecast lacks an observed target or has one twice; a name is taken. One line says which, and what to do.

    Example:
        >>> import torch
        >>> from gnnkit.data import make_windows, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> test = make_windows(series, history=6, horizon=3).test
        >>> fifty = torch.full((len(test), 3, 4), 50.0)
        >>> results = judge_forecasts(series, {"fifty": fifty}, history=6)
        >>> results.models[-1], results.family("fifty"), results.horizons
        ('fifty', 'forecast', [3])
    """
    start = time.perf_counter()
    asked, sources, later = _apart(series, graph, forecasts or {}, validation_forecasts or {}, settings)
    if not sources:
        raise ValueError("forecasts: none is given; give at least one, NAME=FILE (--forecasts) or a dict of arrays")
    # No model is named, so that none is imported.
    spec = FitSettings(**{name: value for name, value in asked if name in FitSettings.model_fields})
    series = load_series(spec) if asked.series is not None or series is None else _in_memory(series, graph, spec)
    given, validation = ([read_forecasts(each, name, series) for name, each in of.items()] for of in (sources, later))
    _check_names(sources, ())
    horizons = spec.horizons or _horizons(min(each.values.shape[2] for each in given))
    inferred = infer_settings(series, history=spec.history, horizons=horizons)
    series = replace(series, season=inferred.season)
    aligned = align(given, validation, _candidates(series, inferred.history, max(horizons)), series, asked)
    final = FinalSpec.model_construct(
        **{**dict(asked), "models": (), "history": inferred.history, "horizons": horizons, "residual": True, "folds": 1}
    )
    place = environment() | {"data_hash": series.digest(), "forecasts": aligned.digests}
    first, *others = inferred.sentences
    sentences = [first.replace(": models see", ": baselines see"), *others, *aligned.sentences]
    evidence = Evidence(
        final, series, [Fold(series, aligned.windows)], [], {}, {}, place, aligned.checks, {}, sentences, aligned
    )
    results = judge(evidence)
    results.spec = {name: value for name, value in results.spec.items() if name in JudgeFields.model_fields}
    results.environment |= {"wall_seconds": time.perf_counter() - start}
    return results


def align_files(spec: ComparisonSpec, windows: WindowSplits, series: GraphSeries) -> Aligned | None:
    """The forecasts that a comparison names, on its windows; None where it names none.

    Raises:
        ValueError: as `judge_forecasts`.
    """
    if not spec.forecasts:
        return None
    _check_names(spec.forecasts, spec.models)
    given, validation = (
        [read_forecasts(path, name, series) for name, path in of.items()]
        for of in (spec.forecasts, spec.validation_forecasts)
    )
    return align(given, validation, windows, series, spec)


def _apart(
    series: Any, graph: Any, forecasts: Mapping[str, Any], validation: Mapping[str, Any], settings: Mapping[str, Any]
) -> tuple[JudgeFields, dict[str, Any], dict[str, Any]]:
    """What was asked for, with the paths of files; the forecasts, and those of validation rows."""
    files: dict[str, Any] = {
        field: {name: source for name, source in of.items() if isinstance(source, (str, PathLike))}
        for field, of in (("forecasts", forecasts), ("validation_forecasts", validation))
    }
    if isinstance(series, (str, PathLike)):
        files["series"] = series
        if isinstance(graph, (str, PathLike)):
            files["graph"] = graph
        elif graph is not None:
            raise ValueError(
                "graph: is in memory, and series is a file; give both as files, or read_own(series, graph)"
            )
    asked = JudgeFields(**files, **settings)
    return asked, dict(forecasts), dict(validation)


def _in_memory(series: Any, graph: Any, spec: FitSettings) -> GraphSeries:
    if not isinstance(series, GraphSeries):
        series = read_own(series, graph)
    elif graph is not None:
        raise ValueError("graph: the GraphSeries has one; leave it out, or replace its edge_index")
    return apply_split(spec, series)


def _check_names(names: Mapping[str, Any], models: tuple[str, ...]) -> None:
    for name in names:
        if name in BASELINES or name in models:
            what = "a baseline" if name in BASELINES else "a model that is trained"
            raise ValueError(f"forecasts: {name} is the name of {what} too; give the forecasts another")


def _horizons(steps: int) -> tuple[int, ...]:
    """A quarter, a half and all of the steps, where these are whole."""
    return (steps // 4, steps // 2, steps) if steps % 4 == 0 else (steps,)


def _candidates(series: GraphSeries, history: int, horizon: int) -> WindowSplits:
    """A window for every origin that has a target among the validation, and among the test rows."""
    whole = replace(series, split=replace(series.split, drop_last_window=False))
    return make_windows(whole, history=history, horizon=horizon, min_horizon=1, reach_back=True)
