import pytest
import torch

from gnnkit.data import MaxScaler, Scaler, StandardScaler
from gnnkit.data.scaling import SCALERS, fit_scaler

NAN = float("nan")


@pytest.fixture
def values() -> torch.Tensor:
    # Nodes: ordinary with a gap; constant; never observed in training. Rows 4 and 5 are not training rows.
    table = [[1.0, 7.0, NAN], [NAN, 7.0, NAN], [3.0, 7.0, NAN], [5.0, NAN, NAN], [500.0, 8.0, 9.0], [-500.0, 6.0, 9.0]]
    return torch.tensor(table).unsqueeze(-1)


def test_standard_scaler_by_hand(values):
    scaler = StandardScaler.fit(values, range(4))
    observed = torch.tensor([1.0, 3.0, 5.0, 7.0, 7.0, 7.0], dtype=torch.float64)
    mean, deviation = observed.mean().item(), observed.std(correction=0).item()
    assert scaler.center[:, 0].tolist() == pytest.approx([3.0, 7.0, mean])
    assert scaler.scale[:, 0].tolist() == pytest.approx([(8 / 3) ** 0.5, (8 / 3) ** 0.5, deviation])
    assert scaler.target_deviation == pytest.approx(deviation)


def test_standard_scaler_over_all_nodes(values):
    scaler = StandardScaler.fit(values, range(4), per_node=False)
    assert scaler.center.shape == (1, 1)
    assert scaler.center.item() == pytest.approx(5.0)
    assert scaler.scale.item() == pytest.approx(((16 + 4 + 0 + 4 + 4 + 4) / 6) ** 0.5)


def test_max_scaler_by_hand(values):
    assert MaxScaler.fit(values, range(4)).scale[:, 0].tolist() == [5.0, 7.0, 7.0]
    assert MaxScaler.fit(values, range(4), per_node=False).scale.tolist() == [[7.0]]
    assert MaxScaler.fit(-values, range(4)).scale[:, 0].tolist() == [5.0, 7.0, 7.0]
    assert MaxScaler.fit(torch.zeros(3, 2, 1), range(3)).scale.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("kind", [StandardScaler, MaxScaler])
@pytest.mark.parametrize("per_node", [True, False])
def test_only_observed_training_values_count(kind, per_node, values):
    """The leak test: validation and test rows, and whatever stands behind a gap, must not move the scaler."""
    fitted = kind.fit(values, range(4), per_node=per_node)
    leaked = values.clone()
    leaked[4:] = 1e6
    again = kind.fit(leaked, range(4), per_node=per_node)
    assert torch.equal(fitted.center, again.center)
    assert torch.equal(fitted.scale, again.scale)
    assert fitted.target_deviation == again.target_deviation
    # The same test must be able to fail: a scaler fitted on every row does move.
    everything = kind.fit(leaked, range(6), per_node=per_node)
    assert not torch.equal(fitted.scale, everything.scale)
    # A gap filled with a number, as a careless loader would, moves it too.
    careless = kind.fit(values.nan_to_num(nan=1e6), range(4), per_node=per_node)
    assert not torch.equal(fitted.scale, careless.scale)


@pytest.mark.parametrize("kind", [StandardScaler, MaxScaler])
@pytest.mark.parametrize("per_node", [True, False])
def test_targets_come_back(kind, per_node):
    values = torch.randn(50, 4, 2, generator=torch.Generator().manual_seed(0)) * 20 + 50
    scaler = kind.fit(values, range(30), per_node=per_node)
    target = values[..., 0]
    assert torch.allclose(scaler.inverse_target(scaler.transform_target(target)), target, rtol=1e-6)
    assert torch.equal(scaler.transform(values)[..., 0], scaler.transform_target(target))
    assert scaler.transform(values).shape == values.shape
    assert torch.equal(scaler.to("cpu").scale, scaler.scale)
    assert type(scaler.to("cpu")) is kind


def test_scaled_training_values_have_mean_zero_and_deviation_one():
    values = torch.randn(500, 3, 2, generator=torch.Generator().manual_seed(1)) * 7 - 2
    scaled = StandardScaler.fit(values, range(400)).transform(values)[:400]
    assert torch.allclose(scaled.mean(dim=0), torch.zeros(3, 2), atol=1e-5)
    assert torch.allclose(scaled.std(dim=0, correction=0), torch.ones(3, 2), atol=1e-5)


def test_constant_node_with_an_awkward_value_is_not_blown_up():
    values = torch.full((1000, 1, 1), 0.1)
    assert StandardScaler.fit(values, range(1000)).scale.item() == 1.0


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e9])
def test_a_dead_node_is_scaled_as_the_others_whatever_the_unit(unit):
    walks = torch.randn(50, 5, 1, generator=torch.Generator().manual_seed(0)).cumsum(0)
    walks[:, 3] = 0.0
    for kind in (StandardScaler, MaxScaler):
        scale = kind.fit(walks * unit, range(50)).scale[:, 0]
        assert scale[3].item() == scale[[0, 1, 2, 4]].median().item()
        assert scale[3].item() == pytest.approx(kind.fit(walks, range(50)).scale[3, 0].item() * unit, rel=1e-5)


def test_scalers_by_name():
    values = torch.tensor([[1.0, -2.0], [3.0, 4.0], [5.0, 60.0]]).unsqueeze(-1)
    found = {name: fit_scaler(name, values, range(2)).scale.flatten().tolist() for name in SCALERS}
    assert found == {
        "standard": [1.0, 3.0],
        "max": [4.0],
        "max-node": [3.0, 4.0],
        "max-all": [60.0],
        "max-node-all": [5.0, 60.0],
    }
    with pytest.raises(ValueError, match="scaler='minmax': give one of standard, max, max-node, max-all, max-node-all"):
        fit_scaler("minmax", values, range(2))


@pytest.mark.parametrize("kind", [StandardScaler, MaxScaler])
def test_errors(kind):
    values = torch.ones(6, 2, 2)
    values[:4, :, 1] = NAN
    with pytest.raises(ValueError, match=r"feature 1 is NaN in every one of the 4 training rows"):
        kind.fit(values, range(4))
    with pytest.raises(ValueError, match=r"the target \(feature 0\) is NaN"):
        kind.fit(torch.full((5, 2, 1), NAN), range(3))
    with pytest.raises(ValueError, match="inside the 6 rows"):
        kind.fit(values, range(7))
    with pytest.raises(ValueError, match="non-empty range"):
        kind.fit(values, range(0))


def test_scaler_refuses_a_scale_that_is_not_positive():
    with pytest.raises(ValueError, match="positive"):
        Scaler(torch.zeros(2, 1), torch.tensor([[1.0], [0.0]]))
    with pytest.raises(ValueError, match="same shape"):
        Scaler(torch.zeros(2, 1), torch.ones(1, 1))
