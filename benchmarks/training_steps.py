"""Training steps of the graph models against the reference way of doing them, at Los-loop's size; and windows' memory.

    python benchmarks/training_steps.py                       steps, on two threads
    python benchmarks/training_steps.py --device cuda
    python benchmarks/training_steps.py --windows             bytes of a data set of METR-LA's size

The reference way is that of the recurrent reference implementations, and of PyG-Temporal for the others: the graph is
normalised at every call, and every graph convolution is a gather and a scatter over the edges, one step of time after
the other. The authors of STGCN, Graph WaveNet and MTGNN multiply by a dense matrix for all steps at once; that is the
side "dense". All sides are the same model with the same weights; forecasts and gradients are compared before anything
is timed. T-GCN against PyG-Temporal's own is in `run.py` and `tgcn_epoch.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
from rows import DATA, RESULTS, Rows
from torch import Tensor, nn

from gnnkit.data import GraphSeries, chronological_split, los_loop, make_windows
from gnnkit.graph import propagation
from gnnkit.temporal import build_forecaster

MODELS = ("gcn", "tgcn", "tgcn-official", "a3tgcn", "dcrnn", "stgcn", "graph-wavenet", "mtgnn-given")
CONVOLUTIONAL = ("stgcn", "graph-wavenet", "mtgnn-given")
WINDOWS = 1428
"""Training windows of Los-loop's honest split for 12 steps: what an epoch is made of."""
USERS = ("layers.mixhop", "layers.diffusion", "layers.chebyshev", "temporal.tgcn_cell", "temporal.gcn_forecaster")


def gather_scatter(adjacency: Tensor, x: Tensor) -> Tensor:
    """`A x` by the edges, a step of time after the other."""
    if adjacency.requires_grad:  # a learned graph is dense in the references too
        return torch.einsum("ij,...jc->...ic", adjacency, x)
    if x.dim() == 4:
        return torch.stack([gather_scatter(adjacency, step) for step in x.unbind(1)], dim=1)
    target, source = edges(adjacency)
    messages = x.index_select(-2, source) * adjacency[target, source].unsqueeze(-1)
    return torch.zeros_like(x).index_add(-2, target, messages)


_EDGES: dict[int, tuple[Tensor, tuple[Tensor, Tensor]]] = {}


