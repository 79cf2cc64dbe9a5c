"""Faults planted in a model that has none: each is found by the line that it belongs to, and by no other."""

import random

import pytest
import torch
from torch import nn

from gnnkit.temporal import MODELS
from gnnkit.testing import check_forecaster, inspect_forecaster


class Sound(nn.Module):
    """A linear map of the history, and of the mean of those that a node hears."""

    uses_graph = True

    def __init__(self, in_channels, hidden_channels, horizon, *, history):
        super().__init__()
        self.horizon = horizon
        self.own = nn.Linear(history * in_channels, hidden_channels)
        self.heard = nn.Linear(hidden_channels, hidden_channels)
        self.head = nn.Linear(hidden_channels, horizon)

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None):
        h = self.own(x.transpose(1, 2).flatten(2))  # [B, N, C]
        adjacency = h.new_zeros(x.size(2), x.size(2)).index_put(
            (edge_index[1], edge_index[0]), edge_weight, accumulate=True
        )
        mean = adjacency / adjacency.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return self.head((h + self.heard(mean @ h)).tanh()).transpose(1, 2)


class Shape(Sound):
    def forward(self, *inputs, **more):
        return super().forward(*inputs, **more).squeeze()


class Precision(Sound):
    def forward(self, x, *inputs, **more):
        return super().forward(x.float().to(x.dtype), *inputs, **more)


class Drawn(Sound):
    def forward(self, x, *inputs, **more):
        return super().forward(nn.functional.dropout(x, 0.5), *inputs, **more)


class State(Sound):
    last = 0.0

    def forward(self, *inputs, **more):
        out = super().forward(*inputs, **more) + self.last
        self.last = out.mean()
        return out


class FirstGraph(Sound):
    kept = None

    def forward(self, x, edge_index, edge_weight, **more):
        self.kept = self.kept or (edge_index, edge_weight)
        return super().forward(x, *self.kept, **more)


class Peeking(Sound):
    def forward(self, *inputs, target=None, **more):
        out = super().forward(*inputs, **more)
        return out if target is None else (out + target.nan_to_num()) / 2


class DeadWeight(Sound):
    def __init__(self, in_channels, hidden_channels, horizon, *, history):
        super().__init__(in_channels, hidden_channels, horizon, history=history)
        self.spare = nn.Linear(2, 2)


class DeadWeightOfOneFeature(nn.Module):
    """It sees feature 0 alone, so that it is built into a wrapper."""

    def __init__(self, history, horizon):
        super().__init__()
        self.linear, self.spare = nn.Linear(history, horizon), nn.Linear(2, 2)

    def forward(self, x):
        return self.linear(x[..., 0].transpose(1, 2)).transpose(1, 2)


class NodeNumbers(Sound):
    def forward(self, x, *inputs, **more):
        return super().forward(x + torch.arange(x.size(2)).view(-1, 1), *inputs, **more)


class ReadsGaps(Sound):
    skips_gaps = True

    def forward(self, x, *inputs, mask=None, **more):
        return super().forward(x if mask is None else x + mask, *inputs, **more)


class EdgeNumbers(Sound):
    def forward(self, x, edge_index, edge_weight, **more):
        return super().forward(x, edge_index, edge_weight * torch.arange(1, 1 + edge_weight.numel()), **more)


class Batch(Sound):
    def forward(self, x, *inputs, **more):
        return super().forward(x - x.mean(dim=0), *inputs, **more)


class InPlace(Sound):
    def forward(self, x, *inputs, **more):
        return super().forward(x.mul_(0.5), *inputs, **more)


class Unregistered(Sound):
    def __init__(self, in_channels, hidden_channels, horizon, *, history):
        super().__init__(in_channels, hidden_channels, horizon, history=history)
        self.layers = [nn.Linear(1, 1)]

    def forward(self, *inputs, **more):
        return self.layers[0](super().forward(*inputs, **more).unsqueeze(-1)).squeeze(-1)


class Degree(Sound):
    def forward(self, x, edge_index, edge_weight, **more):
        return super().forward(x, edge_index, edge_weight, **more) / (edge_weight.numel() / edge_weight.numel())


class Denies(Sound):
    uses_graph = False


class OtherSeed(Sound):
    def __init__(self, in_channels, hidden_channels, horizon, *, history):
        super().__init__(in_channels, hidden_channels, horizon, history=history)
        self.gain = nn.Parameter(torch.tensor(random.SystemRandom().random()))

    def forward(self, *inputs, **more):
        return self.gain * super().forward(*inputs, **more)


class Inverted(Sound):
    def forward(self, x, *inputs, mask=None, **more):
        return super().forward(x if mask is None else x * ~mask, *inputs, **more)


class NeedsMask(Sound):
    def forward(self, x, *inputs, mask=None, **more):
        return super().forward(x * mask, *inputs, **more)


class NothingObserved(Sound):
    def forward(self, x, *inputs, mask=None, **more):
        if mask is not None:
            x = x * mask / mask.float().mean(dim=(1, 2, 3), keepdim=True)
        return super().forward(x, *inputs, **more)


