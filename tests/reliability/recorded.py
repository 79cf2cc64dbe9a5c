"""Rows for `make reliability`: a test that counts says what it counted, where somebody asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["asked", "record"]

_ROWS = "GNNKIT_RELIABILITY_ROWS"


def asked(name: str, default: int) -> int:
    """A number of cases from the environment: `GNNKIT_RELIABILITY_KILLS` and the like."""
    return int(os.environ.get(f"GNNKIT_RELIABILITY_{name.upper()}", default))


def record(what: str, **row: Any) -> None:
    """Add a row to the file that `GNNKIT_RELIABILITY_ROWS` names; nowhere without it.

    A run that is cut off has the rows that it wrote.
    """
    place = os.environ.get(_ROWS)
    if place:
        with Path(place).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"what": what, **row}) + "\n")
