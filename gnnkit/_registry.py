"""Records by name, to which code, installed packages and the place of a class or function can add."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, Protocol, TypeVar

from gnnkit.settings.problems import nearest

__all__ = ["Registry", "UnknownName"]


class _Named(Protocol):
    """Whatever has a name."""

    @property
    def name(self) -> str: ...


Record = TypeVar("Record", bound=_Named)
_FILE = "gnnkit_file"
"""How the names of modules begin that were read from a file by its path."""


class UnknownName(KeyError, ValueError):
    """A name that a registry does not know, or whose record cannot be loaded; its text is one line."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(MutableMapping[str, Record]):
    """A mapping from name to record. What is not in it by assignment is looked for elsewhere.

    - `registry[name] = record` adds one, for this process; so does a bare class or function, of which `make` makes one.
    - An installed package adds one by an entry point of the registry's group: its name is the record's.
    - `registry["package.module:Name"]` and `registry["path/to/file.py:Name"]` are the records of what stands there.

    Args:
        kind: What a record is, for messages, e.g. `"model"`.
        make: Called with a name and what is registered under it; gives the record, or raises a `ValueError`.
        group: Of entry points.
        records: The first ones; or where they stand, `module:name`, to be imported when the first record is asked for.

    Raises:
        UnknownName: On look-up, for a name that is none of these; it is a `KeyError` and a `ValueError`, and tells the
            nearest names or why a record cannot be loaded.

    Example:
        >>> from gnnkit.temporal import MODELS
        >>> MODELS["gru"].family, "gruu" in MODELS
        ('sequence', False)
    """

    def __init__(
        self, kind: str, make: Callable[[str, Any], Record], *, group: str, records: Iterable[Record] | str = ()
    ) -> None:
        self.kind, self.make, self.group = kind, make, group
        self._first = records
        self._assigned: set[str] = set()
        self._located: dict[tuple[str, str], Record] = {}
        self._broken: dict[str, str] = {}
        self._complete = False

    @cached_property
    def _own(self) -> Mapping[str, Record]:
        first: Iterable[Record] = resolve_name(self._first) if isinstance(self._first, str) else self._first
        return {record.name: record for record in first}

    @cached_property
    def _records(self) -> dict[str, Record]:
        return dict(self._own)

    def __getitem__(self, name: str) -> Record:
        if name not in self._records:
            self._take_entry_points()
        if name in self._records:
            return self._records[name]
        if name in self._broken:
            raise UnknownName(f"{self.kind} {name!r}: {self._broken[name]}")
        place, colon, attribute = str(name).rpartition(":")
        if colon:
            return self._locate(str(name), place, attribute)
        if str(name).endswith(".py"):
            raise UnknownName(f"{self.kind} {name!r} is a file; name the class or function in it, as {name}:NAME")
        raise UnknownName(f"unknown {self.kind} {name!r}{nearest(str(name), self)}")

    def __setitem__(self, name: str, value: Any) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
            raise ValueError(f"{self.kind} {name!r}: a name has letters, digits, points, - and _, and no other sign")
        if name in self._records:
            raise ValueError(
                f"{self.kind} {name!r} is registered already; choose another name, or delete that one first"
            )
        record = self.make(name, value)
        if record.name != name:
            raise ValueError(f"{self.kind} {name!r}: its record has the name {record.name!r}; give both the same one")
        self._records[name] = record
        self._assigned.add(name)

    def take_over(self, name: str, record: Record) -> None:
        """Take a record that another process found, whatever it was found by; one of the same name gives way."""
        self._records[name] = record
        self._assigned.add(name)

    def __delitem__(self, name: str) -> None:
        del self._records[name]
        self._assigned.discard(name)

    def __iter__(self) -> Iterator[str]:
        self._take_entry_points()
        return iter(list(self._records))

    def __len__(self) -> int:
        self._take_entry_points()
        return len(self._records)

    def names(self) -> list[str]:
        """The names of the first records and of those that were assigned; installed packages are not looked through."""
        return list(self._records)

    def is_first(self, name: str) -> bool:
        """Whether a name is one of the registry's first records, that is gnnkit's own."""
        return name in self._own and name not in self._assigned

    def assigned(self, names: Iterable[str]) -> dict[str, Record]:
        """Of some names, those that code of this process assigned: no other process knows them by itself."""
        return {name: self._records[name] for name in names if name in self._assigned}

    def file_of(self, module: ModuleType) -> str | None:
        """The file that a module was read from by its path, as `path/to/file.py:Name`; None for any other module."""
        return module.__file__ if module.__name__.startswith(_FILE) else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind!r}, {list(self)!r})"

    def _take_entry_points(self) -> None:
        """Add what installed packages offer, once; what cannot be loaded is told and left out."""
        if self._complete:
            return
        self._complete = True
        for point in sorted(entry_points(group=self.group), key=lambda point: point.name):
            try:
                self[point.name] = point.load()
                self._assigned.discard(point.name)  # another process finds it as this one did
            except Exception as error:  # a package's import may raise whatever it likes
                reason = f"the entry point {point.value!r} cannot be used ({_one_line(error)})"
                self._broken.setdefault(point.name, reason)
                warnings.warn(f"{self.kind} {point.name!r}: {reason}", stacklevel=3)

    def _locate(self, name: str, place: str, attribute: str) -> Record:
        is_file = place.endswith(".py")
        key = (str(Path(place).absolute()) if is_file else place, attribute)
        if key in self._located and not (is_file and _has_changed(Path(place))):
            return self._located[key]
        try:
            module = _import_file(Path(place)) if is_file else importlib.import_module(place)
        except Exception as error:  # whatever the code of that place raises
            raise UnknownName(f"{self.kind} {name!r}: {place} cannot be imported ({_one_line(error)})") from error
        if not hasattr(module, attribute):
            raise UnknownName(f"{self.kind} {name!r}: {place} has no {attribute!r}{nearest(attribute, _own(module))}")
        try:
            self._located[key] = self.make(name, getattr(module, attribute))
        except ValueError as error:
            raise UnknownName(str(error)) from None
        return self._located[key]