def edges(adjacency: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and sources of a matrix's edges, found once a matrix: the references are given a list of them."""
    if id(adjacency) not in _EDGES:
        target, source = adjacency.nonzero().t()
        _EDGES[id(adjacency)] = (adjacency, (target, source))  # the matrix is kept, so that its id stays its own
    return _EDGES[id(adjacency)][1]


def dense(adjacency: Tensor, x: Tensor) -> Tensor:
    """`A x` by a dense matrix, all steps of time at once."""
    return torch.einsum("ij,...jc->...ic", adjacency, x)


@contextlib.contextmanager
def reference_way(product: Callable[[Tensor, Tensor], Tensor]) -> Iterator[None]:
    """All graph convolutions by `product`, and no matrix kept from one call to the next."""
    with contextlib.ExitStack() as stack:
        for user in USERS:
            stack.enter_context(mock.patch(f"gnnkit.{user}.propagate", product))
        stack.enter_context(mock.patch.object(propagation, "remember", lambda name, tensors, build: build()))
        yield


def step(model: nn.Module, x: Tensor, y: Tensor, graph: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Forward and backward; the forecast and all gradients."""
    model.zero_grad(set_to_none=True)
    out = model(x, *graph, target=y, progress=math.inf)  # DCRNN is not fed the target
    (out - y).abs().mean().backward()
    return [out.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]


def largest_difference(ours: list[Tensor], theirs: list[Tensor]) -> float:
    """Over the forecast and all gradients, each relative to its largest entry, or to 1e-3 of the largest of all.

    A gradient that is zero but for rounding, as that of a shift before a norm, has no scale of its own.
    """
    sizes = [float(tensor.abs().max()) for tensor in theirs]
    gaps = [float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)]
    return max(gap / max(size, 1e-3 * max(sizes)) for gap, size in zip(gaps, sizes, strict=True))


def clock(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def time_models(names: list[str], options, table: Rows) -> None:
    series = los_loop(DATA)
    graph = (series.edge_index.to(options.device), series.edge_weight.to(options.device))
    for name in names:
        run = {
            "model": name,
            "batch_size": options.batch_size,
            "hidden": options.hidden,
            "threads_asked": options.threads,
        }
        if table.has(**run):
            continue
        torch.manual_seed(0)
        sizes = {"horizon": 12, "history": 12, "num_nodes": series.num_nodes, "hidden_channels": options.hidden}
        model = build_forecaster(name, in_channels=1, **sizes).to(options.device)
        for module in model.modules():
            if hasattr(module, "dropout"):
                module.dropout = 0.0  # so that both sides can be compared
        x = torch.randn(options.batch_size, 12, series.num_nodes, 1, device=options.device)
        y = torch.randn(options.batch_size, 12, series.num_nodes, device=options.device)
        ours = [tensor.detach().clone() for tensor in step(model, x, y, graph)]
        ways: dict[str, Callable[[Tensor, Tensor], Tensor] | None] = {"gnnkit": None, "reference way": gather_scatter}
        if name in CONVOLUTIONAL:
            ways["dense"] = dense
        gap = 0.0
        for product in ways.values():
            if product is not None:
                with reference_way(product):
                    gap = max(gap, largest_difference(ours, step(model, x, y, graph)))
        if gap > 1e-2:
            raise SystemExit(f"{name}: the ways differ by {gap:.1e}; nothing was timed")
        times: dict[str, list[float]] = {side: [] for side in ways}
        for _ in range(options.rounds):
            for side, record in times.items():
                product = ways[side]
                _EDGES.clear()
                with contextlib.nullcontext() if product is None else reference_way(product):
                    start = clock(options.device)
                    step(model, x, y, graph)
                    record.append(clock(options.device) - start)
        base, rows = statistics.median(times["gnnkit"]), []
        for side, record in times.items():
            seconds = statistics.median(record)
            epoch = seconds * math.ceil(WINDOWS / options.batch_size)
            rows.append({"side": side, "step_seconds": seconds, "epoch_seconds": epoch, "ratio": seconds / base})
        table.add([row | {"rounds": options.rounds, "largest_difference": gap} for row in rows], **run)
        print(
            f"{name:16}",
            *(f"{row['side']} {row['step_seconds']:.3f} s ({row['ratio']:.1f} ×)" for row in rows),
            flush=True,
        )


def measure_windows(table: Rows) -> None:
    """Bytes that windows hold on a series of METR-LA's size, with and without gaps."""
    if table.has(model="windows", batch_size=0, hidden=0, threads_asked=0):
        return
    rows, nodes = 34_272, 207
    values = torch.randn(rows, nodes, 1).abs() * 60
    found = []
    for label, missing in (("complete", 0.0), ("8% missing", 0.08)):
        seen = values.masked_fill(torch.rand_like(values) < missing, float("nan"))
        series = GraphSeries(
            name="simulated METR-LA",
            values=seen,
            edge_index=torch.zeros(2, 0, dtype=torch.int64),
            edge_weight=torch.zeros(0),
            node_names=tuple(map(str, range(nodes))),
            split=chronological_split(rows),
        )
        windows = make_windows(series, history=12, horizon=12)
        found.append({"side": label, "bytes": windows.nbytes, "ratio": windows.nbytes / values.nbytes, "at_most": 1.1})
        print(label, f"{found[-1]['ratio']:.4f} of the raw bytes")
    table.add(found, model="windows", batch_size=0, hidden=0, threads_asked=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--windows", action="store_true", help="measure the windows' memory, and nothing else")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = f"training_steps-{options.device.split(':')[0]}.csv"
    table = Rows(options.out / name, ["model", "batch_size", "hidden", "threads_asked"], options.device)
    if options.windows:
        measure_windows(table)
    else:
        time_models(options.models.split(","), options, table)


if __name__ == "__main__":
    main()
