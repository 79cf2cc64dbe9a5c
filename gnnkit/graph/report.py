"""A graph at a glance: degrees, components, diameter, hops, receptive fields, bottlenecks, and a depth to start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from gnnkit.graph.bottlenecks import balanced_forman_curvature, effective_resistance
from gnnkit.graph.checks import check_graph
from gnnkit.graph.depth import DepthSuggestion, ReceptiveFields, receptive_field_sizes, suggest_depth
from gnnkit.graph.formats import as_data, to_networkx
from gnnkit.ops import hop_levels

__all__ = ["GraphReport", "diameter_bounds", "report_graph"]


@dataclass(frozen=True)
class GraphReport:
    """What `report_graph` found.

    Args:
        num_nodes, num_edges: Sizes; an undirected edge that is given both ways counts as two.
        directed: Whether an edge lacks its counterpart.
        self_loops, duplicates: Edges of these kinds.
        in_degree: Incoming edges of each node, `[N]`.
        component_sizes: Nodes of the weakly connected components, the largest first.
        diameter: Lower and upper bound of the largest component's diameter, directions left out of account.
        fields: Receptive fields by depth.
        edges: Edges whose curvature was computed, `[2, M]`: all, or a sample.
        curvature: Their Balanced Forman curvature, `[M]`.
        resistance: Their effective resistance, `[M]`.
        resistance_error: Relative standard error of each resistance; 0 where exact.
        sampled_edges: Whether `edges` is a sample.
        depth: The suggestion.
        node_names: Names for the report.
    """

    num_nodes: int
    num_edges: int
    directed: bool
    self_loops: int
    duplicates: int
    in_degree: Tensor = field(repr=False)
    component_sizes: tuple[int, ...] = field(repr=False)
    diameter: tuple[int, int]
    fields: ReceptiveFields = field(repr=False)
    edges: Tensor = field(repr=False)
    curvature: Tensor = field(repr=False)
    resistance: Tensor = field(repr=False)
    resistance_error: float
    sampled_edges: bool
    depth: DepthSuggestion = field(repr=False)
    node_names: Sequence[Any] = field(repr=False)

    def bottlenecks(self, count: int = 10) -> list[tuple[Any, Any, float, float]]:
        """The edges of lowest curvature, each undirected one once: ends, curvature, resistance."""
        found: dict[frozenset[int], tuple[Any, Any, float, float]] = {}
        for place in self.curvature.argsort(stable=True).tolist():
            i, j = self.edges[:, place].tolist()
            if i == j or len(found) == count:
                continue
            names = (self.node_names[i], self.node_names[j])
            found.setdefault(frozenset((i, j)), (*names, float(self.curvature[place]), float(self.resistance[place])))
        return list(found.values())

    def to_networkx(self) -> nx.DiGraph:
        """The edges that were measured as a networkx graph: `curvature` and `resistance` on edges, degree on nodes."""
        graph = to_networkx(self.edges, None, self.num_nodes, node_names=self.node_names)
        for place, (i, j) in enumerate(self.edges.t().tolist()):
            edge = graph.edges[self.node_names[i], self.node_names[j]]
            edge["curvature"], edge["resistance"] = float(self.curvature[place]), float(self.resistance[place])
        nx.set_node_attributes(graph, dict(zip(self.node_names, self.in_degree.tolist(), strict=True)), "in_degree")
        return graph

    def to_json(self) -> dict[str, Any]:
        """Everything but the per-node and per-edge lists, as JSON values."""
        return {
            "num_nodes": self.num_nodes,
            "num_edges": self.num_edges,
            "directed": self.directed,
            "self_loops": self.self_loops,
            "duplicates": self.duplicates,
            "degree": self._degree(),
            "degree_histogram": torch.bincount(self.in_degree).tolist(),
            "components": len(self.component_sizes),
            "largest_component": self.component_sizes[0],
            "diameter": list(self.diameter),
            "receptive_field": {
                "nodes": self.fields.nodes.numel(),
                "mean": self.fields.mean().tolist(),
                "standard_error": self.fields.standard_error().tolist(),
                "median": self.fields.median().tolist(),
                "at_hop": self.fields.hop_histogram().tolist(),
            },
            "curvature": {
                "edges": self.curvature.numel(),
                "sampled": self.sampled_edges,
                "standard_error_of_shares": self._share_error(),
                "quantiles": _quantiles(self.curvature),
            },
            "resistance": {"relative_error": self.resistance_error, "quantiles": _quantiles(self.resistance)},
            "bottlenecks": [[str(i), str(j), c, r] for i, j, c, r in self.bottlenecks()],
            "depth": asdict(self.depth),
        }

    def _share_error(self) -> float:
        """Largest standard error of a share of the edges, e.g. those of negative curvature; 0 where all are known."""
        return 0.5 / max(1, self.curvature.numel()) ** 0.5 if self.sampled_edges else 0.0

    def _degree(self) -> dict[str, float]:
        degree = self.in_degree.double()
        return {
            "least": float(degree.min()),
            "median": float(degree.quantile(0.5)),
            "mean": float(degree.mean()),
            "most": float(degree.max()),
            "none": int((degree == 0).sum()),
        }

    def lines(self) -> list[str]:
        """The report in words, a line each."""
        degree = self._degree()
        kind = "directed" if self.directed else "undirected, each edge both ways"
        low, high = self.diameter
        largest = self.component_sizes[0]
        fields, mean, error = self.fields, self.fields.mean(), self.fields.standard_error()
        looked = "all nodes" if fields.exact else f"{fields.nodes.numel()} nodes drawn at random, ± standard error"
        lines = [
            f"nodes           {self.num_nodes}",
            f"edges           {self.num_edges} ({kind}); {self.self_loops} self-loops, {self.duplicates} duplicates",
            f"in-degree       {degree['least']:.0f} to {degree['most']:.0f}, median {degree['median']:g}, "
            f"mean {degree['mean']:.3g}; {degree['none']:.0f} nodes without incoming edges",
            f"components      {len(self.component_sizes)}; the largest has {largest} nodes "
            f"({100 * largest / self.num_nodes:.3g}%)",
            f"diameter        {low}" if low == high else f"diameter        {low} to {high}",
            f"receptive field ({looked})",
            "  layers        mean nodes   share   new at this hop",
        ]
        for hop, (size, new) in enumerate(zip(mean.tolist(), fields.hop_histogram().tolist(), strict=True)):
            if hop > 12 and hop < fields.depth:
                continue
            spread = "" if fields.exact else f" ± {float(error[hop]):.3g}"
            lines.append(f"  {hop:<13d} {size:<12.5g} {100 * size / self.num_nodes:5.1f}%  {new:.5g}{spread}")
        some = "all edges"
        if self.sampled_edges:
            count, error = self.curvature.numel(), 100 * self._share_error()
            some = f"{count} edges drawn at random (shares of edges ± {error:.2g}%)"
        about = f", ± {100 * self.resistance_error:.2g}%" if self.resistance_error else ""
        lines.append(f"bottlenecks: lowest Balanced Forman curvature of {some}, and effective resistance{about}")
        lines += [f"  {i} - {j}: curvature {c:.3f}, resistance {r:.3g}" for i, j, c, r in self.bottlenecks()]
        lines.append(f"suggested depth: {self.depth.depth}")
        lines += [f"  {reason}" for reason in self.depth.reasons]
        return lines


def _quantiles(values: Tensor) -> list[float]:
    finite = values[values.isfinite()]
    if finite.numel() == 0:
        return []
    return [float(np.quantile(finite.numpy(), share)) for share in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)]


def diameter_bounds(graph: Any, *, rounds: int = 8, seed: int = 0) -> tuple[int, int]:
    """Bound the diameter of the largest component, directions left out of account.

    Each round searches from a node: its eccentricity is a lower bound, twice that is an upper one. The next node is
    the farthest (which raises the lower bound) or one halfway to it (which lowers the upper one), in turn.

    Args:
        graph: A PyG `Data` or a networkx graph.
        rounds: Searches. Default 8.
        seed: Of the first node. Default 0.

    Returns:
        The lower and the upper bound; they are equal where the diameter is known.

    Raises:
        ValueError: A malformed graph, or one without nodes.

    Source:
        Magnien et al., "Fast computation of empirically tight bounds for the diameter of massive graphs" (2009).

    Example:
        >>> diameter_bounds(nx.path_graph(7))
        (6, 6)
    """
    edge_index, num_nodes = check_graph(as_data(graph))
    if num_nodes == 0:
        raise ValueError("graph has no nodes: it has no diameter")
    label, sizes = _components(edge_index, num_nodes)
    inside = torch.from_numpy((label == sizes.argmax()).nonzero()[0])
    both = torch.cat([edge_index, edge_index.flip(0)], dim=1).long().cpu()
    node = int(inside[torch.randint(inside.numel(), (1,), generator=torch.Generator().manual_seed(seed))])
    low, high = 0, max(2 * (inside.numel() - 1), 0)
    halfway = False
    for _ in range(rounds):
        levels = hop_levels(both, [node], num_nodes, dtype=torch.int32)[0]
        reach = int(levels.max())
        low, high = max(low, reach), min(high, 2 * reach)
        if low >= high:
            break
        if halfway:
            node, halfway = int(levels.argmax()), False
            continue
        back = hop_levels(both, [int(levels.argmax())], num_nodes, dtype=torch.int32)[0]
        reach = int(back.max())
        low, high = max(low, reach), min(high, 2 * reach)
        # On a shortest way between two nodes far apart, in the middle of it.
        end = hop_levels(both, [int(back.argmax())], num_nodes, dtype=torch.int32)[0]
        middle = ((back >= 0) & (back + end == reach) & ((back - end).abs() <= 1)).nonzero()
        node, halfway = int(middle[0]), True
    return low, high


def _components(edge_index: Tensor, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    source, target = edge_index.cpu().numpy()
    matrix = sp.csr_matrix((np.ones(source.size, dtype=np.int8), (source, target)), shape=(num_nodes, num_nodes))
    label = connected_components(matrix, directed=True, connection="weak")[1]
    return label, np.bincount(label)


def report_graph(
    graph: Any,
    *,
    hidden_channels: int = 64,
    samples: int | None = None,
    edge_samples: int | None = None,
    seed: int = 0,
) -> GraphReport:
    """Look at a graph from all sides that matter to a graph network.

    Args:
        graph: A PyG `Data` or a networkx graph.
        hidden_channels: Width of the network that is planned, for the depth. Default 64.
        samples: Nodes whose receptive fields are looked at. Default: all up to 4096 nodes, else 512.
        edge_samples: Edges whose curvature and resistance are looked at. Default: all up to 100,000 edges, else 2000.
        seed: Of the draws. Default 0.

    Returns:
        The report.

    Raises:
        ValueError: A malformed graph, one without nodes, or a number of samples below 1.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> report_graph(six_node_graph(self_loops=False)).diameter
        (4, 4)
    """
    data = as_data(graph)
    edge_index, num_nodes = check_graph(data)
    edge_index = edge_index.long().cpu()
    if num_nodes == 0:
        raise ValueError("graph has no nodes: there is nothing to report")
    source, target = edge_index
    codes = source * num_nodes + target
    unique = codes.unique()
    reverse = target * num_nodes + source
    directed = not bool(torch.isin(reverse, unique).all())
    proper = (source != target).nonzero().view(-1)
    if edge_samples is not None and edge_samples < 1:
        raise ValueError(f"edge_samples must be at least 1, or None for the default, got {edge_samples}")
    if edge_samples is None:
        edge_samples = proper.numel() if proper.numel() <= 100_000 else 2000
    sampled = edge_samples < proper.numel()
    if sampled:
        drawn = torch.randperm(proper.numel(), generator=torch.Generator().manual_seed(seed))[:edge_samples]
        proper = proper[drawn.sort().values]
    edges = edge_index[:, proper]
    resistance = effective_resistance(edge_index, num_nodes, pairs=edges, seed=seed)
    if samples is None and num_nodes > 4096:
        samples = 512
    plain = data.__class__(edge_index=edge_index, num_nodes=num_nodes)
    return GraphReport(
        num_nodes=num_nodes,
        num_edges=edge_index.size(1),
        directed=directed,
        self_loops=int((source == target).sum()),
        duplicates=codes.numel() - unique.numel(),
        in_degree=torch.bincount(target, minlength=num_nodes),
        component_sizes=tuple(sorted(_components(edge_index, num_nodes)[1].tolist(), reverse=True)),
        diameter=diameter_bounds(plain, seed=seed),
        fields=receptive_field_sizes(plain, samples=samples, seed=seed),
        edges=edges,
        curvature=balanced_forman_curvature(edge_index, num_nodes, edges=edges),
        resistance=resistance.values,
        resistance_error=resistance.relative_error,
        sampled_edges=sampled,
        depth=suggest_depth(plain, hidden_channels=hidden_channels, samples=samples, seed=seed),
        node_names=getattr(data, "node_names", None) or range(num_nodes),
    )
