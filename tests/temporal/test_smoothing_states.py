"""States of exponential smoothing: the recursion by hand, conditional means by brute force, gaps."""

import numpy as np
import pytest

from gnnkit.temporal.smoothing_states import SmoothingStates

ROWS = 400
WEIGHTS = {"alpha": [0.3, 0.6], "beta": [0.1, 0.0], "phi": [0.9, 0.0], "drift": [0.0, 0.2]}


def made(seed=0) -> np.ndarray:
    """Rows of the model itself, with some gaps."""
    rng = np.random.default_rng(seed)
    alpha, beta, phi, drift = (np.array(each) for each in WEIGHTS.values())
    level, slope, rows = np.array([5.0, -3.0]), np.array([0.5, 0.0]), []
    for error in rng.standard_normal((ROWS, 2)):
        expected = level + phi * slope + drift
        level, slope = expected + alpha * error, phi * slope + beta * error
        rows.append(expected + error)
    found = np.array(rows)
    found[rng.random(found.shape) < 0.1] = np.nan
    return found


def states(y) -> SmoothingStates:
    return SmoothingStates.of(y, **{name: np.array(each) for name, each in WEIGHTS.items()})


def last_by_hand(found: SmoothingStates, node: int, y: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Forecasts of 1 to 3 steps, the first state by least squares over errors that are written out one by one."""
    alpha, beta, phi, drift = (float(getattr(found, name)[node]) for name in WEIGHTS)

    def run(first):
        level, slope, errors = *first, []
        for value in y:
            expected = level + phi * slope + drift
            error = 0.0 if np.isnan(value) else value - expected
            level, slope = expected + alpha * error, phi * slope + beta * error
            errors.append(error)
        return np.array(errors), level, slope

    still = run((0.0, 0.0))[0]
    design = np.stack([run(unit)[0] - still for unit in ((1.0, 0.0), (0.0, 1.0))], axis=1)
    root = np.linalg.cholesky(found.precision[node]).T
    first = np.linalg.lstsq(
        np.concatenate([design, root]), np.concatenate([-still, root @ found.mean[node]]), rcond=None
    )[0]
    _, level, slope = run(first)
    forecasts = []
    for _ in range(3):
        slope = phi * slope
        level = level + slope + drift
        forecasts.append(level)
    return first, forecasts


@pytest.mark.parametrize("gaps", [False, True])
def test_forecasts_are_those_of_the_recursion_from_the_most_likely_first_state(gaps):
    found = states(made())
    y = made(seed=1)
    windows = np.stack([y[first : first + 8] for first in (0, 50, 100, 300)])
    windows = windows if gaps else np.where(np.isnan(windows), 1.0, windows)
    told = found.forecast(windows, np.isfinite(windows), np.array([1, 2, 3]))
    for window, forecast in zip(windows, told, strict=True):
        for node in range(2):
            np.testing.assert_allclose(forecast[:, node], last_by_hand(found, node, window[:, node])[1], rtol=1e-6)


def test_a_history_without_a_value_gives_what_was_usual():
    found = states(made())
    told = found.forecast(np.full((1, 5, 2), 99.0), np.zeros((1, 5, 2), dtype=bool), np.array([1]))
    level, slope = found.mean.T
    for _ in range(6):
        slope = found.phi * slope
        level = level + slope + found.drift
    np.testing.assert_allclose(told[0, 0], level, rtol=1e-9)


def test_a_long_history_forgets_what_was_before_it():
    """The forecasts after many rows are those of one recursion over all of them, whatever it begins with."""
    y = np.where(np.isnan(made()), 0.0, made())
    found = states(y)
    told = found.forecast(y[None], np.ones((1, ROWS, 2), dtype=bool), np.array([2]))
    for node in range(2):
        alpha, beta, phi, drift = (float(getattr(found, name)[node]) for name in WEIGHTS)
        level, slope = 0.0, 0.0
        for value in y[:, node]:
            expected = level + phi * slope + drift
            level, slope = expected + alpha * (value - expected), phi * slope + beta * (value - expected)
        assert told[0, 0, node] == pytest.approx(level + (phi + phi**2) * slope + 2 * drift, rel=1e-6)
