"""Code that a kept folder names: it runs where the user says so, and not because a file says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gnnkit.data import DATASETS
from gnnkit.temporal import MODELS

__all__ = ["check_no_code"]


def check_no_code(directory: str | Path, models: Iterable[Any], data: Any) -> None:
    """Refuse models and a data set that are code which this process has not imported.

    Args:
        directory: the folder that names them.
        models: their names or places; what is no text is left to its reader.
        data: of the data set; None: none.

    Raises:
        ValueError: one of them would run; names it.
    """
    named = [("model", MODELS, name) for name in models] + [("data set", DATASETS, data)]
    for what, registry, name in named:
        if isinstance(name, str) and not registry.is_loaded(name):
            raise ValueError(
                f"{directory}: its {what} is the code of {name}, which reading it would run; where you trust it, say "
                "trust_code=True (--trust-code), or import it first"
            )
