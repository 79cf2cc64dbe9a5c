"""Compiled kernels made for some constants, kept on disk between processes.

numba's own files are not used. They know a nested function by what its closure pickles to, which is something else in
every process; two processes that compile two kernels of one function give both the same file; and nothing tells a
damaged file from a whole one.
"""

from __future__ import annotations

import hashlib
import pickle
import platform
import secrets
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit
from numba.core import bytecode, config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

from gnnkit._user_cache import user_cache
from gnnkit.ops.kernels.arithmetic import FAST
from gnnkit.ops.kernels.files import KernelFiles

__all__ = ["compiled"]

_FIRST_NUMBER = 1 << 62


def _numbers() -> Iterator[int]:
    while True:
        yield _FIRST_NUMBER | secrets.randbits(62)


# numba tells functions of one name apart by a number in their symbols, which it counts from 1 in every process. Code of
# two processes that are then loaded into a third one shares symbols, and the linker takes the first function for both:
# `spmm` without weights would run the inner loop of the one with weights. No two processes draw the same numbers, not
# even after a fork.
bytecode.FunctionIdentity._unique_ids = _numbers()  # pyright: ignore[reportAttributeAccessIssue]


def _folder() -> Path:
    given = config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue]
    return Path(given) / "gnnkit" if given else user_cache() / "kernels"


_files = KernelFiles(_folder)


_OPS = Path(__file__).parents[1]


@cache
def _makings(folder: Path) -> tuple[Any, ...]:
    """What the kernels of a folder depend on: a change in any of it makes all of them anew.

    The sources are those of the folder, and of all ops: a kernel calls what stands in other files.
    """
    sources = hashlib.sha256()
    for path in sorted({*_OPS.rglob("*.py"), *folder.glob("*.py")}):
        sources.update(path.read_bytes())
    switches = [getattr(config, name, None) for name in ("OPT", "BOUNDSCHECK", "LOOP_VECTORIZE", "SLP_VECTORIZE")]
    versions = (platform.python_implementation(), platform.python_version(), numba.__version__, llvmlite.__version__)
    return sources.hexdigest(), *versions, np.__version__, *map(str, switches)


class _KernelCache(NullCache):
    """Where numba's dispatcher asks for a function's machine code before it compiles it."""

    def __init__(self, function: Callable[..., Any], makings: tuple[Any, ...]) -> None:
        # `spmm.numba.gather`: the file's own name is that of the backend, and of many.
        where = ".".join(function.__module__.split(".")[-2:])
        self._name = f"{where}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._folder = Path(function.__code__.co_filename).parent
        self._makings = (function.__module__, function.__qualname__, function.__code__.co_firstlineno, *makings)

    @property
    def cache_path(self) -> Any:
        return None if _files.folder is None else str(_files.folder)

    def _file(self, signature: Any, codegen: Any) -> tuple[str, bytes]:
        key = repr((self._makings, _makings(self._folder), codegen.magic_tuple(), signature)).encode()
        return f"{self._name}-{hashlib.sha256(key).hexdigest()[:32]}.nbc", key

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        name, key = self._file(sig, target_context.codegen())
        content = _files.read(name, key)
        if content is None:
            return None
        try:
            return CompileResult._rebuild(target_context, *pickle.loads(content))
        except Exception as error:  # whatever a pickle can raise: the kernel is compiled as if there were no file
            _files.say_damaged(name, error)
            return None

    def save_overload(self, sig: Any, cres: Any) -> None:
        named_apart = cres.fndesc.uid >= _FIRST_NUMBER  # else numba has another way of numbering by now
        lifted = not all(part.can_cache for part in cres.lifted)
        if named_apart and not lifted and not cres.library.has_dynamic_globals:
            _files.write(*self._file(sig, cres.codegen), dumps(cres._reduce()))


def compiled(*constants: Any, fastmath: Any = FAST, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function that becomes a kernel: it lets go of the GIL, and is kept on disk.

    Args:
        *constants: All that the function's closure depends on, besides the sources: numbers and the like.
        fastmath: Default: sums may be reordered.
        **options: numba's others.
    """
    options |= {"nogil": True, "fastmath": fastmath}
    named = [(name, sorted(value) if isinstance(value, set) else value) for name, value in sorted(options.items())]

    def decorate(function: Callable[..., Any]) -> Any:
        kernel = njit(**options)(function)
        # Not where it is, for debugging, the function itself; nor one of a notebook, whose source no file tells.
        if isinstance(kernel, Dispatcher) and Path(function.__code__.co_filename).is_file():
            cache = _KernelCache(function, (constants, named))
            kernel._cache = cache  # pyright: ignore[reportAttributeAccessIssue]
        return kernel

    return decorate
