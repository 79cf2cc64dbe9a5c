"""How deep should a network be? What each node has heard of after every layer, and a depth with its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gnnkit.graph.adjacency import normalize_adjacency
from gnnkit.graph.checks import check_graph
from gnnkit.graph.diagnostics import dirichlet_energy
from gnnkit.graph.formats import as_data
from gnnkit.ops import hop_levels, spmm

__all__ = ["DepthSuggestion", "ReceptiveFields", "receptive_field_sizes", "suggest_depth"]

# Sources that are searched from in one go: their levels take 2 N bytes each.
_CHUNK = 256


@dataclass(frozen=True)
class ReceptiveFields:
    """How many nodes a node has heard of after k layers.

    Args:
        nodes: The nodes that were looked at, `[S]`.
        sizes: Nodes within k hops, the node itself included, `[S, K + 1]`, int64; the last column is final.
        num_nodes: N.
        exact: Whether all nodes were looked at.
    """

    nodes: Tensor
    sizes: Tensor
    num_nodes: int
    exact: bool

    @property
    def depth(self) -> int:
        """The number of layers after which no node that was looked at hears of new ones: its largest eccentricity."""
        return self.sizes.size(1) - 1

    def mean(self) -> Tensor:
        """Mean size after each number of layers, `[K + 1]`."""
        return self.sizes.double().mean(dim=0)

    def median(self) -> Tensor:
        """Median size after each number of layers, `[K + 1]`."""
        return self.sizes.double().quantile(0.5, dim=0)

    def standard_error(self) -> Tensor:
        """Standard error of the mean that sampling leaves, `[K + 1]`; 0 where all nodes were looked at."""
        if self.exact or self.sizes.size(0) < 2:
            return torch.zeros(self.sizes.size(1), dtype=torch.float64)
        left = (1 - self.sizes.size(0) / self.num_nodes) ** 0.5
        return self.sizes.double().std(dim=0) / self.sizes.size(0) ** 0.5 * left

    def hop_histogram(self) -> Tensor:
        """Mean number of nodes at exactly k hops, `[K + 1]`; the first is the node itself."""
        mean = self.mean()
        return torch.cat([mean[:1], mean.diff()])


def receptive_field_sizes(graph: Any, *, samples: int | None = None, seed: int = 0) -> ReceptiveFields:
    """Count, for all nodes at once, the nodes that each has heard of after 0, 1, 2, ... layers.

    Args:
        graph: A PyG `Data` or a networkx graph. News runs along the edges' direction.
        samples: Nodes that are looked at, drawn at random; None (default) looks at all.
        seed: Of the draw. Default 0.

    Returns:
        The sizes: see `ReceptiveFields`.

    Raises:
        ValueError: A malformed graph, one without nodes, or `samples` below 1.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> receptive_field_sizes(six_node_graph()).sizes[2].tolist()  # C
        [1, 2, 4, 5, 6]
    """
    edge_index, num_nodes = check_graph(as_data(graph))
    if num_nodes == 0:
        raise ValueError("graph has no nodes: there is nothing to hear of")
    if samples is not None and samples < 1:
        raise ValueError(f"samples must be at least 1, or None for all nodes, got {samples}")
    exact = samples is None or samples >= num_nodes
    nodes = torch.arange(num_nodes)
    if not exact:
        nodes = torch.randperm(num_nodes, generator=torch.Generator().manual_seed(seed))[:samples].sort().values
    backwards = edge_index.long().flip(0)
    counts = []
    for part in nodes.split(_CHUNK):
        levels = hop_levels(backwards, part, num_nodes).cpu()
        deepest = int(levels.max())
        # One count for each source and level: level -1, not reached, goes to column 0 and is dropped.
        flat = levels.to(torch.int32) + 1 + torch.arange(part.numel(), dtype=torch.int32).unsqueeze(1) * (deepest + 2)
        found = torch.bincount(flat.view(-1), minlength=part.numel() * (deepest + 2)).view(part.numel(), -1)
        counts.append(found[:, 1:])
    width = max(found.size(1) for found in counts)
    padded = [torch.nn.functional.pad(found, (0, width - found.size(1))) for found in counts]
    return ReceptiveFields(nodes, torch.cat(padded).cumsum(dim=1), num_nodes, exact)


@dataclass(frozen=True)
class DepthSuggestion:
    """A number of layers, and why.

    Args:
        depth: The number of message-passing layers.
        enough: Layers after which (nearly) all that can be heard has been heard.
        squeeze: The most layers for which the median receptive field still fits into the channels.
        smoothing: The most layers for which plain averaging keeps a tenth of a random signal's relative energy.
        reasons: A sentence for each of the above, and for what to do about the rest.
    """

    depth: int
    enough: int
    squeeze: int
    smoothing: int
    reasons: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return f"{_layers(self.depth)}\n" + "\n".join(f"- {reason}" for reason in self.reasons)


def suggest_depth(
    graph: Any,
    *,
    hidden_channels: int = 64,
    news_from: Tensor | None = None,
    samples: int | None = None,
    seed: int = 0,
    max_depth: int = 64,
) -> DepthSuggestion:
    """Suggest a number of message-passing layers for a graph, with the reasons.

    - *Enough*: with `news_from`, after how many layers have 95% of the nodes that can hear of one of these nodes done
      so? Without it, after how many has the mean node heard of 99% of what it will ever hear of?
    - *Squeeze*: all that a node has heard must fit into its channels. For how many layers is the median receptive field
      not larger than `hidden_channels`?
    - *Smoothing*: for how many rounds of plain averaging (`D'^-1/2 (A + I) D'^-1/2`) does a random signal keep a tenth
      of its Dirichlet energy, relative to its size?

    The suggestion is the first, but not more than the second or, where that is smaller, than 2; it is at least 1. The
    third does not lower it: where it is the smallest, the reasons name the cures (a residual, PairNorm, jumping
    knowledge). It is a rule of thumb, to start a search from.

    Args:
        graph: A PyG `Data` or a networkx graph.
        hidden_channels: Width of the layers that are planned. Default 64.
        news_from: Mask `[N]`, e.g. the training nodes, whose labels are the news. Default: all nodes.
        samples: Nodes whose receptive fields are looked at. Default: all up to 4096 nodes, else 512.
        seed: Of the draws. Default 0.
        max_depth: Largest depth that is looked at for smoothing. Default 64.

    Returns:
        The depth with its reasons: see `DepthSuggestion`.

    Raises:
        ValueError: A malformed graph or mask, or `hidden_channels` below 1.

    Source:
        Squeeze: Alon & Yahav, "On the bottleneck of graph neural networks and its practical implications" (2021);
        smoothing: Li et al. (2018), Oono & Suzuki (2020). The thresholds are gnnkit's own.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> suggest_depth(six_node_graph()).depth
        4
    """
    if hidden_channels < 1:
        raise ValueError(f"hidden_channels must be at least 1, got {hidden_channels}")
    data = as_data(graph)
    edge_index, num_nodes = check_graph(data)
    if samples is None and num_nodes > 4096:
        samples = 512
    fields = receptive_field_sizes(data, samples=samples, seed=seed)
    mean, median = fields.mean(), fields.median()
    if news_from is None:
        # To the last node on a small graph; on a large one the last hundredth would be a matter of chance.
        share = 1.0 if num_nodes <= 100 else 0.99
        enough = int((mean >= share * mean[-1] - 1e-9).nonzero()[0])
        heard, ever = f"{mean[enough]:.4g}", f"{mean[-1]:.4g}"
        why = f"after {_layers(enough)} the mean node has heard of {heard} of the {ever} nodes it ever will"
    else:
        enough, why = _news(edge_index, num_nodes, news_from)
    fits = (median <= hidden_channels).nonzero().view(-1)
    squeeze = int(fits[-1]) if fits.numel() else 0
    reasons = [f"enough: {why}"]
    about = "" if fields.exact else f", from {fields.nodes.numel()} nodes drawn at random"
    if squeeze < fields.depth:
        reasons.append(
            f"squeeze: after {_layers(squeeze)} the median node has heard of {median[squeeze]:.4g} nodes, after "
            f"{squeeze + 1} of {median[squeeze + 1]:.4g}: more than {hidden_channels} channels hold{about}"
        )
    else:
        reasons.append(f"squeeze: no median node ever hears of more than {hidden_channels} nodes{about}")
    depth = max(1, min(enough, max(squeeze, 2)))
    smoothing, left = _smoothing(edge_index, num_nodes, max_depth, seed)
    share = f"{100 * left[min(depth, len(left) - 1)]:.3g}%"
    reasons.append(f"smoothing: plain averaging in {_layers(depth)} leaves {share} of a random signal's energy")
    if depth > smoothing:
        reasons.append(
            f"that is less than a tenth, which {_layers(smoothing)} would leave: give the stack a residual "
            "(residual='initial'), PairNorm or jumping knowledge"
        )
    if enough > squeeze:
        reasons.append(
            f"to reach {_layers(enough)}, give more channels, or shortcuts around the edges of lowest curvature"
        )
    return DepthSuggestion(depth, enough, squeeze, smoothing, tuple(reasons))


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"


def _news(edge_index: Tensor, num_nodes: int, news_from: Tensor) -> tuple[int, str]:
    if news_from.dtype != torch.bool or news_from.shape != (num_nodes,) or not bool(news_from.any()):
        raise ValueError(
            f"news_from must be a boolean mask [{num_nodes}] with at least one node, got {news_from.dtype} of shape "
            f"{list(news_from.shape)}"
        )
    # One more node that sends to all of them: what it reaches in k + 1 hops hears of one of them in k.
    starts = news_from.nonzero().view(-1).to(edge_index.device)
    joined = torch.cat([edge_index.long(), torch.stack([torch.full_like(starts, num_nodes), starts])], dim=1)
    level = hop_levels(joined, [num_nodes], num_nodes + 1)[0, :num_nodes].long() - 1
    heard = level[level >= 0]
    share = torch.bincount(heard).cumsum(0) / heard.numel()
    enough = int((share >= 0.95).nonzero()[0])
    return enough, (
        f"after {_layers(enough)} {100 * float(share[enough]):.3g}% of the {heard.numel()} nodes that can hear of one "
        f"of the {starts.numel()} marked nodes have done so"
    )


def _smoothing(edge_index: Tensor, num_nodes: int, max_depth: int, seed: int) -> tuple[int, list[float]]:
    """Rounds of averaging that keep a tenth of a random signal's relative energy, and what is left after each."""
    signal = torch.randn(num_nodes, 8, generator=torch.Generator().manual_seed(seed)).to(edge_index.device)
    edges, weight = normalize_adjacency(edge_index, None, num_nodes)
    first, left = None, []
    for _ in range(max_depth + 1):
        energy = float(dirichlet_energy(signal, edge_index)) / max(float(signal.square().sum()), 1e-30)
        first = energy if first is None else first
        left.append(energy / first if first > 0 else 1.0)
        if left[-1] < 1e-4:
            break
        signal = spmm(edges, signal, weight)
    kept = [rounds for rounds, part in enumerate(left) if part >= 0.1]
    return kept[-1], left
