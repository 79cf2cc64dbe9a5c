"""Series and forecasters so small that every number of a fit can be worked out by hand."""

import torch
from torch import nn

from gnnkit.data import GraphSeries, Split, make_windows

EDGES, WEIGHTS = torch.tensor([[0], [1]]), torch.ones(1)


def make_series(values, split):
    values = torch.as_tensor(values, dtype=torch.float32)
    values = values if values.dim() == 3 else values[:, :, None]
    return GraphSeries(
        name="toy",
        values=values,
        edge_index=EDGES,
        edge_weight=WEIGHTS,
        node_names=tuple(f"n{i}" for i in range(values.size(1))),
        split=split,
    )


def waves(rows=120, nodes=2, seed=0):
    time = torch.arange(rows)[:, None]
    noise = torch.randn(rows, nodes, generator=torch.Generator().manual_seed(seed))
    return 50 + 10 * torch.sin(time / 5 + torch.arange(nodes)) + noise


def wave_windows(horizon=3, **options):
    split = Split(range(80), range(80, 100), range(100, 120))
    return make_windows(make_series(waves(), split), history=4, horizon=horizon, **options)


class Linear(nn.Module):
    """History of a node → its next steps; counts what it is given."""

    def __init__(self, history=4, horizon=3, dropout=0.0):
        super().__init__()
        self.map = nn.Linear(history, horizon)
        self.dropout = nn.Dropout(dropout)
        self.shares, self.targets = [], []

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        if self.training:
            self.shares.append(progress)
            self.targets.append(target)
        return self.dropout(self.map(x[..., 0].transpose(1, 2))).transpose(1, 2)


class Constant(nn.Module):
    """One number, the same everywhere, in scaled units."""

    def __init__(self, horizon, start=0.0):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(start))
        self.horizon = horizon

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        return self.level.expand(x.size(0), self.horizon, x.size(2))
