"""Loop detectors: Los-loop; METR-LA and PEMS-BAY, whose graphs are made from road distances; PEMS03 to 08; LargeST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data.pandas_hdf5 import read_fixed_frame
from gnnkit.data.series import GraphSeries
from gnnkit.data.splits import Split, chronological_split
from gnnkit.data.tables import is_number, numbers, read_table
from gnnkit.graph import gaussian_kernel

__all__ = ["kernel_graph", "read_detectors", "read_largest", "read_los_loop", "read_pems"]

STEP_MINUTES = 5.0


def read_los_loop(folder: Path) -> GraphSeries:
    """Read Los-loop, a week of METR-LA as T-GCN was evaluated on, its gaps filled by its publishers.

    Args:
        folder: With `los_speed.csv` and `los_adj.csv`.

    Returns:
        207 sensors, 2016 rows of 5 minutes from 1 March 2012 on, mph; the edges are the nonzeros of the matrix, its
        diagonal of ones with them. The split is the official one, 1612 rows and 404 rows, of which the last 161 of
        the first validate here.

    Source:
        github.com/lehaifeng/T-GCN, after Zhao et al., "T-GCN" (2019), and Li et al., "DCRNN" (2018). The official
        protocol keeps no validation rows.
    """
    speeds = pd.read_csv(folder / "los_speed.csv")
    matrix = np.loadtxt(folder / "los_adj.csv", delimiter=",", dtype=np.float32)
    edge_index = np.stack(matrix.nonzero()).astype(np.int64)
    return GraphSeries(
        name="los-loop",
        values=torch.from_numpy(speeds.to_numpy(dtype=np.float32)).unsqueeze(-1),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(matrix[edge_index[0], edge_index[1]]),
        node_names=tuple(str(sensor) for sensor in speeds.columns),
        split=Split(
            range(1451),
            range(1451, 1612),
            range(1612, 2016),
            label="official (1612/404), last 10% of training rows validate",
            drop_last_window=True,
        ),
        step_minutes=STEP_MINUTES,
        start=pd.to_datetime("2012-03-01"),
    )


def read_detectors(speeds: str, distances: str, folder: Path, *, threshold: float = 0.1) -> GraphSeries:
    """Read METR-LA (207 detectors, March to June 2012) or PEMS-BAY (325 detectors, January to June 2017).

    Args:
        speeds: Name of the HDF5 file of speeds.
        distances: Name of the CSV file of road distances.
        folder: With both files.
        threshold: Weights below it are no edges. Default 0.1, as published.

    Returns:
        34,272 or 52,116 rows of 5 minutes, mph; zeros stand for missing reports there and are NaN here, and so are rows
        that are left out (an hour in March, with which PEMS-BAY has 52,128). The graph is `kernel_graph`'s; the split
        is 70/10/20 by time.

    Raises:
        ValueError: A file has another layout.

    Source:
        Li et al., "DCRNN" (2018). The adjacency that they publish is a pickle, so it is built from the distances here.
    """
    frame = read_fixed_frame(folder / speeds)
    if not isinstance(frame.index, pd.DatetimeIndex):
        raise ValueError(f"{speeds}: its rows have no times")
    names = [_plain(column) for column in frame.columns]
    edge_index, weight = kernel_graph(folder / distances, names, threshold=threshold)
    start = frame.index.to_list()[0]
    # A few rows are left out by the publishers (the hour lost in March): the grid has them, as missing.
    grid = pd.date_range(start, frame.index.to_list()[-1], freq=pd.Timedelta(minutes=STEP_MINUTES))
    values = frame.reindex(grid).to_numpy(dtype=np.float32, copy=True)
    values[values == 0] = np.nan
    return GraphSeries(
        name=Path(speeds).stem,
        values=torch.from_numpy(values).unsqueeze(-1),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(weight.astype(np.float32)),
        node_names=tuple(names),
        split=chronological_split(len(values)),
        step_minutes=STEP_MINUTES,
        start=pd.to_datetime(start),
        source=f"github.com/liyaguang/DCRNN, {speeds} and {distances}",
    )


def read_pems(name: str, start: str | None, folder: Path) -> GraphSeries:
    """Read PEMS03, 04, 07 or 08: vehicles in 5 minutes at Californian detectors, as STSGCN was evaluated on them.

    Args:
        name: `PEMS03`, …: of the files, in capitals.
        start: Time of the first row; None where the publishers' dates do not fit the rows.
        folder: With `NAME.npz` (`data` [rows, detectors, measures], the first of which is flow) and `NAME.csv` (`from`,
            `to` and a distance); where these are not numbers of detectors, also with `NAME.txt`, the names in order.

    Returns:
        The flow; an edge of weight 1 each way joins two detectors that the file joins. The split is 60/20/20 by time.

    Raises:
        ValueError: A file has another layout, or joins detectors that are not there.

    Source:
        Song et al., "Spatial-temporal synchronous graph convolutional networks" (2020).
    """
    path = folder / f"{name}.npz"
    with np.load(path, allow_pickle=False) as arrays:
        if "data" not in arrays:
            raise ValueError(f"{str(path)!r} holds no array 'data'; its arrays are {', '.join(arrays) or 'none'}")
        data = arrays["data"]
    if data.ndim != 3 or data.dtype.kind not in "fiu":
        raise ValueError(
            f"{str(path)!r}: 'data' is {data.dtype} of shape {list(data.shape)}; expected numbers [L, N, F]"
        )
    listed = folder / f"{name}.txt"
    names = listed.read_text("utf-8").split() if listed.is_file() else [str(node) for node in range(data.shape[1])]
    if len(names) != data.shape[1]:
        raise ValueError(f"{str(listed)!r} names {len(names)} detectors, and {path.name} has {data.shape[1]}")
    pairs = pd.read_csv(folder / f"{name}.csv", dtype=str)
    if list(pairs.columns[:2]) != ["from", "to"]:
        raise ValueError(
            f"{str(folder / f'{name}.csv')!r}: its columns are {list(pairs.columns)}; expected from, to, …"
        )
    place = {detector: number for number, detector in enumerate(names)}
    unknown = sorted({*pairs["from"], *pairs["to"]} - set(place))
    if unknown:
        raise ValueError(f"{str(folder / f'{name}.csv')!r} joins a detector {unknown[0]!r}, which {path.name} has not")
    ends = np.array([[place[detector] for detector in pairs[end]] for end in ("from", "to")], dtype=np.int64)
    ends = np.unique(np.concatenate([ends, ends[::-1]], axis=1), axis=1)
    ends = ends[:, ends[0] != ends[1]]
    return GraphSeries(
        name=name.lower(),
        values=torch.from_numpy(np.ascontiguousarray(data[:, :, :1], dtype=np.float32)),
        edge_index=torch.from_numpy(ends),
        edge_weight=torch.ones(ends.shape[1]),
        node_names=tuple(names),
        split=chronological_split(len(data), (0.6, 0.2, 0.2)),
        step_minutes=STEP_MINUTES,
        start=None if start is None else pd.to_datetime(start),
    )


def read_largest(region: str, folder: Path, *, year: int = 2019) -> GraphSeries:
    """Read a region of LargeST: flow at Californian detectors, a year of rows, on the road network.

    Args:
        region: `sd`, `gba`, `gla` or `ca`.
        folder: With `REGION_his_YEAR.h5` and `REGION_rn_adj.npy`, as its publishers' notebooks write them.
        year: Of the rows (default 2019).

    Returns:
        The flow in rows of the file's own step, missing values as NaN; edges are the nonzeros of the matrix but for its
        diagonal. The split is 60/20/20 by time.

    Raises:
        ValueError: A file has another layout, or the two have other sizes.

    Source:
        Liu et al., "LargeST" (2023).
    """
    path = folder / f"{region}_his_{year}.h5"
    frame = read_fixed_frame(path)
    if not isinstance(frame.index, pd.DatetimeIndex) or len(frame) < 2:
        raise ValueError(f"{str(path)!r}: its rows have no times")
    matrix = np.load(folder / f"{region}_rn_adj.npy", allow_pickle=False)
    if matrix.shape != (frame.shape[1],) * 2 or matrix.dtype.kind not in "fiu":
        raise ValueError(
            f"{str(folder / f'{region}_rn_adj.npy')!r} is {matrix.dtype} of shape {list(matrix.shape)}, and "
            f"{path.name} has {frame.shape[1]} detectors"
        )
    times = frame.index
    step = times.to_numpy()[1] - times.to_numpy()[0]
    minutes = float(step / np.timedelta64(1, "m"))
    frame = frame.reindex(pd.date_range(times[0], times[-1], freq=pd.Timedelta(step)))
    edge_index = np.stack((matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))).nonzero()).astype(np.int64)
    return GraphSeries(
        name=f"largest-{region}",
        values=torch.from_numpy(frame.to_numpy(dtype=np.float32, copy=True)).unsqueeze(-1),
        edge_index=torch.from_numpy(edge_index),
        edge_weight=torch.from_numpy(matrix[edge_index[0], edge_index[1]].astype(np.float32)),
        node_names=tuple(str(detector) for detector in frame.columns),
        split=chronological_split(len(frame), (0.6, 0.2, 0.2)),
        step_minutes=minutes,
        start=frame.index[0],
        season=round(24 * 60 / minutes),
    )


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
    edge_index = np.stack(np.isfinite(distance).nonzero()).astype(np.int64)
    weight = gaussian_kernel(torch.from_numpy(known), threshold).numpy()
    return edge_index[:, weight > 0], weight[weight > 0]


def _plain(name: str) -> str:
    """A sensor's number as text: some releases of the files write 400001.0."""
    return name.removesuffix(".0")
