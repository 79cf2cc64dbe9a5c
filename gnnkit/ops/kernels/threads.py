"""Run compiled kernels, which let go of the GIL, on several threads, and give them memory that costs few page faults.

Python's threads are taken and not numba's own layers: two callers at once are then no special case (numba's `workqueue`
aborts there), a fork leaves nothing behind that could hang, and no second OpenMP runtime spins beside torch's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

__all__ = ["empty", "even_chunks", "num_threads", "real_type", "run_chunks"]

_HUGE_PAGE = 2 * 1024 * 1024
_MADV_HUGEPAGE = 14

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def num_threads() -> int:
    """As many threads as torch takes: `torch.set_num_threads` is the one place to ask for more or fewer."""
    return torch.get_num_threads()


def _forget_pool() -> None:
    # The child of a fork has none of its parent's threads: a pool that it took over would wait for ever.
    global _lock, _pool, _pool_size
    _lock, _pool, _pool_size = threading.Lock(), None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _get_pool(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _lock:
        if _pool is None or _pool_size < size:
            # A smaller pool may still have work of another caller: it ends by itself when that is done.
            _pool, _pool_size = ThreadPoolExecutor(size, thread_name_prefix="gnnkit"), size
        return _pool


def even_chunks(count: int, shares: int) -> list[tuple[int, int]]:
    """`range(count)` in at most so many pieces of about one length."""
    shares = min(count, shares)
    return list(pairwise(count * share // max(shares, 1) for share in range(shares + 1)))


def run_chunks(kernel: Callable[..., Any], chunks: Sequence[tuple[int, ...]], *arguments: Any) -> None:
    """Call a compiled `kernel(start, stop, *arguments)` for each chunk, on as many threads as torch has.

    What else stands in a chunk, such as its number, comes after its end.

    Which thread takes which chunk is left open: a result that must be the same each time depends on the chunk alone.
    """
    threads = min(num_threads(), len(chunks)) if len(chunks) > 1 else 1
    if threads <= 1:
        for chunk in chunks:
            kernel(*chunk, *arguments)
        return
    waiting = iter(chunks)

    def work() -> None:
        # One step of a list's iterator is atomic under the GIL, so each chunk is taken once.
        for chunk in waiting:
            kernel(*chunk, *arguments)

    pool = _get_pool(threads - 1)
    others = [pool.submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        # Where all threads of the pool are busy with another caller's chunks, ours are done by now: no waiting.
        if not other.cancel():
            other.result()


@cache
def _madvise() -> Callable[[int, int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=False).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


def empty(*shape: int, dtype: torch.dtype) -> Tensor:
    """An uninitialised CPU tensor; a large one asks for huge pages, as first touches are a third of a step."""
    tensor = torch.empty(shape, dtype=dtype)
    size = tensor.nbytes
    if size >= 2 * _HUGE_PAGE:
        advise = _madvise()
        if advise is not None:
            # Whole pages inside the tensor alone. It is advice: where it is not taken, small pages come as ever.
            start = -(-tensor.data_ptr() // _HUGE_PAGE) * _HUGE_PAGE
            stop = (tensor.data_ptr() + size) // _HUGE_PAGE * _HUGE_PAGE
            advise(start, stop - start, _MADV_HUGEPAGE)
    return tensor


def real_type(values: Tensor) -> torch.dtype:
    """The type in which a compiled kernel takes values: float64, or float32 for all narrower ones."""
    return torch.float64 if values.dtype == torch.float64 else torch.float32
