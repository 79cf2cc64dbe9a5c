"""When Python looks for objects that hold each other: seldom, in verbs that are over soon."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["seldom_collected"]

_OBJECTS = 100_000
"""Objects that are made between two searches, some ten megabytes; Python's own 700 are a second of a start."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Search seldom while the context lasts.

    Imports and figures make a million objects that stay, and each search goes through all of these again.

    Example:
        >>> with seldom_collected():
        ...     gc.get_threshold()[0]
        100000
    """
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
