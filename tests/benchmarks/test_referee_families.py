"""Families of forecasters on trial: what is counted, on cases whose answer is known."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from scipy import special

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def trial(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    found = importlib.import_module("referee_families")
    monkeypatch.setattr(found, "_peers", lambda cell, losses: {"set_arch": np.nan, "spa_arch": np.nan})
    return found


def test_a_much_better_model_is_left_alone_and_called_better(trial):
    found = trial.rejections(trial.Family(3, 3, 1000, 0.0, ratio=2.0), 4)
    assert (found["set"], found["family"], found["family_holm"], found["ranks"]) == (1, 1, 1, 1)


def test_equal_models_are_seldom_called_different(trial):
    found = trial.rejections(trial.Family(4, 3, 120, 0.5), 60)
    assert max(found[name] for name in ("set", "family", "family_holm")) <= 9 / 60
    assert np.isnan(found["groups"])


def test_a_pooled_variance_lets_one_wild_model_tell_equals_apart(trial):
    found = trial.told_apart(trial.Luck(3, 1, 10.0), 300)
    assert found["own"] < 0.08
    assert found["pooled_most"] > 0.09


def test_variances_that_are_alike_are_shrunk_to_one(trial):
    variances, degrees = trial._moderated(np.array([1.0, 1.0, 1.0]), trial.Luck(3))
    assert np.ptp(variances) == 0
    assert degrees == 6
    own = np.exp(np.linspace(-8, 8, 9))
    variances, degrees = trial._moderated(own, trial.Luck(9))
    assert 2 < degrees < 4
    assert (np.diff(variances) > 0).all()
    assert np.ptp(np.log(variances)) < np.ptp(np.log(own))


def test_the_inverse_of_trigamma(trial):
    for value in (0.1, 1.0, 5.0):
        assert special.polygamma(1, trial._inverse_trigamma(value)) == pytest.approx(value)


def test_every_cell_once(trial):
    assert len(set(trial.families())) == len(trial.families())
    assert len(set(trial.lucks())) == len(trial.lucks())
