"""Traffic data sets by name: the simulated road network, Los-loop, METR-LA and PEMS-BAY."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import inspect
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch

from gnnkit._user_cache import user_cache
from gnnkit.data.detectors import metr_la, pems_bay
from gnnkit.data.series import GraphSeries
from gnnkit.data.simulate import simulate_traffic
from gnnkit.data.splits import Split

__all__ = ["DATASETS", "load", "los_loop"]

LOS_LOOP_URL = "https://raw.githubusercontent.com/lehaifeng/T-GCN/master/data/"
LOS_LOOP_FILES = {
    "los_speed.csv": "7b732d86ae32b2930595becba28aff39dacbfb2197e250fc0332e1744ce2cbf4",
    "los_adj.csv": "7a6eb41e10677992b5af50f5ab187c6c05c5c3a92cb973950cfddbf857361e76",
}
DOWNLOAD_SECONDS = 60

DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "simulated": "generated freeways (cell transmission model): 64 sensors, 2016 rows of 5-minute speeds in mph",
        "los-loop": "Los Angeles loop detectors, 1 to 7 March 2012: 207 sensors, 2016 rows of 5-minute speeds in mph",
        "metr-la": "Los Angeles loop detectors, March to June 2012: 207 sensors, 34272 rows; fetch its files by hand",
        "pems-bay": "Bay Area detectors, January to June 2017: 325 sensors, 52116 rows; fetch its files by hand",
    }
)


def load(name: str, root: str | Path | None = None, **options: Any) -> GraphSeries:
    """Load a data set by its name.

    Args:
        name: One of `DATASETS`.
        root: Folder with the data set's files; default see `los_loop`. The simulated network has none.
        options: Arguments of the data set's own function, e.g. those of `simulate_traffic`.

    Returns:
        The series.

    Raises:
        ValueError: An unknown name (the message has the nearest one) or option, or files with other content.
        FileNotFoundError: Files that are neither there nor could be downloaded.

    Example:
        >>> load("simulated", num_nodes=4, days=1).num_nodes
        4
    """
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1, cutoff=0.0)
        raise ValueError(f"name={name!r}: unknown data set; did you mean {near[0]!r}? There are {', '.join(DATASETS)}")
    loaders: dict[str, Callable[..., GraphSeries]] = {"los-loop": los_loop, "metr-la": metr_la, "pems-bay": pems_bay}
    loader = loaders.get(name, simulate_traffic)
    allowed = [parameter for parameter in inspect.signature(loader).parameters if parameter != "root"]
    for option in options:
        if option not in allowed:
            raise ValueError(
                f"{option}={options[option]!r}: data set {name!r} takes {', '.join(allowed) or 'no options'}"
            )
        _check_type(option, options[option], inspect.signature(loader).parameters[option].default)
    if name in loaders:
        return loader(root, **options)
    if root is not None:
        raise ValueError(f"root={str(root)!r}: the simulated network is generated and has no files; leave root out")
    return simulate_traffic(**options)


def _check_type(option: str, value: Any, default: Any) -> None:
    """A `ValueError` where a number is asked for and something else is given."""
    asked: dict[type, tuple[type, str]] = {int: (Integral, "a whole number"), float: (Real, "a number")}
    if type(default) in asked:
        kind, words = asked[type(default)]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{option}={value!r}: give {words} (default {default:g})")


def los_loop(root: str | Path | None = None) -> GraphSeries:
    """Los-loop: a week of METR-LA as T-GCN was evaluated on, its gaps filled by its publishers.

    The two files are looked for in `root` and `root/losloop`, in `losloop` in the folder that the environment variable
    `GNNKIT_DATA` names, and in `gnnkit/losloop` in the user's cache; else they are downloaded into `root/losloop`, or
    without `root` into the cache. Their SHA-256 is checked each time.

    Args:
        root: Folder with `los_speed.csv` and `los_adj.csv`, or to download them into; default as above.

    Returns:
        207 sensors, 2016 rows of 5 minutes from 1 March 2012 on, mph; the edges are the nonzeros of the matrix, its
        diagonal of ones with them. The split is the official one, 1612 rows and 404 rows, of which the last 161 of
        the first validate here.

    Raises:
        ValueError: A file's content is not the published one.
        FileNotFoundError: The files are not there and could not be downloaded.

    Source:
        github.com/lehaifeng/T-GCN, after Zhao et al., "T-GCN" (2019), and Li et al., "DCRNN" (2018). The official
        protocol keeps no validation rows.
    """
    folder = _find(root)
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
        unit="mph",
        step_minutes=5.0,
        start=pd.to_datetime("2012-03-01"),
        season=288,
        source="github.com/lehaifeng/T-GCN, data/ (a week of METR-LA)",
    )


def _find(root: str | Path | None) -> Path:
    """The folder with the two files, checked; they are downloaded where no folder has them."""
    if root is not None:
        places = [Path(root), Path(root) / "losloop"]
    else:
        given = os.environ.get("GNNKIT_DATA")
        places = [Path(given) / "losloop"] if given else []
        with contextlib.suppress(*([FileNotFoundError] if given else [])):  # who has no home may have the data
            places.append(user_cache() / "losloop")
    for folder in places:
        if all((folder / name).is_file() for name in LOS_LOOP_FILES):
            for name, expected in LOS_LOOP_FILES.items():
                _check_hash(folder / name, (folder / name).read_bytes(), expected)
            return folder
    for name, expected in LOS_LOOP_FILES.items():
        _download(LOS_LOOP_URL + name, places[-1] / name, expected)
    return places[-1]


def _check_hash(path: Path, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{str(path)!r}: its SHA-256 is {found[:12]}…, the published file's is {expected[:12]}…; "
            f"replace it with the original from {LOS_LOOP_URL}{path.name}"
        )


def _download(url: str, path: Path, expected: str) -> None:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
            content = answer.read()
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise FileNotFoundError(
            f"los-loop: its files are not on this machine and {url} cannot be reached ({reason}); put "
            f"{' and '.join(LOS_LOOP_FILES)} into {str(path.parent)!r}, or into a folder losloop and set GNNKIT_DATA "
            f"to the folder around it"
        ) from None
    _check_hash(path, content, expected)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Write aside and rename: an interrupted run must not leave half a file.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(path)
