"""One vector a graph, of its nodes': the sum, mean or maximum; and a node beside all others, that hears of them all."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gnnkit.layers._checks import check_size
from gnnkit.ops import segment_max, segment_mean, segment_sum

__all__ = ["READOUTS", "VirtualNode", "readout"]

READOUTS: dict[str, Callable[..., Tensor]] = {"sum": segment_sum, "mean": segment_mean, "max": segment_max}
"""What a graph's vector may be of its nodes'."""


def readout(x: Tensor, batch: Tensor, num_graphs: int, kind: str = "sum") -> Tensor:
    """Pool the nodes of each graph.

        out[g] = sum, mean or max over nodes i with batch[i] = g of x[i]

    Args:
        x: Features of the nodes.
        batch: Graph of each node, in any order.
        num_graphs: B.
        kind: `"sum"` (default), `"mean"` or `"max"`.

    Shape:
        x `[N, C]`, batch `[N]` → `[B, C]`; zero for a graph without nodes.

    Raises:
        ValueError: `kind` is another, or a shape or number of a graph does not fit.

    Example:
        >>> readout(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([0, 0, 1]), 2, "mean")
        tensor([[1.5000],
                [4.0000]])
    """
    if kind not in READOUTS:
        raise ValueError(f"readout must be one of {', '.join(READOUTS)}, got {kind!r}")
    return READOUTS[kind](x, batch, num_segments=num_graphs)


class VirtualNode(nn.Module):
    r"""A node of each graph that is a neighbour of all others, so that two of them are two hops apart at most.

        x_i ← x_i + v[g(i)]                               `spread`, before a layer
        v[g] ← v[g] + mlp(v[g] + sum over i in g of x_i)    `gather`, after it

    Args:
        channels: Width C of the nodes and of v.
        dropout: Of what it adds to itself. Default 0.

    Shape:
        nodes `[N, C]`, batch `[N]`, v `[B, C]`; `start` gives the v that is learnt, the same for all graphs.

    Source:
        Gilmer et al., "Neural message passing for quantum chemistry" (2017); the update as in Hu et al., "Open graph
        benchmark" (2020), with a residual.

    Example:
        >>> node, batch = VirtualNode(4), torch.tensor([0, 0, 1])
        >>> node.spread(torch.zeros(3, 4), node.start(2), batch).shape
        torch.Size([3, 4])
    """

    def __init__(self, channels: int, dropout: float = 0.0):
        super().__init__()
        check_size("channels", channels)
        self.first = nn.Parameter(torch.zeros(channels))
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels),
            nn.BatchNorm1d(2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
            nn.ReLU(),
            nn.Dropout(dropout),
        )

    def start(self, num_graphs: int) -> Tensor:
        """The virtual nodes before the first layer, `[B, C]`."""
        return self.first.expand(num_graphs, -1)

    def spread(self, x: Tensor, virtual: Tensor, batch: Tensor) -> Tensor:
        """The nodes, with their graph's virtual node added."""
        return x + virtual.index_select(0, batch)

    def gather(self, x: Tensor, virtual: Tensor, batch: Tensor) -> Tensor:
        """The virtual nodes, after they have heard of all nodes."""
        return virtual + self.mlp(virtual + segment_sum(x, batch, num_segments=virtual.size(0)))
