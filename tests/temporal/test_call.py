"""Modules are called with what their forward names, and stay what they are."""

import copy

import pytest
import torch
from torch import nn

from gnnkit.temporal import ResidualForecaster, WrongForecast
from gnnkit.temporal.call import adapt_call, check_forward

X, EDGES, WEIGHT = torch.randn(2, 6, 4, 1), torch.tensor([[0, 1], [1, 2]]), torch.ones(2)


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.seen = None

    def forecast(self, x):
        return self.weight[None, :, None] * x[:, -1:, :, 0]


class History(Base):
    def forward(self, x):
        return self.forecast(x)


class Graph(Base):
    def forward(self, edge_index, x, /, *, edge_weight):
        self.seen = (edge_index, edge_weight)
        return self.forecast(x)


class Between(Base):
    def forward(self, x, gain=1.0, progress=None):
        self.seen = (gain, progress)
        return self.forecast(x)


class Rest(Base):
    def forward(self, x, **rest):
        self.seen = sorted(rest)
        return self.forecast(x)


class All(Base):
    def forward(self, *args, **kwargs):
        self.seen = (len(args), sorted(kwargs))
        return self.forecast(args[0])


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (History, None),
        (Graph, (EDGES, WEIGHT)),
        (Between, (1.0, 0.5)),
        (Rest, ["edge_index", "edge_weight", "mask", "progress", "target"]),
        (All, (3, ["mask", "progress", "target"])),
    ],
)
def test_a_module_gets_what_its_forward_names(kind, seen):
    model = adapt_call("mine", kind(), horizon=3)
    assert type(model) is kind
    assert list(model.state_dict()) == ["weight"]
    for called in (model, copy.deepcopy(model)):
        out = called(X, EDGES, WEIGHT, mask=None, target=None, progress=0.5)
        assert torch.equal(out, X[:, -1:, :, 0].expand(-1, 3, -1))
        assert called.seen == seen
    assert ResidualForecaster(model)(X, EDGES, WEIGHT).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda x: x[:, :2, :, 0], r"\[2, 2, 4\]"),
        (lambda x: x[:, :3], r"\[2, 3, 4, 1\]"),
        (lambda x: (x, None), "a tuple"),
        (lambda x: None, "a NoneType"),
    ],
)
def test_what_is_no_forecast_is_refused_with_both_shapes(output, found):
    class Net(nn.Module):
        def forward(self, x):
            return output(x)

    model = adapt_call("mine", Net(), horizon=3)
    message = rf"^model 'mine': forward gives {found}, and should give \[B, P, N\], which is \[2, 3, 4\] for x of "
    with pytest.raises(WrongForecast, match=message):
        model(X)


def test_a_forward_that_cannot_be_called_says_what_it_may_take():
    with pytest.raises(ValueError, match="forward needs 'adjacency', 'time', which nobody has; it may take x, edge_i"):
        check_forward("mine", lambda x, adjacency, time: x)
    with pytest.raises(ValueError, match="forward does not take x, the history"):
        check_forward("mine", lambda edge_index: edge_index)
    check_forward("mine", lambda x, adjacency=None: x)
