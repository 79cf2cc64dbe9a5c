"""Neighbours drawn at random, and the numbers of nodes in the order in which they are met."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.ops.backends import REFERENCE, BackendEntry, Situation, register
from gnnkit.ops.dispatch import backend_for

__all__ = ["draw_neighbors", "number_nodes"]

for _op in ("draw_neighbors", "number_nodes"):
    register(
        _op, __package__, BackendEntry("numba", ("cpu",), needs="numba"), BackendEntry("torch", ("cpu",)), REFERENCE
    )


def draw_neighbors(
    pointers: Int[Tensor, " N+1"],
    nodes: Int[Tensor, " n"],
    count: int,
    *,
    seed: int,
    replace: bool = False,
    time: Tensor | None = None,
    until: Tensor | None = None,
    last: bool = False,
    weight: Float[Tensor, " E"] | None = None,
) -> tuple[Int[Tensor, " m"], Int[Tensor, " n"]]:
    """Draw up to `count` of the edges of each node; every set of them is equally likely.

    The edges of node i stand at the positions `pointers[i]` to `pointers[i + 1] - 1`. Where a node has no more than
    `count`, all are taken, in their order. With `replace` there are always `count`, unless the node has none.

    Args:
        pointers: Where each node's edges begin; the last entry is E.
        nodes: Whose edges are drawn; a node may stand there more than once.
        count: How many, or -1 for all.
        seed: The draw depends on it, and on nothing else. The reference and the compiled backend draw the same.
        replace: Whether an edge may be drawn more than once.
        time: Time of each edge `[E]`, rising among the edges of a node. Only edges up to `until` are drawn.
        until: A time for each of `nodes`, `[n]`.
        last: With `time`: the `count` latest in place of random ones.
        weight: Edges are drawn in proportion to it, without replacement one after the other; those of weight 0 never.

    Returns:
        Positions of the drawn edges, node after node, and how many each node has.

    Raises:
        ValueError: `count` is below -1, a node is out of range, one of `time` and `until` is missing, `last` stands
            beside `weight` or `replace`, sizes differ, or a weight is negative or no number.

    Source:
        Without replacement: Floyd's algorithm (Bentley and Floyd, 1987), and selection sampling for large counts
        (Knuth, The Art of Computer Programming 2, 3.4.2 S). By weight: Efraimidis and Spirakis, 2006.

    Example:
        >>> pointers = torch.tensor([0, 3, 4])
        >>> positions, number = draw_neighbors(pointers, torch.tensor([0, 1]), 2, seed=0)
        >>> number.tolist(), positions[2].item()
        ([2, 1], 3)
    """
    if count < -1:
        raise ValueError(f"count={count}: it is how many neighbours are drawn, or -1 for all")
    if (time is None) != (until is None):
        raise ValueError("time and until go together: the time of each edge, and how late it may be for each node")
    if last and (time is None or weight is not None or replace):
        raise ValueError("last=True takes the latest edges: it needs time and until, and no weight and no replace")
    num_nodes, num_edges = pointers.numel() - 1, int(pointers[-1])
    if nodes.numel():
        low, high = (int(end) for end in torch.aminmax(nodes))
        if low < 0 or high >= num_nodes:
            raise ValueError(f"nodes holds {low if low < 0 else high}, but there are {num_nodes} nodes")
    for name, value, size in (
        ("time", time, num_edges),
        ("weight", weight, num_edges),
        ("until", until, nodes.numel()),
    ):
        if value is not None and value.shape != (size,):
            raise ValueError(f"{name} has shape {list(value.shape)}, but should be [{size}]")
    if weight is not None:
        if weight.numel() and not bool((weight >= 0).all() & weight.isfinite().all()):
            raise ValueError("weight: some are negative or no numbers; give weights of 0 or more")
        weight = weight.double().contiguous()
    backend = backend_for("draw_neighbors", Situation(pointers.device.type))
    return backend(
        pointers.long().contiguous(), nodes.long().contiguous(), count, seed, replace, time, until, last, weight
    )


def number_nodes(known: Int[Tensor, " k"], ids: Int[Tensor, " m"]) -> tuple[Int[Tensor, " m"], Int[Tensor, " f"]]:
    """Give each id its place among those that are known, and the next free place to one that is met for the first time.

    Args:
        known: Ids that have places: their own in this list, the first of several.
        ids: Non-negative.

    Returns:
        The places of `ids`, and the new ids in the order in which they are met: `torch.cat([known, new])[places]` is
        `ids`.

    Raises:
        ValueError: An id is negative.

    Example:
        >>> number_nodes(torch.tensor([7, 5]), torch.tensor([9, 5, 8, 9]))
        (tensor([2, 1, 3, 2]), tensor([9, 8]))
    """
    for name, value in (("known", known), ("ids", ids)):
        if value.numel() and int(value.min()) < 0:
            raise ValueError(f"{name} holds {int(value.min())}: ids are 0 or more")
    backend = backend_for("number_nodes", Situation(ids.device.type))
    return backend(known.long().contiguous(), ids.long().contiguous())
