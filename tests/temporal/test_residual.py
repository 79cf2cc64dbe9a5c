import pytest
import torch
from torch import nn

from gnnkit.sequence import GRUForecaster
from gnnkit.temporal import TGCN, ResidualForecaster, build_forecaster

EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


class Spy(nn.Module):
    """Predicts nothing, and keeps what it was given."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x, edge_index, edge_weight, *, mask, target, progress):
        self.given = {
            "edge_index": edge_index,
            "edge_weight": edge_weight,
            "mask": mask,
            "target": target,
            "progress": progress,
        }
        return x.new_zeros(self.shape)


def test_a_forecaster_that_says_nothing_is_persistence():
    x = torch.randn(2, 5, 3, 2)
    found = ResidualForecaster(Spy((2, 4, 3)))(x, EDGES)
    assert torch.equal(found, x[:, -1:, :, 0].expand(2, 4, 3))
    quantiles = ResidualForecaster(Spy((2, 4, 3, 7)))(x, EDGES)
    assert torch.equal(quantiles, x[:, -1:, :, 0, None].expand(2, 4, 3, 7))


def test_it_adds_the_last_value_and_hands_on_the_rest():
    torch.manual_seed(0)
    inner = TGCN(1, 4, 2)
    x, weight = torch.randn(2, 5, 3, 1), torch.tensor([1.0, 2.0, 3.0])
    found = ResidualForecaster(inner)(x, EDGES, weight)
    torch.testing.assert_close(found, inner(x, EDGES, weight) + x[:, -1:, :, 0])
    spy = ResidualForecaster(Spy((2, 2, 3)))
    target, mask = torch.randn(2, 2, 3), torch.ones_like(x, dtype=torch.bool)
    spy(x, EDGES, weight, mask=mask, target=target, progress=0.7)
    given = spy.forecaster.given
    assert given["edge_index"] is EDGES
    assert given["edge_weight"] is weight
    assert given["mask"] is mask
    assert given["progress"] == 0.7
    torch.testing.assert_close(given["target"], target - x[:, -1:, :, 0])


def test_states_are_the_forecasters():
    inner = GRUForecaster(1, 4, 2)
    x = torch.randn(2, 5, 3, 1)
    for one, other in zip(ResidualForecaster(inner).unroll(x), inner.unroll(x), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", ["gru", "tgcn", "lstm-joint", "gcn"])
def test_the_registry_builds_both_forms_with_the_same_weights(name):
    sizes = {"in_channels": 1, "horizon": 2, "history": 5, "num_nodes": 3, "hidden_channels": 4}
    torch.manual_seed(0)
    plain = build_forecaster(name, **sizes)
    torch.manual_seed(0)
    residual = build_forecaster(name, residual=True, **sizes)
    x, weight = torch.randn(2, 5, 3, 1), torch.ones(3)
    torch.testing.assert_close(residual(x, EDGES, weight), plain(x, EDGES, weight) + x[:, -1:, :, 0])