class TwoSteps(Sound):
    last = None

    def forward(self, *inputs, **more):
        out = super().forward(*inputs, **more)
        if self.training:
            out = out if self.last is None else out + 0 * self.last.mean()
            self.last = out
        return out


class Spoilt(Sound):
    def forward(self, *inputs, **more):
        out = super().forward(*inputs, **more).exp()
        return out.mul_(2) if self.training else out


class ToldNaN(Sound):
    def forward(self, *inputs, target=None, **more):
        out = super().forward(*inputs, **more)
        if target is None or not self.training:
            return out
        return torch.cat([out[:, :1], out[:, 1:] + target[:, :-1]], dim=1)


def lines(report, outcome):
    return [check.name for check in report.checks if check.outcome == outcome]


def test_a_sound_model_has_no_fault():
    report = check_forecaster(Sound)
    assert lines(report, "not checked") == []
    assert report["node order"].seen == "Nodes in another order have the same forecasts."
    assert report["graph"].seen == (
        "It reads the edges, their direction and their weights. "
        "It cannot do without weights; gnnkit's series have some."
    )
    assert report["gradients"].seen == "Gradients reach every weight: 6 of 6."
    assert report.summary == "Sound: 13 ok, 2 says"
    assert "Sound" not in MODELS


@pytest.mark.parametrize(
    ("model", "line", "seen"),
    [
        (NeedsMask, "call", "Without a mask, as on a series without gaps: It raises TypeError: "),
        (Shape, "odd sizes", "gives [3, 5], and should give ["),
        (Precision, "float64", "Double precision is lost inside"),
        (Drawn, "repeatable", "something is drawn at random there, e.g. a dropout that does not ask self.training."),
        (OtherSeed, "repeatable", "Two builds with one seed have another gain: it is not drawn from torch's seed."),
        (State, "no state", "The same windows after others are forecast otherwise, by "),
        (
            TwoSteps,
            "no state",
            "In training the step after another fails. Its backward pass raises RuntimeError: Trying to backward",
        ),
        (FirstGraph, "no state", "It keeps something of the first call: windows on another graph differ by "),
        (Peeking, "no peeking", "In evaluation mode the target changes the forecast, by "),
        (DeadWeight, "gradients", "No gradient reaches spare.weight, spare.bias: 2 of 8 weights."),
        (DeadWeightOfOneFeature, "gradients", "No gradient reaches spare.weight, spare.bias: 2 of 4 weights."),
        (Spoilt, "gradients", "Its backward pass raises RuntimeError: one of the variables needed for gradient"),
        (NodeNumbers, "node order", "and no weight belongs to a single node: does a view"),
        (ReadsGaps, "gaps", "It says skips_gaps, and values that were not observed change the forecast by "),
        (Inverted, "gaps", "the mask is true where x was observed."),
        (NothingObserved, "gaps", "A history of which nothing was observed makes the forecast NaN."),
        (ToldNaN, "gaps", "In training a target that was not observed, which is NaN, makes the forecast NaN."),
        (EdgeNumbers, "edge order", "Edges in another order change the forecast, by "),
        (Batch, "windows apart", "when the others of its batch do."),
        (InPlace, "inputs kept", "It changes x in place, which others read after it; clone it first."),
        (Unregistered, "saves and loads", "Not registered: layers[0]; use nn.ParameterList, nn.ModuleList or"),
        (Degree, "empty graph", "It raises ZeroDivisionError: division by zero (test_forecaster.py, line "),
        (Denies, "graph", "It counts as a model without a graph, and the edges change the forecast by "),
    ],
)
def test_a_planted_fault_is_found_by_its_line_and_no_other(model, line, seen):
    report = inspect_forecaster(model, cost=False)
    assert lines(report, "fault") == [line], str(report)
    assert seen in report[line].seen


class Trees:
    def fit(self, train, validation): ...

    def predict(self, windows): ...


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Trees, "model 'Trees' has fit and predict; only forecasters, which are torch modules, are checked"),
        (nn.Linear(1, 1), "model is an instance of Linear, and is built at several sizes; give its class, or a name"),
        ("grru", "unknown model 'grru'; did you mean 'gru'"),
    ],
)
def test_what_is_no_forecaster(model, message):
    with pytest.raises(ValueError, match=message):
        inspect_forecaster(model)


def test_a_fault_fails_a_test_with_the_table():
    with pytest.raises(AssertionError, match=r"^DeadWeight: 12 ok, 1 fault \(gradients\), 2 says\n") as failed:
        check_forecaster(DeadWeight)
    assert "gradients        fault    No gradient reaches spare.weight, spare.bias: 2 of 8 weights." in str(
        failed.value
    )


def test_the_random_states_of_the_caller_stay():
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(1), random.random()
    torch.manual_seed(3)
    random.seed(3)
    inspect_forecaster(Sound, cost=False)
    assert (torch.rand(1), random.random()) == expected
