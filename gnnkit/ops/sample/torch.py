"""The sampling ops in torch's own operators: the same distribution as the compiled ones, with other random numbers."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw_neighbors", "number_nodes"]


def draw_neighbors(
    pointers: Tensor,
    nodes: Tensor,
    count: int,
    seed: int,
    replace: bool,
    time: Tensor | None,
    until: Tensor | None,
    last: bool,
    weight: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """See `gnnkit.ops.sample.draw_neighbors`: every candidate gets a key, and each node keeps its smallest."""
    generator = torch.Generator().manual_seed(seed & ((1 << 63) - 1))
    sizes = pointers[nodes + 1] - pointers[nodes]
    owner = torch.repeat_interleave(torch.arange(nodes.numel()), sizes)
    starts = sizes.cumsum(0) - sizes
    rank = torch.arange(owner.numel()) - starts[owner]
    position = pointers[nodes][owner] + rank
    keep = torch.ones_like(position, dtype=torch.bool)
    if time is not None and until is not None:
        keep &= time[position] <= until[owner]
    if weight is not None:
        keep &= weight[position] > 0
    owner, position = owner[keep], position[keep]
    sizes = torch.bincount(owner, minlength=nodes.numel())
    starts = sizes.cumsum(0) - sizes
    if count < 0:
        return position, sizes
    if replace:
        numbers = torch.where(sizes > 0, count, 0)
        drawn_by = torch.repeat_interleave(torch.arange(nodes.numel()), numbers)
        share = torch.rand(drawn_by.numel(), dtype=torch.float64, generator=generator)
        if weight is None:
            chosen = starts[drawn_by] + torch.minimum((share * sizes[drawn_by]).long(), sizes[drawn_by] - 1)
        else:
            sums = weight[position].cumsum(0)
            before = torch.cat([sums.new_zeros(1), sums])
            low, high = before[starts[drawn_by]], before[(starts + sizes)[drawn_by]]
            chosen = torch.searchsorted(sums, low + share * (high - low), right=True)
            chosen = torch.clamp(chosen, starts[drawn_by], (starts + sizes)[drawn_by] - 1)
        return position[chosen], numbers
    key = torch.rand(owner.numel(), dtype=torch.float64, generator=generator)
    if last:
        key = -(torch.arange(owner.numel()) - starts[owner]).double()
    elif weight is not None:
        key = -key.clamp_min(2.0**-60).log() / weight[position]
    order = key.argsort(stable=True)
    order = order[owner[order].argsort(stable=True)]
    first = torch.arange(owner.numel()) - starts[owner] < count
    # Back in the order of the edges: where all are taken, they stand as they are.
    chosen = order[first].sort().values
    return position[chosen], sizes.clamp_max(count)


def number_nodes(known: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """See `gnnkit.ops.sample.number_nodes`."""
    both = torch.cat([known, ids])
    distinct, group = both.unique(return_inverse=True)
    first = torch.full_like(distinct, both.numel()).scatter_reduce(0, group, torch.arange(both.numel()), "amin")
    fresh = first[first >= known.numel()].sort().values
    places = torch.arange(both.numel())
    places[fresh] = known.numel() + torch.arange(fresh.numel())
    return places[first][group[known.numel() :]], both[fresh]
