"""PairNorm is PyG's, and takes leading axes."""

import pytest
import torch
from torch_geometric.nn import PairNorm as PyGPairNorm

from gnnkit.layers import PairNorm


@pytest.mark.parametrize("individually", [False, True])
@pytest.mark.parametrize("batch", [None, torch.tensor([0, 0, 2, 1, 2, 2, 0, 1, 1])], ids=["one graph", "graphs"])
def test_it_is_pygs(individually, batch):
    x = torch.randn(9, 4, dtype=torch.float64)
    expected = PyGPairNorm(2.0, individually, 1e-3)(x, batch)
    torch.testing.assert_close(PairNorm(2.0, individually, 1e-3)(x, batch), expected)
    torch.testing.assert_close(PairNorm(2.0, individually, 1e-3)(x, batch, 4), expected)


@pytest.mark.parametrize("batch", [None, torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1])], ids=["one graph", "graphs"])
def test_leading_axes_are_graphs_of_their_own(batch):
    x = torch.randn(3, 9, 4)
    torch.testing.assert_close(PairNorm()(x, batch)[1], PairNorm()(x[1], batch))


def test_equal_features_do_not_divide_by_zero():
    for individually in (False, True):
        assert PairNorm(scale_individually=individually)(torch.ones(3, 2)).tolist() == [[0.0, 0.0]] * 3
    assert repr(PairNorm()) == "PairNorm()"
    assert repr(PairNorm(2.0)) == "PairNorm(scale=2.0)"


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript():
    x, batch = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    torch.testing.assert_close(torch.jit.script(PairNorm())(x, batch), PyGPairNorm()(x, batch))
