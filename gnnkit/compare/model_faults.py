"""Errors in the code of a model of one's own: told from gnnkit's, and put into a line."""

from __future__ import annotations

import linecache
import traceback
from types import FrameType
from typing import Any

from gnnkit.compare.model_code import is_installed
from gnnkit.temporal import WrongForecast
from gnnkit.temporal.entry import core_of

__all__ = ["fault_of"]

_SHOWN = 4


def fault_of(error: Exception, build: Any) -> str | None:
    """An error in a line, with the lines of the model's own code that led to it; None where it is gnnkit's.

    It is the model's where its own code stands in the traceback, where its forecast has a wrong shape, or where torch
    refuses what the model gave to it, as in a backward pass.

    Args:
        error: As it was caught.
        build: The class of the model, or a partial of it.

    Example:
        >>> def forward(x):
        ...     return x / 0
        >>> forward.__module__ = "mine"
        >>> try:
        ...     forward(1)
        ... except ZeroDivisionError as error:
        ...     fault_of(error, forward).partition(" (")[0]
        'ZeroDivisionError: division by zero'
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    mine = [(frame, line) for frame, line in frames if _is_own(frame, build)]
    text = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, WrongForecast):
        return str(error)
    if mine:
        places = [_place(frame, line) for frame, line in mine[-_SHOWN:]]
        return f"{text} ({'; '.join(places)})"
    # Of torch and the like, called by gnnkit; Python's own errors, as of a broken pipe, are not the model's.
    inner = frames[-1][0].f_code.co_filename if frames else ""
    of_torch = any(f"/{name}/" in inner.replace("\\", "/") for name in ("torch", "lightning", "lightning_fabric"))
    return f"{text} (raised by torch in the model's training)" if of_torch else None


def _is_own(frame: FrameType, build: Any) -> bool:
    file = frame.f_code.co_filename
    top = (getattr(core_of(build), "__module__", None) or "").partition(".")[0]
    if frame.f_globals.get("__name__", "").partition(".")[0] == top:
        return True
    return not file.startswith("<frozen") and not is_installed(file)


def _place(frame: FrameType, line: int) -> str:
    file = frame.f_code.co_filename
    code = linecache.getline(file, line, frame.f_globals).strip()
    name = file.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{line} in {frame.f_code.co_name}" + (f": {code}" if code else "")
