"""Forecasts as long tables, a row a forecast: CSV and Parquet files, and data frames."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gnnkit.compare.forecasts.given import GivenForecasts
from gnnkit.compare.forecasts.labels import node_numbers, series_rows
from gnnkit.data import GraphSeries
from gnnkit.data.packed import check_gzip

__all__ = ["COLUMNS", "from_table", "read_csv", "read_parquet"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "origin": ("origin", "cutoff", "issued"),
    "target": ("timestamp", "target", "time", "ds", "date", "datetime"),
    "step": ("step", "horizon", "h"),
    "node": ("node", "unique_id", "item_id", "sensor", "station"),
    "value": ("value", "forecast", "prediction", "predicted", "yhat", "mean"),
    "model": ("model",),
    "seed": ("seed",),
}
"""What a column is → the names that it may have, in any case; `origin` is the time of the last known row, `target`
that of the row that is forecast. The value's column may also be called like the forecasts."""

_QUANTILE = re.compile(r"q?(0?\.\d+)", re.IGNORECASE)
_END = re.compile(r"(?:(?P<model>.+)-)?(?P<end>lo|hi)-(?P<percent>\d+(?:\.\d+)?)", re.IGNORECASE)
"""An end of an interval, as Nixtla's libraries write it: `AutoETS-lo-90` is the quantile 0.05 of `AutoETS`."""


def read_csv(path: Path, name: str, series: GraphSeries) -> GivenForecasts:
    """Forecasts of a CSV or TSV file, maybe packed by gzip.

    Raises:
        ValueError: as `from_table`, or the file is no table.
    """
    from pyarrow import csv

    about = f"forecasts {name} ({path.name})"
    if path.suffix.lower() == ".gz":
        check_gzip(path)
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            head = stream.read(1 << 16).split(b"\n")[0]
        sign = max((",", ";", "\t", "|"), key=lambda mark: head.count(mark.encode()))
        # Where semicolons part the cells, decimals may stand behind commas; a point is understood by `_floats`.
        convert = csv.ConvertOptions(decimal_point="," if sign == ";" else ".", strings_can_be_null=True)
        table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=sign), convert_options=convert)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{about}: is no table ({reason}); give a row of names and a row a forecast") from None
    return from_table(name, table, series, source=path.name)


def read_parquet(path: Path, name: str, series: GraphSeries) -> GivenForecasts:
    """Forecasts of a Parquet file.

    Raises:
        ValueError: as `from_table`, or it is no Parquet file.
    """
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).split(".")[0]
        raise ValueError(f"forecasts {name} ({path.name}): is no Parquet file ({reason}); write it again") from None
    return from_table(name, table, series, source=path.name)


def from_table(name: str, table: Any, series: GraphSeries, *, source: str = "in memory") -> GivenForecasts:
    """Forecasts of a long table: columns as in `COLUMNS`, quantiles in columns like `q0.05` or `0.95`, or
    the ends of intervals as Nixtla's libraries write them, `NAME-lo-90` and `NAME-hi-90`, or `lo-90` and `hi-90`.

    Two of origin, target and step are needed, as each follows from the others; a node where there are several; model
    and seed where there are several. Rows may come in any order.

    Args:
        name: of the model; of a table with several models, the one whose rows are read.
        table: a pyarrow table or a data frame.
        series: what was forecast.
        source: for messages.

    Raises:
        ValueError: a column is missing or holds something else, a row comes twice, a node, time or step that cannot be;
            one line.

    Example:
        >>> import pandas as pd
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=1, days=1)
        >>> rows = pd.DataFrame({"origin": [5, 5], "step": [2, 1], "value": [61.0, 60.0]})
        >>> from_table("a", rows, series).values.tolist()
        [[[[60.0], [61.0]]]]
    """
    about = f"forecasts {name} ({source})"
    table = table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
    named = _named(table.column_names, name, about)
    table = _of_model(table, named, name, about)
    if not table.num_rows:
        raise ValueError(f"{about}: the table has no row; give a row a forecast")
    origin, step = _places(table, named, series, about)
    node = _nodes(table, named, series, about)
    seeds, seed = [0], np.zeros(table.num_rows, dtype=np.int64)
    if "seed" in named:
        seeds, seed = np.unique(_whole(table, named["seed"], about), return_inverse=True)
    rows, window = np.unique(origin, return_inverse=True)
    shape = (len(seeds), len(rows), int(step.max()), series.num_nodes)
    place = np.ravel_multi_index((seed, window, step - 1, node), shape)
    size = int(np.prod(shape))
    seen = np.zeros(size, dtype=np.bool_)
    seen[place] = True
    doubled = len(place) - int(seen.sum())
    if doubled:
        order = np.argsort(place, kind="stable")
        first = order[np.flatnonzero(np.diff(place[order]) == 0)[0]]
        raise ValueError(
            f"{about}: {doubled:,} rows come twice, the first of them origin row {origin[first]}, step {step[first]}, "
            f"node {series.node_names[node[first]]}; leave one row of each, or add a column seed or model"
        )
    levels = _levels(table.column_names, named.get("value"), about)
    columns = [levels[level] for level in sorted(levels)]
    chosen = named.get("value") or levels.get(0.5)
    if chosen is None:
        raise ValueError(f"{about}: no column of forecasts; call it {COLUMNS['value'][0]} (there are {_listed(table)})")
    values = _laid(_floats(table, chosen, about), place, size).reshape(shape)
    heads = None
    if columns:
        heads = np.stack([_laid(_floats(table, one, about), place, size).reshape(shape) for one in columns], axis=-1)
    return GivenForecasts(name, source, values, rows, tuple(int(one) for one in seeds), heads, tuple(sorted(levels)))


