import pytest
import torch

from gnnkit.graph import normalized_adjacency
from gnnkit.layers import MixHopLayer, mixing_matrix

EDGES = torch.tensor([[0, 0, 1, 3], [1, 2, 2, 0]])


def test_the_matrix_has_loops_and_rows_that_sum_to_one():
    a = torch.tensor([[0.0, 3.0], [1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(mixing_matrix(a), torch.tensor([[1 / 4, 3 / 4], [1 / 3, 2 / 3]], dtype=torch.float64))
    dense = torch.zeros(4, 4, dtype=torch.float64)
    dense[EDGES[1], EDGES[0]] = 1.0
    torch.testing.assert_close(
        mixing_matrix(dense), normalized_adjacency(EDGES, None, dense, 4, True, method="row"), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("channels", [2, 20])
def test_hops_and_their_mixture_are_those_of_the_equations(learned, channels):
    torch.manual_seed(0)
    adjacency = torch.rand(4, 4, dtype=torch.float64, requires_grad=learned)
    layer = MixHopLayer(channels, 3, depth=3, retain=0.2).double()
    x = torch.randn(2, 5, 4, channels, dtype=torch.float64, requires_grad=True)
    looped = adjacency + torch.eye(4)
    outputs = []
    for batch in x:
        for step in batch:
            h, mixed = step, step @ layer.linear.weight[:, :channels].t() + layer.linear.bias
            for k in range(1, 4):
                rows = []
                for i in range(4):
                    heard = sum(looped[i, j] / looped[i].sum() * h[j] for j in range(4))
                    rows.append(0.2 * step[i] + 0.8 * heard)
                h = torch.stack(rows)
                mixed = mixed + h @ layer.linear.weight[:, k * channels : (k + 1) * channels].t()
            outputs.append(mixed)
    expected = torch.stack(outputs).view(2, 5, 4, 3)
    found = layer(x, mixing_matrix(adjacency))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    wanted = (x, adjacency) if learned else (x,)
    for mine, theirs in zip(
        torch.autograd.grad(found.square().sum(), wanted, retain_graph=True),
        torch.autograd.grad(expected.square().sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


def test_bad_arguments():
    with pytest.raises(ValueError, match="depth must be a whole number of at least 1, got 0"):
        MixHopLayer(2, 2, depth=0)
    with pytest.raises(ValueError, match=r"retain must be a share from 0 to 1, got 1\.5"):
        MixHopLayer(2, 2, retain=1.5)


def test_an_infinite_value_stays_infinite():
    layer = MixHopLayer(1, 3, depth=1)
    seen = []
    layer.linear.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    layer(torch.tensor([[torch.inf], [1.0]]), torch.eye(2))
    assert seen[0].tolist() == [[torch.inf, torch.inf], [1.0, 1.0]]
