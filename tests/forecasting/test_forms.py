"""Which form fits the data: chosen without the test rows, and right where it matters."""

import dataclasses

import numpy as np
import pytest
import torch

from gnnkit.data import GraphSeries, chronological_split
from gnnkit.forecasting.forms import choose_form

RNG = np.random.default_rng


def series_of(values):
    values = torch.tensor(np.asarray(values), dtype=torch.float32)[..., None]
    nodes = torch.arange(values.size(1))
    return GraphSeries(
        name="made",
        values=values,
        node_names=tuple(f"n{node}" for node in nodes.tolist()),
        edge_index=torch.stack([nodes, nodes.roll(1)]),
        edge_weight=torch.ones(len(nodes)),
        step_minutes=60.0,
        split=chronological_split(len(values), (0.7, 0.1, 0.2)),
    )


def walk(rng):
    return np.cumsum(rng.standard_normal((300, 4)), axis=0)


FORMS = {
    "sparse counts": (lambda rng: rng.poisson(0.3, (240, 4)), False),
    "noise at levels of their own": (lambda rng: rng.standard_normal((300, 6)) + 10 * np.arange(6), False),
    "a day of 24 rows": (lambda rng: np.sin(np.arange(480) / 24 * 2 * np.pi)[:, None] * np.ones(3), False),
    "a walk": (walk, True),
    "a drift": (lambda rng: 0.05 * np.arange(300)[:, None] + rng.standard_normal((300, 3)), True),
    "counts that stop": (lambda rng: np.r_[rng.poisson(3, (150, 3)), np.zeros((150, 3))] + 0.0, True),
}


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("case", range(3))
def test_the_form_follows_from_where_a_model_would_start(kind, case):
    make, residual = FORMS[kind]
    assert choose_form(series_of(make(RNG(case))), 12).residual is residual


def test_errors_by_hand():
    values = np.array([[0.0], [4.0], [0.0], [4.0], [0.0], [4.0], [0.0], [4.0], [0.0], [8.0]])
    series = dataclasses.replace(series_of(values), split=chronological_split(10, (0.6, 0.2, 0.2)))
    form = choose_form(series, 1)
    # Median of the training rows 0 4 0 4 0 4: torch's is the lower one, 0. The last value is always off by 4.
    assert form.errors == {"train": (4.0, 12 / 5), "val": (4.0, 2.0)}
    assert not form.residual
    assert form.sentence == (
        "Every model predicts the value itself, not the change from the last value: each node's training median is "
        "nearer, with an MAE of 2.4 against 4 on the training rows and of 2 against 4 on the validation rows."
    )


def test_test_rows_have_no_say_and_gaps_do_not_count():
    values = walk(RNG(1))
    changed = values.copy()
    changed[240:] = RNG(2).poisson(0.1, changed[240:].shape)
    assert choose_form(series_of(values), 6) == choose_form(series_of(changed), 6)
    counts = RNG(3).poisson(0.3, (240, 4)).astype(float)
    counts[RNG(4).random(counts.shape) < 0.3] = np.nan
    counts[:, 2] = np.nan
    assert not choose_form(series_of(counts), 12).residual


def test_where_nothing_is_known_the_change_stays():
    assert choose_form(series_of(np.full((20, 2), np.nan)), 3).residual
    assert choose_form(series_of(np.zeros((4, 1))), 30).residual
