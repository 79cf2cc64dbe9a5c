"""Training of the graph models on Los-loop against the reference way of doing it; and windows' memory.

    python benchmarks/training_steps.py                       steps, on two threads
    python benchmarks/training_steps.py --device cuda
    python benchmarks/training_steps.py --epoch               epochs of T-GCN against PyG-Temporal's
    python benchmarks/training_steps.py --windows             bytes of a data set of METR-LA's size

The reference way is that of the recurrent reference implementations, and of PyG-Temporal for the others: the graph is
normalised at every call, and every graph convolution is a gather and a scatter over the edges, one step of time after
the other. The authors of STGCN, Graph WaveNet and MTGNN multiply by a dense matrix for all steps at once; that is the
side "dense". All sides are the same model with the same weights; forecasts and gradients are compared before anything
is timed. Rows go to results/training_steps-<device>.csv.

Epochs are those of the loop that a user writes around `TGCN2`: batches of 64 windows, forecast of 12 steps from the
last state, mean absolute error, backward, Adam. Both sides start from the same weights and read the same batches, and
their first losses must agree. Rows go to results/tgcn_epoch-<device>.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from contest import Side, compete
from inputs import metr_la, pyg_temporal_tgcn
from rows import RESULTS, Rows
from torch import Tensor, nn

from gnnkit.data import GraphSeries, los_loop, make_windows
from gnnkit.graph import propagation
from gnnkit.temporal import TGCN, build_forecaster
from gnnkit.training import isolated_seed, shuffled_batches

MODELS = ("gcn", "tgcn", "tgcn-official", "a3tgcn", "dcrnn", "stgcn", "graph-wavenet", "mtgnn-given")
CONVOLUTIONAL = ("stgcn", "graph-wavenet", "mtgnn-given")
HISTORY = HORIZON = 12
WINDOWS = 1428
"""Training windows of Los-loop's honest split for 12 steps: what an epoch is made of."""
USERS = ("layers.mixhop", "layers.diffusion", "layers.chebyshev", "temporal.tgcn_cell", "temporal.gcn_forecaster")
#: Steps of an epoch whose losses are compared.
GATE_STEPS = 5


def gather_scatter(adjacency: Tensor, x: Tensor) -> Tensor:
    """`A x` by the edges, a step of time after the other."""
    if adjacency.requires_grad:  # a learned graph is dense in the references too
        return dense(adjacency, x)
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
    _EDGES.clear()
    with contextlib.ExitStack() as stack:
        for user in USERS:
            stack.enter_context(mock.patch(f"gnnkit.{user}.propagate", product))
        stack.enter_context(mock.patch.object(propagation, "remember", lambda name, tensors, build: build()))
        yield


