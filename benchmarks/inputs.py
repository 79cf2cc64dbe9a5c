"""Graphs of the cases' sizes, and a peer that has to be loaded by its path."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from gnnkit.data import GraphSeries, chronological_split

__all__ = ["metr_la", "molecules", "power_law_graph", "pyg_temporal_tgcn", "road_network"]


def power_law_graph(num_nodes: int, num_edges: int, *, exponent: float = 0.65, seed: int = 0) -> Tensor:
    """An undirected graph, each edge in both directions, whose expected degrees fall as rank^-exponent.

    The nodes are numbered at random, so that memory locality is no better than in a graph from the wild.

    Shape:
        returns: `[2, num_edges]`, int64.
    """
    rng = np.random.default_rng(seed)
    weight = np.arange(1, num_nodes + 1, dtype=np.float64) ** -exponent
    cumulative = np.cumsum(weight / weight.sum())
    ends = np.minimum(np.searchsorted(cumulative, rng.random((2, num_edges // 2))), num_nodes - 1)
    ends = rng.permutation(num_nodes)[ends]
    return torch.from_numpy(np.concatenate([ends, ends[::-1]], axis=1)).contiguous()


def molecules(count: int, seed: int) -> Tensor:
    """Graphs of 25 nodes and 54 edges (a random tree and three more, both ways) side by side, `[2, 54 * count]`."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for number in range(count):
        tree = torch.stack([torch.arange(1, 25), (torch.rand(24, generator=generator) * torch.arange(1, 25)).long()])
        edges = torch.cat([tree, torch.randint(25, (2, 3), generator=generator)], dim=1)
        parts.append(torch.cat([edges, edges.flip(0)], dim=1) + 25 * number)
    return torch.cat(parts, dim=1)


def road_network(device: torch.device, num_nodes: int = 207, num_edges: int = 2_626) -> tuple[Tensor, Tensor]:
    """A graph of Los-loop's size, symmetric and without self-loops, with weights in (0.1, 1)."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(num_nodes, (2, num_edges // 2), generator=generator)
    pairs = pairs[:, pairs[0] != pairs[1]]
    weight = torch.rand(pairs.size(1), generator=generator) * 0.9 + 0.1
    return torch.cat([pairs, pairs.flip(0)], 1).to(device), torch.cat([weight, weight]).to(device)


def metr_la(missing: float = 0.0) -> GraphSeries:
    """Random speeds of METR-LA's size, a share of which is missing."""
    rows, nodes = 34_272, 207
    values = torch.randn(rows, nodes, 1).abs() * 60
    return GraphSeries(
        name="simulated METR-LA",
        values=values.masked_fill(torch.rand_like(values) < missing, float("nan")),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        edge_weight=torch.zeros(0),
        node_names=tuple(map(str, range(nodes))),
        split=chronological_split(rows),
    )


def pyg_temporal_tgcn() -> ModuleType:
    """PyG-Temporal's T-GCN module, loaded by its path: importing the package needs more than it declares."""
    spec = importlib.util.find_spec("torch_geometric_temporal")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "torch-geometric-temporal is not installed: pip install --no-deps torch-geometric-temporal==0.56.2"
        )
    path = Path(spec.submodule_search_locations[0]) / "nn" / "recurrent" / "temporalgcn.py"
    module_spec = importlib.util.spec_from_file_location("pyg_temporal_tgcn", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module
