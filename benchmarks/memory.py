"""What memory a step takes, and what stays allocated behind it."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Any

import torch
from contest import Case
from inputs import molecules
from sides import small_pair
from torch import Tensor, nn

__all__ = ["kept_bytes", "peak_memory"]


def peak_memory(case: Case, side: int, device: torch.device, warm_up: Case | None) -> float:
    """MiB that a side's first step takes above what was there before it, in this process.

    A small case runs before it, so that loading compiled kernels is not counted; caches of this graph are.
    """
    if warm_up is not None:
        warm_up.build(device)[side].step()
    contestant = case.build(device)[side]
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        contestant.step()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # Building the input left a peak behind: give freed pages back and let Linux count its high-water mark afresh.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _high_water_mark()
    contestant.step()
    return _high_water_mark() - before


def _high_water_mark() -> float:
    """MiB: what `ru_maxrss` counts, but for the mark that a new process inherits from the one that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM: peak memory is measured on Linux alone")


def kept_bytes(device: torch.device) -> list[dict[str, Any]]:
    """Bytes that stay allocated for each of 2000 molecules that a caller holds, after a training step on each."""
    rows = []
    for side, name in enumerate(("gnnkit", "PyG GCNConv and GATConv")):
        gcn, gat = (small_pair(layer, device, cached=False)[side] for layer in ("gcn", "gat"))
        held = [(torch.randn(25, 16), molecules(1, seed)) for seed in range(2000)]

        def step(x: Tensor, edges: Tensor, gcn: nn.Module = gcn[2], gat: nn.Module = gat[2]) -> None:
            (gcn(x, edges).sum() + gat(x, edges).sum()).backward()

        for pair in held[:20]:
            step(*pair)
        gc.collect()
        before = _heap_bytes()
        for pair in held:
            step(*pair)
        gc.collect()
        kept = {"kept_bytes": (_heap_bytes() - before) / len(held), "graph_bytes": sum(part.nbytes for part in held[0])}
        rows.append({"side": name, "version": gcn[1], **kept})
    return rows


_HEAP = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` gives back."""

    _fields_ = [(name, ctypes.c_size_t) for name in _HEAP.split()]


def _heap_bytes() -> int:
    """Bytes that are allocated at the moment, in the heap and beside it."""
    look = ctypes.CDLL(None).mallinfo2
    look.restype = _Heap
    heap = look()
    return heap.uordblks + heap.hblkhd
