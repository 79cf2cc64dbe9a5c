"""Sorting edges by a node's number, compiled: a stable counting sort on all threads."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.threads import num_threads, run_chunks

__all__ = ["counting_sort"]

_MIN_EDGES_PER_THREAD = 50_000


@compiled(fastmath=False)
def _count(start, stop, bounds, keys, counts):
    for part in range(start, stop):
        row = counts[part]
        row[:] = 0
        for edge in range(bounds[part], bounds[part + 1]):
            row[keys[edge]] += 1


@compiled(fastmath=False)
def _offsets(counts, pointers):
    total = 0
    for key in range(counts.shape[1]):
        pointers[key] = total
        for part in range(counts.shape[0]):
            count = counts[part, key]
            counts[part, key] = total
            total += count
    pointers[counts.shape[1]] = total


@compiled(fastmath=False)
def _place(start, stop, bounds, keys, values, offsets, ordered, perm):
    for part in range(start, stop):
        row = offsets[part]
        for edge in range(bounds[part], bounds[part + 1]):
            position = row[keys[edge]]
            row[keys[edge]] = position + 1
            ordered[position] = values[edge]
            perm[position] = edge


def counting_sort(keys: Tensor, num_keys: int, values: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Sort edges by key, stably; keys are at least 0 and below `num_keys`.

    Returns:
        Where each key begins `[num_keys + 1]`, the values in order `[E]`, the permutation `[E]`, all of type `dtype`.
    """
    edges = keys.numel()
    pointers = torch.empty(num_keys + 1, dtype=dtype)
    ordered, perm = torch.empty(edges, dtype=dtype), torch.empty(edges, dtype=dtype)
    key_array, value_array = keys.contiguous().numpy(), values.contiguous().numpy()
    # Every part counts all keys for itself: more parts than eight cost more in counters than they save.
    parts = max(1, min(num_threads(), 8, edges // _MIN_EDGES_PER_THREAD))
    bounds = np.linspace(0, edges, parts + 1).astype(np.int64)
    counts = np.empty((parts, num_keys), dtype=pointers.numpy().dtype)
    each = [(part, part + 1) for part in range(parts)]
    run_chunks(_count, each, bounds, key_array, counts)
    _offsets(counts, pointers.numpy())
    run_chunks(_place, each, bounds, key_array, value_array, counts, ordered.numpy(), perm.numpy())
    return pointers, ordered, perm
