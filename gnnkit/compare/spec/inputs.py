"""Fields of a spec as people may give them, before their types are looked at."""

from __future__ import annotations

from os import PathLike
from typing import Any

from gnnkit.temporal import MODELS

__all__ = ["a_path", "names_of_models", "some_values"]


def a_path(value: Any) -> Any:
    """A path; what is in memory is refused, with the way that there is for it."""
    if value is None or isinstance(value, (str, PathLike)):
        return value
    raise ValueError(
        f"a {type(value).__name__} is no path; what is in memory goes to the run: run(spec, "
        f"series=gnnkit.data.read_own(series, graph))"
    )


def some_values(values: Any) -> Any:
    """One value, or several."""
    alone = isinstance(values, (int, float, str)) and not isinstance(values, bool)
    return (values,) if alone else tuple(values) if isinstance(values, list) else values


def names_of_models(names: Any) -> Any:
    """Names; a class or a model is refused in one line, and not shown whole."""
    for name in names if isinstance(names, (list, tuple)) else ():
        if not isinstance(name, str):
            what = name.__name__ if isinstance(name, type) else type(name).__name__
            raise ValueError(
                f"{what} is no name: models of your own cannot be compared yet; choose from {', '.join(MODELS)}"
            )
    return tuple(names) if isinstance(names, list) else names
