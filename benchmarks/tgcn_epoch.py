"""An epoch of T-GCN on Los-loop, batch 64, against the same loop around PyG-Temporal's `TGCN2`.

    python benchmarks/tgcn_epoch.py

Both sides read the same batches of the honest split in the same order, and take the same steps: forecast of 12 steps
from the last state, mean absolute error, backward, Adam. They start from the same weights, and their first losses, and
those after some steps, must agree before anything is timed. Epochs are timed whole, in turns; rows to
results/tgcn_epoch-<device>.csv.
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from inputs import pyg_temporal_tgcn
from rows import DATA, RESULTS, Rows
from torch import Tensor, nn
from training_steps import clock

from gnnkit.data import los_loop, make_windows
from gnnkit.temporal import TGCN
from gnnkit.training import isolated_seed, shuffled_batches

HISTORY = HORIZON = 12
#: Steps whose losses are compared, and by how much they may differ: the sums are taken in another order.
GATE_STEPS, GATE = 5, 1e-4
AT_LEAST = 12.0


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


def losses(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], graph: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Train on the batches, once; the loss of each."""
    optimizer, found = torch.optim.Adam(model.parameters(), lr=1e-3), []
    for x, y in batches:
        loss = (model(x, *graph) - y).abs().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    run = {"batch_size": options.batch_size, "hidden": options.hidden, "threads_asked": options.threads}
    table = Rows(options.out / f"tgcn_epoch-{device.type}.csv", [*run], options.device)
    if table.has(**run):
        print(f"{table.path} has these rows already")
        return
    series = los_loop(DATA)
    graph = (series.edge_index.to(device), series.edge_weight.to(device))
    windows = make_windows(series, history=HISTORY, horizon=HORIZON).to(device).train
    with isolated_seed(0):
        peer_cell = pyg_temporal_tgcn().TGCN2(1, options.hidden, options.batch_size)
        ours = TGCN(1, options.hidden, HORIZON, layers=1, gate_convolutions="separate").to(device)
    ours.cell.load_tgcn2_state_dict(peer_cell.state_dict())
    peer = Looped(peer_cell, copy.deepcopy(ours.head)).to(device)

    def batches(count: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Whole batches only: the peer's state has the batch's size fixed."""
        order = torch.Generator().manual_seed(0)
        for number, index in enumerate(shuffled_batches(len(windows), options.batch_size, order)):
            if len(index) == options.batch_size and (count is None or number < count):
                batch = windows.batch(index.to(device))
                yield batch.x, windows.scaler.transform_target(batch.y)

    sides: dict[str, Callable[[int | None], list[Tensor]]] = {
        "gnnkit": lambda count: losses(copy.deepcopy(ours), batches(count), graph),
        "PyG-Temporal TGCN2": lambda count: losses(copy.deepcopy(peer), batches(count), graph),
    }
    first, second = (torch.stack(side(GATE_STEPS)) for side in sides.values())
    gap = float(((first - second) / second).abs().max())
    if gap > GATE:
        raise SystemExit(f"the losses of the two sides differ by {gap:.1e}; nothing was timed")
    times: dict[str, list[float]] = {name: [] for name in sides}
    steps = 0
    for _ in range(options.rounds):
        for name, side in sides.items():
            start = clock(options.device)
            steps = len(side(None))
            times[name].append(clock(options.device) - start)
    base, rows = statistics.median(times["gnnkit"]), []
    for name, record in times.items():
        median = statistics.median(record)
        release = version("gnnkit" if name == "gnnkit" else "torch-geometric-temporal")
        figures = {"epoch_seconds": median, "fastest": min(record), "slowest": max(record), "ratio": median / base}
        rows.append({"side": name, "version": release, **figures, "steps": steps, "rounds": options.rounds})
        print(f"{name:20} {median:7.2f} s an epoch of {steps} steps, {median / base:.1f} ×", flush=True)
    table.add([row | {"largest_difference": gap, "at_least": AT_LEAST} for row in rows], **run)


if __name__ == "__main__":
    main()
