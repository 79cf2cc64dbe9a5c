"""From the body of a request to a data frame, within the limits, and without ever unpickling or opening a file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError

from gnnkit.serving.limits import Limits
from gnnkit.serving.schema import ForecastRequest, Table

__all__ = ["TooLarge", "frame_of_arrow", "frame_of_table", "read_request"]


class TooLarge(ValueError):
    """More than the limits allow."""


def read_request(body: bytes, limits: Limits) -> ForecastRequest:
    """A request from the bytes of a JSON body.

    Args:
        body: The bytes.
        limits: Of rows and cells.

    Returns:
        The request.

    Raises:
        TooLarge: Too many rows or cells.
        ValueError: It is no JSON, or not of the schema; one line names the place.

    Example:
        >>> body = b'{"series": {"columns": ["a"], "rows": [[1.0], [null]]}}'
        >>> read_request(body, Limits()).series.rows
        [[1.0], [None]]
    """
    try:
        request = ForecastRequest.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(_first(error)) from None
    for table in (request.series, request.covariates):
        if table is not None:
            _check_size(len(table.rows), len(table.columns), limits)
    return request


def frame_of_table(table: Table) -> pd.DataFrame:
    """The table as a frame; a column of nulls alone is one of missing numbers.

    Example:
        >>> frame_of_table(Table(columns=["a", "b"], rows=[[1.0, None]])).dtypes.tolist()
        [dtype('float64'), dtype('float64')]
    """
    columns = {}
    for place, cells in enumerate(zip(*table.rows, strict=True)):
        # Looked at cell by cell: pandas takes longer to look at a column than to make it.
        numeric = all(cell is None or type(cell) is float for cell in cells)
        columns[place] = np.array(cells, dtype=np.float64) if numeric else pd.Series(cells).infer_objects()
    frame = pd.DataFrame(columns)
    frame.columns = pd.Index(table.columns)
    return frame


def frame_of_arrow(body: bytes, limits: Limits) -> pd.DataFrame:
    """A frame from the bytes of an Arrow IPC stream: columns of times, numbers and texts.

    Args:
        body: The bytes.
        limits: Of rows and cells.

    Returns:
        The frame.

    Raises:
        TooLarge: Too many rows or cells.
        ValueError: It is no such stream, or a column is of another kind.

    Example:
        >>> sink = pa.BufferOutputStream()
        >>> table = pa.table({"a": [1.0, None]})
        >>> with pa.ipc.new_stream(sink, table.schema) as writer:
        ...     writer.write_table(table)
        >>> frame_of_arrow(sink.getvalue().to_pybytes(), Limits())["a"].tolist()
        [1.0, nan]
    """
    rows, batches = 0, []
    try:
        with pa.ipc.open_stream(pa.BufferReader(body)) as stream:
            schema = stream.schema
            strange = [field.name for field in schema if not _is_plain(field.type)]
            if strange:
                raise ValueError(
                    f"column {strange[0]!r} is {schema.field(strange[0]).type}; give times, numbers or texts"
                )
            for batch in stream:
                rows += batch.num_rows
                _check_size(rows, len(schema), limits)
                batch.validate(full=True)  # its offsets come from somebody else
                batches.append(batch)
        table = pa.Table.from_batches(batches, schema)
        # The note of pandas in the schema is somebody else's text: it says which columns are the index, and no more.
        frame = table.replace_schema_metadata(None).to_pandas()
    except TooLarge:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ValueError(f"the body is no Arrow IPC stream that can be read: {' '.join(str(error).split())}") from None
    if frame.shape[1] == 0 or not len(frame):
        raise ValueError(f"the Arrow stream has {len(frame)} rows and {frame.shape[1]} columns; give the latest rows")
    times = [name for name in frame.columns if isinstance(frame[name], pd.Series) and frame[name].dtype.kind == "M"]
    if (times and times[0] in ("__index_level_0__", "index", "time")) or (times and frame.columns[0] == times[0]):
        return frame.set_index(times[0])
    return frame


def _is_plain(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind)
    return text or types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind) or types.is_date(kind)


def _check_size(rows: int, columns: int, limits: Limits) -> None:
    if rows > limits.rows:
        raise TooLarge(f"{rows} rows are more than the {limits.rows} that are allowed; give the latest ones")
    if rows * columns > limits.cells:
        raise TooLarge(f"{rows} rows × {columns} columns are more than the {limits.cells} cells that are allowed")


def _first(error: ValidationError) -> str:
    """The first fault in a line: its place and what is wanted; nothing of what the client sent."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # The branches of a union stand in the place of a fault; they are nothing of the client's.
    place = ".".join(str(part) for part in fault["loc"] if isinstance(part, int) or str(part).isidentifier())
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
