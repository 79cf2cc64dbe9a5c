"""A verdict in a minute: ridge regression with and without neighbours, and what is left in its errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gnnkit.compare.evidence import has_graph
from gnnkit.compare.folds import settle_folds
from gnnkit.compare.neighbours.fits import WITH, WITHOUT, fit_ridges
from gnnkit.compare.neighbours.judged import judge_neighbours
from gnnkit.compare.neighbours.result import Quick, check_place
from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
from gnnkit.data import GraphSeries
from gnnkit.forecasting.in_memory import MEMORY_FIELDS, read_in_memory, renamed_fields
from gnnkit.forecasting.settle import load_series
from gnnkit.settings.problems import nearest
from gnnkit.settings.quick import QuickFields
from gnnkit.training.environment import environment

__all__ = ["quick", "quick_of"]

_OF_FILES = ("data", "data_root", "data_options", "series", "graph")
_OWN = ("shuffles",)
"""Settings that a comparison does not have."""


def quick(
    series: Any,
    graph: Any = None,
    horizons: Any = None,
    *,
    name: str | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> Quick:
    """Say in a minute whether the values of neighbours help a linear forecast of a data frame.

    Ridge regression on a node's own last values stands against the same with the mean of its neighbours' last values,
    on the given graph and on shuffled ones, with rolling origins; and the AZ test says whether anything is left in the
    errors. Nothing else is trained.

    Args:
        series, graph: as `gnnkit.compare.compare` takes them; without a graph, `places` or `graph_from` makes one.
        horizons: steps ahead that are scored (default: chosen for the data).
        name: of the data (default: "series").
        out: folder for the rows; None (default): nothing is written.
        settings: all else that `gnnkit quick` takes, by the names of `gnnkit.settings.quick.QuickFields`: `folds`,
            `shuffles`, `confidence`, `history`, and how the data are read: `target`, `time`, `unit`, `season`, ….

    Returns:
        What was found. `verdict()` is the answer, `table()` the numbers; in a notebook it shows both.

    Raises:
        ValueError: the data cannot be read or are too short, there is no graph, or a setting is unknown or has a value
            that is not allowed.
        TypeError: an object is no series or no graph that is known.

    Example:
        >>> import numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> source = rng.standard_normal(401)
        >>> frame = pd.DataFrame({"a": source[1:], "b": source[:-1], "c": rng.standard_normal(400)})
        >>> graph = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])  # a → b
        >>> found = quick(frame, graph, horizons=[1], history=2, folds=2)
        >>> found.kind, list(found.table().columns)[:3]
        ('graph', ['none', 'given', 'shuffled'])
    """
    start = time.perf_counter()
    if out is not None:
        check_place(out)
    settings = renamed_fields(settings)
    known = [field for field in QuickFields.model_fields if field not in _OF_FILES]
    for field in settings:
        if field in _OF_FILES:
            raise ValueError(f"{field}: give the data as the first arguments: quick(series, graph)")
        if field not in known:
            raise ValueError(f"quick: there is no such setting: {field!r}{nearest(field, known)}")
    asked, fields = _apart(settings, MEMORY_FIELDS)
    asked = QuickFields(**{**asked, "horizons": horizons})
    spec = _spec(asked)
    read = read_in_memory(series, graph, fields, split=spec.split)
    return _look(asked, spec, replace(read, name=name) if name else read, start, out)


def quick_of(asked: QuickFields, *, out: str | Path | None = None) -> Quick:
    """The same for the data that settings name, as `gnnkit quick` does it.

    Args:
        asked: data, windows, and how much is asked.
        out: as for `quick`.

    Raises:
        ValueError: as `quick`.

    Example:
        >>> found = quick_of(QuickFields(data_options={"num_nodes": 6, "days": 2}, horizons=[3], folds=2))
        >>> found.facts["nodes"], found.found.folds
        (6, 2)
    """
    start = time.perf_counter()
    if out is not None:
        check_place(out)
    spec = _spec(asked)
    return _look(asked, spec, load_series(spec), start, out)


def _apart(settings: Mapping[str, Any], names: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    here = {name: value for name, value in settings.items() if name not in names}
    return here, {name: value for name, value in settings.items() if name in names}


def _spec(asked: QuickFields) -> ComparisonSpec:
    """The comparison of the two models."""
    given = {name: getattr(asked, name) for name in asked.model_fields_set if name not in _OWN}
    given = {name: value for name, value in given.items() if value is not None}
    return make_spec(models=(WITHOUT, WITH), **given)


def _look(asked: QuickFields, spec: ComparisonSpec, series: GraphSeries, start: float, out: Any) -> Quick:
    if not has_graph(series):
        raise ValueError(
            f"{series.name} has no edge between two nodes, so there is no graph to ask about; give one (graph), or "
            f"have one made (places, graph_from)"
        )
    final, series, sentences = settle_folds(spec, series)
    found = judge_neighbours(fit_ridges(final, series, shuffles=asked.shuffles))
    source, target = series.edge_index
    edges = int(((source != target) & (series.edge_weight != 0)).sum())
    facts = {
        "name": series.name,
        "unit": series.unit,
        "step": series.step_minutes or series.step_unit or None,
        "season": series.season,
        "rows": series.num_rows,
        "nodes": series.num_nodes,
        "edges": edges,
        "graph_source": series.graph_source,
        "history": final.history,
        "horizons": list(final.horizons),
        "confidence": final.confidence,
    }
    place = environment() | {"data_hash": series.digest(), "wall_seconds": time.perf_counter() - start}
    result = Quick(found=found, facts=facts, inferred=sentences, environment=place)
    if out is not None:
        result.save(out)
    return result
