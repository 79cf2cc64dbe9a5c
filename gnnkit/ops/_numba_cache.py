"""Compiled kernels made for some constants, kept on disk between processes.

numba knows a nested function on disk by what its closure pickles to, and another compiled function in there pickles to
something else in every process: the kernel would be compiled anew each time, and the folder would grow for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

from gnnkit.ops._numba_math import FAST

__all__ = ["compiled"]


@cache
def _sources() -> str:
    """What all compiled kernels are made of: a change in any of these files makes all of them anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("_numba_*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _ConstantsCache(FunctionCache):
    """numba's store of one function's machine code, where the function is known by constants."""

    def __init__(self, function: Callable[..., Any], constants: tuple[Any, ...]) -> None:
        super().__init__(function)
        self._constants = constants

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple(), self._constants, _sources()


def compiled(*constants: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a nested function that becomes a kernel: it lets go of the GIL, and is kept on disk.

    Args:
        *constants: All that the function's closure depends on, besides the sources: numbers and the like.

    Returns:
        The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        kernel = njit(nogil=True, fastmath=FAST)(function)
        if isinstance(kernel, Dispatcher):  # and not, for debugging, the function itself
            kernel._cache = _ConstantsCache(function, constants)  # pyright: ignore[reportAttributeAccessIssue]
        return kernel

    return decorate
