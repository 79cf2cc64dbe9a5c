import math

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from gnnkit.metrics import FORECAST_METRICS, accuracy, corr, forecast_metrics, mae, mape, r2, rmse, rse, var_score

TRUE = np.array([[1.0, 2.0, 0.0], [4.0, 5.0, 6.0]])
PREDICTED = np.array([[2.0, 2.0, 1.0], [4.0, 3.0, 9.0]])


def test_hand_computed_values():
    # errors: 1 0 1 / 0 2 3 -> sum 7, squares 15
    assert mae(PREDICTED, TRUE) == pytest.approx(7 / 6)
    assert rmse(PREDICTED, TRUE) == pytest.approx(math.sqrt(15 / 6))
    assert mape(PREDICTED, TRUE) == pytest.approx(100 * (1 + 0 + 0 + 2 / 5 + 3 / 6) / 5)
    assert accuracy(PREDICTED, TRUE) == pytest.approx(1 - math.sqrt(15 / 82))
    assert r2(PREDICTED, TRUE) == pytest.approx(1 - 15 / 28)  # mean 3, Σ(y − 3)² = 4 + 1 + 9 + 1 + 4 + 9
    # y − ŷ: −1 0 −1 0 2 −3, mean −1/2
    assert var_score(PREDICTED, TRUE) == pytest.approx(1 - (15 - 6 / 4) / 28)


def test_they_agree_with_scikit_learn_on_tensors():
    generator = torch.Generator().manual_seed(0)
    true = torch.randn(7, 5, generator=generator) + 3
    predicted = true + torch.randn(7, 5, generator=generator)
    flat = true.ravel().numpy(), predicted.ravel().numpy()
    assert mae(predicted, true) == pytest.approx(sk.mean_absolute_error(*flat), rel=1e-6)
    assert rmse(predicted, true) == pytest.approx(sk.root_mean_squared_error(*flat), rel=1e-6)
    assert mape(predicted, true) == pytest.approx(100 * sk.mean_absolute_percentage_error(*flat), rel=1e-6)
    assert r2(predicted, true) == pytest.approx(sk.r2_score(*flat), rel=1e-6)
    assert var_score(predicted, true) == pytest.approx(sk.explained_variance_score(*flat), rel=1e-6)


@pytest.mark.parametrize("name", FORECAST_METRICS)
def test_a_masked_entry_does_not_count(name):
    mask = np.array([[True, True, False], [True, True, True]])
    kept = FORECAST_METRICS[name](PREDICTED[mask], TRUE[mask])
    spoiled = PREDICTED.copy()
    spoiled[~mask] = np.nan
    assert FORECAST_METRICS[name](spoiled, TRUE, mask) == kept


@pytest.mark.parametrize("name", FORECAST_METRICS)
def test_nothing_observed_is_nan(name):
    assert math.isnan(FORECAST_METRICS[name](PREDICTED, TRUE, np.zeros_like(TRUE, dtype=bool)))


@pytest.mark.parametrize("name", ["accuracy", "r2", "var"])
def test_a_score_relative_to_nothing_is_nan(name):
    assert math.isnan(FORECAST_METRICS[name](np.ones(3), np.zeros(3)))


@pytest.mark.parametrize(
    ("predicted", "true"),
    [(PREDICTED, TRUE), (TRUE, TRUE), (np.ones(3), np.zeros(3)), (np.arange(3.0), np.full(3, 2.0)), ([], [])],
)
def test_all_at_once_are_each_for_itself(predicted, true):
    found = forecast_metrics(predicted, true)
    alone = {name: measure(predicted, true) for name, measure in FORECAST_METRICS.items()}
    assert found == pytest.approx(alone, rel=1e-12, nan_ok=True)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"rmse: `predicted` has shape \(2,\), `true` has \(3,\)"):
        rmse(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"mae: `mask` has shape \(1,\)"):
        mae(np.zeros(3), np.zeros(3), np.zeros(1, dtype=bool))


def test_rse_is_the_error_over_the_deviation():
    rng = np.random.default_rng(0)
    y, y_hat = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    mask = rng.random((50, 3)) < 0.8
    assert rse(y_hat, y, mask) == pytest.approx(rmse(y_hat, y, mask) / y[mask].std(), rel=1e-12)
    assert rse(np.full_like(y, y.mean()), y) == pytest.approx(1.0, rel=1e-12)
    assert np.isnan(rse([1.0, 2.0], [3.0, 3.0]))


def test_corr_is_the_mean_of_the_columns_pearson_correlations():
    rng = np.random.default_rng(0)
    y, y_hat = rng.normal(size=(50, 4)), rng.normal(size=(50, 4))
    y[:, 1] = 5.0  # does not vary: left out
    y_hat[:, 2] = 1.0  # says nothing: 0
    expected = (np.corrcoef(y[:, 0], y_hat[:, 0])[0, 1] + 0 + np.corrcoef(y[:, 3], y_hat[:, 3])[0, 1]) / 3
    assert corr(y_hat, y) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(corr([[1.0]], [[1.0]]))
    with pytest.raises(ValueError, match=r"corr: `predicted` has shape \(3,\), `true` \(3,\)"):
        corr([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
