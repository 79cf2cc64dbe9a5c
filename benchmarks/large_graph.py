"""Sampled neighbours on a graph of ogbn-products' size: seconds a batch and an epoch, and memory.

    python benchmarks/large_graph.py                                  2.4 M nodes, 62 M directed edges, 100 features
    python benchmarks/large_graph.py --nodes 20000 --edges 500000     a small one, to try it out

The graph is simulated: ends are drawn by a power law, as in networks that grow, and every edge goes both ways. A model
of two `SAGELayer`s is trained on 8% of the nodes, as many as ogbn-products has for training, in batches of 1024 with 15
and 10 neighbours. Rows go to results/large_graph.csv: building the loader, a sampled batch (median), one whole epoch,
and the most memory that the process had. PyG's own sampler needs pyg-lib or torch-sparse; where neither is there, it
has no row.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from rows import RESULTS, Rows
from torch_geometric import typing as pyg
from torch_geometric.data import Data
from torch_geometric.loader import NeighborLoader as PyGNeighborLoader
from torch_geometric.utils import trim_to_layer

from gnnkit.layers import SAGELayer
from gnnkit.loader import NeighborLoader

COUNTS, BATCH, CLASSES = [15, 10], 1024, 47


def simulate(nodes: int, edges: int, features: int, seed: int = 0) -> Data:
    """A graph whose degrees fall by a power law; `edges` counts both directions."""
    generator = torch.Generator().manual_seed(seed)
    source = (torch.rand(edges // 2, generator=generator) ** 2.5 * nodes).long().clamp_(max=nodes - 1)
    target = torch.randint(nodes, (edges // 2,), generator=generator)
    shuffle = torch.randperm(nodes, generator=generator)  # a node's number says nothing of its degree
    edge_index = torch.stack([torch.cat([shuffle[source], target]), torch.cat([target, shuffle[source]])])
    x = torch.randn(nodes, features, generator=generator)
    y = torch.randint(CLASSES, (nodes,), generator=generator)
    return Data(x=x, edge_index=edge_index, y=y)


class SAGE(torch.nn.Module):
    """Two layers; of each batch only what reaches its seeds is computed."""

    def __init__(self, channels: int, hidden: int = 256) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([SAGELayer(channels, hidden), SAGELayer(hidden, CLASSES)])

    def forward(self, batch: Data) -> torch.Tensor:
        x, edge_index = batch.x, batch.edge_index
        for number, layer in enumerate(self.layers):
            x, edge_index, _ = trim_to_layer(number, batch.num_sampled_nodes, batch.num_sampled_edges, x, edge_index)
            x = layer(x, edge_index)
            x = x.relu() if number == 0 else x
        return x[: batch.batch_size]


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--nodes", type=int, default=2_449_029)
    parser.add_argument("--edges", type=int, default=61_859_140)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--batches", type=int, default=50, help="over which the median is taken (default: 50)")
    options = parser.parse_args()
    data = simulate(options.nodes, options.edges, options.features)
    seeds = torch.randperm(options.nodes, generator=torch.Generator().manual_seed(1))[: round(0.08 * options.nodes)]
    size = {"nodes": options.nodes, "edges": data.num_edges, "features": options.features, "batch": BATCH}
    table = Rows(RESULTS / "large_graph.csv", ["nodes", "loader"], "cpu")
    loaders = {"gnnkit": NeighborLoader}
    if pyg.WITH_PYG_LIB or pyg.WITH_TORCH_SPARSE:
        loaders["pyg"] = PyGNeighborLoader
    for name, kind in loaders.items():
        torch.manual_seed(0)
        start = time.perf_counter()
        loader = kind(data, COUNTS, input_nodes=seeds, batch_size=BATCH, shuffle=True)
        row = {**size, "build_seconds": time.perf_counter() - start}
        whole, sampled, edges = [], [], []
        for number in range(options.batches):
            chosen = seeds[(number * BATCH) % len(seeds) :][:BATCH]
            start = time.perf_counter()
            out = loader.node_sampler._sample(chosen)
            sampled.append(time.perf_counter() - start)
            edges.append(out.row.numel())
            start = time.perf_counter()
            loader(torch.arange(BATCH))
            whole.append(time.perf_counter() - start)
        row |= {"sample_ms": 1e3 * statistics.median(sampled), "batch_ms": 1e3 * statistics.median(whole)}
        row["batch_edges"] = statistics.median(edges)
        model = SAGE(options.features)
        optimizer = torch.optim.Adam(model.parameters())
        start = time.perf_counter()
        for batch in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(batch), batch.y[: batch.batch_size]).backward()
            optimizer.step()
        row |= {"epoch_seconds": time.perf_counter() - start, "batches": len(loader), "peak_gb": peak_gigabytes()}
        table.add([row], nodes=options.nodes, loader=name)
        print(
            f"{name}: loader made in {row['build_seconds']:.1f} s; a batch's neighbours {row['sample_ms']:.1f} ms, the "
            f"batch with features {row['batch_ms']:.1f} ms; an epoch of {row['batches']} batches "
            f"{row['epoch_seconds']:.1f} s; at most {row['peak_gb']:.1f} GB"
        )


if __name__ == "__main__":
    main()
