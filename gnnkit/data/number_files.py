"""Tables of numbers without titles, as the raw files of graph data sets are; read whole and checked before use."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gnnkit.kept_files import damage_named

__all__ = ["one_column", "read_numbers", "whole_numbers"]

_MOST = 2**53
"""Below it every whole number of float64 is exact."""


def read_numbers(path: Path, rows: int | None = None, columns: int | None = None, *, gaps: bool = False) -> Tensor:
    """Read a file of numbers between commas, `[rows, columns]`, float64; compressed by gzip where its name ends in .gz.

    Args:
        path: The file.
        rows, columns: How many it has to have. Default: any.
        gaps: Whether a cell may be empty or NaN. Default False.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged, has another shape, or holds what is no finite number; names file, row and column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; fetch the data set again, with all of its files")
    with damage_named(path, "fetch the data set again", OSError, zlib.error, pd.errors.ParserError):
        table = pd.read_csv(path, header=None, dtype=np.float64, skipinitialspace=True).to_numpy()
    if rows is not None and len(table) != rows:
        raise ValueError(f"{path} has {len(table)} rows, and {rows} belong there; fetch the data set again")
    if columns is not None and table.shape[1] != columns:
        raise ValueError(f"{path} has {table.shape[1]} columns, and {columns} belong there; fetch the data set again")
    wrong = np.isinf(table) if gaps else ~np.isfinite(table)
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        found = table[row, column]
        what = "is empty or no number" if np.isnan(found) else f"is {found}"
        raise ValueError(f"{path}: row {row + 1}, column {column + 1} {what}; each must be a finite number")
    return torch.tensor(table)


def whole_numbers(path: Path, table: Tensor, low: int, high: int | None = None) -> Tensor:
    """The same numbers as int64.

    Args:
        path: Their file, for messages.
        table: From `read_numbers`.
        low, high: The least and the largest that is allowed; None: any that float64 holds exactly.

    Raises:
        ValueError: A number is not whole, or out of range; names file, row and column.
    """
    most = _MOST if high is None else high
    wrong = (table != table.round()) | (table < low) | (table > most)
    if bool(wrong.any()):
        row, column = wrong.nonzero()[0].tolist()
        allowed = f"from {low} to {most}" if high is not None else f"of at least {low}"
        raise ValueError(
            f"{path}: row {row + 1}, column {column + 1} is {table[row, column].item():g}; it must be a whole number "
            f"{allowed}"
        )
    return table.long()


def one_column(path: Path, rows: int | None, low: int, high: int | None = None) -> Tensor:
    """A file of one whole number a row, `[rows]`; see `read_numbers` and `whole_numbers`."""
    return whole_numbers(path, read_numbers(path, rows, 1), low, high).flatten()
