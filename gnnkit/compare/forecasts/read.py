"""Forecasts from wherever they are: a file of any layout that is known, an array, a tensor, a data frame."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from gnnkit.compare.forecasts.arrays import from_arrays, read_npy, read_npz
from gnnkit.compare.forecasts.given import GivenForecasts
from gnnkit.compare.forecasts.tables import from_table, read_csv, read_parquet
from gnnkit.data import GraphSeries
from gnnkit.data.tables import is_text

__all__ = ["read_forecasts"]

_READERS = {".npz": read_npz, ".npy": read_npy, ".parquet": read_parquet, ".pq": read_parquet}


def read_forecasts(source: Any, name: str, series: GraphSeries) -> GivenForecasts:
    """Read the forecasts of one model.

    Args:
        source: a path (NPZ, NPY, CSV, TSV, Parquet); an array or tensor `[W, P, N]` or `[S, W, P, N]`; a long data
            frame; or a mapping with `forecasts` and what an NPZ file may have beside it.
        name: of the model.
        series: what was forecast: its nodes and times.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: an unknown ending, or what it holds is no forecast of this series; one line that names the file.

    Example:
        >>> import numpy as np
        >>> from gnnkit.data import simulate_traffic
        >>> given = read_forecasts(np.zeros((7, 3, 2)), "zero", simulate_traffic(num_nodes=2, days=1))
        >>> given.values.shape, given.seeds, given.origins
        ((1, 7, 3, 2), (0,), None)
    """
    if isinstance(source, (str, PathLike)):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"forecasts {name}: no such file: {path}")
        reader = read_csv if is_text(path) else _READERS.get(path.suffix.lower())
        if reader is None:
            ending = path.suffix or "no ending"
            raise ValueError(
                f"forecasts {name} ({path.name}): {ending} is not known; give .npz, .npy, .csv or .parquet"
            )
        return reader(path, name, series)
    if isinstance(source, pd.DataFrame):
        return from_table(name, source, series)
    if isinstance(source, dict):
        unknown = sorted({*source} - {"forecasts", "origins", "nodes", "quantiles", "levels", "seeds"})
        if unknown:
            raise ValueError(
                f"forecasts {name}: {unknown[0]!r} is unknown; give forecasts, origins, nodes, quantiles, levels, seeds"
            )
        rest = {key: value for key, value in source.items() if key != "forecasts"}
        return from_arrays(name, source.get("forecasts"), series, **rest)
    return from_arrays(name, source, series)
