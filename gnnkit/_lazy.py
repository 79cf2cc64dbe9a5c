"""Packages whose names are imported when they are asked for, so that nobody waits for what they do not use."""

from __future__ import annotations

import ast
import importlib
import sys
from types import ModuleType
from typing import Any

__all__ = ["import_lazily"]


class _LazyPackage(ModuleType):
    """A package that knows from which of its modules each of its names comes."""

    _places: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        place = self._places.get(name)
        if place is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(place), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds a submodule to its package when it is imported. Where the package has a function of that name,
        # `from package import name` is the function, as it is where all names are imported at once.
        if isinstance(value, ModuleType) and name in self._places:
            value = getattr(value, name)
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._places})


def import_lazily(package: str) -> None:
    """Import the names of a package one by one, when they are asked for.

    Its `__init__.py` has their imports for type checkers alone, in the one place where they are read here too:

        if TYPE_CHECKING:
            from package.module import name
        else:
            import_lazily(__name__)

    Args:
        package: the package's name.
    """
    module: Any = sys.modules[package]
    tree = ast.parse(module.__spec__.loader.get_source(package))
    guarded = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = [each for node in guarded for each in node.body if isinstance(each, ast.ImportFrom)]
    module.__class__ = _LazyPackage
    module.__dict__["_places"] = {alias.name: str(each.module) for each in imports for alias in each.names}
