"""Time a layer of relational messages at Decagon's size against PyG's RGCNConv and FastRGCNConv.

    python benchmarks/relational_layer.py                    rows to benchmarks/results/relational_layer.csv
    python benchmarks/relational_layer.py --edges 500000     fewer edges, to look at

A step is one forward and one backward pass over 645 nodes and 963 relations, 64 features to 32. First against RGCNConv
at Decagon's edges, on one input with the same weights: outputs and gradients are compared before anything is timed, and
the sides take turns. Then against FastRGCNConv, which forms a matrix for each edge: its memory is measured at two
sizes, in a process each; the largest number of edges that fits in 16 GB is worked out, and both are timed and measured
there. Where less memory is free, it is what fits in that; the rows say how much it was.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch_geometric.nn import FastRGCNConv, RGCNConv

from gnnkit.layers import RelationalGCNLayer
from gnnkit.training.environment import environment
from gnnkit.training.memory import PeakMemory

HERE = Path(__file__).resolve().parent
NODES, RELATIONS, FEATURES, CHANNELS = 645, 963, 64, 32
DECAGON_EDGES = 7_321_798  # both directions of the training pairs
LIMIT_MIB, SPARE_MIB = 16 * 1024, 1536
SIDES = {"gnnkit": RelationalGCNLayer, "PyG RGCNConv": RGCNConv, "PyG FastRGCNConv": FastRGCNConv}
WEIGHTS = {"full": {}, "basis": {"num_bases": 16}, "blocks": {"num_blocks": 8}}


def typed_graph(edges: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Both directions of random pairs; relations and nodes are as uneven as Decagon's."""
    rng = np.random.default_rng(seed)
    share = np.arange(1, RELATIONS + 1) ** -0.6
    often = np.arange(1, NODES + 1) ** -0.5
    ends = rng.choice(NODES, size=(2, edges // 2), p=often / often.sum())
    kinds = rng.choice(RELATIONS, size=edges // 2, p=share / share.sum())
    both = np.concatenate([ends, ends[::-1]], axis=1)
    return torch.from_numpy(both), torch.from_numpy(np.concatenate([kinds, kinds]))


def make_step(side: str, edges: int, weights: str) -> Callable[[], Sequence[Tensor]]:
    """Forward and backward of one side; all sides have the same weights and input."""
    torch.manual_seed(0)
    layer: nn.Module = SIDES[side](FEATURES, CHANNELS, RELATIONS, **WEIGHTS[weights])
    x = torch.randn(NODES, FEATURES, requires_grad=True)
    upstream = torch.randn(NODES, CHANNELS)
    edge_index, edge_type = typed_graph(edges)

    def step() -> Sequence[Tensor]:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        out = layer(x, edge_index, edge_type)
        out.backward(upstream)
        return [out.detach(), x.grad, *(p.grad for _, p in sorted(layer.named_parameters()))]

    return step


def largest_difference(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Over all tensors, each relative to the peer's largest magnitude."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True))


def compare(peer: str, edges: int, weights: str, rounds: int) -> list[dict[str, object]]:
    """Rows of both sides: the same numbers first, then rounds in turn."""
    steps = {side: make_step(side, edges, weights) for side in ("gnnkit", peer)}
    found = [[t.clone() for t in step()] for step in steps.values()]
    gap = largest_difference(*found)
    if not gap <= 1e-4:
        raise SystemExit(f"{peer}, {weights}: sides differ by {gap:.2e}; nothing was timed")
    times: dict[str, list[float]] = {side: [] for side in steps}
    for _ in range(rounds):
        for side, step in steps.items():
            start = time.perf_counter()
            step()
            times[side].append(time.perf_counter() - start)
    ours = statistics.median(times["gnnkit"])
    return [
        {
            "case": f"relational-{weights}-{peer.split()[-1]}",
            "side": side,
            "version": version("gnnkit" if side == "gnnkit" else "torch-geometric"),
            "edges": edges,
            "seconds": statistics.median(record),
            "fastest": min(record),
            "slowest": max(record),
            "rounds": rounds,
            "ratio": statistics.median(record) / ours,
            "largest_difference": gap,
        }
        for side, record in times.items()
    ]


def peak_mib(side: str, edges: int, weights: str) -> float:
    """MiB that a process of its own takes for two steps, above what it held before the graph was made."""
    command = [sys.executable, __file__, "--measure", side, str(edges), weights]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def measure(side: str, edges: int, weights: str) -> float:
    make_step(side, 2000, weights)()  # what is compiled and loaded once is not counted
    memory = PeakMemory(torch.device("cpu"))
    before = memory.megabytes()
    step = make_step(side, edges, weights)
    step()
    step()
    return memory.megabytes() - before


def memory_limit() -> float:
    """16 GB in MiB, or what is free less a reserve."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return min(LIMIT_MIB, int(line.split()[1]) / 1024 - SPARE_MIB)
    return LIMIT_MIB


def edges_within_limit(weights: str, limit: float) -> int:
    """Edges at which FastRGCNConv takes nearly `limit` MiB: its memory grows with them along a line."""
    few, many = 20_000, 80_000
    low, high = (peak_mib("PyG FastRGCNConv", edges, weights) for edges in (few, many))
    per_edge = (high - low) / (many - few)
    return int((0.97 * limit - low) / per_edge) // 1000 * 1000 + few


def write(rows: list[dict[str, object]], out: Path) -> None:
    """All rows so far, so that a run that is cut off leaves what it has measured."""
    out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).assign(**environment()).to_csv(out, index=False, float_format="%.6g")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--edges", type=int, default=DECAGON_EDGES, help="against RGCNConv (default: Decagon's)")
    parser.add_argument(
        "--fast-edges", type=int, default=None, help="against FastRGCNConv (default: what fits in 16 GB)"
    )
    parser.add_argument("--weights", nargs="*", default=list(WEIGHTS), choices=list(WEIGHTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "relational_layer.csv")
    parser.add_argument("--measure", nargs=3, metavar=("SIDE", "EDGES", "WEIGHTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure:
        side, edges, weights = options.measure
        print(json.dumps(measure(side, int(edges), weights)))
        return
    rows: list[dict[str, object]] = []
    for weights in options.weights:
        rows += compare("PyG RGCNConv", options.edges, weights, options.rounds)
        print(pd.DataFrame(rows[-2:])[["case", "side", "edges", "seconds", "ratio"]].to_string(index=False), flush=True)
        write(rows, options.out)
    limit = memory_limit()
    print(f"at most {limit:.0f} MiB for PyG FastRGCNConv", flush=True)
    edges = options.fast_edges or edges_within_limit("full", limit)
    pair = compare("PyG FastRGCNConv", edges, "full", options.rounds)
    for row in pair:
        row["peak_mib"], row["limit_mib"] = peak_mib(str(row["side"]), edges, "full"), limit
    rows += pair
    print(pd.DataFrame(pair)[["case", "side", "edges", "seconds", "ratio", "peak_mib"]].to_string(index=False))
    write(rows, options.out)


if __name__ == "__main__":
    main()
