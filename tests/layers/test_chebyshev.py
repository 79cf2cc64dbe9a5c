import pytest
import torch
from torch_geometric.nn import ChebConv

from gnnkit.graph import normalized_adjacency
from gnnkit.layers import ChebyshevLayer

EDGES = torch.tensor([[0, 1, 1, 2, 2, 3, 0, 3], [1, 0, 2, 1, 3, 2, 3, 0]])


def test_it_is_pygs_with_the_bound_two_for_the_largest_eigenvalue():
    torch.manual_seed(0)
    peer, layer = ChebConv(2, 3, K=4).double(), ChebyshevLayer(2, 3, terms=4).double()
    weight = torch.rand(8, dtype=torch.float64)
    weight = weight[[0, 0, 2, 2, 4, 4, 6, 6]]
    with torch.no_grad():
        layer.linear.weight.copy_(torch.cat([lin.weight for lin in peer.lins], dim=1))
        layer.linear.bias.copy_(peer.bias.normal_())
    x = torch.randn(5, 4, 2, dtype=torch.float64)
    laplacian = -normalized_adjacency(EDGES, weight, x, 4, False)
    expected = torch.stack([peer(step, EDGES, weight, lambda_max=torch.tensor(2.0).double()) for step in x])
    torch.testing.assert_close(layer(x, laplacian), expected, rtol=0, atol=1e-7)  # PyG's sums over edges are float32


def test_one_term_sees_no_neighbour():
    layer = ChebyshevLayer(2, 3, terms=1)
    x = torch.randn(4, 2)
    torch.testing.assert_close(layer(x, torch.rand(4, 4)), layer.linear(x))
    with pytest.raises(ValueError, match="terms must be a whole number of at least 1, got 0"):
        ChebyshevLayer(2, 3, terms=0)
