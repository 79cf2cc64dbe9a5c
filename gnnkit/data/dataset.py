"""A named data set: what it is, whose it is, where its files are, and what reads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from gnnkit.data.files import DataFile, data_places, find_files
from gnnkit.data.series import GraphSeries

__all__ = ["Dataset", "series_file"]


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
        laid_out: A folder in `GNNKIT_DATA`, or in the given root, where the data set may lie in the layout of people's
            own data (`series.csv` or `long.csv`, maybe packed, `graph.csv`, `places.csv`); what lies there is read in
            place of `files`. Empty (default): there is none.
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
    laid_out: str = ""

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
            found = self.read(self._laid_out(root) or self._folder(root), **options)
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

    def at_hand(self, root: str | Path | None = None) -> bool:
        """Whether it can be read without a download; of files that are there only the names are looked at.

        Args:
            root: As for `load`.
        """
        if not self.files:
            return True
        try:
            places = data_places(self.folder or self.name, root)
        except FileNotFoundError:
            return False
        whole = any(all((place / file.name).is_file() for file in self.files) for place in places)
        return whole or self._laid_out(root) is not None

    def _folder(self, root: str | Path | None) -> Path:
        return find_files(self.name, self.files, data_places(self.folder or self.name, root), self.source)

    def _laid_out(self, root: str | Path | None) -> Path | None:
        """The folder that has the data set in the layout of people's own data, where there is one."""
        if not self.laid_out:
            return None
        places = [Path(root), Path(root) / self.laid_out] if root is not None else data_places(self.laid_out, None)
        return next((place for place in places if series_file(place) is not None), None)


def series_file(folder: Path) -> Path | None:
    """The series of a folder in the layout of people's own data; None where there is none.

    Example:
        >>> series_file(Path("nowhere")) is None
        True
    """
    names = (f"{stem}.csv{packed}" for stem in ("series", "long") for packed in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _check_type(option: str, value: Any, default: Any) -> None:
    """A `ValueError` where a number is asked for and something else is given."""
    asked: dict[type, tuple[type, str]] = {int: (Integral, "a whole number"), float: (Real, "a number")}
    if type(default) in asked:
        kind, words = asked[type(default)]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{option}={value!r}: give {words} (default {default:g})")