def step_rows(
    name: str, graph: tuple[Tensor, Tensor], num_nodes: int, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """A forward and backward pass of a model, each way."""
    device = torch.device(options.device)
    torch.manual_seed(0)
    sizes = {"horizon": HORIZON, "history": HISTORY, "num_nodes": num_nodes, "hidden_channels": options.hidden}
    model = build_forecaster(name, in_channels=1, **sizes).to(device)
    for module in model.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.0  # pyright: ignore[reportAttributeAccessIssue]  # so that the sides can be compared
    x = torch.randn(options.batch_size, HISTORY, num_nodes, 1, device=device)
    y = torch.randn(options.batch_size, HORIZON, num_nodes, device=device)

    def step() -> list[Tensor]:
        model.zero_grad(set_to_none=True)
        out = model(x, *graph, target=y, progress=math.inf)  # DCRNN is not fed the target
        (out - y).abs().mean().backward()
        return [out.detach(), *(parameter.grad for parameter in model.parameters() if parameter.grad is not None)]

    ways = {"reference way": gather_scatter} | ({"dense": dense} if name in CONVOLUTIONAL else {})
    sides = [Side("gnnkit", version("gnnkit"), step, rounds=options.rounds)]
    for way, product in ways.items():
        within = partial(reference_way, product)
        sides.append(Side(way, version("gnnkit"), step, rounds=options.rounds, within=within))
    # A gradient that is zero but for rounding, as that of a shift before a norm, has no scale of its own.
    rows = compete(name, sides, device, gate=1e-2, floor=1e-3)
    steps = math.ceil(WINDOWS / options.batch_size)
    for row in rows:
        row["step_seconds"] = row.pop("seconds")
        row["epoch_seconds"] = row["step_seconds"] * steps
    return rows


class Looped(nn.Module):
    """What a user writes around `TGCN2`: one call per step of the history, then a linear map of the last state."""

    def __init__(self, cell: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.cell, self.head = cell, head

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, edge_index, edge_weight, state)
        return self.head(state).transpose(1, 2)


def epoch_rows(series: GraphSeries, graph: tuple[Tensor, Tensor], options: argparse.Namespace) -> list[dict[str, Any]]:
    """An epoch of T-GCN, each side with a copy of the same weights."""
    device = torch.device(options.device)
    windows = make_windows(series, history=HISTORY, horizon=HORIZON).to(device).train
    with isolated_seed(0):
        cell = pyg_temporal_tgcn().TGCN2(1, options.hidden, options.batch_size)
        ours = TGCN(1, options.hidden, HORIZON, layers=1, gate_convolutions="separate").to(device)
    ours.cell.load_tgcn2_state_dict(cell.state_dict())
    peer = Looped(cell, copy.deepcopy(ours.head)).to(device)

    def losses(start: nn.Module, most: int | None = None) -> list[Tensor]:
        """Train on whole batches, for the peer's state has the batch's size fixed; the loss of each."""
        model = copy.deepcopy(start)
        optimizer, found = torch.optim.Adam(model.parameters(), lr=1e-3), []
        for index in shuffled_batches(len(windows), options.batch_size, torch.Generator().manual_seed(0)):
            if len(index) < options.batch_size or len(found) == most:
                continue
            batch = windows.batch(index.to(device))
            loss = (model(batch.x, *graph) - windows.scaler.transform_target(batch.y)).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            found.append(loss.detach())
        return found

    sides = [
        Side(name, version(package), partial(losses, start), partial(losses, start, GATE_STEPS), options.rounds)
        for name, package, start in (
            ("gnnkit", "gnnkit", ours),
            ("PyG-Temporal TGCN2", "torch-geometric-temporal", peer),
        )
    ]
    rows = compete("tgcn-epoch", sides, device)
    for row in rows:
        row["epoch_seconds"] = row.pop("seconds")
        row |= {"steps": len(windows) // options.batch_size, "at_least": 12.0}
    return rows


def window_rows() -> list[dict[str, Any]]:
    """Bytes that windows hold on a series of METR-LA's size, with and without gaps."""
    found = []
    for label, missing in (("complete", 0.0), ("8% missing", 0.08)):
        series = metr_la(missing)
        held = make_windows(series, history=HISTORY, horizon=HORIZON).nbytes
        found.append({"side": label, "bytes": held, "ratio": held / series.values.nbytes, "at_most": 1.1})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=None, help="32; 64 of an epoch")
    parser.add_argument("--rounds", type=int, default=None, help="at least 2 (7; 3 of an epoch)")
    parser.add_argument("--epoch", action="store_true", help="epochs of T-GCN, and nothing else")
    parser.add_argument("--windows", action="store_true", help="the windows' memory, and nothing else")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    options.hidden = options.hidden or (64 if options.epoch else 32)
    options.rounds = options.rounds or (3 if options.epoch else 7)
    torch.set_num_threads(options.threads)
    size = {"batch_size": options.batch_size, "hidden": options.hidden, "threads_asked": options.threads}
    kind, key = ("tgcn_epoch", [*size]) if options.epoch else ("training_steps", ["model", *size])
    table = Rows(options.out / f"{kind}-{options.device.split(':')[0]}.csv", key, options.device)
    series = los_loop()
    graph = (series.edge_index.to(options.device), series.edge_weight.to(options.device))
    runs: list[tuple[dict[str, Any], Callable[[], list[dict[str, Any]]]]] = []
    if options.windows:
        runs = [({"model": "windows"} | dict.fromkeys(size, 0), window_rows)]
    elif options.epoch:
        runs = [(size, partial(epoch_rows, series, graph, options))]
    else:
        for name in options.models.split(","):
            runs.append(({"model": name} | size, partial(step_rows, name, graph, series.num_nodes, options)))
    for run, measure in runs:
        if table.has(**run):
            continue
        rows = measure()
        table.add(rows, **run)
        print(*run.values(), *(f"{row['side']}: {row['ratio']:.4g} ×" for row in rows), flush=True)


if __name__ == "__main__":
    main()
