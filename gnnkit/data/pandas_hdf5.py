"""Tables that pandas wrote to HDF5 in its fixed layout, read with h5py; nothing in them is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gnnkit.data.packed import most_unpacked

__all__ = ["read_fixed_frame"]


def read_fixed_frame(path: str | Path) -> pd.DataFrame:
    """Read the one data frame of numbers in an HDF5 file that `DataFrame.to_hdf(path, key)` wrote.

    In that layout a group has the column names in `axis0`, the row names in `axis1`, and for each kind of number the
    columns' names in `block<i>_items` and their values `[rows, columns]` in `block<i>_values`.

    Args:
        path: The file.

    Returns:
        The frame; columns by their names as text, rows by time where the file has times.

    Raises:
        ValueError: Not an HDF5 file, no such group or more than one, names that are pickled, or values that are no
            numbers.
    """
    import h5py

    path = Path(path)
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise ValueError(f"{path.name}: not an HDF5 file") from None
    try:
        return _read(file, path)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path.name}: no whole table of pandas' fixed layout ({reason[:200]})") from None


_DAMAGE = (OSError, KeyError, IndexError, TypeError, RuntimeError, OverflowError, AttributeError)
"""What HDF5 and NumPy come to where a table lacks a part, or a part has another shape or type."""


def _read(file: Any, path: Path) -> pd.DataFrame:
    import h5py

    with file:
        groups: list[Any] = []
        file.visititems(
            lambda _, item: groups.append(item) if isinstance(item, h5py.Group) and "axis0" in item else None
        )
        if len(groups) != 1:
            raise ValueError(
                f"{path.name}: {len(groups)} tables of pandas' fixed layout; expected one, of DataFrame.to_hdf"
            )
        group = groups[0]
        for name in group:
            _check_inside(group, name, path)
        columns, index = _names(group["axis0"], path), _names(group["axis1"], path)
        values = np.full((len(index), len(columns)), np.nan)
        for block in range(sum(name.endswith("_values") for name in group)):
            items, numbers = _names(group[f"block{block}_items"], path), group[f"block{block}_values"]
            if numbers.dtype.kind not in "fiub":
                raise ValueError(f"{path.name}: {numbers.name} holds {numbers.dtype}; expected numbers")
            values[:, pd.Index(columns).get_indexer(pd.Index(items))] = numbers[:]
    return pd.DataFrame(values, index=index, columns=[str(name) for name in columns])


def _check_inside(group: Any, name: str, path: Path) -> None:
    """Refuse what HDF5 would read from another file, and what is larger than memory: it says so in a few bytes."""
    import h5py

    link = group.get(name, getlink=True)
    found = group[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise ValueError(f"{path.name}: {name} is no table in this file; nothing is read from where it leads")
    if found.nbytes > most_unpacked():
        raise ValueError(f"{path.name}: {name} says to have {found.nbytes:,} bytes, more than this machine can hold")


def _names(dataset: Any, path: Path) -> pd.Index:
    kind = dataset.attrs.get("kind", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if dataset.dtype.kind == "O":
        raise ValueError(f"{path.name}: {dataset.name} is pickled, and nothing is unpickled; write the names as text")
    values = dataset[:]
    if kind.startswith("datetime64"):
        unit = kind.partition("[")[2].rstrip("]") or "ns"
        return pd.DatetimeIndex(values.astype(f"datetime64[{unit}]"))
    if dataset.dtype.kind == "S":
        return pd.Index([value.decode() for value in values])
    return pd.Index(values)
