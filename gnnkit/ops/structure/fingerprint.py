"""A fingerprint of a tensor's memory: whatever writes there, and by whatever way, changes it."""

from __future__ import annotations

import ctypes
from collections.abc import Hashable
from functools import cache

from torch import Tensor
from xxhash import xxh3_128_digest

from gnnkit._optional import is_available
from gnnkit.ops.kernels.threads import run_chunks

__all__ = ["fingerprint", "has_numba"]

# Two threads are handed their work in about as long as one reads a megabyte.
_CHUNK = 1 << 20


@cache
def has_numba() -> bool:
    """Tell whether numba is installed, which is looked up once: it is asked for on every call."""
    return is_available("numba")


def fingerprint(tensor: Tensor) -> Hashable:
    """Read all of a CPU tensor's memory and return at least 128 bits that depend on each byte and its place.

    XXH3 reads as fast as the memory gives.

    Args:
        tensor: A strided tensor in main memory. Two tensors are to be compared by this only where shape, stride and
            type are equal.

    Returns:
        The bits, as a value that can be compared.

    Example:
        >>> import torch
        >>> edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> before = fingerprint(edges)
        >>> edges.numpy()[0, 0] = 1
        >>> fingerprint(edges) == before
        False
    """
    if not tensor.is_contiguous():
        if tensor.dim() == 2 and tensor.stride(1) == 1 and tensor.size(0) <= 4:  # some columns of a longer edge list
            return tuple(fingerprint(row) for row in tensor)
        transposed = tensor.t() if tensor.dim() == 2 else tensor
        tensor = transposed if transposed.is_contiguous() else tensor.contiguous()
    address, length = tensor.data_ptr(), tensor.numel() * tensor.element_size()
    if length <= 4 * _CHUNK:
        return _hash(address, length)
    found: dict[int, bytes] = {}

    def add(start: int, stop: int) -> None:
        found[start] = _hash(address + start, stop - start)

    starts = range(0, length, _CHUNK)
    run_chunks(add, [(start, min(start + _CHUNK, length)) for start in starts])
    return tuple(found[start] for start in starts)


def _hash(address: int, length: int) -> bytes:
    return xxh3_128_digest((ctypes.c_char * length).from_address(address)) if length else b""
