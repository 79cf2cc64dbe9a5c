"""The data sets by name: what each is, whose it is, where its files are, and what reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from gnnkit._registry import Registry
from gnnkit.data.detectors import read_detectors, read_los_loop
from gnnkit.data.files import DataFile, data_places, find_files
from gnnkit.data.series import GraphSeries
from gnnkit.data.simulate import simulate_traffic

__all__ = ["DATASETS", "Dataset", "load", "los_loop", "metr_la", "pems_bay"]


@dataclass(frozen=True)
class Dataset:
    """One data set of the registry.

    Args:
        name: What it is asked for by.
        description: One line.
        read: Its reader; its arguments are the data set's options. With `files`, the first one is the folder that has
            them; else it is called without one, or with the user's `root` where it names a `root`.
        licence: Of the data; `"not stated"` where its publishers state none.
        source: Who publishes it.
        paper: Authors and year of what it became known by.
        files: The files that `read` needs.
        folder: The folder of the files in `GNNKIT_DATA` and the user's cache; empty (default): the name.
        unit, season, history, horizons: Of its series, where the reader leaves them open (see `GraphSeries`).
        gives: What it is read as (default `GraphSeries`).
    """

    name: str
    description: str
    read: Callable[..., Any]
    licence: str = "not stated"
    source: str = "not stated"
    paper: str = ""
    files: tuple[DataFile, ...] = ()
    folder: str = ""
    unit: str = ""
    season: int | None = None
    history: int | None = None
    horizons: tuple[int, ...] | None = None
    gives: type = GraphSeries

    @classmethod
    def of(cls, name: str, read: Any) -> Dataset:
        """The record of a function that gives a `GraphSeries`; a record is returned as it is.

        Args:
            name: What it is to be asked for by.
            read: The function.

        Raises:
            ValueError: It cannot be called.
        """
        if isinstance(read, Dataset):
            return read
        if not callable(read):
            raise ValueError(f"data set {name!r} is {read!r}, and should be a function that gives a GraphSeries")
        return cls(name, (read.__doc__ or "a data set without a docstring").strip().splitlines()[0].rstrip("."), read)

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """What may be asked of it: the arguments of its reader beyond the place of its files."""
        parameters = list(inspect.signature(self.read).parameters.values())[1 if self.files else 0 :]
        return {parameter.name: parameter for parameter in parameters if parameter.name != "root"}

    def load(self, root: str | Path | None = None, **options: Any) -> Any:
        """Read it; its files are downloaded where they are nowhere and have a URL.

        Args:
            root: Folder with its files, or the folder around theirs; default: see `gnnkit.data.files.data_places`.
            options: See `options`.

        Raises:
            ValueError: An unknown option, one of another type, or files with other content.
            FileNotFoundError: Files that are neither there nor could be downloaded.
        """
        for option, value in options.items():
            if option not in self.options:
                allowed = ", ".join(self.options) or "no options"
                raise ValueError(f"{option}={value!r}: data set {self.name!r} takes {allowed}")
            _check_type(option, value, self.options[option].default)
        if self.files:
            folder = find_files(self.name, self.files, data_places(self.folder or self.name, root), self.source)
            found = self.read(folder, **options)
        elif "root" in inspect.signature(self.read).parameters:
            found = self.read(root=root, **options)
        elif root is not None:
            raise ValueError(f"root={str(root)!r}: data set {self.name!r} is read from no files; leave root out")
        else:
            found = self.read(**options)
        if not isinstance(found, self.gives):
            expected = f"{type(found).__name__}, and should give a {self.gives.__name__}"
            raise ValueError(f"data set {self.name!r} gives a {expected}")
        if not isinstance(found, GraphSeries):
            return found
        open_ = [name for name in ("source", "unit", "season", "history", "horizons") if not getattr(found, name)]
        return replace(found, **{name: getattr(self, name) for name in open_})


def _check_type(option: str, value: Any, default: Any) -> None:
    """A `ValueError` where a number is asked for and something else is given."""
    asked: dict[type, tuple[type, str]] = {int: (Integral, "a whole number"), float: (Real, "a number")}
    if type(default) in asked:
        kind, words = asked[type(default)]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{option}={value!r}: give {words} (default {default:g})")


_T_GCN = "https://raw.githubusercontent.com/lehaifeng/T-GCN/master/data"
_LOS_LOOP = (
    DataFile("los_speed.csv", _T_GCN, 3402125, "7b732d86ae32b2930595becba28aff39dacbfb2197e250fc0332e1744ce2cbf4"),
    DataFile("los_adj.csv", _T_GCN, 111686, "7a6eb41e10677992b5af50f5ab187c6c05c5c3a92cb973950cfddbf857361e76"),
)
_DATASETS = (
    Dataset(
        "simulated",
        "generated freeways (cell transmission model): 64 sensors, 2016 rows of 5-minute speeds in mph",
        simulate_traffic,
        licence="MIT",
        source="gnnkit.data.simulate",
        paper="Daganzo (1994, 1995)",
    ),
    Dataset(
        "los-loop",
        "Los Angeles loop detectors, 1 to 7 March 2012: 207 sensors, 2016 rows of 5-minute speeds in mph",
        read_los_loop,
        source="github.com/lehaifeng/T-GCN, data/ (a week of METR-LA)",
        paper="Zhao et al. (2020)",
        files=_LOS_LOOP,
        folder="losloop",
        unit="mph",
        season=288,
    ),
    Dataset(
        "metr-la",
        "Los Angeles loop detectors, March to June 2012: 207 sensors, 34272 rows; fetch its files by hand",
        partial(read_detectors, "metr-la.h5", "distances_la_2012.csv"),
        source="github.com/liyaguang/DCRNN",
        paper="Li et al. (2018)",
        files=(DataFile("metr-la.h5"), DataFile("distances_la_2012.csv")),
        unit="mph",
        season=288,
    ),
    Dataset(
        "pems-bay",
        "Bay Area detectors, January to June 2017: 325 sensors, 52116 rows; fetch its files by hand",
        partial(read_detectors, "pems-bay.h5", "distances_bay_2017.csv"),
        source="github.com/liyaguang/DCRNN",
        paper="Li et al. (2018)",
        files=(DataFile("pems-bay.h5"), DataFile("distances_bay_2017.csv")),
        unit="mph",
        season=288,
    ),
)

DATASETS: Registry[Dataset] = Registry("data set", Dataset.of, group="gnnkit.datasets", records=_DATASETS)
"""Name → record. `DATASETS["mine"] = Dataset("mine", …)` adds one (see `gnnkit._registry.Registry` for other ways)."""


def load(name: str, root: str | Path | None = None, **options: Any) -> GraphSeries:
    """Load a data set by its name.

    Args:
        name: One of `DATASETS`, `"package.module:function"` or `"path/to/file.py:function"`.
        root: As for `Dataset.load`.
        options: Arguments of its reader, e.g. those of `simulate_traffic`.

    Returns:
        The series.

    Raises:
        ValueError: An unknown name (the message has the nearest one) or option, or files with other content.
        FileNotFoundError: Files that are neither there nor could be downloaded.

    Example:
        >>> load("simulated", num_nodes=4, days=1).num_nodes
        4
    """
    return DATASETS[name].load(root, **options)


los_loop, metr_la, pems_bay = (partial(load, name) for name in ("los-loop", "metr-la", "pems-bay"))
