"""Which code a model of one's own is made of: its file, and what that imports from beside it."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import linecache
import site
import sys
import sysconfig
import textwrap
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import gnnkit
from gnnkit.temporal import MODELS

__all__ = ["UNKNOWN", "is_installed", "model_digest"]

UNKNOWN = "unknown"
"""How the digest of code begins that cannot be read."""
_SEEN: dict[Path, int] = {}
"""What this process found in a file at first."""


def model_digest(build: Any) -> str:
    """SHA-256 of the code of a model: an edit of it, or of what it imports from beside it, gives another one.

    Read are the file of the class, and from there on all that is imported from the same folder or package, or from any
    folder that holds no installed packages. Of a class that stands in no file (in a notebook's cell) it is the source
    of the class, of its bases and of what they name. What a partial fixes counts as well.

    Args:
        build: A class, a function, or a partial of one.

    Returns:
        The digest. Where the source cannot be had, or was edited after this process imported it, it begins with
        `UNKNOWN`, and no other process has the same one.
    """
    digest = hashlib.sha256()
    while isinstance(build, partial):
        digest.update(repr((build.args, sorted(build.keywords.items()))).encode())
        build = build.func
    for one in inspect.getmro(build) if isinstance(build, type) else [build]:
        name = getattr(one, "__module__", "")
        module = sys.modules.get(name)
        path = _file(module)
        if path is not None and _is_gnnkit(path):
            digest.update(f"{name}.{one.__qualname__}".encode())  # its code is in every fingerprint
        elif path is not None and module is not None and (one is build or not is_installed(path)):
            for file in sorted(_files(path, module)):
                content = file.read_bytes()
                # An edited file is read anew by its place; other modules stay in this process as they were.
                if MODELS.file_of(module) != str(file) and _SEEN.setdefault(file, hash(content)) != hash(content):
                    return _unknown(build)
                digest.update(content)
        elif path is None and name.partition(".")[0] not in {*sys.stdlib_module_names, "builtins", "torch", "numpy"}:
            text = _text_of(one)
            if text is None:
                return _unknown(build)
            digest.update(text.encode())
    return digest.hexdigest()


@functools.cache
def _unknown(build: Any) -> str:
    return f"{UNKNOWN} {uuid.uuid4().hex}"


def _file(module: ModuleType | None) -> Path | None:
    """The file of a module; None where it is none of Python, as of a notebook, or where there is no module."""
    name = getattr(module, "__file__", None)
    path = Path(name) if name else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _files(start: Path, module: ModuleType) -> set[Path]:
    """A file and all that it imports, directly or not, less what is installed or Python's or gnnkit's own."""
    depth = 0 if _is_place(module) else module.__name__.count(".") + (start.name == "__init__.py")
    root = start.resolve().parents[depth]
    package = root / module.__name__.partition(".")[0] if depth else None
    if package is not None and is_installed(package):  # it may be large: all of it, and nobody reads its imports
        return {file.resolve() for file in package.rglob("*.py")}
    found, waiting = set(), [start.resolve()]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.add(file)
        for name in _imports(file, root):
            for other in _places(name, root, file.parent):
                if not is_installed(other):
                    waiting.append(other)
    return found


def _is_place(module: ModuleType) -> bool:
    """Whether a module is no part of a package: a script, or a file that was read by its path."""
    return module.__name__ == "__main__" or ("." not in module.__name__ and not hasattr(module, "__path__"))


def _imports(file: Path, root: Path) -> Iterator[str]:
    """Dotted names of all that a file imports, at its top and inside functions; names of attributes among them."""
    parts = file.relative_to(root).with_suffix("").parts if file.is_relative_to(root) else (file.stem,)
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(parts[: len(parts) - node.level]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" if module else alias.name for alias in node.names)


def _places(name: str, root: Path, folder: Path) -> Iterator[Path]:
    """The files of a module and of the packages around it, from beside the model or where Python found them."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        beside = Path(*parts[:length])
        for above in dict.fromkeys((root, folder)):
            yield from (
                place.resolve()
                for place in (above / beside.with_suffix(".py"), above / beside / "__init__.py")
                if place.is_file()
            )
        loaded = _file(sys.modules.get(".".join(parts[:length])))
        if loaded is not None:
            yield loaded.resolve()


@functools.cache
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = [sysconfig.get_path(name) for name in names] + site.getsitepackages() + [site.getusersitepackages()]
    return (*(Path(path).resolve() for path in paths), Path(gnnkit.__file__).resolve().parent)


def _is_gnnkit(file: Path) -> bool:
    return file.resolve().is_relative_to(_installed()[-1])


@functools.cache
def is_installed(file: str | Path) -> bool:
    """Whether a file is one of an installed package, of Python or of gnnkit."""
    path = Path(file)
    inside = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(inside) or any(path.resolve().is_relative_to(folder) for folder in _installed())


def _text_of(one: Any, seen: set[int] | None = None) -> str | None:
    """The source of a class or function of no file, and of what it names of its module; None where it cannot be had."""
    seen = set() if seen is None else seen
    seen.add(id(one))
    text = _source(one)
    if text is None:
        return None
    around = vars(sys.modules.get(one.__module__, ModuleType("none")))
    found = [text]
    for name in sorted({node.id for node in ast.walk(ast.parse(textwrap.dedent(text))) if isinstance(node, ast.Name)}):
        value = around.get(name)
        if isinstance(value, (bool, int, float, str, tuple)):
            found.append(f"{name} = {value!r}")
        elif inspect.isclass(value) or inspect.isfunction(value):
            mine = value.__module__ == one.__module__
            if mine and id(value) not in seen:
                more = _text_of(value, seen)
                if more is None:
                    return None
                found.append(more)
    return "\n".join(found)


def _source(one: Any) -> str | None:
    try:
        return inspect.getsource(one)
    except (OSError, TypeError):
        functions = (
            [value for value in vars(one).values() if inspect.isfunction(value)] if isinstance(one, type) else []
        )
    for function in functions:  # they know the cell that a class of a notebook stands in, which the class does not
        code = function.__code__
        text = "".join(linecache.getlines(code.co_filename))
        for node in ast.walk(ast.parse(text)):
            if not (isinstance(node, ast.ClassDef) and node.name == one.__name__):
                continue
            if node.lineno <= code.co_firstlineno <= (node.end_lineno or 0):
                return ast.get_source_segment(text, node)
    return None
