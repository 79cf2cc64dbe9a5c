import torch
from torch_geometric.nn import PairNorm as PyGPairNorm

from gnnkit.layers import PairNorm


def test_it_is_pygs_on_one_graph():
    x = torch.randn(9, 4, dtype=torch.float64)
    torch.testing.assert_close(PairNorm(2.0)(x), PyGPairNorm(2.0)(x))


def test_leading_axes_are_graphs_of_their_own():
    x = torch.randn(3, 9, 4)
    torch.testing.assert_close(PairNorm()(x)[1], PairNorm()(x[1]))


def test_equal_features_do_not_divide_by_zero():
    assert PairNorm()(torch.ones(3, 2)).tolist() == [[0.0, 0.0]] * 3
    assert repr(PairNorm(2.0)) == "PairNorm(scale=2.0)"
