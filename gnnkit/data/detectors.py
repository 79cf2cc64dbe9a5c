"""METR-LA and PEMS-BAY: the published HDF5 files of speeds, and graphs made from the published road distances."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.pandas_hdf5 import read_fixed_frame
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import chronological_split
from gnnkit.data.tables import existing_file, is_number, numbers, read_table

__all__ = ["kernel_graph", "metr_la", "pems_bay"]

SOURCE = "github.com/liyaguang/DCRNN"
STEP_MINUTES = 5.0


def metr_la(root: str | Path | None = None, *, threshold: float = 0.1) -> GraphSeries:
    """METR-LA: four months of 207 loop detectors on the freeways of Los Angeles, March to June 2012.

    `metr-la.h5` and `distances_la_2012.csv` are looked for in `root` and `root/metr-la`, or in `metr-la` in the folder
    that the environment variable `GNNKIT_DATA` names.

    Args:
        root: Folder with the two files.
        threshold: Weights below it are no edges. Default 0.1, as published.

    Returns:
        34,272 rows of 5 minutes, mph; zeros stand for missing reports there and are NaN here. The graph is
        `kernel_graph`'s; the split is 70/10/20 by time.

    Raises:
        FileNotFoundError: A file is not there; the message says where to get it.
        ValueError: A file has another layout.

    Source:
        Li et al., "DCRNN" (2018). The adjacency that they publish is a pickle, so it is built from the distances here.
    """
    return _load("metr-la", root, "metr-la.h5", "distances_la_2012.csv", threshold)


def pems_bay(root: str | Path | None = None, *, threshold: float = 0.1) -> GraphSeries:
    """PEMS-BAY: six months of 325 detectors in the San Francisco Bay Area, January to June 2017.

    `pems-bay.h5` and `distances_bay_2017.csv` are looked for as those of `metr_la`, in `pems-bay`.

    Args, Returns, Raises, Source: as `metr_la`. The file has 52,116 rows; with the hour that is left out in March, as
    missing values, there are 52,128.
    """
    return _load("pems-bay", root, "pems-bay.h5", "distances_bay_2017.csv", threshold)


def kernel_graph(
    path: str | Path, names: list[str], *, threshold: float = 0.1
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Weights from road distances by a thresholded Gaussian kernel: `w_ij = exp(−(d_ij / σ)²)`.

    σ is the standard deviation of the distances between sensors of the series; pairs that are left out have none.

    Args:
        path: CSV of from, to, distance, with or without a first line of names; sensors of no interest are passed over.
        names: The sensors' names, in the order of the series.
        threshold: Weights below it are no edges. Default 0.1.

    Returns:
        `edge_index` `[2, E]`, from → to, and weights `[E]`, in the order of a matrix read row by row.

    Raises:
        ValueError: Another number of columns, distances that are no numbers, or none between these sensors.
    """
    path = Path(path)
    table = read_table(path)
    if table.width != 3:
        raise ValueError(f"{path.name}: {table.width} columns; expected three, from, to and distance")
    if not is_number(table.cells[0][2]):
        table = table.rows_from(1)
    place = {name: number for number, name in enumerate(names)}
    pairs = [(place.get(_plain(a)), place.get(_plain(b))) for a, b, _ in table.cells]
    distance = np.full((len(names), len(names)), np.inf)
    for (source, target), value in zip(pairs, numbers(table.columns_from(2))[:, 0], strict=True):
        if source is not None and target is not None:
            distance[source, target] = value
    known = distance[np.isfinite(distance)]
    if known.size == 0 or not known.std() > 0:
        raise ValueError(f"{path.name}: no differing distances between the {len(names)} sensors of the series")
    weight = np.exp(-np.square(distance / known.std()))
    weight[weight < threshold] = 0.0
    edge_index = np.stack(weight.nonzero()).astype(np.int64)
    return edge_index, weight[edge_index[0], edge_index[1]]


def _plain(name: str) -> str:
    """A sensor's number as text: some releases of the files write 400001.0."""
    return name.removesuffix(".0")


def _load(name: str, root: str | Path | None, speeds: str, distances: str, threshold: float) -> GraphSeries:
    given = os.environ.get("GNNKIT_DATA")
    places = [Path(root), Path(root) / name] if root is not None else [Path(given) / name] if given else []
    folder = next((place for place in places if (place / speeds).is_file()), None)
    if folder is None:
        where = (
            f"none of {', '.join(map(str, places))} holds {speeds}" if places else f"no folder with {speeds} is named"
        )
        raise FileNotFoundError(
            f"{name}: {where}; get it and {distances} by the links on {SOURCE}, put both into a folder {name}, and set "
            f"GNNKIT_DATA to the folder around it (or give --data-root)"
        )
    frame = read_fixed_frame(folder / speeds)
    if not isinstance(frame.index, pd.DatetimeIndex):
        raise ValueError(f"{speeds}: its rows have no times")
    names = [_plain(column) for column in frame.columns]
    edge_index, weight = kernel_graph(existing_file(folder / distances, "distances"), names, threshold=threshold)
    start = frame.index.to_list()[0]
    # A few rows are left out by the publishers (the hour lost in March): the grid has them, as missing.
    grid = pd.date_range(start, frame.index.to_list()[-1], freq=pd.Timedelta(minutes=STEP_MINUTES))
    values = frame.reindex(grid).to_numpy(dtype=np.float32, copy=True)
    values[values == 0] = np.nan
    return GraphSeries(
        name=name,
        values=torch.from_numpy(values).unsqueeze(-1),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(weight.astype(np.float32)),
        node_names=tuple(names),
        split=chronological_split(len(values)),
        unit="mph",
        step_minutes=STEP_MINUTES,
        start=pd.to_datetime(start),
        season=288,
        source=f"{SOURCE}, {speeds} and {distances}",
    )
