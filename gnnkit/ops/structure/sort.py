"""Node numbers: their range, their type, and edges sorted by them."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.structure.fingerprint import has_numba

__all__ = ["check_range", "index_dtype", "sort_by"]

_INT32_MAX = 2**31 - 1


def check_range(what: str, size_name: str, indices: Tensor, size: int) -> None:
    if indices.numel() == 0:
        return
    low, high = (int(end) for end in torch.aminmax(indices))
    if low < 0 or high >= size:
        raise ValueError(
            f"{what} holds node {low if low < 0 else high}, but {size_name}={size}: numbers are 0 to {size_name} - 1; "
            f"pass the number of nodes, or renumber them"
        )


def index_dtype(*sizes: int) -> torch.dtype:
    return torch.int32 if max(sizes) <= _INT32_MAX else torch.int64


def sort_by(keys: Tensor, num_keys: int, values: Tensor, num_values: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort edges by key, stably: where each key begins, the values in that order, and the permutation."""
    dtype = index_dtype(num_keys, num_values, keys.numel())
    if keys.device.type == "cpu" and has_numba():
        from gnnkit.ops.structure.numba_sort import counting_sort

        return counting_sort(keys, num_keys, values, dtype)
    ordered, perm = torch.sort(keys, stable=True)
    pointers = torch.searchsorted(ordered, torch.arange(num_keys + 1, dtype=keys.dtype, device=keys.device))
    return pointers.to(dtype), values.index_select(0, perm).to(dtype), perm.to(dtype)