def modules_of_files() -> list[ModuleType]:
    """The modules that this process read from files by their paths, and what these found beside them: no other process
    finds them by their names."""
    return [module for name, module in list(sys.modules.items()) if name.startswith(_FILE) or name in _HOMES]


def _import_file(path: Path) -> ModuleType:
    """Run a file as a module, once a process and again after an edit; what lies beside it can be imported by it."""
    path = path.absolute()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    name = _module_name(path)
    if name in sys.modules and not _has_changed(path):
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # for the type checker: the file is there and ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _STAMPS[name] = _stamp(path)
    sys.modules[name] = module  # before it runs: its classes look themselves up there
    with _beside(path.parent):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let imports find what lies in a folder, not what was imported by the same name from beside another file."""
    others = {name: sys.modules.pop(name) for name, home in _HOMES.items() if home != folder and name in sys.modules}
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = Path(getattr(sys.modules[name], "__file__", None) or "")
            top = folder / name.partition(".")[0]  # not what an environment inside the folder has
            if file == top.with_suffix(".py") or file.is_relative_to(top):
                _HOMES.setdefault(name, folder)
        sys.modules.update(others)


_HOMES: dict[str, Path] = {}
"""Of each module that lay beside a file and was imported by it first, the folder of that file."""


_STAMPS: dict[str, tuple[int, int]] = {}
"""Of each file that was run, when it was written and how long it was then."""


def _module_name(path: Path) -> str:
    return f"{_FILE}{re.sub(r'[^A-Za-z0-9]', '_', str(path.absolute()))}"


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _has_changed(path: Path) -> bool:
    """Whether a file that was run is another one now; one that is gone is not."""
    stamp = _STAMPS.get(_module_name(path))
    return stamp is not None and path.is_file() and _stamp(path) != stamp


def _own(module: ModuleType) -> list[str]:
    """Names of the classes and functions that a module defines itself."""
    return [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
