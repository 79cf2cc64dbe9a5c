"""The rows of a graph in chunks of about equal work, for threads."""

from __future__ import annotations

import numpy as np

from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["balanced_chunks", "graph_chunks"]

# About a fifth of a millisecond of work: handing over a chunk costs a tenth of that.
_MIN_CHUNK_WORK = 400_000


def balanced_chunks(pointers: np.ndarray, work_per_chunk: int) -> list[tuple[int, int]]:
    """Cut rows into chunks of about equal work: a power-law graph has most of its edges in a few rows.

    Args:
        pointers: Where each row begins, `[rows + 1]`.
        work_per_chunk: Edges plus rows of a chunk; a longer row is a chunk of its own.
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
    """A graph's targets (`outgoing`: its sources) in chunks that are worth a thread's while, remembered with the graph.

    `channels` is how many numbers an edge makes a kernel read.
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
