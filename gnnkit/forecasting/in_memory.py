"""Data that are in memory, for what else is named by settings: a frame and a graph, read as files are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Self

from pydantic import model_validator

from gnnkit.data import GraphSeries, read_own
from gnnkit.settings.fit import DataFields
from gnnkit.temporal import MODELS, model_name

__all__ = ["MEMORY_FIELDS", "check_fields", "name_of_model", "read_in_memory", "renamed_fields"]

_ELSEWHERE = ("data", "data_root", "data_options", "series", "graph", "split")
MEMORY_FIELDS = tuple(name for name in DataFields.model_fields if name not in _ELSEWHERE)
"""Fields of the settings that say how people's own data are read, wherever these are."""

_SHORT = {"time": "time_column", "node": "node_column"}
_PLAIN = (str, PathLike, int, float, Sequence, Mapping)


class _MemoryFields(DataFields, frozen=True):
    """The same fields, of data that no path names."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        return self


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values of fields in the types of the settings; None is left out.

    Raises:
        ValueError: a value that is not allowed; one line names the field.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    # A frame in the place of a path is looked at by whoever reads it.
    plain = [name for name, value in given.items() if isinstance(value, _PLAIN)]
    checked = _MemoryFields(**{name: given[name] for name in plain})
    return given | {name: getattr(checked, name) for name in plain}


def renamed_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their own names, for those who write `time` and `node` of the columns that hold them.

    Raises:
        ValueError: a field is given under both names.
    """
    for short, name in _SHORT.items():
        if short in fields and name in fields:
            raise ValueError(f"{short} and {name} are one setting; give one of them")
    return {_SHORT.get(name, name): value for name, value in fields.items()}


def read_in_memory(
    series: Any,
    graph: Any = None,
    fields: Mapping[str, Any] | None = None,
    *,
    split: tuple[float, float, float] | None = None,
) -> GraphSeries:
    """Read a series and its graph as `gnnkit.data.read_own` does, by fields of the settings.

    Args:
        series: a data frame, an array or a path, or a `GraphSeries`, which is taken as it is.
        graph: its graph; None (default): none.
        fields: some of `MEMORY_FIELDS`; the places and covariates may be frames too.
        split: shares of training, validation and test rows; None (default): 0.7, 0.1, 0.2.

    Returns:
        The series.

    Raises:
        ValueError: it cannot be read, a field has a value that is not allowed, or a `GraphSeries` comes with a graph or
            with fields.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": range(9), "b": range(9)}, index=pd.date_range("2024-01-01", periods=9, freq="h"))
        >>> series = read_in_memory(frame, fields={"unit": "mph"})
        >>> series.node_names, series.unit, series.step_minutes
        (('a', 'b'), 'mph', 60.0)
    """
    checked = check_fields(fields or {})
    if isinstance(series, GraphSeries):
        given = [name for name in ("graph", *checked) if name != "graph" or graph is not None]
        if given:
            raise ValueError(f"{given[0]}: a GraphSeries knows it itself; leave it out, or give a data frame")
        return series
    if split is not None and "split" in inspect.signature(read_own).parameters:
        checked["split"] = split  # a graph that is made of the series is made of its training rows
    return read_own(series, graph, **checked)


def name_of_model(model: Any) -> str:
    """The name by which the registry knows a model: a name, or a class that is registered.

    Raises:
        ValueError: the registry does not know it.

    Example:
        >>> from gnnkit.temporal import DLinear
        >>> name_of_model("gru"), name_of_model(DLinear)
        ('gru', 'dlinear')
    """
    return MODELS[model_name(model)].name
