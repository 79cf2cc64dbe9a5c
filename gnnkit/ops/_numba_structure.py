"""Sorting edges by a node's number, compiled: a stable counting sort on all threads."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops._numba_cache import compiled
from gnnkit.ops._parallel import num_threads, run_chunks
from gnnkit.ops.structure import CompressedGraph

__all__ = ["balanced_chunks", "counting_sort", "graph_chunks", "user_edge"]

_MIN_EDGES_PER_THREAD = 50_000

# About a fifth of a millisecond of work: handing over a chunk costs a tenth of that.
_MIN_CHUNK_WORK = 400_000


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
    """Sort edges by key, stably.

    Args:
        keys: Key of each edge, `[E]`, all of them at least 0 and below `num_keys`.
        num_keys: Number of keys.
        values: A value for each edge, `[E]`.
        dtype: Type of the results.

    Returns:
        Where each key begins `[num_keys + 1]`, the values in order `[E]`, and the permutation `[E]`.
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


def balanced_chunks(pointers: np.ndarray, work_per_chunk: int) -> list[tuple[int, int]]:
    """Cut rows into chunks of about equal work: a power-law graph has most of its edges in a few rows.

    Args:
        pointers: Where each row begins, `[rows + 1]`.
        work_per_chunk: Edges plus rows of a chunk; a longer row is a chunk of its own.

    Returns:
        (first row, row after the last) of each chunk, all rows in order.
    """
    rows = len(pointers) - 1
    if rows <= 0:
        return []
    work = np.asarray(pointers, dtype=np.int64) + np.arange(rows + 1)
    chunks = max(1, int(-(-work[-1] // work_per_chunk)))
    cuts = np.searchsorted(work, np.linspace(0, work[-1], chunks + 1)[1:-1])
    edges = np.unique(np.concatenate([[0], cuts, [rows]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def graph_chunks(graph: CompressedGraph, channels: int, *, outgoing: bool = False) -> list[tuple[int, int]]:
    """The rows of a graph (or its columns) in chunks that are worth a thread's while, remembered with the graph.

    Args:
        graph: The graph.
        channels: Numbers per edge that a kernel reads.
        outgoing: True to cut sources by their outgoing edges, False to cut targets by their incoming ones.

    Returns:
        (first, after the last) of each chunk.
    """
    per_chunk = max(_MIN_CHUNK_WORK // max(channels, 1), 1024, graph.num_edges // 256)
    rows = graph.num_src if outgoing else graph.num_dst
    if graph.num_edges + rows <= per_chunk:
        return [(0, rows)] if rows else []
    key = f"chunks {outgoing} {per_chunk}"
    if key not in graph.scratch:
        pointers = graph.colptr if outgoing else graph.rowptr
        graph.scratch[key] = balanced_chunks(pointers.numpy(), per_chunk)
    return graph.scratch[key]  # pyright: ignore[reportReturnType]


def user_edge(graph: CompressedGraph) -> Tensor:
    """CSC position → the user's edge, `[E]`, remembered with the graph."""
    if graph.perm is None:
        return graph.perm_t
    if "user_edge" not in graph.scratch:
        graph.scratch["user_edge"] = graph.perm.index_select(0, graph.perm_t)
    return graph.scratch["user_edge"]  # pyright: ignore[reportReturnType]