def _named(columns: Sequence[str], name: str, about: str) -> dict[str, str]:
    """What a column is → its name in the table."""
    found: dict[str, str] = {}
    for kind, names in COLUMNS.items():
        own = [column for column in columns if column.strip().lower() in names]
        if len(own) > 1 and kind == "value" and name in own:
            own = [name]
        if len(own) > 1:
            raise ValueError(f"{about}: the columns {own[0]} and {own[1]} both say the {kind}; leave one of them out")
        found |= {kind: own[0]} if own else {}
    if "value" not in found and name in columns:
        found["value"] = name
    return found


def _levels(columns: Sequence[str], value: str | None, about: str) -> dict[float, str]:
    """Level → its column."""
    found: dict[float, str] = {}
    for column in columns:
        end = _END.fullmatch(column)
        if match := _QUANTILE.fullmatch(column):
            level = float(match[1])
        elif end is not None and end["model"] in (None, value):
            percent = float(end["percent"])
            if not 0 < percent < 100:
                raise ValueError(f"{about}: column {column} is the end of an interval of {percent:g}%; give 0 to 100")
            level = 0.5 + (percent if end["end"].lower() == "hi" else -percent) / 200
        else:
            continue
        level = round(level, 12)
        if level in found:
            text = f"the columns {found[level]} and {column} both say the quantile {level:g}"
            raise ValueError(f"{about}: {text}; leave one of them out")
        found[level] = column
    return found


def _of_model(table: pa.Table, named: Mapping[str, str], name: str, about: str) -> pa.Table:
    """The rows of one model."""
    if "model" not in named:
        return table
    column = table[named["model"]].cast(pa.string())
    models = [str(one) for one in column.unique().to_pylist()]
    if name in models:
        return table.filter(pc.field(named["model"]).cast(pa.string()) == name) if len(models) > 1 else table
    if len(models) > 1:
        shown = ", ".join(models[:5]) + (", …" if len(models) > 5 else "")
        raise ValueError(f"{about}: it has the models {shown} and none is called {name}; name the one that is meant")
    return table


def _places(
    table: pa.Table, named: Mapping[str, str], series: GraphSeries, about: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The origin's row and the step of every forecast."""
    known: dict[str, NDArray[np.int64]] = {
        kind: _rows(table, named[kind], series, about) for kind in ("origin", "target") if kind in named
    }
    if "step" in named:
        known["step"] = _whole(table, named["step"], about)
    if len(known) < 2:
        text = f"{_listed(table)}; give two of origin (the last known time), timestamp (that is forecast) and step"
        raise ValueError(f"{about}: its columns {text}")
    origin = known["origin"] if "origin" in known else known["target"] - known["step"]
    step = known["step"] if "step" in known else known["target"] - origin
    wrong = (step < 1) | (step > series.num_rows) | (origin < -1)
    if len(known) == 3:
        wrong |= known["target"] != origin + step
    if wrong.any():
        row = int(wrong.argmax())
        said = ", ".join(f"{kind} {values[row]}" for kind, values in known.items())
        hint = "step 1 is the row after the origin"
        raise ValueError(f"{about}: {int(wrong.sum()):,} rows do not fit, the first is row {row + 1} ({said}); {hint}")
    return origin, step


def _rows(table: pa.Table, column: str, series: GraphSeries, about: str) -> NDArray[np.int64]:
    values = _whole_column(table, column, about)
    about = f"{about}: column {column}"
    if pa.types.is_integer(values.type):
        return series_rows(values.to_numpy(), series, about)
    codes, labels = _codes(values)
    kept = labels.to_numpy(zero_copy_only=False) if not pa.types.is_string(labels.type) else labels.to_pylist()
    if pa.types.is_timestamp(labels.type) and labels.type.tz:
        kept = [str(one) for one in labels.to_pylist()]  # with its offset
    return series_rows(kept, series, about)[codes]


def _nodes(table: pa.Table, named: Mapping[str, str], series: GraphSeries, about: str) -> NDArray[np.int64]:
    if "node" not in named:
        if series.num_nodes > 1:
            raise ValueError(f"{about}: no column node, and {series.name} has {series.num_nodes} nodes; add it")
        return np.zeros(table.num_rows, dtype=np.int64)
    codes, labels = _codes(_whole_column(table, named["node"], about))
    return node_numbers(labels.to_pylist(), series, about)[codes]


def _codes(values: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    coded = values.dictionary_encode() if not pa.types.is_dictionary(values.type) else values
    return coded.indices.to_numpy(zero_copy_only=False), coded.dictionary


def _whole_column(table: pa.Table, column: str, about: str) -> pa.Array:
    values = table[column].combine_chunks()
    if values.null_count:
        row = int(np.asarray(values.is_null()).argmax()) + 1
        raise ValueError(
            f"{about}: column {column} is empty in {values.null_count:,} rows, first in row {row}; fill it"
        )
    return values


def _whole(table: pa.Table, column: str, about: str) -> NDArray[np.int64]:
    try:
        return _whole_column(table, column, about).cast(pa.int64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        first = table[column][0].as_py()
        raise ValueError(f"{about}: column {column} has {first!r}; give whole numbers") from None


def _floats(table: pa.Table, column: str, about: str) -> NDArray[np.float32]:
    try:
        return table[column].combine_chunks().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        reason = str(error).split("'")[1] if "'" in str(error) else str(table[column].type)
        raise ValueError(f"{about}: column {column} has {reason!r}, which is no number; give numbers") from None


def _laid(values: NDArray[np.float32], place: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    found = np.full(size, np.nan, dtype=np.float32)
    found[place] = values
    return found


def _listed(table: pa.Table) -> str:
    return "are " + ", ".join(table.column_names[:8]) + (", …" if len(table.column_names) > 8 else "")
