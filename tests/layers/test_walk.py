"""A new layer on an op that is there, from the one file that it takes: it has all that gnnkit's layers have."""

import importlib
import sys

import pytest
import torch

from gnnkit.layers import NodeClassifier, SeedStack
from gnnkit.ops import use_backend

# Beside it stand a line in gnnkit/layers/__init__.py and tests/layers/test_….py: three files.
LAYER = """
import typing
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing
from gnnkit.graph.checks import check_edge_index
from gnnkit.layers._checks import check_features
from gnnkit.layers._fused import has_own_hooks, runs_fused
from gnnkit.layers._linear import Linear
from gnnkit.ops import spmm

class MeanLayer(MessagePassing):
    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(aggr="mean")
        self.lin = Linear(in_channels, out_channels)
        self._own_hooks = has_own_hooks(type(self), MeanLayer)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        check_features(x, self.lin)
        h = self.lin(x)
        if runs_fused(self, edge_index, h, aggregations=("mean",)):
            return spmm(edge_index, h, reduce="mean")
        check_edge_index(edge_index, (x.size(-2), x.size(-2)))
        # propagate_type: (x: Tensor)
        return self.propagate(edge_index, x=h)

    def message(self, x_j: Tensor) -> Tensor:
        return x_j
"""
EDGES = torch.tensor([[0, 1, 2, 2], [1, 2, 1, 0]])


@pytest.fixture(scope="module")
def layer_class(tmp_path_factory):
    folder = tmp_path_factory.mktemp("layer")
    (folder / "mean_layer_of_a_walk.py").write_text(LAYER)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("mean_layer_of_a_walk").MeanLayer
    sys.path.remove(str(folder))


def test_the_op_and_the_steps_agree_on_every_backend(layer_class):
    layer = layer_class(3, 2).double()
    x = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    stepwise = layer.propagate(EDGES, x=layer.lin(x))
    for backend in ("auto", "torch", "reference"):
        with use_backend(backend):
            torch.testing.assert_close(layer(x, EDGES), stepwise)
    assert torch.autograd.gradcheck(lambda x: layer(x, EDGES), (x,))
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES), (x,))
    assert layer.propagate.__module__.endswith("_propagate")


def test_mistakes_are_named_and_hooks_are_seen(layer_class):
    layer, seen = layer_class(3, 2), []
    with pytest.raises(ValueError, match="x has 4 features per node"):
        layer(torch.ones(3, 4), EDGES)
    layer.register_message_forward_hook(lambda *arguments: seen.append(1))
    layer(torch.ones(3, 3), EDGES)
    assert seen == [1]


def test_it_goes_into_a_classifier_and_into_a_stack_of_seeds(layer_class):
    models = [NodeClassifier(3, 4, 2, layer=layer_class, dropout=0.0) for _ in range(2)]
    x = torch.randn(3, 3)
    expected = torch.stack([model(x, EDGES) for model in models])
    torch.testing.assert_close(SeedStack(models)(x, EDGES), expected)
